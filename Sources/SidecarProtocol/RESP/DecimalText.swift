/// Numbers as Redis writes and reads them, without a C library.
enum DecimalText {
    // MARK: Integers

    /// Appends `value` in decimal.
    static func append(_ value: Int, to bytes: inout [UInt8]) {
        var magnitude = value.magnitude
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = 20
            repeat {
                start -= 1
                digits[start] = 48 &+ UInt8(truncatingIfNeeded: magnitude % 10)
                magnitude /= 10
            } while magnitude != 0
            bytes.append(contentsOf: digits[start...])
        }
    }

    static func bytes(of value: Int64) -> [UInt8] {
        var bytes: [UInt8] = []
        append(Int(value), to: &bytes)
        return bytes
    }

    /// The characters that `value` takes.
    static func width(of value: Int64) -> Int {
        var width = value < 0 ? 2 : 1
        var magnitude = value.magnitude
        while magnitude >= 10 {
            magnitude /= 10
            width += 1
        }
        return width
    }

    /// An integer in the one form that is written back alike: no sign `+`, no leading zero, no space.
    @inline(__always)
    static func integer(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        guard let first = bytes.first, bytes.count <= 20 else { return nil }
        let isNegative = first == UInt8(ascii: "-")
        var index = isNegative ? 1 : 0
        guard index < bytes.count else { return nil }
        let leading = bytes[index]
        if leading == 48 { return bytes.count == 1 ? 0 : nil }
        var magnitude: UInt64 = 0
        while index < bytes.count {
            let digit = bytes[index] &- 48
            guard digit < 10 else { return nil }
            let (shifted, over) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, more) = shifted.addingReportingOverflow(UInt64(digit))
            if over || more { return nil }
            magnitude = sum
            index += 1
        }
        if isNegative {
            guard magnitude <= 1 << 63 else { return nil }
            return Int64(truncatingIfNeeded: 0 &- magnitude)
        }
        return Int64(exactly: magnitude)
    }

    // MARK: Scores

    /// As C's `%.17g`, and `inf`, `-inf`, `nan`: what Redis writes for a score.
    static func score(_ value: Double) -> [UInt8] {
        if value.isNaN { return Array("nan".utf8) }
        if value.isInfinite { return Array((value > 0 ? "inf" : "-inf").utf8) }
        if value == value.rounded(.towardZero), abs(value) < 1e17 {
            return value == 0 && value.sign == .minus ? Array("-0".utf8) : bytes(of: Int64(value))
        }
        let exponent = value.isNormal ? Int(value.exponent) - 52 : -1074
        let significand =
            value.isNormal ? value.significandBitPattern | 1 << 52 : value.significandBitPattern
        var digits = ExactDecimal(significand: significand, exponent: exponent)
        digits.round(toSignificant: 17)
        return digits.general(precision: 17, isNegative: value < 0)
    }

    /// A score as a client spells it, C's `strtod`: not a number and what overflows are none.
    static func double(_ bytes: UnsafeRawBufferPointer) -> Double? {
        guard let text = spelled(bytes), let value = Double(text), !value.isNaN else { return nil }
        if value.isInfinite || value == 0 { return isExact(bytes, infinite: value.isInfinite) ? value : nil }
        return value
    }

    /// The bytes as text where they can spell a number at all: `strtod` would skip leading space.
    static func spelled(_ bytes: UnsafeRawBufferPointer) -> Substring? {
        guard let first = bytes.first, bytes.count < 512, first > 32, first != 127,
            bytes.allSatisfy({ $0 > 32 && $0 < 127 })
        else { return nil }
        return Substring(String(decoding: bytes, as: UTF8.self))
    }

    /// Whether an infinity was spelled out, or a zero is one: neither was a number out of range.
    static func isExact(_ bytes: UnsafeRawBufferPointer, infinite: Bool) -> Bool {
        if infinite { return bytes.contains { $0 | 32 == UInt8(ascii: "n") } }
        for byte in bytes {
            if byte | 32 == UInt8(ascii: "e") || byte | 32 == UInt8(ascii: "p") { break }
            if byte >= UInt8(ascii: "1"), byte <= UInt8(ascii: "9") { return false }
        }
        return true
    }
}

/// A binary floating-point number's exact decimal digits: value = digits × 10^(point − digits.count).
struct ExactDecimal {
    /// 0…9 each, the most significant first; never empty.
    private(set) var digits: [UInt8]
    /// How many of the digits stand before the decimal point; may be negative.
    private(set) var point: Int

    /// significand × 2^exponent
    init(significand: UInt64, exponent: Int) {
        // Limbs of nine decimal digits, the least significant first.
        var limbs: [UInt64] = []
        var rest = significand
        repeat {
            limbs.append(rest % 1_000_000_000)
            rest /= 1_000_000_000
        } while rest != 0
        // m × 2^-k = m × 5^k × 10^-k
        var steps = abs(exponent)
        let factor: UInt64 = exponent < 0 ? 5 : 2
        while steps > 0 {
            let count = min(steps, 12)
            ExactDecimal.multiply(&limbs, by: (0..<count).reduce(1) { product, _ in product * factor })
            steps -= count
        }
        digits = []
        for limb in limbs.reversed() {
            let text = DecimalText.bytes(of: Int64(limb))
            if !digits.isEmpty { digits += [UInt8](repeating: 0, count: 9 - text.count) }
            digits += text.map { $0 - 48 }
        }
        point = digits.count - (exponent < 0 ? -exponent : 0)
    }

    private static func multiply(_ limbs: inout [UInt64], by factor: UInt64) {
        var carry: UInt64 = 0
        for index in limbs.indices {
            let product = limbs[index] * factor + carry
            limbs[index] = product % 1_000_000_000
            carry = product / 1_000_000_000
        }
        while carry != 0 {
            limbs.append(carry % 1_000_000_000)
            carry /= 1_000_000_000
        }
    }

    /// Keeps `count` digits, to the nearest, ties to even, as C's printf does.
    mutating func round(toSignificant count: Int) {
        guard count < digits.count else { return }
        guard count >= 0 else {
            digits = [0]
            point = 1
            return
        }
        let cut = digits[count]
        let isTie = cut == 5 && digits[(count + 1)...].allSatisfy { $0 == 0 }
        let isOdd = count > 0 && digits[count - 1] % 2 == 1
        let goesUp = cut > 5 || cut == 5 && (!isTie || isOdd)
        digits.removeSubrange(count...)
        if goesUp { increment() }
        if digits.isEmpty {
            digits = [0]
            point = 1
        }
    }

    /// Keeps `count` digits after the point.
    mutating func round(toFraction count: Int) { round(toSignificant: point + count) }

    private mutating func increment() {
        var index = digits.count - 1
        while index >= 0, digits[index] == 9 {
            digits[index] = 0
            index -= 1
        }
        if index >= 0 {
            digits[index] += 1
        } else {
            digits.insert(1, at: 0)
            point += 1
        }
    }

    /// As `%.17g`: no trailing zeros, an exponent where the number is very small or very large.
    func general(precision: Int, isNegative: Bool) -> [UInt8] {
        let exponent = point - 1
        guard exponent < -4 || exponent >= precision else { return fixed(isNegative: isNegative) }
        var digits = trimmed
        var text: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
        text.append(48 + digits.removeFirst())
        if !digits.isEmpty { text += [UInt8(ascii: ".")] + digits.map { 48 + $0 } }
        text += [UInt8(ascii: "e"), UInt8(ascii: exponent < 0 ? "-" : "+")]
        if abs(exponent) < 10 { text.append(48) }
        return text + DecimalText.bytes(of: Int64(abs(exponent)))
    }

    /// Without an exponent and without trailing zeros.
    func fixed(isNegative: Bool) -> [UInt8] {
        let digits = trimmed
        var text: [UInt8] = isNegative && digits != [0] ? [UInt8(ascii: "-")] : []
        if point <= 0 { text.append(48) }
        for place in 0..<max(point, 0) { text.append(48 + (place < digits.count ? digits[place] : 0)) }
        if digits.count > point, digits != [0] {
            text.append(UInt8(ascii: "."))
            text += [UInt8](repeating: 48, count: max(-point, 0))
            text += digits[max(point, 0)...].map { 48 + $0 }
        }
        return text
    }

    private var trimmed: [UInt8] {
        var digits = digits
        while digits.count > 1, digits.last == 0 { digits.removeLast() }
        return digits
    }
}
