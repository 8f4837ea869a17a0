import SidecarProtocol
import Testing

@Suite struct CBORTests {
    @Test(
        "every value is read back from its one encoding",
        arguments: [
            CBOR.unsigned(0), .unsigned(23), .unsigned(24), .unsigned(255), .unsigned(256),
            .unsigned(.max), .negative(9), .bytes([1, 2, 3]), .text("mesh"), .bool(true), .null,
            .array([.unsigned(1), .array([])]),
            .map([CBOR.Pair(.unsigned(1), .text("a")), CBOR.Pair(.unsigned(30), .null)]),
        ])
    func roundTrip(item: CBOR) throws {
        #expect(try CBOR(canonical: item.encoded()) == item)
    }

    @Test(
        "a second spelling of a value is refused",
        arguments: [
            "1817",  // 23 in two bytes
            "190018",  // 24 in three
            "5f4101ff",  // indefinite length
            "a2020101 01".replacing(" ", with: ""),  // keys out of order
            "a201010101",  // one key twice
            "61ff",  // not UTF-8
            "c100",  // a tag
            "f97e00",  // a float
            "0000",  // bytes after the value
        ])
    func refusesOtherSpellings(hex: String) throws {
        let bytes = try #require([UInt8](hex: hex))
        #expect(throws: CBORError.self) { try CBOR(canonical: bytes) }
    }

    @Test("maps are written in the order of their encoded keys")
    func sortsMaps() {
        let map = CBOR.map([CBOR.Pair(.unsigned(100), .null), CBOR.Pair(.unsigned(2), .null)])
        #expect(map.encoded().hex == "a202f61864f6")
    }

    @Test("nesting is refused one level past the limit")
    func depth() throws {
        func nested(_ depth: Int) -> [UInt8] { [UInt8](repeating: 0x81, count: depth) + [0x00] }
        #expect(throws: Never.self) { try CBOR(canonical: nested(Limits.cborDepthMaximum)) }
        #expect(throws: CBORError.tooDeep(at: Limits.cborDepthMaximum + 1)) {
            try CBOR(canonical: nested(Limits.cborDepthMaximum + 1))
        }
    }

    @Test("a huge count in a short input is refused, not allocated")
    func hugeCount() {
        #expect(throws: CBORError.self) { try CBOR(canonical: [0x9B] + [UInt8](repeating: 0xFF, count: 8)) }
        #expect(throws: CBORError.self) { try CBOR(canonical: [0x5A, 0xFF, 0xFF, 0xFF, 0xFF]) }
    }
}
