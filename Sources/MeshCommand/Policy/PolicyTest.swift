import ArgumentParser
import SidecarProtocol

struct PolicyTest: Verb {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Check a policy file, and rehearse it with what runs here. Changes nothing.",
        discussion: """
            With FROM and TO:PORT it says what the policy says about that flow, by the certificates of those \
            workloads where they run here, and else by their names alone. Without, it says which live flows the \
            policy would cut. The workloads' own configurations are mesh explain's to judge.

            Exit codes: 0 the file can be used, and allows that flow, or cuts none that lives; 3 it denies that \
            flow, or would cut one that lives; 2 the file is wrong.
            """)

    @OptionGroup var source: PolicyFileArgument
    @Argument(help: "Who calls: NAME or NAMESPACE/NAME.", completion: .workloads) var from: String?
    @Argument(help: ArgumentHelp("Whom, and where: web:8080 or shop/web:53/udp.", valueName: "to:port"))
    var to: String?
    @OptionGroup var options: ReportOptions

    func validate() throws {
        guard (from == nil) == (to == nil) else {
            throw ValidationError("give both FROM and TO:PORT, or none")
        }
    }

    func answer() throws -> Answer {
        let paths = options.place.paths
        let file = try PolicyFileArgument.compile(source.file, paths)
        let changes = try PolicyChanges(to: file, paths)
        if let from, let to { return try verdict(from, to, changes) }
        let exitCode: Int32 = changes.lost.isEmpty || changes.isAudit ? 0 : 3
        var answer = changes.answer(json: options.json, exitCode: exitCode)
        if !options.json { answer.text = "\(source.file) is fine\n" + answer.text }
        return answer
    }

    private func verdict(_ from: String, _ to: String, _ changes: PolicyChanges) throws -> Answer {
        let caller = try WorkloadName(argument: from)
        guard case .workload(let callee, let port) = try Destination(parsing: to, namespace: caller.namespace)
        else {
            throw Complaint(
                "\"\(to)\" is outside the mesh, of which policies don't speak", fix: "see mesh explain",
                exitCode: 64)
        }
        let policy = changes.compiled
        var denied: PolicyVerdict?
        var allowed: PolicyVerdict?
        // Every instance may be the one: a flow may meet the one that is denied.
        for own in changes.subjects.subjects(of: caller) {
            for other in changes.subjects.subjects(of: callee) {
                let question = PolicyQuestion(from: own, to: other, port: port)
                let verdict = policy.verdict(question, at: PolicyTime(KeyFiles.now()))
                if verdict.isAllowed { allowed = verdict } else { denied = denied ?? verdict }
            }
        }
        guard let verdict = denied ?? allowed else {
            throw Complaint("\"\(from)\" and \(to) name no instances", fix: "see mesh ps", exitCode: 64)
        }
        return said(verdict, caller, callee, port, isAudit: changes.isAudit)
    }

    private func said(
        _ verdict: PolicyVerdict, _ from: WorkloadName, _ to: WorkloadName, _ port: ServicePort, isAudit: Bool
    ) -> Answer {
        let exitCode: Int32 = verdict.isAllowed ? 0 : 3
        let rule = verdict.rule ?? "no rule: both configurations decide"
        if options.json {
            let facts: JSON = .object([
                "from": .text(from.description), "to": .text(to.description),
                "port": .number(Int(port.port)), "protocol": .text(port.protocol.description),
                "allowed": .bool(verdict.isAllowed), "rule": verdict.rule.map(JSON.text) ?? .null,
                "audit": .bool(isAudit),
            ])
            return Answer(text: "\(facts)\n", exitCode: exitCode)
        }
        let word = verdict.isAllowed ? "allowed" : isAudit ? "would be denied (audit)" : "denied"
        return Answer(
            text: Table.visible("\(word): \(from) -> \(to):\(port), by \(rule)") + "\n", exitCode: exitCode)
    }
}
