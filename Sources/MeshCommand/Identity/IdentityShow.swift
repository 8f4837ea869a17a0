import ArgumentParser
import SidecarProtocol

struct IdentityShow: Verb {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show the certificates of the workloads that run: chain, keys, life, executable.",
        discussion: """
            Of every workload on a line, or of one in full. USED is how much of the leaf's life is over; it is \
            renewed at half, and overdue from 66 % on. A digest is attested by the issuer where root's \
            launcher said what it executes for another user, and by the workload's own side (self) otherwise.

            Exit codes: 0 shown; 1 no such workload, or its sidecar doesn't answer.
            """)

    @Argument(help: "NAME, NAMESPACE/NAME or an instance's id; all without it.", completion: .workloads)
    var workload: String?

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let paths = options.place.paths
        let instances = try workload.map { try Instance.named($0, in: paths) } ?? Instance.all(in: paths)
        let identities = IdentityReport.ask(instances)
        let failures = identities.compactMap { identity -> String? in
            guard case .failure(let failure) = identity.report else { return nil }
            return "mesh: \(identity.instance.workload) (\(identity.instance.label)) \(failure.text);"
                + " see \(identity.instance.folder)/\(MeshPaths.sidecarLogName)\n"
        }
        let known = identities.compactMap { identity in
            (try? identity.report.get()).map { (identity.instance, $0) }
        }
        let exitCode: Int32 = failures.isEmpty ? 0 : 1
        if options.json {
            let list = JSON.list(known.map(\.1))
            return Answer(
                text: "\(JSON.object(["identities": list]))\n", exitCode: exitCode, warning: failures.joined()
            )
        }
        let text =
            workload == nil
            ? IdentityShow.table(known) : known.map { IdentityShow.facts($1) }.joined(separator: "\n")
        return Answer(text: text, exitCode: exitCode, warning: failures.joined())
    }

    private static func table(_ known: [(Instance, JSON)]) -> String {
        guard !known.isEmpty else { return "No workload runs.\n" }
        var table = Table(["WORKLOAD", "INSTANCE", ">USED", "RENEWAL", "VALID UNTIL", "ATTESTED"])
        for (instance, report) in known {
            let leaf = report["chain"].list.first ?? .null
            let isOverdue = report["renewal_overdue"].bool == true
            table.add([
                instance.workload, instance.label, "\(leaf["life_used_percent"].integer ?? 0)%",
                isOverdue ? "overdue" : report["next_renewal"].text ?? "-",
                report["valid_until"].text ?? "-", report["executable"]["attested"].text ?? "-",
            ])
        }
        return table.text
    }

    private static func facts(_ report: JSON) -> String {
        var facts = Table(["", ""])
        func add(_ name: String, _ value: String?) { if let value { facts.add([name, value]) } }
        add("identity", report["identity"].text)
        add("instance", report["instance"].text)
        add(
            "trust domain",
            "\(report["trust_domain"].text ?? "?"), bundle number \(report["bundle"].integer ?? 0)")
        for certificate in report["chain"].list {
            let name = certificate["kind"].text ?? "?"
            add(
                name,
                "key \(certificate["key_id"].text ?? "?"), signed by \(certificate["issuer_key_id"].text ?? "?")"
            )
            add(
                "",
                "\(certificate["not_before"].text ?? "?") to \(certificate["not_after"].text ?? "?") "
                    + (certificate["life_used_percent"].integer.map { "\($0) % used" } ?? "")
                    + (certificate["overdue"].bool == true ? ", overdue" : ""))
            add("", certificate["static_key"].text.map { "static key \($0)" })
        }
        add("next renewal", report["next_renewal"].text)
        add("", report["renewal_problem"].text.map { "the last one failed: \($0)" })
        for old in report["replaced_keys"].list {
            add("answers also", "\(old["static_key"].text ?? "?") until \(old["not_after"].text ?? "?")")
        }
        let executable = report["executable"]
        add(
            "executable",
            executable["sha256"].text.map { "sha256 \($0), attested: \(executable["attested"].text ?? "?")" })
        add(
            "interpreter",
            executable["interpreter"].text.map {
                "\($0), sha256 \(executable["interpreter_sha256"].text ?? "not known")"
            })
        // Facts have no titles: what remains of their line is its end.
        return String(facts.text.dropFirst())
    }
}
