import Testing

@testable import SidecarProtocol

@Suite("Addresses")
struct IPAddressTests {
    @Test(
        "IPv6 is written as RFC 5952 says",
        arguments: [
            (0, 0, "::"), (0, 1, "::1"), (0x2001_0DB8_0000_0000, 0, "2001:db8::"),
            (0x2001_0DB8_0000_0001, 0x0001_0001_0001_0001, "2001:db8:0:1:1:1:1:1"),
            (0x2001_0000_0000_0001, 0x0000_0000_0000_0001, "2001:0:0:1::1"),
            (0xFD11_2233_4455_8000, 0x2A07, "fd11:2233:4455:8000::2a07"),
            (UInt64.max, UInt64.max, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] as [(UInt64, UInt64, String)])
    func text(high: UInt64, low: UInt64, expected: String) {
        let address = IPAddress(high: high, low: low)
        #expect(address.description == expected)
        #expect(IPAddress(address.bytes) == address)
    }

    @Test("IPv4 keeps its number, bytes and text")
    func v4() throws {
        let address = IPAddress(v4: 0xC612_0102)
        #expect(address.bytes == [198, 18, 1, 2] && address.v4 == 0xC612_0102)
        #expect(address.description == "198.18.1.2")
        #expect(IPAddress([198, 18, 1, 2]) == address)
        #expect(IPAddress([1, 2, 3]) == nil && IPAddress([UInt8](repeating: 0, count: 17)) == nil)
    }
}
