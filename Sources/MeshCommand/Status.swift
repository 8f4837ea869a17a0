import ArgumentParser
import SidecarProtocol

struct Status: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Show the workloads that run here, and how they are.",
        discussion: """
            Exit codes: 0 all that run are ready; 1 one isn't, doesn't answer, or none has the name given.
            """)

    @Argument(
        help: "Only this workload, with its calls and peers: NAME, NAMESPACE/NAME or an instance's id.",
        completion: .workloads)
    var workload: String?

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let paths = options.place.paths
        let instances =
            try workload.map { (name) throws(Complaint) in try Instance.named(name, in: paths) }
            ?? Instance.all(in: paths)
        let exitCode: Int32 = instances.allSatisfy { $0.report["ready"].bool == true } ? 0 : 1
        if options.json {
            let list = JSON.list(instances.map(\.asJSON))
            return Answer(text: "\(JSON.object(["instances": list]))\n", exitCode: exitCode)
        }
        guard !instances.isEmpty else {
            return Answer(text: "No workload runs in \(paths.runtime). Start one with mesh-launch.\n")
        }
        var text = Status.table(instances)
        if workload != nil { text += instances.map(Status.details).joined() }
        return Answer(text: text, exitCode: exitCode)
    }

    private static func table(_ instances: [Instance]) -> String {
        var table = Table([
            "WORKLOAD", "VERSION", "INSTANCE", "STATE", "DATAPATH", "ADDRESS", "SERVES", ">PEERS", ">FLOWS",
            ">UP", "CERTIFICATE",
        ])
        for instance in instances {
            let report = instance.report
            let serves = report["serves"].list.compactMap(\.text).joined(separator: ",")
            table.add([
                instance.workload, report["version"].text ?? "-", instance.label, instance.state,
                report["datapath"].text ?? "-", report["address"].text ?? "-", serves.isEmpty ? "-" : serves,
                "\(report["peers"].list.count)", report["flows_open"].integer.map(String.init) ?? "-",
                Amount.span(seconds: report["uptime_seconds"].integer), instance.certificateState,
            ])
        }
        return table.text
    }

    private static func details(_ instance: Instance) -> String {
        let report = instance.report
        var facts = Table(["", ""])
        facts.add(["identity", report["identity"].text ?? "-"])
        facts.add(["instance", instance.id])
        facts.add(["incarnation", report["incarnation"].integer.map(String.init) ?? "-"])
        let processes = ["launcher", "sidecar", "workload"].compactMap { name in
            report["\(name)_pid"].integer.map { "\(name) \($0)" }
        }
        facts.add(["processes", processes.joined(separator: ", ")])
        facts.add(["certificate until", report["certificate"]["not_after"].text ?? "-"])
        let head = report["policy_head"]
        let epochs = [
            head["epoch"].integer.map { "epoch \($0)" }, head["hash"].text.map { String($0.prefix(16)) },
            report["decision_epoch"].integer.map { "decision epoch \($0)" },
        ]
        facts.add(["policy", epochs.compactMap { $0 }.joined(separator: ", ")])
        if let state = instance.policyState { facts.add(["", state]) }
        facts.add(["folder", instance.folder])
        // Facts have no titles: what remains of their line is its end.
        return facts.text + calls(report["calls"].list) + peers(report["peers"].list)
    }

    private static func calls(_ calls: [JSON]) -> String {
        guard !calls.isEmpty else { return "\nIt calls nobody.\n" }
        var table = Table(["CALLS", "ADDRESS", "STATE", "PORTS"])
        for call in calls {
            let verdicts = call["verdicts"].list.map { verdict in
                "\(verdict["port"].integer ?? 0)/\(verdict["protocol"].text ?? "?") \(verdict["verdict"].text ?? "?")"
            }
            table.add([
                call["target"].text ?? "?", call["address"].text ?? "-", call["state"].text ?? "-",
                verdicts.isEmpty ? "-" : verdicts.joined(separator: ", "),
            ])
        }
        return "\n" + table.text
    }

    private static func peers(_ peers: [JSON]) -> String {
        guard !peers.isEmpty else { return "" }
        var table = Table(["PEER", "STATE", "ENDPOINT", ">FLOWS"])
        for peer in peers {
            table.add([
                peer["identity"].text ?? "?", peer["state"].text ?? "-", peer["endpoint"].text ?? "-",
                peer["flows"].integer.map(String.init) ?? "-",
            ])
        }
        return "\n" + table.text
    }
}

extension Instance {
    /// `ready`, `starting`, or why its sidecar says nothing.
    var state: String {
        switch status {
        case .success(let report): report["ready"].bool == true ? "ready" : "starting"
        case .failure(.silent): "silent"
        case .failure: "broken"
        }
    }

    /// What is unusual about the policy that it decides by, or its mode; nil before the first policy.
    var policyState: String? {
        let policy = report["policy"]
        guard let mode = policy["mode"].text else {
            return policy["behind"].bool == true
                ? "closed: the policy that its certificate names is missing" : nil
        }
        var parts = [mode, "\(policy["rules"].integer ?? 0) rules"]
        if policy["conflict"].bool == true {
            parts.append("two policies of this epoch: the stricter verdict holds")
        }
        if policy["behind"].bool == true {
            parts.append("closed: a newer one that its certificate names is missing")
        }
        if policy["revoked"].bool == true { parts.append("its own certificate is revoked") }
        if policy["freshness"].bool == true {
            let left = policy["fresh_for_ms"].integer ?? 0
            parts.append(left > 0 ? "fresh for \(left / 1000) s" : "closed: no fresh beacon")
        }
        return parts.joined(separator: ", ")
    }

    /// Seconds until the certificate ends; negative once it has.
    var certificateSecondsLeft: Int? {
        report["certificate"]["not_after"].text.flatMap(WallClock.seconds(rfc3339:))
            .map { $0 - WallClock.now() }
    }

    var certificateState: String {
        guard let left = certificateSecondsLeft else { return "-" }
        return left > 0 ? Amount.span(seconds: left) : "expired"
    }

    var asJSON: JSON {
        switch status {
        case .success(let report): report
        case .failure(let failure):
            .object([
                "workload": .text(workload), "instance": .text(shortID), "ready": .bool(false),
                "error": .text(failure.description),
            ])
        }
    }
}

extension CompletionKind {
    /// The workloads that run in the caller's own mesh.
    static var workloads: CompletionKind {
        .custom { _, _, _ in
            let folder = MeshPaths.current().instancesFolder
            let names = entries(of: folder).compactMap { entry -> String? in
                Instance(folder: folder + "/" + entry, status: .failure(.gone)).configuration?.workload.name
            }
            return Set(names).sorted()
        }
    }
}
