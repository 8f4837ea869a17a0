// How connections end, and what libslirp need not keep of them.
//
// The side that ends a connection first keeps it for a while after both ends are acknowledged (TIME-WAIT,
// RFC 9293 §3.6.1), lest a late segment meet the next connection of the same addresses. libslirp does so for
// ten seconds, with two buffers of 128 KiB, and takes ever longer to find the others. A TAP delivers in
// order and once, so that nothing can be late: libslirp gets a reset as from the workload, and lets go.

/// How far both directions of a connection have come.
struct SequenceNumbers: Sendable {
    /// After the last byte that each side sent: where a reset must stand.
    private(set) var workloadNext: UInt32 = 0
    private(set) var stackNext: UInt32 = 0
    private var workloadEnd = DirectionEnd.open
    private var stackEnd = DirectionEnd.open

    /// Whether one side's FIN was seen, and the other's acknowledgement of it.
    private enum DirectionEnd: Equatable {
        case open
        case sent(next: UInt32)
        case acknowledged

        mutating func sender(sent segment: TCPSegment) {
            guard segment.flags.contains(.fin), self == .open else { return }
            self = .sent(next: segment.sequence &+ segment.sequenceCount)
        }

        mutating func receiver(sent segment: TCPSegment) {
            guard case .sent(segment.acknowledgement) = self, segment.flags.contains(.ack) else { return }
            self = .acknowledged
        }
    }

    var isFinished: Bool { workloadEnd == .acknowledged && stackEnd == .acknowledged }

    /// Returns true for the segment that finishes the connection: both sides have ended, and heard of it.
    mutating func workloadSent(_ segment: TCPSegment) -> Bool {
        workloadNext = segment.sequence &+ segment.sequenceCount
        guard !isFinished else { return false }
        workloadEnd.sender(sent: segment)
        stackEnd.receiver(sent: segment)
        return isFinished
    }

    /// The same of libslirp's segments.
    mutating func stackSent(_ segment: TCPSegment) -> Bool {
        stackNext = segment.sequence &+ segment.sequenceCount
        guard !isFinished else { return false }
        stackEnd.sender(sent: segment)
        workloadEnd.receiver(sent: segment)
        return isFinished
    }
}

extension StackGate {
    /// Connections that were finished since the last call. libslirp may still have bytes of one to write
    /// into its socket; once it has none, `release` frees it.
    package mutating func takeFinished() -> [StackFlow] {
        defer { finished.removeAll(keepingCapacity: true) }
        return finished
    }

    /// The frame that makes libslirp let go of a finished connection; nil if it has already.
    package func release(_ flow: StackFlow) -> [UInt8]? {
        let numbers =
            StackNetwork.contains(flow.destination.address)
            ? connections[flow]?.numbers : egress[flow]?.numbers
        // The socket may be that of a new connection of the same addresses by now.
        guard let numbers, numbers.isFinished else { return nil }
        return writer.resetStack(tuple(of: flow), sequence: numbers.workloadNext)
    }
}
