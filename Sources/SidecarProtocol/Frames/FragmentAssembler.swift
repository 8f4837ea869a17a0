// Datagrams to virtual addresses that are longer than the TAP's transmission unit come in fragments.
//
// Theory of operation
//
//   The workload's kernel writes the fragments of a datagram one after the other, in order, into a device
//   that loses none. So a fragment either begins a datagram or goes on exactly where the last one of its
//   datagram ended; anything else is nothing that this kernel wrote, and drops the whole. There is no
//   overlap to resolve, which is where reassembly is attacked.

/// An IPv4 packet that is a fragment, without options.
package struct IPv4Fragment: Equatable, Sendable {
    package var hardwareSource: HardwareAddress
    package var hardwareDestination: HardwareAddress
    package var source: IPv4Address
    package var destination: IPv4Address
    package var `protocol`: UInt8
    package var identification: UInt16
    /// Of the whole packet's payload, in bytes.
    package var offset: Int
    package var isLast: Bool
    /// In the frame.
    package var payload: Range<Int>

    /// Nil for everything that isn't one, or is malformed.
    package init?(_ frame: RawSpan) {
        let start = IPv4Packet.start
        guard frame.byteCount >= start + IPv4Packet.headerCount,
            frame.uint16(12) == EthernetFrame.ipv4Type, frame.uint8(start) == 0x45
        else { return nil }
        let total = Int(frame.uint16(start + 2))
        let field = frame.uint16(start + 6)
        guard total > IPv4Packet.headerCount, start + total <= frame.byteCount, field & 0x3FFF != 0
        else { return nil }
        var checksum = InternetChecksum()
        checksum.add(frame.extracting(start..<start + IPv4Packet.headerCount))
        guard checksum.value == 0 else { return nil }
        hardwareDestination = HardwareAddress(frame, at: 0)
        hardwareSource = HardwareAddress(frame, at: 6)
        source = IPv4Address(number: frame.uint32(start + 12))
        destination = IPv4Address(number: frame.uint32(start + 16))
        self.protocol = frame.uint8(start + 9)
        identification = frame.uint16(start + 4)
        offset = Int(field & 0x1FFF) * 8
        isLast = field & 0x2000 == 0
        payload = start + IPv4Packet.headerCount..<start + total
        // All but the last are a multiple of eight long.
        guard isLast || payload.count % 8 == 0 else { return nil }
    }
}

/// The workload's datagrams that aren't whole yet.
struct FragmentAssembler: Sendable {
    private struct Key: Hashable {
        var destination: IPv4Address
        var identification: UInt16
    }

    private struct Partial {
        var key: Key
        var bytes: [UInt8]
    }

    /// Oldest first.
    private var partials: [Partial] = []

    /// The UDP datagram, header and data, that `fragment` makes whole.
    mutating func add(_ fragment: IPv4Fragment, in frame: RawSpan) -> [UInt8]? {
        let key = Key(destination: fragment.destination, identification: fragment.identification)
        var bytes: [UInt8] = []
        if let index = partials.firstIndex(where: { $0.key == key }) {
            bytes = partials.remove(at: index).bytes
        }
        if fragment.offset == 0 { bytes = [] }
        let most = UDPDatagram.headerCount + Limits.datagramBytesMaximum
        guard fragment.offset == bytes.count, bytes.count + fragment.payload.count <= most else { return nil }
        bytes += frame.copy(fragment.payload)
        guard !fragment.isLast else { return bytes }
        if partials.count >= Limits.stackPartialsMaximum { partials.removeFirst() }
        partials.append(Partial(key: key, bytes: bytes))
        return nil
    }
}

extension UDPDatagram {
    /// Ports and data of a datagram that is whole: header and data. Nil where length or checksum is wrong.
    static func read(
        _ bytes: [UInt8], from source: IPv4Address, to destination: IPv4Address
    ) -> (tuple: FourTuple, data: [UInt8])? {
        let span = bytes.span.bytes
        guard bytes.count >= headerCount, Int(span.uint16(4)) == bytes.count else { return nil }
        if span.uint16(6) != 0 {
            var checksum = InternetChecksum()
            checksum.addPseudoHeader(
                source: source.number, destination: destination.number,
                protocol: FlowProtocol.udp.rawValue, count: span.uint16(4))
            checksum.add(span)
            guard checksum.value == 0 else { return nil }
        }
        let tuple = FourTuple(
            source: IPv4Endpoint(source, span.uint16(0)),
            destination: IPv4Endpoint(destination, span.uint16(2)))
        return (tuple, Array(bytes[headerCount...]))
    }
}
