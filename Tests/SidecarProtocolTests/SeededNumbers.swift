/// SplitMix64: the same numbers for the same seed, on every machine.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(next() & 255) } }

    /// `bytes` with a few bytes changed, cut off or added.
    mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...below(4) {
            switch below(6) {
            case 0: bytes = Array(bytes.prefix(below(bytes.count + 1)))
            case 1: bytes += self.bytes(below(40))
            default:
                if !bytes.isEmpty { bytes[below(bytes.count)] = UInt8(next() & 255) }
            }
        }
        return bytes
    }
}
