// How many different elements there were, about: HyperLogLog, as Redis keeps it in a string.
//
// Theory of operation
//
//   16,384 registers of 6 bits. The lower 14 bits of an element's hash (MurmurHash64A) choose one, and it keeps
//   the greatest number of trailing zeros of the other 50 bits, plus one. The estimate is Ertl's improved raw
//   estimator (arXiv:1702.01284, algorithm 6), of how often each number stands in a register.
//
//   The string: `HYLL`, the encoding in a byte, three zero bytes, and in eight bytes, little-endian, a count
//   that Redis remembers, valid where its highest bit is 0. Then the registers, dense (0): 6 bits each from the
//   low end, or sparse (1), runs of equal ones: 00xxxxxx x + 1 zeros, 01xxxxxx yyyyyyyy xy + 1 zeros, 1vvvvvxx
//   x + 1 times v + 1. Which of the equal spellings stands there is Redis's choice, so that a GET of both gives
//   the same bytes: a run is split where a register changes, and neighbours are joined from the run before on.
//
//   Anybody may SET such a string, so nothing of its contents is believed.

struct HyperLogLog {
    static let registers = 16_384
    private static let headerBytes = 16
    private static let denseBytes = headerBytes + registers * 6 / 8
    /// Of the hash beyond the register's number.
    private static let rankBits = 50

    private(set) var bytes: [UInt8]

    struct Corrupted: Error {}

    /// No element: sparse, one run.
    init() { bytes = Array("HYLL".utf8) + [1] + [UInt8](repeating: 0, count: 11) + [0x7F, 0xFF] }

    /// nil: the string is none.
    init?(_ string: ByteString) {
        bytes = string.bytes
        guard bytes.count >= HyperLogLog.headerBytes, bytes.starts(with: Array("HYLL".utf8)), bytes[4] <= 1,
            bytes[4] == 1 || bytes.count == HyperLogLog.denseBytes
        else { return nil }
    }

    var isDense: Bool { bytes[4] == 0 }

    /// The count that stands in the header, if it is of these registers.
    var rememberedCount: UInt64? {
        guard bytes[15] & 0x80 == 0 else { return nil }
        return (8..<16).reversed().reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
    }

    mutating func forgetCount() { bytes[15] |= 0x80 }

    // MARK: Adding

    /// - Returns: Whether a register has changed.
    mutating func add(_ element: ByteString, sparseMaximum: Int) throws(Corrupted) -> Bool {
        let hash = HyperLogLog.hash(element.bytes)
        let rest = hash >> 14 | 1 << UInt64(HyperLogLog.rankBits)
        let rank = UInt8(rest.trailingZeroBitCount + 1)
        return try raise(Int(hash & 0x3FFF), to: rank, sparseMaximum: sparseMaximum)
    }

    /// Raises a register to at least `value`, 1 ... 63.
    mutating func raise(_ register: Int, to value: UInt8, sparseMaximum: Int) throws(Corrupted) -> Bool {
        if !isDense {
            if let isChanged = try raiseSparse(register, to: value, sparseMaximum) { return isChanged }
            try becomeDense()
        }
        guard HyperLogLog.register(register, of: bytes) < value else { return false }
        HyperLogLog.set(register, to: value, of: &bytes)
        return true
    }

    private static func register(_ number: Int, of bytes: [UInt8]) -> UInt8 {
        let (place, shift) = (headerBytes + number * 6 / 8, UInt16(number * 6 & 7))
        let high = place + 1 < bytes.count ? UInt16(bytes[place + 1]) << 8 : 0
        return UInt8((UInt16(bytes[place]) | high) >> shift & 63)
    }

    private static func set(_ number: Int, to value: UInt8, of bytes: inout [UInt8]) {
        let (place, shift) = (headerBytes + number * 6 / 8, UInt16(number * 6 & 7))
        let (mask, bits) = (UInt16(63) << shift, UInt16(value) << shift)
        bytes[place] = bytes[place] & ~UInt8(mask & 0xFF) | UInt8(bits & 0xFF)
        guard mask >> 8 != 0, place + 1 < bytes.count else { return }
        bytes[place + 1] = bytes[place + 1] & ~UInt8(mask >> 8) | UInt8(bits >> 8)
    }

    // MARK: Sparse

    private struct Run {
        /// 0: zeros.
        var value: UInt8
        var count: Int
        /// How many bytes spell it.
        var width = 1

        static let countMaximum = 4
        static let valueMaximum = 32

        init(value: UInt8, count: Int) { (self.value, self.count) = (value, count) }

        /// The run at `place`. Of a long run that is cut off the missing byte counts as 0, which is what Redis
        /// finds behind the end of its strings.
        init(_ bytes: [UInt8], at place: Int) {
            let byte = bytes[place]
            if byte & 0x80 != 0 {
                self.init(value: byte >> 2 & 31 + 1, count: Int(byte & 3) + 1)
            } else if byte & 0x40 == 0 {
                self.init(value: 0, count: Int(byte) + 1)
            } else {
                let low = place + 1 < bytes.count ? Int(bytes[place + 1]) : 0
                self.init(value: 0, count: (Int(byte & 63) << 8 | low) + 1)
                width = 2
            }
        }

        var bytes: [UInt8] {
            if count == 0 { return [] }
            if value > 0 { return [0x80 | (value - 1) << 2 | UInt8(count - 1)] }
            if count <= 64 { return [UInt8(count - 1)] }
            return [0x40 | UInt8((count - 1) >> 8), UInt8((count - 1) & 0xFF)]
        }
    }

    /// nil: there is no room for it in this encoding.
    private mutating func raiseSparse(
        _ register: Int, to value: UInt8, _ maximum: Int
    ) throws(Corrupted) -> Bool? {
        if value > Run.valueMaximum { return nil }
        var (place, first) = (HyperLogLog.headerBytes, 0)
        var before: Int?
        while place < bytes.count {
            let run = Run(bytes, at: place)
            if register < first + run.count {
                if run.value >= value { return false }
                let after = first + run.count - 1 - register
                var spelled = Run(value: run.value, count: register - first).bytes
                spelled += Run(value: value, count: 1).bytes + Run(value: run.value, count: after).bytes
                let growth = spelled.count - run.width
                if growth > 0, bytes.count + growth > maximum { return nil }
                // Of a run that was cut off, what is written in its place is, too.
                let isCut = place + run.width > bytes.count
                bytes.replaceSubrange(place..<min(place + run.width, bytes.count), with: spelled)
                if isCut { bytes.removeLast() }
                join(from: before ?? HyperLogLog.headerBytes)
                return true
            }
            before = place
            place += run.width
            first += run.count
        }
        throw Corrupted()
    }

    /// Joins equal neighbours where one run can spell them, within five steps.
    private mutating func join(from start: Int) {
        var place = start
        for _ in 0..<5 where place < bytes.count {
            let run = Run(bytes, at: place)
            if run.value > 0, place + 1 < bytes.count {
                let next = Run(bytes, at: place + 1)
                if next.value == run.value, run.count + next.count <= Run.countMaximum {
                    bytes.remove(at: place)
                    bytes[place] = Run(value: run.value, count: run.count + next.count).bytes[0]
                    continue
                }
            }
            place += run.width
        }
    }

    mutating func becomeDense() throws(Corrupted) {
        if isDense { return }
        var values = [UInt8](repeating: 0, count: HyperLogLog.registers)
        try merge(into: &values)
        bytes = Array(bytes[..<HyperLogLog.headerBytes])
        bytes[4] = 0
        bytes += [UInt8](repeating: 0, count: HyperLogLog.denseBytes - HyperLogLog.headerBytes)
        for (number, value) in values.enumerated() where value > 0 {
            HyperLogLog.set(number, to: value, of: &bytes)
        }
    }

    // MARK: Reading

    /// Raises 16,384 registers to the values of these.
    func merge(into values: inout [UInt8]) throws(Corrupted) {
        if isDense {
            for number in values.indices {
                values[number] = max(values[number], HyperLogLog.register(number, of: bytes))
            }
            return
        }
        var number = 0
        for run in runs() {
            guard number + run.count <= values.count else { throw Corrupted() }
            if run.value > 0 {
                for one in number..<number + run.count { values[one] = max(values[one], run.value) }
            }
            number += run.count
        }
        guard number == values.count else { throw Corrupted() }
    }

    private func runs() -> [Run] {
        var runs: [Run] = []
        var place = HyperLogLog.headerBytes
        while place < bytes.count {
            let run = Run(bytes, at: place)
            runs.append(run)
            place += run.width
        }
        return runs
    }

    /// The runs of the sparse encoding, as PFDEBUG DECODE spells them.
    func decoded() -> String {
        runs().map { run in
            run.value > 0 ? "v:\(run.value),\(run.count)" : "\(run.width == 1 ? "z" : "Z"):\(run.count)"
        }.joined(separator: " ")
    }

    // MARK: The estimate

    static func estimate(_ values: [UInt8]) -> UInt64 {
        var counts = [Double](repeating: 0, count: 64)
        for value in values { counts[Int(value & 63)] += 1 }
        let m = Double(registers)
        var z = m * tau(1 - counts[rankBits + 1] / m)
        for rank in stride(from: rankBits, through: 1, by: -1) { z = (z + counts[rank]) * 0.5 }
        z += m * sigma(counts[0] / m)
        // 1 / (2 ln 2)
        let alpha = 0.721347520444481703680
        return UInt64(exactly: (alpha * m * m / z).rounded(.toNearestOrAwayFromZero)) ?? 0
    }

    private static func sigma(_ start: Double) -> Double {
        if start == 1 { return .infinity }
        var (x, y, z) = (start, 1.0, start)
        while true {
            x *= x
            let before = z
            z += x * y
            y += y
            if z == before { return z }
        }
    }

    private static func tau(_ start: Double) -> Double {
        if start == 0 || start == 1 { return 0 }
        var (x, y, z) = (start, 1.0, 1 - start)
        while true {
            x = x.squareRoot()
            let before = z
            y *= 0.5
            z -= (1 - x) * (1 - x) * y
            if z == before { return z / 3 }
        }
    }

    // MARK: The hash

    /// MurmurHash64A (Appleby), with the seed that Redis takes.
    static func hash(_ bytes: [UInt8]) -> UInt64 {
        let multiplier: UInt64 = 0xC6A4_A793_5BD1_E995
        var hash = 0xADC8_3B19 ^ (UInt64(bytes.count) &* multiplier)
        var place = 0
        while place + 8 <= bytes.count {
            var word = (0..<8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(bytes[place + $1]) }
            word = word &* multiplier
            word ^= word >> 47
            hash = (hash ^ word &* multiplier) &* multiplier
            place += 8
        }
        if place < bytes.count {
            let tail = bytes[place...].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            hash = (hash ^ tail) &* multiplier
        }
        hash = (hash ^ hash >> 47) &* multiplier
        return hash ^ hash >> 47
    }
}
