// What a frame of the TAP holds: Ethernet II (RFC 894), ARP (RFC 826), IPv4 (RFC 791).

/// A frame's headers, read. Ranges are offsets into the frame.
package enum EthernetFrame: Equatable, Sendable {
    case arp(ARPPacket)
    case ipv4(IPv4Packet)

    package enum Flaw: Error, Equatable, Sendable {
        /// Too short, a length beyond the frame, or a wrong checksum.
        case malformed
        /// IPv4 options: source routes among them.
        case options
        /// A piece of a datagram; only a whole one says where it goes.
        case fragment
        /// IPv6, NCSI and everything else that isn't ARP or IPv4.
        case etherType(UInt16)
    }

    package static let headerCount = 14
    package static let ipv4Type: UInt16 = 0x0800
    package static let arpType: UInt16 = 0x0806

    package init(_ frame: RawSpan) throws(Flaw) {
        guard frame.byteCount >= EthernetFrame.headerCount else { throw .malformed }
        switch frame.uint16(12) {
        case EthernetFrame.ipv4Type: self = .ipv4(try IPv4Packet(frame))
        case EthernetFrame.arpType: self = .arp(try ARPPacket(frame))
        case let other: throw .etherType(other)
        }
    }
}

/// ARP for IPv4 over Ethernet.
package struct ARPPacket: Equatable, Sendable {
    /// Of the Ethernet header.
    package var source: HardwareAddress
    package var isRequest: Bool
    package var senderHardware: HardwareAddress
    package var sender: IPv4Address
    package var target: IPv4Address

    static let byteCount = 28

    init(_ frame: RawSpan) throws(EthernetFrame.Flaw) {
        let start = EthernetFrame.headerCount
        guard frame.byteCount >= start + ARPPacket.byteCount, frame.uint16(start) == 1,
            frame.uint16(start + 2) == EthernetFrame.ipv4Type, frame.uint8(start + 4) == 6,
            frame.uint8(start + 5) == 4
        else { throw .malformed }
        source = HardwareAddress(frame, at: 6)
        isRequest = frame.uint16(start + 6) == 1
        senderHardware = HardwareAddress(frame, at: start + 8)
        sender = IPv4Address(number: frame.uint32(start + 14))
        target = IPv4Address(number: frame.uint32(start + 24))
    }
}

/// An IPv4 packet without options that isn't a fragment, and whose lengths lie within its frame.
package struct IPv4Packet: Equatable, Sendable {
    /// Of the Ethernet header.
    package var hardwareSource: HardwareAddress
    package var hardwareDestination: HardwareAddress
    package var source: IPv4Address
    package var destination: IPv4Address
    package var `protocol`: UInt8
    package var timeToLive: UInt8
    /// What the packet carries, in the frame.
    package var payload: Range<Int>

    static let headerCount = 20
    /// Where the IPv4 header begins in a frame.
    static let start = EthernetFrame.headerCount

    init(_ frame: RawSpan) throws(EthernetFrame.Flaw) {
        let start = IPv4Packet.start
        guard frame.byteCount >= start + IPv4Packet.headerCount else { throw .malformed }
        let first = frame.uint8(start)
        guard first >> 4 == 4, first & 15 >= 5 else { throw .malformed }
        guard first & 15 == 5 else { throw .options }
        let total = Int(frame.uint16(start + 2))
        guard total >= IPv4Packet.headerCount, start + total <= frame.byteCount else { throw .malformed }
        var checksum = InternetChecksum()
        checksum.add(frame.extracting(start..<start + IPv4Packet.headerCount))
        guard checksum.value == 0 else { throw .malformed }
        // More fragments, or an offset. "Don't fragment" is fine.
        guard frame.uint16(start + 6) & 0x3FFF == 0 else { throw .fragment }
        hardwareDestination = HardwareAddress(frame, at: 0)
        hardwareSource = HardwareAddress(frame, at: 6)
        timeToLive = frame.uint8(start + 8)
        self.protocol = frame.uint8(start + 9)
        source = IPv4Address(number: frame.uint32(start + 12))
        destination = IPv4Address(number: frame.uint32(start + 16))
        payload = start + IPv4Packet.headerCount..<start + total
    }

    static let icmp: UInt8 = 1
}
