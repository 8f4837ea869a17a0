// Who may open a flow to whom. Default deny: a flow needs a rule that allows it, at both ends.
//
// Both sidecars decide for themselves and never on the other's word: the caller's by `calls`, the
// callee's by `serves` and `accepts`. Each also needs its own certificate to be valid and its peer's to
// be, an equal policy head, and a statement of that head no older than the lease.

/// The answer to one question, with the rule that decided it as records print it.
package struct Decision: Hashable, Sendable {
    package let isAllowed: Bool
    package let rule: String
    package let reason: CloseReason

    static func allow(_ rule: String) -> Decision {
        Decision(isAllowed: true, rule: rule, reason: .finished)
    }

    static func deny(_ rule: String, _ reason: CloseReason = .policy) -> Decision {
        Decision(isAllowed: false, rule: rule, reason: reason)
    }
}

/// What one sidecar decides by. Every change raises the gate's epoch.
package struct Authorizer {
    package let gate: DecisionGate
    private(set) var configuration: WorkloadConfiguration
    /// This sidecar's own end of validity and policy head; nil before its first certificate.
    private(set) var standing: Standing?

    struct Standing: Hashable {
        var notAfter: WallTime
        var head: PolicyHead
    }

    /// The other end of a flow, as its session proves it.
    struct Peer: Hashable {
        var workload: WorkloadName
        /// The end of its certificate, the allowed skew included.
        var notAfter: WallTime
        /// The head that it last stated, and until when that statement holds.
        var head: PolicyHead?
        var leaseEnd: MonotonicTime
    }

    package init(configuration: WorkloadConfiguration, gate: DecisionGate) {
        self.configuration = configuration
        self.gate = gate
    }

    mutating func adopt(_ configuration: WorkloadConfiguration) {
        self.configuration = configuration
        gate.raise()
    }

    mutating func adopt(_ standing: Standing) {
        guard standing != self.standing else { return }
        self.standing = standing
        gate.raise()
    }

    /// Something else that a decision rests on has changed: a peer's verdict, a certificate's end.
    func raise() { gate.raise() }
}

// MARK: - Decisions

extension Authorizer {
    /// The caller's decision: may the own workload open a flow to `port` of `peer`?
    func mayCall(_ peer: Peer, port: ServicePort, at now: Now) -> Decision {
        let named = mayName(peer.workload, port: port.port)
        guard named.isAllowed else { return named }
        if let refusal = refusal(of: peer, at: now) { return refusal }
        return named
    }

    /// The callee's decision: may `peer` open a flow to `port` of the own workload?
    func mayAccept(_ peer: Peer, port: ServicePort, at now: Now) -> Decision {
        let named = mayServe(peer.workload, port: port)
        guard named.isAllowed else { return named }
        if let refusal = refusal(of: peer, at: now) { return refusal }
        return named
    }

    /// By `calls` alone, which name a workload and perhaps a port.
    func mayName(_ target: WorkloadName, port: UInt16) -> Decision {
        for (index, call) in configuration.calls.enumerated()
        where call.target == target && (call.port == nil || call.port == port) {
            return .allow("calls[\(index)] \(call.spelling)")
        }
        return .deny("no rule in calls")
    }

    /// By `serves` and `accepts` alone. A workload without a name of its own serves nobody.
    func mayServe(_ caller: WorkloadName, port: ServicePort) -> Decision {
        guard configuration.isNamed else { return .deny("workload has no name") }
        guard configuration.serves.contains(port) else { return .deny("not in serves") }
        for (index, accept) in configuration.accepts.enumerated()
        where accept.from.matches(caller) && (accept.ports.isEmpty || accept.ports.contains(port.port)) {
            return .allow("accepts[\(index)] \(accept.from)")
        }
        return .deny("no rule in accepts")
    }

    /// Nil where identity, policy head and lease of both ends stand.
    func refusal(of peer: Peer, at now: Now) -> Decision? {
        guard let standing else { return .deny("no certificate of one's own yet", .expiry) }
        guard now.wall < standing.notAfter else { return .deny("own certificate has ended", .expiry) }
        guard now.wall < peer.notAfter else { return .deny("peer's certificate has ended", .expiry) }
        guard let head = peer.head else { return .deny("peer hasn't stated its policy head", .lease) }
        guard head == standing.head else { return .deny("policy heads differ", .lease) }
        guard now.monotonic < peer.leaseEnd else { return .deny("lease has ended", .lease) }
        return nil
    }
}

extension WorkloadConfiguration.Call {
    /// As in the config: `default/web` or `default/web:8080`.
    var spelling: String { port.map { "\(target):\($0)" } ?? target.description }
}
