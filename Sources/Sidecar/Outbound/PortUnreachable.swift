// ICMP "port unreachable" (RFC 792, RFC 4443), for a datagram that a peer's workload refused.

import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

/// The message that the kernel of `source`'s side takes for an answer to a datagram of its own.
struct PortUnreachable {
    /// The refused datagram's addresses, of one family.
    private let source: Endpoint
    private let destination: Endpoint

    init?(source: Endpoint, destination: Endpoint) {
        guard source.address.isV6 == destination.address.isV6 else { return nil }
        self.source = source
        self.destination = destination
    }

    /// Type, code and checksum, an unused word; then the refused datagram's IP header and its first 8
    /// bytes. Receivers look at addresses, ports and the checksums of ICMP and, where it has one, of IP.
    func encoded() -> [UInt8] {
        let addresses = source.address.bytes + destination.address.bytes
        let ports = [source.port, destination.port].flatMap {
            [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)]
        }
        let udp = ports + [0, 8, 0, 0]
        if source.address.isV6 {
            // Version, length of what follows, UDP, hop limit. The kernel adds this ICMP's checksum.
            return [1, 4, 0, 0, 0, 0, 0, 0] + [0x60, 0, 0, 0, 0, 8, 17, 64] + addresses + udp
        }
        var ip: [UInt8] = [0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0] + addresses
        PortUnreachable.writeChecksum(into: &ip, at: 10)
        var message: [UInt8] = [3, 3, 0, 0, 0, 0, 0, 0] + ip + udp
        PortUnreachable.writeChecksum(into: &message, at: 2)
        return message
    }

    /// - Parameter socket: a raw ICMP socket of the mesh side's namespace and of the addresses' family.
    func send(on socket: Int32) {
        let message = encoded()
        let receiver = Endpoint(source.address, 0)
        _ = receiver.withSocketAddress { address, size in
            sendto(socket, message, message.count, Int32(MSG_DONTWAIT), address, size)
        }
    }

    /// The Internet checksum (RFC 1071) over an even number of bytes.
    private static func writeChecksum(into bytes: inout [UInt8], at offset: Int) {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
        }
        while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
        let value = ~UInt16(truncatingIfNeeded: sum)
        bytes[offset] = UInt8(value >> 8)
        bytes[offset + 1] = UInt8(value & 0xFF)
    }
}
