// The permit: the only thing that lets a flow's bytes move.
//
// Theory of operation
//
//   A permit is made by `Authorizer.permit` alone (its initialiser is private to this file, which has
//   the only factory). Every path by which a flow's bytes can go asks the flow's permit first, through
//   `admitSent` or `admitReceived`, which compare two integers: the decision epoch under which the
//   permit was last decided, and the epoch that is in force. Whatever could change a verdict raises the
//   epoch; the sidecar then decides all live permits anew, before it reads another byte: a flow that is
//   still allowed has its permit confirmed under the new epoch, and any other is revoked. A permit that
//   was missed would fail closed, since its epoch is old.
//
//   One event loop owns a gate and its permits. They are classes because the data path, the flow table
//   and the records share each one.

/// Counts the decisions of one sidecar. 0 is never in force.
package struct DecisionEpoch: Hashable, Comparable, Sendable {
    package let number: UInt64

    static let revoked = DecisionEpoch(number: 0)

    package static func < (left: DecisionEpoch, right: DecisionEpoch) -> Bool {
        left.number < right.number
    }
}

/// The epoch in force in one sidecar.
package final class DecisionGate {
    package private(set) var epoch = DecisionEpoch(number: 1)

    package init() {}

    /// Every permit that isn't decided anew stops admitting bytes.
    func raise() { epoch = DecisionEpoch(number: epoch.number + 1) }
}

/// Which of the two sidecars of a flow this is.
package enum FlowDirection: String, Hashable, Sendable {
    /// The caller's.
    case outbound
    /// The callee's.
    case inbound
}

/// Names a flow at both of its ends: 16 bytes from the session's first handshake and the stream.
package struct FlowID: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    package var description: String { bytes.hex }
}

package final class FlowPermit {
    private let gate: DecisionGate
    private var epoch: DecisionEpoch
    /// Payload bytes that went to the peer, and that came from it.
    package private(set) var bytesSent: UInt64 = 0
    package private(set) var bytesReceived: UInt64 = 0

    fileprivate init(gate: DecisionGate) {
        self.gate = gate
        epoch = gate.epoch
    }

    package var isValid: Bool { epoch == gate.epoch }

    /// Asks for `count` bytes to go to the peer. False: nothing may move, close the flow.
    package func admitSent(_ count: Int) -> Bool {
        guard epoch == gate.epoch else { return false }
        bytesSent &+= UInt64(truncatingIfNeeded: count)
        return true
    }

    /// Asks for `count` bytes from the peer to reach the workload. False: close the flow.
    package func admitReceived(_ count: Int) -> Bool {
        guard epoch == gate.epoch else { return false }
        bytesReceived &+= UInt64(truncatingIfNeeded: count)
        return true
    }

    /// The flow was decided anew under the epoch in force, and is allowed.
    func confirm() { epoch = gate.epoch }

    /// No byte moves on this flow again.
    func revoke() { epoch = .revoked }
}

extension Authorizer {
    /// The one place where permits come from: nil unless the decision allows.
    func permit(for decision: Decision) -> FlowPermit? {
        decision.isAllowed ? FlowPermit(gate: gate) : nil
    }
}
