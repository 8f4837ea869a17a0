/// Everything that happened, as one running hash that two runs of one seed share, and as lines on demand.
package struct Trace {
    package private(set) var lines: [String] = []
    /// Lines are for people and cost time; the hash is the same without them.
    package var keepsLines: Bool
    package private(set) var word: UInt64 = 0xCBF2_9CE4_8422_2325

    package init(keepsLines: Bool = true) { self.keepsLines = keepsLines }

    package mutating func add(_ line: String) {
        for byte in line.utf8 { word = (word ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        mix(UInt64(line.utf8.count))
        if keepsLines { lines.append(line) }
    }

    package mutating func mix(_ value: UInt64) {
        word = (word ^ value) &* 0x9E37_79B9_7F4A_7C15
        word ^= word >> 29
    }

    package mutating func mix(_ bytes: [UInt8]) {
        for byte in bytes { word = (word ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        mix(UInt64(bytes.count))
    }

    package var hash: String { String(word, radix: 16) }
}
