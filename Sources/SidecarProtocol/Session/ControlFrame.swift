// What two sidecars say to each other inside a session, beside the bytes of flows.

/// The caller asks for a flow to `port` of the callee's workload.
package struct FlowOpen: Hashable, Sendable {
    package var port: ServicePort
    /// The port that the caller's workload dials from; the callee's workload sees it where it is free.
    package var sourcePort: UInt16

    package init(port: ServicePort, sourcePort: UInt16) {
        self.port = port
        self.sourcePort = sourcePort
    }
}

/// What the caller's `calls` name of this callee.
package enum CallInterest: Hashable, Sendable {
    case anyPort
    case ports([UInt16])
}

/// The callee's answer: what this caller may do, port by port. Sent after the handshake, after each
/// CALLS, and at each change.
package struct Verdicts: Hashable, Sendable {
    package enum Verdict: UInt8, Hashable, Sendable {
        case deny = 0
        case allow = 1
        /// Allowed, but the workload refused the last connection.
        case down = 2
    }

    package struct Port: Hashable, Sendable {
        package var port: ServicePort
        package var verdict: Verdict
        /// The rule that decided, as records print it: `accepts[0] default/client`, `no rule`.
        package var rule: String

        package init(port: ServicePort, verdict: Verdict, rule: String) {
            self.port = port
            self.verdict = verdict
            self.rule = rule
        }
    }

    package var head: PolicyHead
    package var decisionEpoch: UInt64
    package var ports: [Port]

    package init(head: PolicyHead, decisionEpoch: UInt64, ports: [Port]) {
        self.head = head
        self.decisionEpoch = decisionEpoch
        self.ports = ports
    }
}

/// The frames that the `MeshNode` handles. Data, datagrams, ends of streams, credit, re-handshakes and
/// renewed certificates stay within the session.
package enum ControlFrame: Hashable, Sendable {
    case open(StreamID, FlowOpen)
    case accepted(StreamID)
    /// The callee's no, or a cut by either side: the stream is gone, its workload sees a reset.
    case reset(StreamID, CloseReason)
    case calls(CallInterest)
    case verdicts(Verdicts)
    /// The sender's policy head; renews the lease of every permit of the session.
    case head(PolicyHead)
    case goodbye(CloseReason)
}
