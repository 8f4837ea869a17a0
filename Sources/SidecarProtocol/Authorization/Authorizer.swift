// Who may open a flow to whom. Default deny: a flow needs a rule that allows it, at both ends.
//
// Both sidecars decide for themselves and never on the other's word: the caller's by `calls`, the
// callee's by `serves` and `accepts`. The domain's signed policy then takes away, and nothing gives what
// the configurations don't. Each end also needs its own certificate to be valid and its peer's to be, and
// a peer that has stated an equal policy head within the lease. While a newer policy is on its way from
// one to the other, each goes on by the newest that it has.

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
    /// Nil before the first signed policy.
    private(set) var policy: PolicyInForce?

    struct Standing: Hashable {
        var notAfter: WallTime
        /// The newest policy that the own certificate says there is: nothing older is decided by.
        var head: PolicyHead
        var subject: PolicySubject
        /// Of the domain, whose id stands for the head before any policy.
        var domain: TrustDomainID
    }

    /// The other end of a flow, as its session proves it.
    struct Peer: Hashable {
        var subject: PolicySubject
        /// The end of its certificate, the allowed skew included.
        var notAfter: WallTime
        /// The head that it last stated, and when.
        var head: PolicyHead?
        var statedAt = MonotonicTime(nanoseconds: 0)
        /// Whether it has ever stated a head that was one's own.
        var hasAgreed = false
        /// A lease after it last did; before, a lease after the session began.
        var leaseEnd: MonotonicTime

        var workload: WorkloadName { subject.workload }
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

    mutating func adopt(_ policy: PolicyInForce) {
        self.policy = policy
        gate.raise()
    }

    /// A beacon came. Nothing that was denied is allowed by an old epoch, so none is raised.
    mutating func prolong(until end: MonotonicTime?) { policy?.freshUntil = end }

    /// Something else that a decision rests on has changed: a peer's verdict, a certificate's end.
    func raise() { gate.raise() }

    /// What this sidecar states, and what a peer must state: one, or two policies of one epoch.
    var heads: [PolicyHead] {
        if let policy { return policy.policies.map(\.head) }
        return standing.map { [.initial(of: $0.domain)] } ?? []
    }

    /// Whether the own certificate knows of a policy that isn't here.
    var isBehind: Bool {
        guard let standing, let held = heads.first else { return false }
        if standing.head.epoch == held.epoch { return held.epoch > 0 && !heads.contains(standing.head) }
        return standing.head.epoch > held.epoch
    }
}

// MARK: - Decisions

extension Authorizer {
    /// The caller's decision: may the own workload open a flow to `port` of `peer`?
    func mayCall(_ peer: Peer, port: ServicePort, at now: Now) -> Decision {
        let named = mayName(peer.workload, port: port.port)
        guard named.isAllowed, let standing else { return named.isAllowed ? .withoutCertificate : named }
        if let refusal = refusal(of: peer, at: now) { return refusal }
        return decide(
            PolicyQuestion(from: standing.subject, to: peer.subject, port: port), onTopOf: named, at: now)
    }

    /// The callee's decision: may `peer` open a flow to `port` of the own workload?
    func mayAccept(_ peer: Peer, port: ServicePort, at now: Now) -> Decision {
        let served = mayServe(peer, port: port, at: now)
        guard served.isAllowed else { return served }
        return refusal(of: peer, at: now) ?? served
    }

    /// By configuration and policy: what the verdicts say, whose reader keeps its own leases.
    func mayServe(_ peer: Peer, port: ServicePort, at now: Now) -> Decision {
        let named = mayServe(peer.workload, port: port)
        guard named.isAllowed, let standing else { return named.isAllowed ? .withoutCertificate : named }
        return decide(
            PolicyQuestion(from: peer.subject, to: standing.subject, port: port), onTopOf: named, at: now)
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

    /// What the policy takes away of what a configuration allows.
    private func decide(
        _ question: PolicyQuestion, onTopOf named: Decision, at now: Now
    ) -> Decision {
        if isBehind { return .deny("policy \(standing?.head.epoch ?? 0) hasn't come yet") }
        guard let policy else { return named }
        let (verdict, audited) = policy.verdict(question, at: now)
        guard verdict.isAllowed else { return .deny(verdict.rule ?? "policy", verdict.reason) }
        var rule = named.rule
        if let allowing = verdict.rule { rule += ", \(allowing)" }
        if let would = audited?.rule { rule += " (audit: \(would))" }
        return .allow(rule)
    }

    /// What a policy has against state that passes between the instances of one workload: rules are about
    /// flows, but revocations, locks and missing beacons stop it.
    func refusalOfState(from peer: Peer, at now: Now) -> Decision? {
        guard let standing else { return .withoutCertificate }
        if isBehind { return .deny("policy \(standing.head.epoch) hasn't come yet") }
        guard let verdict = policy?.refusal(of: [standing.subject, peer.subject], at: now) else { return nil }
        return .deny(verdict.rule ?? "policy", verdict.reason)
    }

    /// Nil where identity, policy head and lease of both ends stand.
    func refusal(of peer: Peer, at now: Now) -> Decision? {
        guard let standing else { return .withoutCertificate }
        guard now.wall < standing.notAfter else { return .deny("own certificate has ended", .expiry) }
        guard now.wall < peer.notAfter else { return .deny("peer's certificate has ended", .expiry) }
        guard peer.head != nil else { return .deny("peer hasn't stated its policy head", .lease) }
        guard peer.hasAgreed else { return .deny("policy heads differ", .lease) }
        guard now.monotonic < peer.leaseEnd else { return .deny("lease has ended", .lease) }
        return nil
    }

    /// Why nobody may have a session with this certificate; nil where one may.
    func isRevoked(_ subject: PolicySubject) -> Bool { policy?.isRevoked(subject) ?? false }

    var isOwnRevoked: Bool { standing.map { isRevoked($0.subject) } ?? false }
}

extension Decision {
    fileprivate static let withoutCertificate = Decision.deny("no certificate of one's own yet", .expiry)
}

extension WorkloadConfiguration.Call {
    /// As in the config: `default/web` or `default/web:8080`.
    var spelling: String { port.map { "\(target):\($0)" } ?? target.description }
}
