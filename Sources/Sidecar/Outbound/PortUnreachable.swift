// ICMP "port unreachable" (RFC 792), for a datagram that a peer's workload refused.

import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

/// The message that the kernel of `source`'s side takes for an answer to a datagram of its own.
struct PortUnreachable {
    /// The refused datagram's addresses, both IPv4.
    var source: UInt32
    var sourcePort: UInt16
    var destination: UInt32
    var destinationPort: UInt16

    init?(source: Endpoint, destination: Endpoint) {
        guard let from = source.address.v4, let to = destination.address.v4 else { return nil }
        self.source = from
        sourcePort = source.port
        self.destination = to
        destinationPort = destination.port
    }

    /// Type, code and checksum; then the refused datagram's IP header and its first 8 bytes. Receivers
    /// look at addresses, ports and the header's checksum.
    func encoded() -> [UInt8] {
        var ip: [UInt8] = [0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0]
        ip += PortUnreachable.bytes(source) + PortUnreachable.bytes(destination)
        PortUnreachable.writeChecksum(into: &ip, at: 10)
        var udp = PortUnreachable.bytes(UInt32(sourcePort) << 16 | UInt32(destinationPort))
        udp += [0, 8, 0, 0]
        var message: [UInt8] = [3, 3, 0, 0, 0, 0, 0, 0] + ip + udp
        PortUnreachable.writeChecksum(into: &message, at: 2)
        return message
    }

    /// - Parameter socket: a raw ICMP socket of the mesh side's namespace.
    func send(on socket: Int32) {
        let message = encoded()
        let receiver = Endpoint(IPAddress(v4: source), 0)
        _ = receiver.withSocketAddress { address, size in
            sendto(socket, message, message.count, Int32(MSG_DONTWAIT), address, size)
        }
    }

    private static func bytes(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> UInt32($0)) }
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
