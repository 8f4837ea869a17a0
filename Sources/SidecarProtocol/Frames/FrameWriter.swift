// Frames that the userland stack writes itself, in the name of a virtual address or of the gateway.

package struct FrameWriter: Sendable {
    /// The TAP's address inside the workload's network namespace.
    package let workload: HardwareAddress
    /// Bytes of an IPv4 packet.
    package let transmissionUnit: Int
    /// Tells the fragments of one datagram from those of the next.
    private var identification: UInt16 = 0

    package init(workload: HardwareAddress, transmissionUnit: Int = StackNetwork.transmissionUnit) {
        self.workload = workload
        self.transmissionUnit = max(transmissionUnit, 68)
    }

    package enum UnreachableCode: UInt8, Sendable {
        case protocolUnreachable = 2
        case port = 3
        case administrativelyProhibited = 13
    }

    // MARK: ARP

    /// "The gateway has `request.target`."
    package func answer(to request: ARPPacket) -> [UInt8] {
        arp(
            operation: 2, from: StackNetwork.gatewayHardware, request.target,
            to: request.senderHardware, request.sender, ethernetTo: workload)
    }

    /// What the workload would broadcast to say that it has `address`; libslirp learns it from this.
    package func announcement(of address: IPv4Address) -> [UInt8] {
        arp(
            operation: 1, from: workload, address, to: HardwareAddress(number: 0), address,
            ethernetTo: .broadcast)
    }

    private func arp(
        operation: UInt16, from hardware: HardwareAddress, _ address: IPv4Address,
        to targetHardware: HardwareAddress, _ target: IPv4Address, ethernetTo: HardwareAddress
    ) -> [UInt8] {
        var frame = ethernet(from: hardware, to: ethernetTo, type: EthernetFrame.arpType, room: 28)
        frame.append16(1)
        frame.append16(EthernetFrame.ipv4Type)
        frame.append(6)
        frame.append(4)
        frame.append16(operation)
        append(hardware, to: &frame)
        frame.append32(address.number)
        append(targetHardware, to: &frame)
        frame.append32(target.number)
        return frame
    }

    // MARK: TCP

    /// The reset that answers `segment` (RFC 9293 §3.10.7.1), or nil where it is one itself.
    package func reset(answering segment: TCPSegment, of packet: IPv4Packet) -> [UInt8]? {
        guard !segment.flags.contains(.rst) else { return nil }
        let tuple = FourTuple(
            source: IPv4Endpoint(packet.destination, segment.destinationPort),
            destination: IPv4Endpoint(packet.source, segment.sourcePort))
        if segment.flags.contains(.ack) {
            return tcp(
                tuple, sequence: segment.acknowledgement, acknowledgement: 0, flags: .rst,
                toWorkload: true)
        }
        return tcp(
            tuple, sequence: 0, acknowledgement: segment.sequence &+ segment.sequenceCount,
            flags: [.rst, .ack], toWorkload: true)
    }

    /// Ends the workload's side of a flow (the workload's end first). It acknowledges too, since a
    /// connection that is still being opened takes no other reset.
    package func resetWorkload(
        _ flow: FourTuple, sequence: UInt32, acknowledgement: UInt32
    ) -> [UInt8] {
        tcp(
            flow.reversed, sequence: sequence, acknowledgement: acknowledgement, flags: [.rst, .ack],
            toWorkload: true)
    }

    /// Ends libslirp's side of a flow (the workload's end first), as if the workload had reset it.
    package func resetStack(_ flow: FourTuple, sequence: UInt32) -> [UInt8] {
        tcp(flow, sequence: sequence, acknowledgement: 0, flags: .rst, toWorkload: false)
    }

    private func tcp(
        _ tuple: FourTuple, sequence: UInt32, acknowledgement: UInt32, flags: TCPSegment.Flags,
        toWorkload: Bool
    ) -> [UInt8] {
        var segment: [UInt8] = []
        segment.reserveCapacity(TCPSegment.headerCount)
        segment.append16(tuple.source.port)
        segment.append16(tuple.destination.port)
        segment.append32(sequence)
        segment.append32(acknowledgement)
        segment.append(5 << 4)
        segment.append(flags.rawValue)
        segment.append32(0)
        segment.append16(0)
        let checksum = FrameWriter.checksum(segment, tuple, .tcp)
        segment.put16(checksum, at: 16)
        return ipv4(
            tuple.source.address, tuple.destination.address, protocol: FlowProtocol.tcp.rawValue,
            segment[...], toWorkload: toWorkload)
    }

    // MARK: UDP

    /// The frames of one datagram to the workload: several where it is longer than the transmission
    /// unit. Data of more than 65,507 bytes has no frames.
    package mutating func datagram(_ tuple: FourTuple, _ data: some Collection<UInt8>) -> [[UInt8]] {
        let count = UDPDatagram.headerCount + data.count
        guard data.count <= Limits.datagramBytesMaximum else { return [] }
        var datagram: [UInt8] = []
        datagram.reserveCapacity(count)
        datagram.append16(tuple.source.port)
        datagram.append16(tuple.destination.port)
        datagram.append16(UInt16(count))
        datagram.append16(0)
        datagram += data
        // 0 says that there is no checksum; the other zero of one's complement stands for it.
        let checksum = FrameWriter.checksum(datagram, tuple, .udp)
        datagram.put16(checksum == 0 ? 0xFFFF : checksum, at: 6)
        identification &+= 1
        // Offsets count in units of eight bytes.
        let most = (transmissionUnit - IPv4Packet.headerCount) & ~7
        return stride(from: 0, to: count, by: most).map { offset in
            let end = min(offset + most, count)
            return ipv4(
                tuple.source.address, tuple.destination.address, protocol: FlowProtocol.udp.rawValue,
                datagram[offset..<end], toWorkload: true,
                fragment: UInt16(offset / 8) | (end < count ? 0x2000 : 0))
        }
    }

    // MARK: ICMP

    /// "Unreachable", in answer to the packet in `frame`, of which it carries the beginning.
    package func unreachable(
        _ code: UnreachableCode, answering packet: IPv4Packet, in frame: RawSpan, from source: IPv4Address
    ) -> [UInt8] {
        // RFC 792 wants the header and 8 bytes; a few more tell programs of longer headers.
        let end = min(packet.payload.upperBound, packet.payload.lowerBound + 64)
        return icmp(
            type: ICMPMessage.unreachable, code: code.rawValue, rest: 0,
            frame.copy(IPv4Packet.start..<end), source, packet.source)
    }

    /// "Port unreachable", for a datagram from `tuple.source` (the workload) that isn't at hand any more.
    package func portUnreachable(_ tuple: FourTuple) -> [UInt8] {
        var header: [UInt8] = []
        header.append16(tuple.source.port)
        header.append16(tuple.destination.port)
        header.append16(UInt16(UDPDatagram.headerCount))
        header.append16(0)
        let original = ipv4(
            tuple.source.address, tuple.destination.address, protocol: FlowProtocol.udp.rawValue,
            header[...], toWorkload: false)
        return icmp(
            type: ICMPMessage.unreachable, code: UnreachableCode.port.rawValue, rest: 0,
            Array(original[IPv4Packet.start...]), tuple.destination.address, tuple.source.address)
    }

    /// The reply to an echo request, of the same identifier, number and data.
    package func echoReply(to message: ICMPMessage, of packet: IPv4Packet, in frame: RawSpan) -> [UInt8] {
        let start = message.bytes.lowerBound
        return icmp(
            type: ICMPMessage.echoReply, code: 0, rest: frame.uint32(start + 4),
            frame.copy(start + ICMPMessage.headerCount..<message.bytes.upperBound), packet.destination,
            packet.source)
    }

    private func icmp(
        type: UInt8, code: UInt8, rest: UInt32, _ data: [UInt8], _ source: IPv4Address,
        _ destination: IPv4Address
    ) -> [UInt8] {
        var message: [UInt8] = []
        message.reserveCapacity(ICMPMessage.headerCount + data.count)
        message.append(type)
        message.append(code)
        message.append16(0)
        message.append32(rest)
        message += data
        var checksum = InternetChecksum()
        checksum.add(message.span.bytes)
        message.put16(checksum.value, at: 2)
        return ipv4(source, destination, protocol: IPv4Packet.icmp, message[...], toWorkload: true)
    }

    // MARK: Layers below

    private static func checksum(
        _ bytes: [UInt8], _ tuple: FourTuple, _ flowProtocol: FlowProtocol
    ) -> UInt16 {
        var checksum = InternetChecksum()
        checksum.addPseudoHeader(
            source: tuple.source.address.number, destination: tuple.destination.address.number,
            protocol: flowProtocol.rawValue, count: UInt16(truncatingIfNeeded: bytes.count))
        checksum.add(bytes.span.bytes)
        return checksum.value
    }

    /// `fragment` is the header's field: offset in eights of bytes, and 0x2000 where more follow.
    private func ipv4(
        _ source: IPv4Address, _ destination: IPv4Address, protocol: UInt8, _ payload: ArraySlice<UInt8>,
        toWorkload: Bool, fragment: UInt16 = 0x4000
    ) -> [UInt8] {
        var frame = ethernet(
            from: toWorkload ? StackNetwork.gatewayHardware : workload,
            to: toWorkload ? workload : StackNetwork.gatewayHardware, type: EthernetFrame.ipv4Type,
            room: IPv4Packet.headerCount + payload.count)
        // A whole packet says "don't fragment" instead, and needs no identification (RFC 6864 §4.1).
        let isWhole = fragment & 0x3FFF == 0
        frame.append16(0x4500)
        frame.append16(UInt16(truncatingIfNeeded: IPv4Packet.headerCount + payload.count))
        frame.append16(isWhole ? 0 : identification)
        frame.append16(isWhole ? 0x4000 : fragment)
        frame.append(64)
        frame.append(`protocol`)
        frame.append16(0)
        frame.append32(source.number)
        frame.append32(destination.number)
        var checksum = InternetChecksum()
        checksum.add(frame.span.bytes.extracting(IPv4Packet.start..<frame.count))
        frame.put16(checksum.value, at: IPv4Packet.start + 10)
        frame += payload
        return frame
    }

    private func ethernet(
        from source: HardwareAddress, to destination: HardwareAddress, type: UInt16, room: Int
    ) -> [UInt8] {
        var frame: [UInt8] = []
        frame.reserveCapacity(EthernetFrame.headerCount + room)
        append(destination, to: &frame)
        append(source, to: &frame)
        frame.append16(type)
        return frame
    }

    private func append(_ address: HardwareAddress, to frame: inout [UInt8]) {
        frame.append16(UInt16(truncatingIfNeeded: address.number >> 32))
        frame.append32(UInt32(truncatingIfNeeded: address.number))
    }
}
