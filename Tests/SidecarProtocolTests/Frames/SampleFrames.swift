import SidecarProtocol

/// Frames as a workload's kernel would write them, built byte by byte and apart from `FrameWriter`.
struct SampleFrames {
    static let own = IPv4Address(198, 18, 5, 6)
    static let peer = IPv4Address(198, 18, 7, 8)
    static let outside = IPv4Address(93, 184, 216, 34)
    static let hardware = HardwareAddress(number: 0x0200_0000_0001)

    var hardware = SampleFrames.hardware
    var toHardware = StackNetwork.gatewayHardware
    var source = SampleFrames.own
    var destination = SampleFrames.peer
    var timeToLive: UInt8 = 64
    /// The third word of the IPv4 header's first row but one: flags and fragment offset.
    var fragment: UInt16 = 0x4000
    var options: [UInt8] = []

    func tcp(
        _ sourcePort: UInt16 = 40_000, _ destinationPort: UInt16 = 80, _ flags: TCPSegment.Flags = .syn,
        sequence: UInt32 = 1000, acknowledgement: UInt32 = 0, data: [UInt8] = []
    ) -> [UInt8] {
        var bytes = words(sourcePort, destinationPort)
        bytes += words(UInt16(sequence >> 16), UInt16(sequence & 0xFFFF))
        bytes += words(UInt16(acknowledgement >> 16), UInt16(acknowledgement & 0xFFFF))
        bytes += [0x50, flags.rawValue] + words(0xFFFF, 0, 0) + data
        patch(&bytes, sum(pseudoHeader(6, bytes.count) + bytes), at: 16)
        return ipv4(6, bytes)
    }

    func udp(_ sourcePort: UInt16 = 40_000, _ destinationPort: UInt16 = 53, data: [UInt8] = [1, 2, 3])
        -> [UInt8]
    {
        var bytes = words(sourcePort, destinationPort, UInt16(8 + data.count), 0) + data
        patch(&bytes, sum(pseudoHeader(17, bytes.count) + bytes), at: 6)
        return ipv4(17, bytes)
    }

    func icmp(type: UInt8 = 8, data: [UInt8] = [0xAB, 0xCD, 0, 1, 9, 9, 9]) -> [UInt8] {
        var bytes: [UInt8] = [type, 0, 0, 0] + data
        patch(&bytes, sum(bytes), at: 2)
        return ipv4(1, bytes)
    }

    func arp(target: IPv4Address = StackNetwork.gateway, operation: UInt16 = 1) -> [UInt8] {
        mac(.broadcast) + mac(hardware) + words(0x0806, 1, 0x0800, 0x0604, operation) + mac(hardware)
            + address(source) + [0, 0, 0, 0, 0, 0] + address(target)
    }

    func ipv4(_ number: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let count = 20 + options.count
        var header: [UInt8] =
            [UInt8(0x40 | count / 4), 0] + words(UInt16(count + payload.count), 7, fragment)
        header += [timeToLive, number, 0, 0] + address(source) + address(destination) + options
        patch(&header, sum(header), at: 10)
        return mac(toHardware) + mac(hardware) + words(0x0800) + header + payload
    }

    private func pseudoHeader(_ number: UInt8, _ count: Int) -> [UInt8] {
        address(source) + address(destination) + [0, number] + words(UInt16(count))
    }

    private func words(_ values: UInt16...) -> [UInt8] {
        values.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
    }

    private func mac(_ address: HardwareAddress) -> [UInt8] {
        (0..<6).reversed().map { UInt8(address.number >> UInt64($0 * 8) & 255) }
    }

    private func address(_ address: IPv4Address) -> [UInt8] {
        (0..<4).reversed().map { UInt8(address.number >> UInt32($0 * 8) & 255) }
    }

    private func patch(_ bytes: inout [UInt8], _ value: UInt16, at offset: Int) {
        bytes[offset] = UInt8(value >> 8)
        bytes[offset + 1] = UInt8(value & 255)
    }

    /// RFC 1071 word by word, as its first page says it.
    private func sum(_ bytes: [UInt8]) -> UInt16 { SampleFrames.checksum(bytes) }

    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += Int(bytes[index]) << 8 + (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
            if sum > 0xFFFF { sum -= 0xFFFF }
        }
        return ~UInt16(sum)
    }
}

extension SampleFrames {
    init(to destination: IPv4Address) { self.destination = destination }
}

/// What a frame holds, as the readers under test see it.
extension [UInt8] {
    var flaw: EthernetFrame.Flaw? {
        do throws(EthernetFrame.Flaw) { _ = try EthernetFrame(span.bytes) } catch { return error }
        return nil
    }

    var ipv4: IPv4Packet? {
        guard case .ipv4(let packet)? = try? EthernetFrame(span.bytes) else { return nil }
        return packet
    }

    var arp: ARPPacket? {
        guard case .arp(let packet)? = try? EthernetFrame(span.bytes) else { return nil }
        return packet
    }

    var tcp: TCPSegment? {
        guard let packet = ipv4, packet.protocol == 6 else { return nil }
        return TCPSegment(packet, in: span.bytes)
    }

    var udp: UDPDatagram? {
        guard let packet = ipv4, packet.protocol == 17 else { return nil }
        return UDPDatagram(packet, in: span.bytes)
    }

    var icmp: ICMPMessage? {
        guard let packet = ipv4, packet.protocol == 1 else { return nil }
        return ICMPMessage(packet, in: span.bytes)
    }

    /// Whether pseudo-header and payload sum to a right checksum.
    var hasRightTransportSum: Bool {
        let length = count - 34
        let pseudoHeader = self[26..<34] + [0, self[23], UInt8(length >> 8), UInt8(length & 255)]
        return SampleFrames.checksum(Array(pseudoHeader + self[34...])) == 0
    }
}
