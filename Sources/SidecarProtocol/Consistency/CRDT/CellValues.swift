// What cells hold, and what the users see of them.

extension ByteString: CellValue {
    static func add(_ left: UInt64, _ right: UInt64) -> UInt64 { left &+ right }
    static func subtract(_ left: UInt64, _ right: UInt64) -> UInt64 { left &- right }
    func precedes(_ other: ByteString) -> Bool? { nil }
    func combine(into hash: inout StableHash) { hash.combine(bytes) }

    /// The integer that the bytes spell as Redis does: no plus, no leading zeros, no blanks.
    var decimalInteger: Int64? {
        guard count > 0, count <= 20 else { return nil }
        let isNegative = bytes[0] == UInt8(ascii: "-")
        let digits = bytes.dropFirst(isNegative ? 1 : 0)
        guard let first = digits.first else { return nil }
        if first == UInt8(ascii: "0") { return bytes.count == 1 ? 0 : nil }
        var magnitude: Int64 = 0
        for byte in digits {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (tens, over) = magnitude.multipliedReportingOverflow(by: 10)
            // Counted below zero, where one more number fits.
            let (next, under) = tens.subtractingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
            guard !over, !under else { return nil }
            magnitude = next
        }
        if isNegative { return magnitude }
        return magnitude == .min ? nil : -magnitude
    }

    init(decimal value: Int64) { self.init(String(value)) }
}

/// A set's member: it is there, and that is all.
struct Presence: CellValue {
    static func add(_ left: UInt64, _ right: UInt64) -> UInt64 { left }
    static func subtract(_ left: UInt64, _ right: UInt64) -> UInt64 { left }
    func precedes(_ other: Presence) -> Bool? { nil }
    func combine(into hash: inout StableHash) {}
}

/// A sorted set's score.
struct Score: CellValue {
    /// Of a Double; by bits, so that no two spellings of one score are equal.
    var bits: UInt64

    var value: Double { Double(bitPattern: bits) }

    static func add(_ left: UInt64, _ right: UInt64) -> UInt64 {
        (Double(bitPattern: left) + Double(bitPattern: right)).bitPattern
    }
    static func subtract(_ left: UInt64, _ right: UInt64) -> UInt64 {
        (Double(bitPattern: left) - Double(bitPattern: right)).bitPattern
    }
    func precedes(_ other: Score) -> Bool? { nil }
    func combine(into hash: inout StableHash) { hash.combine(bits) }
}

/// When a key ends: the longest wins.
struct Expiry: CellValue {
    /// Since 1970; `never` is longer than any.
    var milliseconds: Int64

    static let never = Expiry(milliseconds: .max)

    init(milliseconds: Int64) { self.milliseconds = milliseconds }
    init(_ milliseconds: Int64?) { self.milliseconds = milliseconds ?? .max }

    var time: WallTime? { self == .never ? nil : WallTime(milliseconds: milliseconds) }

    static func add(_ left: UInt64, _ right: UInt64) -> UInt64 { left }
    static func subtract(_ left: UInt64, _ right: UInt64) -> UInt64 { left }
    func precedes(_ other: Expiry) -> Bool? {
        milliseconds == other.milliseconds ? nil : milliseconds > other.milliseconds
    }
    func combine(into hash: inout StableHash) { hash.combine(UInt64(bitPattern: milliseconds)) }
}

// MARK: - What is shown

extension Cell<ByteString> {
    /// The value, with the sums where it is an integer or nothing; beyond 64 bits the nearest that fits.
    func shown(_ replicas: ReplicaTable) -> ByteString? {
        let winner = winner(replicas)
        let sums = countedSums(replicas)
        if sums.isEmpty { return winner?.value }
        var total: Int128 = 0
        if let winner {
            guard let integer = winner.value.decimalInteger else { return winner.value }
            total = Int128(integer)
        }
        for sum in sums { total += Int128(Int64(bitPattern: sum.total &- sum.floorTotal)) }
        return ByteString(decimal: Int64(clamping: total))
    }
}

extension Cell<Score> {
    /// The score and the sums, added in the order of their first changes.
    func shown(_ replicas: ReplicaTable) -> Double? {
        let winner = winner(replicas)
        var sums = countedSums(replicas)
        if sums.isEmpty { return winner?.value.value }
        sums.sort { replicas.dot($0.start) < replicas.dot($1.start) }
        var total = winner?.value.value ?? 0
        for sum in sums {
            total += Double(bitPattern: sum.total) - Double(bitPattern: sum.floorTotal)
        }
        // Infinities that cancel each other out; Redis says zero too.
        return total.isNaN ? 0 : total
    }
}
