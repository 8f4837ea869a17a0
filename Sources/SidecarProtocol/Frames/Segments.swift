// What IPv4 packets carry: TCP (RFC 9293), UDP (RFC 768), ICMP (RFC 792).

package struct TCPSegment: Equatable, Sendable {
    package struct Flags: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let fin = Flags(rawValue: 0x01)
        package static let syn = Flags(rawValue: 0x02)
        package static let rst = Flags(rawValue: 0x04)
        package static let push = Flags(rawValue: 0x08)
        package static let ack = Flags(rawValue: 0x10)
    }

    package var sourcePort: UInt16
    package var destinationPort: UInt16
    package var sequence: UInt32
    package var acknowledgement: UInt32
    package var flags: Flags
    /// Bytes of data.
    package var dataCount: Int

    static let headerCount = 20

    /// Nil where lengths don't fit. The checksum is left to the receiver to verify.
    package init?(_ packet: IPv4Packet, in frame: RawSpan) {
        let start = packet.payload.lowerBound
        guard packet.payload.count >= TCPSegment.headerCount else { return nil }
        let headerCount = Int(frame.uint8(start + 12) >> 4) * 4
        guard headerCount >= TCPSegment.headerCount, headerCount <= packet.payload.count else { return nil }
        sourcePort = frame.uint16(start)
        destinationPort = frame.uint16(start + 2)
        sequence = frame.uint32(start + 4)
        acknowledgement = frame.uint32(start + 8)
        flags = Flags(rawValue: frame.uint8(start + 13))
        dataCount = packet.payload.count - headerCount
    }

    /// A connection's first segment.
    package var isOpening: Bool { flags.intersection([.syn, .ack, .rst, .fin]) == .syn }

    /// How far the segment moves the sender's sequence number: SYN and FIN take one each.
    package var sequenceCount: UInt32 {
        UInt32(truncatingIfNeeded: dataCount) &+ (flags.contains(.syn) ? 1 : 0)
            &+ (flags.contains(.fin) ? 1 : 0)
    }
}

package struct UDPDatagram: Equatable, Sendable {
    package var sourcePort: UInt16
    package var destinationPort: UInt16
    /// The data, in the frame.
    package var data: Range<Int>

    static let headerCount = 8

    /// Nil where the length doesn't fit, or the checksum is there and wrong.
    package init?(_ packet: IPv4Packet, in frame: RawSpan) {
        let start = packet.payload.lowerBound
        guard packet.payload.count >= UDPDatagram.headerCount else { return nil }
        let count = Int(frame.uint16(start + 4))
        guard count >= UDPDatagram.headerCount, count <= packet.payload.count else { return nil }
        if frame.uint16(start + 6) != 0 {
            var checksum = InternetChecksum()
            checksum.addPseudoHeader(
                source: packet.source.number, destination: packet.destination.number,
                protocol: FlowProtocol.udp.rawValue, count: UInt16(count))
            checksum.add(frame.extracting(start..<start + count))
            guard checksum.value == 0 else { return nil }
        }
        sourcePort = frame.uint16(start)
        destinationPort = frame.uint16(start + 2)
        data = start + UDPDatagram.headerCount..<start + count
    }
}

package struct ICMPMessage: Equatable, Sendable {
    package static let echoReply: UInt8 = 0
    package static let unreachable: UInt8 = 3
    package static let echoRequest: UInt8 = 8

    package var type: UInt8
    package var code: UInt8
    /// The whole message, in the frame.
    package var bytes: Range<Int>

    static let headerCount = 8

    /// Nil where it is too short, or its checksum is wrong.
    package init?(_ packet: IPv4Packet, in frame: RawSpan) {
        guard packet.payload.count >= ICMPMessage.headerCount else { return nil }
        var checksum = InternetChecksum()
        checksum.add(frame.extracting(packet.payload))
        guard checksum.value == 0 else { return nil }
        type = frame.uint8(packet.payload.lowerBound)
        code = frame.uint8(packet.payload.lowerBound + 1)
        bytes = packet.payload
    }

    /// Whether an error may be sent in answer: never to an error (RFC 1122 §3.2.2).
    var isQuestion: Bool { type == ICMPMessage.echoRequest || type == 13 || type == 17 }
}
