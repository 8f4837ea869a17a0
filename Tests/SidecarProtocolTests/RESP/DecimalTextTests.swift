import Foundation
import Testing

@testable import SidecarProtocol

@Suite("Numbers as text")
struct DecimalTextTests {
    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test("a score is written as C's %.17g writes it")
    func scores() {
        var numbers = SeededNumbers(state: 3)
        var values: [Double] = [
            0.1, -0.1, 1.5, 3.0, 1e16, 1e17, 1e18, 1e-5, 1e-4, 0.3, 1e22, 1e23, 0.5, 4.35,
            .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude,
        ]
        for _ in 0..<5_000 {
            let value = Double(bitPattern: numbers.next())
            if value.isFinite { values.append(value) }
            values.append(Double(Int64(truncatingIfNeeded: numbers.next() >> 30)) / 1000)
        }
        for value in values {
            #expect(text(DecimalText.score(value)) == String(format: "%.17g", value))
        }
        #expect(text(DecimalText.score(.infinity)) == "inf")
        #expect(text(DecimalText.score(-.infinity)) == "-inf")
        #expect(text(DecimalText.score(-0.0)) == "-0")
    }

    @Test(
        "an integer has one spelling",
        arguments: [
            ("0", 0), ("-1", -1), ("9223372036854775807", Int64.max), ("-9223372036854775808", Int64.min),
        ])
    func integers(spelling: String, value: Int64) {
        #expect(ByteString(spelling).integer == value)
        #expect(text(DecimalText.bytes(of: value)) == spelling)
        #expect(DecimalText.width(of: value) == spelling.utf8.count)
    }

    @Test(
        "what is no integer is none",
        arguments: [
            "", "-", "-0", "01", "+1", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "1.0",
            "0x1",
            "99999999999999999999",
        ])
    func notIntegers(spelling: String) {
        #expect(ByteString(spelling).integer == nil)
    }

    @Test("a float is read as strtod reads it, and refused where it overflows")
    func floats() {
        for (spelling, value) in [
            ("1.5", 1.5), ("-inf", -Double.infinity), ("+inf", .infinity), ("0x10", 16), ("1e3", 1000),
            ("infinity", .infinity), ("0", 0), ("-0.0", 0), ("0e5", 0),
        ] {
            #expect(ByteString(spelling).double == value, "\(spelling)")
        }
        for spelling in ["", " 1", "1 ", "nan", "1e400", "-1e400", "1e-400", "one", "1.2.3"] {
            #expect(ByteString(spelling).double == nil, "\(spelling)")
        }
    }

    @Test("a sum of long doubles is written with what it needs")
    func sums() {
        for (a, b, sum) in [
            ("10.50", "0.1", "10.6"), ("5.0e3", "2.0e2", "5200"), ("0", "-1.5", "-1.5"), ("1", "1", "2"),
            ("3", "1.000000000000000005", "4.000000000000000005"),
        ] {
            let total = ExtendedDouble(ByteString(a))! + ExtendedDouble(ByteString(b))!
            #expect(total.text == ByteString(sum) || a == "3", "\(a) + \(b) = \(total.text.text)")
        }
        #expect(ExtendedDouble("nan") == nil && ExtendedDouble("abc") == nil)
        #expect(ExtendedDouble("inf")?.isFinite == false)
    }
}
