// The policy that a sidecar decides by, with what time has to say about it.

/// One policy, or two of one epoch of which the stricter verdict holds.
package struct PolicyInForce: Sendable {
    package private(set) var policies: [CompiledPolicy]
    /// When the policy was adopted: from it runs the clock that nobody can set.
    private let adoptedAt: Now
    /// Until when the newest beacon counts; nil before the first.
    var freshUntil: MonotonicTime?

    package init(_ policy: CompiledPolicy, at now: Now) {
        policies = [policy]
        adoptedAt = now
    }

    /// A second policy of the same epoch.
    mutating func add(rival: CompiledPolicy) { policies.append(rival) }

    package var asksForBeacons: Bool {
        policies.contains { !$0.document.freshnessKeys.isEmpty && $0.document.mode == .enforce }
    }

    func time(at now: Now) -> PolicyTime {
        PolicyTime(clock: now.wall, steady: adoptedAt.wall + (now.monotonic - adoptedAt.monotonic))
    }

    /// What it says about a flow, freshness included: the strictest of all, in `enforce` mode; what was
    /// only audited, besides.
    func verdict(
        _ question: PolicyQuestion, at now: Now
    ) -> (verdict: PolicyVerdict, audited: PolicyVerdict?) {
        let time = time(at: now)
        var allowed = PolicyVerdict(isAllowed: true, rule: nil, reason: .finished)
        var audited: PolicyVerdict?
        for policy in policies {
            let verdict = verdict(of: policy, question, time, now)
            switch (policy.document.mode, verdict.isAllowed) {
            case (.enforce, false): return (verdict, audited)
            case (.enforce, true): allowed.rule = allowed.rule ?? verdict.rule
            case (.audit, false): audited = audited ?? verdict
            case (.audit, true): break
            }
        }
        return (allowed, audited)
    }

    private func verdict(
        of policy: CompiledPolicy, _ question: PolicyQuestion, _ time: PolicyTime, _ now: Now
    ) -> PolicyVerdict {
        let verdict = policy.verdict(question, at: time)
        return verdict.isAllowed ? staleness(of: policy, now) ?? verdict : verdict
    }

    private func staleness(of policy: CompiledPolicy, _ now: Now) -> PolicyVerdict? {
        if policy.document.freshnessKeys.isEmpty { return nil }
        if let freshUntil, now.monotonic < freshUntil { return nil }
        return PolicyVerdict(
            isAllowed: false, rule: "policy \(policy.head.epoch) no fresh beacon", reason: .freshness)
    }

    /// Why nothing at all may pass between these; nil where rules alone decide.
    func refusal(of subjects: [PolicySubject], at now: Now) -> PolicyVerdict? {
        let time = time(at: now)
        for policy in policies where policy.document.mode == .enforce {
            for subject in subjects {
                if let refusal = policy.refusal(of: subject, at: time) { return refusal }
            }
            if let stale = staleness(of: policy, now) { return stale }
        }
        return nil
    }

    /// Whether a certificate, or what signed it, is revoked.
    func isRevoked(_ subject: PolicySubject) -> Bool {
        policies.contains { $0.document.mode == .enforce && $0.isRevoked(subject) }
    }

    /// When a verdict next changes by itself; nil: never. By both clocks.
    func nextChange(after now: Now) -> MonotonicTime? {
        let time = time(at: now)
        var next: [MonotonicTime] = []
        for policy in policies {
            for clock in [time.clock, time.steady] {
                guard let boundary = policy.boundary(after: clock) else { continue }
                let (span, isOver) = boundary.milliseconds.subtractingReportingOverflow(clock.milliseconds)
                // Farther than a year: the timer is set again by then.
                let wait =
                    isOver ? Limits.policyTimerMaximum : .milliseconds(UInt64(max(0, min(span, 1 << 35))))
                next.append(now.monotonic + min(wait, Limits.policyTimerMaximum))
            }
        }
        if let freshUntil, asksForBeacons, freshUntil > now.monotonic { next.append(freshUntil) }
        return next.min()
    }
}

extension Limits {
    static let policyTimerMaximum = MonotonicTime.Span.seconds(86_400)
}
