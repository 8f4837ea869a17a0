import Testing
import Transport

@Suite("JSON writer")
struct JSONTests {
    @Test("objects, arrays and values nest with commas where they belong")
    func nesting() {
        var json = JSONWriter()
        json.object { json in
            json.member("a", 1)
            json.member("b", array: [1, 2]) { $0.value($1) }
            json.member("c") { inner in
                inner.member("d", true)
                inner.member("e", String?.none)
            }
            json.member("f", strings: [String]())
            json.member("g") { _ in }
            json.member("h", "i")
        }
        #expect(json.text == #"{"a":1,"b":[1,2],"c":{"d":true,"e":null},"f":[],"g":{},"h":"i"}"#)
    }

    @Test("what JSON forbids in strings is escaped, and nothing else")
    func escaping() {
        var json = JSONWriter()
        json.value("a\"b\\c\nd\u{1}e\u{7F}é\t\r")
        #expect(json.text == #""a\"b\\c\nd\u0001e\u007fé\t\r""#)
    }

    @Test("numbers of every width are exact")
    func numbers() {
        var json = JSONWriter()
        json.array([UInt64.max, 0]) { $0.value($1) }
        json.value(Int64.min)
        #expect(json.text == "[18446744073709551615,0],-9223372036854775808")
    }
}
