// What a policy would change: rehearsed with the workloads that run here, and their live flows.

import SidecarProtocol

struct PolicyChanges {
    /// A caller and a port that both configurations permit, and whose verdict changes.
    struct Pair {
        let from: WorkloadName
        let to: WorkloadName
        let port: ServicePort
        /// By the next policy; by the current one it is the contrary.
        let isAllowed: Bool
        /// That decides from then on; nil: none.
        let rule: String?
    }

    struct LostFlow {
        let flow: Flow
        let rule: String
    }

    let current: SignedPolicy?
    let next: PolicyDocument
    private(set) var pairs: [Pair] = []
    private(set) var lost: [LostFlow] = []
    private(set) var liveFlows = 0
    let subjects: PolicySubjects

    /// From the policy in force to the file's.
    ///
    /// - Parameter replaces: as `mesh policy apply --replace`.
    init(
        to given: CompiledPolicyFile, _ paths: MeshPaths, replaces: Bool = false
    ) throws(Complaint) {
        let current = try HeldPolicy.read(paths)
        var file = given
        if !replaces, let current { _ = file.carryOver(from: current.document, at: KeyFiles.now()) }
        let domain = try TrustFiles(paths)?.bundle.id ?? PolicyChanges.nowhere
        try self.init(
            from: current,
            to: file.document(of: domain, epoch: (current?.head.epoch ?? 0) + 1, at: KeyFiles.now()), paths)
    }

    /// From no policy at all to the one in force.
    init(of current: SignedPolicy, _ paths: MeshPaths) throws(Complaint) {
        try self.init(from: nil, to: current.document, paths)
    }

    private init(
        from current: SignedPolicy?, to next: PolicyDocument, _ paths: MeshPaths
    ) throws(Complaint) {
        self.current = current
        self.next = next
        let instances = try Instance.all(in: paths)
        subjects = PolicySubjects(instances)
        let before = current.map(CompiledPolicy.init)
        let after = compiled
        let now = PolicyTime(KeyFiles.now())
        rehearsePairs(instances, before, after, now)
        rehearseFlows(instances, after, now)
    }

    /// The next policy as it would decide; it has no hash before it is signed.
    var compiled: CompiledPolicy {
        let head = PolicyHead(epoch: next.epoch, hash: next.trustDomain.bytes)
        return CompiledPolicy(next, head: head ?? .initial(of: next.trustDomain))
    }

    private static var nowhere: TrustDomainID { TrustDomainID([UInt8](repeating: 0, count: 32))! }

    /// Whether the policy lets it be. A domain without one takes nothing away, and audit doesn't either.
    private static func allows(
        _ policy: CompiledPolicy?, _ question: PolicyQuestion, _ now: PolicyTime
    ) -> (Bool, rule: String?) {
        guard let policy else { return (true, nil) }
        let verdict = policy.verdict(question, at: now)
        return (verdict.isAllowed || policy.document.mode == .audit, verdict.rule)
    }

    private mutating func rehearsePairs(
        _ instances: [Instance], _ before: CompiledPolicy?, _ after: CompiledPolicy, _ now: PolicyTime
    ) {
        for (from, to, port) in PolicyChanges.permitted(among: instances) {
            for own in subjects.subjects(of: from) {
                for other in subjects.subjects(of: to) {
                    let question = PolicyQuestion(from: own, to: other, port: port)
                    let (wasAllowed, _) = PolicyChanges.allows(before, question, now)
                    let (isAllowed, rule) = PolicyChanges.allows(after, question, now)
                    guard wasAllowed != isAllowed else { continue }
                    pairs.append(Pair(from: from, to: to, port: port, isAllowed: isAllowed, rule: rule))
                }
            }
        }
        pairs.sort { ($0.from, $0.to, $0.port) < ($1.from, $1.to, $1.port) }
    }

    /// Each caller and port that the configurations of both ends permit, once.
    private static func permitted(
        among instances: [Instance]
    ) -> [(WorkloadName, WorkloadName, ServicePort)] {
        let answers = AdminClient.ask(instances.map { ($0.socket, .get("/config")) })
        let configurations = answers.compactMap { answer in
            (try? answer.get())?.json.flatMap { WorkloadConfiguration(told: $0) }
        }
        var seen: Set<String> = []
        var permitted: [(WorkloadName, WorkloadName, ServicePort)] = []
        for caller in configurations {
            for callee in configurations {
                for port in callee.serves where Rehearsal.permits(caller, callee, port) {
                    guard seen.insert("\(caller.workload) \(callee.workload) \(port)").inserted else {
                        continue
                    }
                    permitted.append((caller.workload, callee.workload, port))
                }
            }
        }
        return permitted
    }

    private mutating func rehearseFlows(
        _ instances: [Instance], _ after: CompiledPolicy, _ now: PolicyTime
    ) {
        var seen: Set<String> = []
        for (_, flow) in Flow.live(of: instances) {
            guard seen.insert(flow.id).inserted, let from = subjects.subject(of: flow.json["src"]),
                let to = subjects.subject(of: flow.json["dst"]), let port = flow.port
            else { continue }
            liveFlows += 1
            let verdict = after.verdict(PolicyQuestion(from: from, to: to, port: port), at: now)
            if !verdict.isAllowed { lost.append(LostFlow(flow: flow, rule: verdict.rule ?? "policy")) }
        }
    }
}

extension Rehearsal {
    /// Whether both configurations allow a flow, whatever certificates and policies say.
    static func permits(
        _ caller: WorkloadConfiguration, _ callee: WorkloadConfiguration, _ port: ServicePort
    ) -> Bool {
        let now = Now(monotonic: MonotonicTime(nanoseconds: 0), wall: WallTime(seconds: 0))
        let (own, other) = (
            End(configuration: caller, standing: nil), End(configuration: callee, standing: nil)
        )
        return Rehearsal.caller(own, calls: callee.workload, knownAs: nil, port: port, at: now).isAllowed
            && Rehearsal.callee(other, isCalledBy: caller.workload, knownAs: nil, port: port, at: now)
                .isAllowed
    }
}

extension Flow {
    /// Where it leads; nil where the record doesn't say.
    var port: ServicePort? {
        guard let number = json["port"].integer.flatMap({ UInt16(exactly: $0) }),
            let flowProtocol = json["protocol"].text.flatMap(FlowProtocol.init(named:))
        else { return nil }
        return ServicePort(number, flowProtocol)
    }
}

// MARK: - In words

extension PolicyChanges {
    /// Whether anything that runs here would notice.
    var isNoticed: Bool { !pairs.isEmpty || !lost.isEmpty }

    var isAudit: Bool { next.mode == .audit }

    func answer(json isJSON: Bool, exitCode: Int32 = 0) -> Answer {
        Answer(text: isJSON ? "\(json)\n" : text, exitCode: exitCode)
    }

    private var ruleChanges: (added: [String], removed: [String]) {
        let old = (current?.document.rules ?? []).map(PolicyText.rule)
        let new = next.rules.map(PolicyText.rule)
        let (olds, news) = (Set(old), Set(new))
        return (new.filter { !olds.contains($0) }, old.filter { !news.contains($0) })
    }

    private var text: String {
        var lines: [String] = []
        if let old = current?.document, old.mode != next.mode || old.unmatched != next.unmatched {
            lines.append(
                "mode \(old.mode.name) -> \(next.mode.name), unmatched \(old.unmatched.name) ->"
                    + " \(next.unmatched.name)")
        }
        if !next.freshnessKeys.isEmpty, current?.document.freshnessKeys.isEmpty ?? true {
            lines.append("asks for beacons: without mesh policy beacon every flow is cut after 30 s")
        }
        let (added, removed) = ruleChanges
        lines += removed.map { "- \($0)" } + added.map { "+ \($0)" }
        for pair in pairs {
            lines.append(
                "\(pair.isAllowed ? "allows" : "denies") \(pair.from) -> \(pair.to):\(pair.port)"
                    + (pair.rule.map { ", by \($0)" } ?? ""))
        }
        if pairs.isEmpty { lines.append("no pair of workloads that runs here changes") }
        for lost in lost {
            lines.append(
                "\(isAudit ? "would cut" : "cuts") \(lost.flow.end("src")) -> \(lost.flow.end("dst")), flow"
                    + " \(lost.flow.id.prefix(12)), by \(lost.rule)")
        }
        let how = isAudit ? "would be cut; audit cuts none" : "would be cut"
        lines.append("\(lost.count) of \(liveFlows) live flows here \(how)")
        return lines.map { Table.visible($0) + "\n" }.joined()
    }

    private var json: JSON {
        let (added, removed) = ruleChanges
        return .object([
            "mode": .text(next.mode.name), "unmatched": .text(next.unmatched.name),
            "rules_added": .list(added.map(JSON.text)), "rules_removed": .list(removed.map(JSON.text)),
            "pairs": .list(
                pairs.map {
                    .object([
                        "from": .text($0.from.description), "to": .text($0.to.description),
                        "port": .number(Int($0.port.port)),
                        "protocol": .text($0.port.protocol.description), "allowed": .bool($0.isAllowed),
                        "rule": $0.rule.map(JSON.text) ?? .null,
                    ])
                }),
            "flows_live": .number(liveFlows),
            "flows_lost": .list(
                lost.map {
                    .object([
                        "flow_id": .text($0.flow.id), "from": .text($0.flow.end("src")),
                        "to": .text($0.flow.end("dst")), "rule": .text($0.rule),
                    ])
                }),
        ])
    }
}
