import SidecarProtocol
import Testing
import Transport

@Suite("Times as text")
struct RFC3339Tests {
    @Test(
        "a time is spelled as RFC 3339 says",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_772_368_496_789, "2026-03-01T12:34:56.789Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] as [(Int64, String)])
    func spelling(_ milliseconds: Int64, _ text: String) {
        #expect(WallTime(milliseconds: milliseconds).rfc3339 == text)
    }

    @Test("a time that four digits of a year can't hold is shown as the nearest that they can")
    func clamped() {
        #expect(WallTime(milliseconds: .max).rfc3339 == "9999-12-31T23:59:59.999Z")
        #expect(WallTime(milliseconds: .min).rfc3339 == "0000-01-01T00:00:00.000Z")
    }
}
