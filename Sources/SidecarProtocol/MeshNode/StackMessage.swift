// What sidecar and userland stack say to each other, over the SOCK_SEQPACKET socket that the stack finds as
// descriptor 3. One message a packet.
//
// Theory of operation
//
//   A message is a version byte, a kind byte and fields of fixed width in network order; a datagram's data
//   fill the rest. Both ends are one executable, but it may be replaced on disk between the start of a
//   sidecar and the start of its stack: another version is refused and said so. The stack reads hostile
//   frames, so the sidecar takes from it no more than these reports, and none of the commands.

/// Numbers the connections that the stack asks about; never used twice by one process.
package struct StackQuestionID: Hashable, Sendable {
    package let number: UInt64
    package init(number: UInt64) { self.number = number }
}

/// From the stack to the sidecar.
package enum StackReport: Hashable, Sendable {
    /// The sandbox is closed; frames are read from now on.
    case ready
    /// The workload opens a connection to a virtual address. It is held until the answer.
    case question(StackQuestionID, FourTuple)
    /// The connection is open; its descriptor is beside the message.
    case flow(StackQuestionID, FourTuple)
    /// The workload sent a datagram to a virtual address.
    case datagram(FourTuple, [UInt8])
    case egress(EgressReport)
    case counters(StackCounters)
}

/// From the sidecar to the stack.
package enum StackCommand: Hashable, Sendable {
    case answer(StackQuestionID, StackAnswer)
    /// Connections to this virtual address are let in unasked, until `withdraw`.
    case serve(IPv4Endpoint)
    case withdraw(IPv4Endpoint)
    /// A datagram to the workload; the source is a virtual address.
    case datagram(FourTuple, [UInt8])
    /// The datagram that the workload sent (source first) found nobody: "port unreachable".
    case unreachable(FourTuple)
    /// The socket of this connection is closed next (the virtual address comes first): reset both its ends.
    case reset(FourTuple)
    /// Flows to this endpoint may be opened until then; nil: as long as nothing revokes it, which also
    /// says that the configuration lists the address itself, so that it may be one of the host's own.
    case allow(IPv4Endpoint, FlowProtocol, until: MonotonicTime?)
    /// No new flows to this endpoint, and those that are open end now.
    case revoke(IPv4Endpoint, FlowProtocol)
}

package enum StackAnswer: UInt8, Hashable, Sendable, CaseIterable {
    case open = 1
    case refuse = 2
    /// The callee is being reached: another answer follows.
    case wait = 3
}

/// A flow, or an attempt at one, that leads out of the mesh.
package struct EgressReport: Hashable, Sendable {
    package enum Event: Hashable, Sendable {
        case opened
        /// `attempts` alike since the last report of this kind.
        case refused(Refusal, attempts: UInt32)
        case closed(End, sent: UInt64, received: UInt64, milliseconds: UInt64)
    }

    package enum Refusal: UInt8, Hashable, Sendable, CaseIterable {
        /// Not on the allow-list.
        case notAllowed = 1
        /// An address that no allow-list opens.
        case forbidden = 2
        /// No room for another flow.
        case limit = 3
    }

    package enum End: UInt8, Hashable, Sendable, CaseIterable {
        case finished = 1
        /// The permission was taken back.
        case revoked = 2
        case idle = 3
    }

    package var flowProtocol: FlowProtocol
    package var tuple: FourTuple
    package var event: Event

    package init(_ flowProtocol: FlowProtocol, _ tuple: FourTuple, _ event: Event) {
        self.flowProtocol = flowProtocol
        self.tuple = tuple
        self.event = event
    }
}

/// Frames from the workload since the stack's start, by what became of them.
package struct StackCounters: Hashable, Sendable {
    package var frames: UInt64 = 0
    /// Too short, wrong lengths or checksums, IPv4 options.
    package var malformed: UInt64 = 0
    /// Of another source address than the workload's.
    package var spoofed: UInt64 = 0
    /// Fragments that go elsewhere than to a virtual address.
    package var fragments: UInt64 = 0
    /// IPv6 and other types of frame, multicast and broadcast.
    package var unserved: UInt64 = 0
    package var refused: UInt64 = 0
    /// Refused attempts of which no report told.
    package var unreported: UInt64 = 0

    package init() {}
}

package enum StackMessageError: Error, Hashable, Sendable, CustomStringConvertible {
    case version(UInt8)
    case malformed(kind: UInt8)
    case empty

    package var description: String {
        switch self {
        case .version(let version):
            "a message of version \(version) came, where version \(StackMessageVersion.current) is spoken: "
                + "mesh-sidecar was replaced on disk; restart the workload"
        case .malformed(let kind): "a malformed message of kind \(kind) came"
        case .empty: "a message without a header came"
        }
    }
}

package enum StackMessageVersion {
    package static let current: UInt8 = 1
}
