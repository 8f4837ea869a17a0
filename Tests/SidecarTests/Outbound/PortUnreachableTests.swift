import SidecarProtocol
import Testing

@testable import Sidecar

@Suite("Port unreachable")
struct PortUnreachableTests {
    @Test("the message quotes the refused datagram, with checksums that hold")
    func encoding() throws {
        let message = try #require(
            PortUnreachable(
                source: Endpoint(IPAddress(v4: 0xC612_0102), 40_000),
                destination: Endpoint(IPAddress(v4: 0xC612_0A0B), 53)))
        let bytes = message.encoded()
        #expect(bytes.count == 36)
        #expect(Array(bytes[..<2]) == [3, 3])
        #expect(sum(bytes[...]) == 0xFFFF)
        #expect(sum(bytes[8..<28]) == 0xFFFF)
        #expect(bytes[17] == 17)
        #expect(Array(bytes[20..<28]) == [198, 18, 1, 2, 198, 18, 10, 11])
        #expect(Array(bytes[28..<32]) == [156, 64, 0, 53])
    }

    @Test("that for an IPv6 datagram leaves its checksum to the kernel")
    func encodingV6() throws {
        let source = try #require(IPAddress([UInt8](repeating: 1, count: 16)))
        let destination = try #require(IPAddress([UInt8](repeating: 2, count: 16)))
        let message = try #require(
            PortUnreachable(source: Endpoint(source, 40_000), destination: Endpoint(destination, 53)))
        let bytes = message.encoded()
        #expect(bytes.count == 8 + 40 + 8)
        #expect(Array(bytes[..<8]) == [1, 4, 0, 0, 0, 0, 0, 0])
        #expect(bytes[8] == 0x60 && bytes[14] == 17)
        #expect(Array(bytes[16..<48]) == source.bytes + destination.bytes)
        #expect(Array(bytes[48..<52]) == [156, 64, 0, 53])
    }

    @Test("no message has addresses of both families")
    func wrongFamily() throws {
        let v4 = Endpoint(IPAddress(v4: 0xC612_0102), 1)
        let v6 = Endpoint(try #require(IPAddress([UInt8](repeating: 1, count: 16))), 1)
        #expect(PortUnreachable(source: v4, destination: v6) == nil)
    }

    private func sum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var sum: UInt32 = 0
        for index in stride(from: bytes.startIndex, to: bytes.endIndex, by: 2) {
            sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
        }
        while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
        return sum
    }
}
