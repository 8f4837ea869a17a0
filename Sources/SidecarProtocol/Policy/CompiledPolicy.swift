// A policy as it is decided by.
//
// Time is judged by two clocks: the wall clock, and the time that the wall clock would show had nobody set
// it since the policy was adopted. A lock, or a deny rule, holds while either says so; an allow rule only
// while both do. So setting a clock back, or forward, gives nobody anything.

/// When a decision is made.
package struct PolicyTime: Hashable, Sendable {
    package var clock: WallTime
    package var steady: WallTime

    package init(clock: WallTime, steady: WallTime) {
        self.clock = clock
        self.steady = steady
    }

    package init(_ time: WallTime) { self.init(clock: time, steady: time) }
}

/// What a policy says about a flow.
package struct PolicyVerdict: Hashable, Sendable {
    package var isAllowed: Bool
    /// `policy 7 deny[3] "no-batch"`; nil where the policy leaves it to the configurations.
    package var rule: String?
    package var reason: CloseReason
}

package struct CompiledPolicy: Sendable {
    package let document: PolicyDocument
    package let head: PolicyHead
    private let allows: PolicyIndex
    private let denies: PolicyIndex
    private var revokedNames: [WorkloadName: Int] = [:]
    private var revokedInstances: [InstanceID: Int] = [:]
    private var revokedIssuers: [[UInt8]: Int] = [:]
    private var revokedSerials: [UInt64: Int] = [:]
    private var locks: [IdentityPattern: [Int]] = [:]
    private let boundaries: PolicyBoundaries

    package init(_ policy: SignedPolicy) { self.init(policy.document, head: policy.head) }

    package init(_ document: PolicyDocument, head: PolicyHead) {
        self.document = document
        self.head = head
        allows = PolicyIndex(document.rules, action: .allow)
        denies = PolicyIndex(document.rules, action: .deny)
        boundaries = PolicyBoundaries(document)
        for (index, revocation) in document.revocations.enumerated().reversed() {
            switch revocation.subject {
            case .identity(let name): revokedNames[name] = index
            case .instance(let id): revokedInstances[id] = index
            case .issuer(let keyID): revokedIssuers[keyID] = index
            case .serial(let number): revokedSerials[number] = index
            }
        }
        for (index, lock) in document.locks.enumerated() { locks[lock.pattern, default: []].append(index) }
    }

    /// What the policy says, whatever its mode.
    package func verdict(_ question: PolicyQuestion, at time: PolicyTime) -> PolicyVerdict {
        for subject in [question.from, question.to] {
            if let refusal = refusal(of: subject, at: time) { return refusal }
        }
        let rules = document.rules
        let deny = denies.first(question, in: rules) { $0.contains(time.clock) || $0.contains(time.steady) }
        if let deny {
            return PolicyVerdict(isAllowed: false, rule: name(rules[deny].place(deny)), reason: .policy)
        }
        let allow = allows.first(question, in: rules) { $0.contains(time.clock) && $0.contains(time.steady) }
        if let allow {
            return PolicyVerdict(isAllowed: true, rule: name(rules[allow].place(allow)), reason: .finished)
        }
        switch document.unmatched {
        case .deny: return PolicyVerdict(isAllowed: false, rule: name("no rule allows it"), reason: .policy)
        case .configs: return PolicyVerdict(isAllowed: true, rule: nil, reason: .finished)
        }
    }

    /// Why somebody may have no flow, and no session, at all; nil where he may.
    package func refusal(of subject: PolicySubject, at time: PolicyTime) -> PolicyVerdict? {
        if let index = revocation(of: subject) {
            let revocation = document.revocations[index]
            return PolicyVerdict(
                isAllowed: false,
                rule: name("revocations[\(index)] \(revocation.subject)\(tail(revocation.reason))"),
                reason: .revocation)
        }
        if let index = lock(of: subject.workload, at: time) {
            let lock = document.locks[index]
            return PolicyVerdict(
                isAllowed: false, rule: name("locks[\(index)] \(lock.pattern)\(tail(lock.reason))"),
                reason: .lock)
        }
        return nil
    }

    /// Whether everything of this certificate, or of what signed it, has ended.
    package func isRevoked(_ subject: PolicySubject) -> Bool { revocation(of: subject) != nil }

    /// Whether a policy key, or an issuer's, is revoked.
    package func isRevoked(keyID: [UInt8]) -> Bool { revokedIssuers[keyID] != nil }

    private func revocation(of subject: PolicySubject) -> Int? {
        revokedNames[subject.workload] ?? subject.instance.flatMap { revokedInstances[$0] }
            ?? revokedIssuers[subject.issuerKeyID] ?? subject.serial.flatMap { revokedSerials[$0] }
    }

    private func lock(of workload: WorkloadName, at time: PolicyTime) -> Int? {
        guard !locks.isEmpty else { return nil }
        for namespace in [IdentityPattern.Part.exactly(workload.namespace), .any] {
            for name in [IdentityPattern.Part.exactly(workload.name), .any] {
                let held = locks[IdentityPattern(namespace: namespace, name: name)]?.first {
                    let until = document.locks[$0].until
                    return time.clock < until || time.steady < until
                }
                if let held { return held }
            }
        }
        return nil
    }

    private func name(_ text: String) -> String { "policy \(head.epoch) \(text)" }

    private func tail(_ reason: String) -> String { reason.isEmpty ? "" : ": \(reason)" }

    /// The next moment after `time` at which a window begins or ends, or a lock ends; nil: never.
    package func boundary(after time: WallTime) -> WallTime? { boundaries.next(after: time) }
}

/// The moments at which what a policy says changes by itself.
private struct PolicyBoundaries: Sendable {
    /// Rising.
    private let moments: [WallTime]
    /// Minutes after midnight, rising.
    private let minutes: [UInt16]

    init(_ document: PolicyDocument) {
        var moments = Set(document.locks.map(\.until))
        var minutes: Set<UInt16> = []
        for rule in document.rules where !rule.window.isAlways {
            if let start = rule.window.notBefore { moments.insert(start) }
            if let end = rule.window.notAfter { moments.insert(end) }
            if let daily = rule.window.daily { minutes.formUnion([daily.start % 1440, daily.end % 1440]) }
        }
        self.moments = moments.sorted()
        self.minutes = minutes.sorted()
    }

    func next(after time: WallTime) -> WallTime? {
        [nextMoment(after: time), nextMinute(after: time)].compactMap { $0 }.min()
    }

    private func nextMoment(after time: WallTime) -> WallTime? {
        var (low, high) = (0, moments.count)
        while low < high {
            let middle = (low + high) / 2
            if moments[middle] <= time { low = middle + 1 } else { high = middle }
        }
        return low < moments.count ? moments[low] : nil
    }

    private func nextMinute(after time: WallTime) -> WallTime? {
        guard let first = minutes.first else { return nil }
        let sinceMidnight = time.millisecondOfDay
        let (midnight, isOver) = time.milliseconds.subtractingReportingOverflow(sinceMidnight)
        if isOver { return nil }
        let later = minutes.first { Int64($0) * WallTime.millisecondsOfMinute > sinceMidnight }
        let offset =
            later.map { Int64($0) * WallTime.millisecondsOfMinute }
            ?? WallTime.millisecondsOfDay + Int64(first) * WallTime.millisecondsOfMinute
        let (sum, isPast) = midnight.addingReportingOverflow(offset)
        return isPast ? nil : WallTime(milliseconds: sum)
    }
}
