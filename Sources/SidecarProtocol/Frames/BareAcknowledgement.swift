/// A frame of libslirp's that does no more than acknowledge what the workload sent.
///
/// libslirp writes one for each segment. Where several segments are taken at once, only the last one's tells
/// anything, and each of the others costs a pass through the workload's kernel.
package struct BareAcknowledgement: Equatable, Sendable {
    /// Ethernet, IPv4 and TCP headers without options.
    package static let frameCount = 54

    /// Both addresses, and both ports.
    private let addresses: UInt64
    private let ports: UInt32
    private let number: UInt32

    /// Nil for any other frame.
    package init?(_ frame: RawSpan) {
        guard frame.byteCount == BareAcknowledgement.frameCount, frame.uint16(12) == 0x0800,
            frame.uint8(14) == 0x45, frame.uint8(23) == FlowProtocol.tcp.rawValue, frame.uint8(46) == 5 << 4,
            frame.uint8(47) == TCPSegment.Flags.ack.rawValue
        else { return nil }
        addresses = UInt64(frame.uint32(26)) << 32 | UInt64(frame.uint32(30))
        ports = frame.uint32(34)
        number = frame.uint32(42)
    }

    /// Whether `later` says the same and more. One of the same number doesn't: it tells of a lost segment, or
    /// of a window that has opened.
    package func isOvertaken(by later: BareAcknowledgement) -> Bool {
        addresses == later.addresses && ports == later.ports
            && Int32(bitPattern: later.number &- number) > 0
    }
}
