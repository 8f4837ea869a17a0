import Testing

@testable import MeshCommand

@Suite struct ReportTests {
    @Test("bytes and spans are told as people read them")
    func amounts() {
        let bytes = [
            0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_940: "9.9 kB", 9_960: "10 kB", 999_499: "999 kB",
            999_500: "1.0 MB", 23_400_000: "23 MB", Int.max: "9223372 TB",
        ]
        for (count, text) in bytes { #expect(Amount.bytes(count) == text) }
        let spans = [0: "0s", 59: "59s", 60: "1m00s", 3_599: "59m59s", 3_600: "1h00m", 86_400: "1d"]
        for (seconds, text) in spans { #expect(Amount.span(seconds: seconds) == text) }
        #expect(Amount.span(milliseconds: 999) == "999ms")
        #expect(Amount.bytes(nil) + Amount.span(seconds: nil) + Amount.span(milliseconds: nil) == "---")
    }

    @Test(
        "RFC 3339 times are read and written",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2000-02-29T12:30:15Z", 951_827_415),
            ("2026-03-01T00:00:00Z", 1_772_323_200),
            ("2099-12-31T23:59:59Z", 4_102_444_799),
        ])
    func times(text: String, seconds: Int) {
        #expect(WallClock.seconds(rfc3339: text) == seconds)
        #expect(WallClock.rfc3339(seconds) == text)
        #expect(WallClock.seconds(rfc3339: text.replacing("Z", with: ".123Z")) == seconds)
    }

    @Test(
        "what isn't a UTC time is none",
        arguments: [
            "", "now", "2026-03-01", "2026-13-01T00:00:00Z", "2026-03-01T00:00:00+01:00",
            "2026-03-01 00:00:00Z",
            "----------T--------Z", "2026-03-01T-1:00:00Z",
        ])
    func noTimes(text: String) { #expect(WallClock.seconds(rfc3339: text) == nil) }

    @Test("columns are aligned, numbers at their right, with nothing after the last")
    func table() {
        var table = Table(["NAME", ">COUNT", "NOTE"])
        table.add(["a", "1", ""])
        table.add(["longer", "1000", "x\u{7}"])
        #expect(table.text == "NAME    COUNT  NOTE\na           1\nlonger   1000  x?\n")
    }
}

@Suite struct JSONTests {
    @Test(
        "JSON is written as it was read, keys in their order and numbers by their digits",
        arguments: [
            #"{"b":1,"a":[true,false,null,-1.50e+3,""],"ü":{"x":{}}}"#, #"[]"#, #""\u0001\"\\\n""#,
            "12345678901234567890",
        ])
    func roundTrip(text: String) { #expect(JSON(parsing: Array(text.utf8))?.description == text) }

    @Test("escapes are read, a pair of surrogates as one")
    func escapes() {
        let text = #""\u00fc\/\b\f\ud83d\ude00""#
        #expect(JSON(parsing: Array(text.utf8)) == .text("ü/\u{8}\u{c}😀"))
    }

    @Test(
        "what isn't JSON is refused",
        arguments: [
            "", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "01x", "+1", "nan", "tru", "\"\\ud800\"", "\"\\udc00\"",
            "\"\\x\"",
            "\"a\nb\"", "[1] 2", "'a'", "--1", "\"\\u12\"",
        ])
    func refuses(text: String) { #expect(JSON(parsing: Array(text.utf8)) == nil) }

    @Test("depth is bounded")
    func depth() {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        #expect(JSON(parsing: nested(32)) != nil)
        #expect(JSON(parsing: nested(33)) == nil)
        #expect(JSON(parsing: Array(repeating: UInt8(ascii: "["), count: 1_000_000)) == nil)
    }

    @Test("no damage ends the process")
    func mutations() {
        var random = SplitMix(state: 3)
        let original = Array(FlowsTests.record("open", id: FlowsTests.id, time: "t").utf8)
        for _ in 0..<5_000 {
            var bytes = original
            for _ in 0...Int(random.next() % 5) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            if let json = JSON(parsing: bytes) {
                #expect(JSON(parsing: Array(json.description.utf8)) == json)
            }
        }
    }
}
