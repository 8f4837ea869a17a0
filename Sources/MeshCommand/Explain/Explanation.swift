// Whether a flow would be allowed, as both of its ends decide it. Pure: from what they told.

import SidecarProtocol

/// One running instance of an end, and what it decides by.
struct ExplainedEnd {
    var instance: String
    var end: Rehearsal.End
}

struct Explanation {
    enum Verdict: String { case allowed, denied, unknown }

    struct Finding {
        /// `caller` or `callee`.
        let side: String
        let workload: String
        let instance: String
        let decision: Decision
    }

    let caller: String
    let destination: Destination
    private(set) var findings: [Finding] = []
    /// Ends of which nothing is known, and why.
    private(set) var unknown: [String] = []
    private var notes: [String] = []

    /// Of a flow inside the mesh. An end without instances isn't running, or can't be asked from here.
    init(
        from caller: WorkloadName, _ callers: [ExplainedEnd], to callee: WorkloadName,
        _ callees: [ExplainedEnd], port: ServicePort, at now: Now
    ) {
        self.caller = caller.description
        destination = .workload(callee, port)
        // Every instance may be the one that calls, or is called; the first of the other end stands for
        // them all, since identity is theirs together.
        for own in callers {
            let decision = Rehearsal.caller(
                own.end, calls: callee, knownAs: callees.first?.end, port: port, at: now)
            findings.append(
                Finding(
                    side: "caller", workload: caller.description, instance: own.instance, decision: decision))
        }
        for own in callees {
            let decision = Rehearsal.callee(
                own.end, isCalledBy: caller, knownAs: callers.first?.end, port: port, at: now)
            findings.append(
                Finding(
                    side: "callee", workload: callee.description, instance: own.instance, decision: decision))
        }
        if callers.isEmpty { unknown.append(caller.description) }
        if callees.isEmpty { unknown.append(callee.description) }
    }

    /// Of a flow out of the mesh, which its own end alone decides.
    init(from caller: WorkloadName, _ callers: [ExplainedEnd], outside host: String, port: ServicePort) {
        self.caller = caller.description
        destination = .outside(host: host, port)
        for own in callers {
            let decision = Rehearsal.egress(own.end.configuration, host: host, port: port.port)
            findings.append(
                Finding(
                    side: "caller", workload: caller.description, instance: own.instance, decision: decision))
        }
        if callers.isEmpty { unknown.append(caller.description) }
    }

    /// Instances that run beside those that told, and say nothing.
    mutating func add(silent: [String]) { unknown += silent }

    /// What the policy says by the names alone, where one of the ends isn't here to say more.
    mutating func add(
        _ policy: CompiledPolicy, from caller: WorkloadName, to callee: WorkloadName, _ port: ServicePort
    ) {
        let question = PolicyQuestion(from: PolicySubject(caller), to: PolicySubject(callee), port: port)
        let verdict = policy.verdict(question, at: PolicyTime(KeyFiles.now()))
        guard let rule = verdict.rule else { return }
        let word = verdict.isAllowed ? "allows it by" : "denies it:"
        let audit = policy.document.mode == .audit ? " (audit: it denies nobody)" : ""
        notes.append("the policy, by the names alone, \(word) \(rule)\(audit)")
    }

    /// Denied where any instance denies: a flow may meet that one.
    var verdict: Verdict {
        if findings.contains(where: { !$0.decision.isAllowed }) { return .denied }
        return unknown.isEmpty && !findings.isEmpty ? .allowed : .unknown
    }

    var exitCode: Int32 {
        switch verdict {
        case .allowed: 0
        case .denied: 3
        case .unknown: 1
        }
    }

    private var target: String {
        switch destination {
        case .workload(let name, let port): "\(name) at \(port)"
        case .outside(let host, let port): "\(host) outside the mesh, at \(port)"
        }
    }

    var text: String {
        var lines: [String]
        switch verdict {
        case .allowed: lines = ["allowed: \(caller) may call \(target)"]
        case .denied: lines = ["denied: \(caller) may not call \(target)"]
        case .unknown: lines = ["unknown: whether \(caller) may call \(target)"]
        }
        for finding in findings {
            let decision = finding.decision
            let how = decision.isAllowed ? "allows it by" : "denies it (\(decision.reason.name)):"
            lines.append(
                "  the \(finding.side), \(finding.workload) (\(finding.instance.prefix(8))), \(how) "
                    + decision.rule)
        }
        for name in unknown {
            lines.append("  \(name) isn't running here, or isn't yours to ask: its end is not known")
        }
        lines += notes.map { "  \($0)" }
        if case .outside(let host, _) = destination, verdict == .denied,
            NetworkLiteral.isAddress(host)
        {
            lines.append(
                "  (an address is also allowed while it is what a name listed in egress resolved to)")
        }
        return lines.map { Table.visible($0) + "\n" }.joined()
    }

    var json: JSON {
        let (to, port) =
            switch destination {
            case .workload(let name, let port): (name.description, port)
            case .outside(let host, let port): (host, port)
            }
        let ends = findings.map { finding in
            JSON.object([
                "end": .text(finding.side), "workload": .text(finding.workload),
                "instance": .text(finding.instance), "allowed": .bool(finding.decision.isAllowed),
                "rule": .text(finding.decision.rule),
                "reason": finding.decision.isAllowed ? .null : .text(finding.decision.reason.name),
            ])
        }
        var isOutside = false
        if case .outside = destination { isOutside = true }
        return .object([
            "from": .text(caller), "to": .text(to), "port": .number(Int(port.port)),
            "protocol": .text(port.protocol.description), "outside": .bool(isOutside),
            "verdict": .text(verdict.rawValue), "ends": .list(ends),
            "unknown": .list(unknown.map(JSON.text)), "notes": .list(notes.map(JSON.text)),
        ])
    }
}
