/// The number that INCRBYFLOAT and HINCRBYFLOAT add: C's `long double`, which is 80 bits wide on x86-64.
/// Elsewhere it is a double, and its last digits may differ from those of Redis.
struct ExtendedDouble {
    #if arch(x86_64) || arch(i386)
        private typealias Number = Float80
        private static let significandBits = 63
    #else
        private typealias Number = Double
        private static let significandBits = 52
    #endif

    private let value: Number

    /// As `strtold`: no leading space, not a NaN, not out of range. Infinities are numbers.
    init?(_ bytes: ByteString) {
        let value: Number? = bytes.bytes.withUnsafeBytes { raw in
            guard let text = DecimalText.spelled(raw), let value = Number(text), !value.isNaN else {
                return nil
            }
            if value.isInfinite || value == 0 {
                return DecimalText.isExact(raw, infinite: value.isInfinite) ? value : nil
            }
            return value
        }
        guard let value else { return nil }
        self.value = value
    }

    private init(_ value: Number) { self.value = value }
    init(exactly value: Double) { self.value = Number(value) }

    static let zero = ExtendedDouble(0)

    var isFinite: Bool { value.isFinite }

    static func + (left: ExtendedDouble, right: ExtendedDouble) -> ExtendedDouble {
        ExtendedDouble(left.value + right.value)
    }

    func times(_ factor: Int) -> Double { Double(value * Number(factor)) }

    /// As `%.17Lf` without trailing zeros.
    var text: ByteString {
        guard value != 0 else { return "0" }
        // The value is exponent and significand in [1, 2): its bits as one integer, and the power of two.
        let exponent = Int(value.exponent) - ExtendedDouble.significandBits
        let scale = Number(sign: .plus, exponent: ExtendedDouble.significandBits, significand: 1)
        let significand = UInt64(value.significand.magnitude * scale)
        var digits = ExactDecimal(significand: significand, exponent: exponent)
        digits.round(toFraction: 17)
        return ByteString(digits.fixed(isNegative: value < 0))
    }
}
