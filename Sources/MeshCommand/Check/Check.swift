import ArgumentParser
import SidecarProtocol

struct Check: Verb {
    static let configuration = CommandConfiguration(
        abstract:
            "Say whether this host can run workloads, and how those that run are: a line each, with the fix.",
        discussion: """
            A line begins with ok, note (less works, or not for everybody) or bad.
            Exit codes: 0 nothing is bad; 1 something is.
            """)

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let paths = options.place.paths
        var findings = NamespaceChecks.findings(NamespaceProbe.run())
        findings += HostChecks.findings()
        findings += UserChecks.findings()
        findings += PlaceChecks.findings(paths)
        findings += InstanceChecks.findings(paths)
        findings += PolicyChecks.findings(paths)
        let exitCode: Int32 = findings.contains { $0.state == .bad } ? 1 : 0
        if options.json {
            let list = JSON.list(findings.map(\.json))
            return Answer(text: "\(JSON.object(["findings": list]))\n", exitCode: exitCode)
        }
        return Answer(text: Check.text(findings), exitCode: exitCode)
    }

    private static func text(_ findings: [Finding]) -> String {
        var table = Table(["", "", ""])
        for finding in findings {
            let fix = finding.fix.isEmpty ? "" : "; \(finding.fix)"
            table.add([finding.state.rawValue, finding.subject, finding.text + fix])
        }
        // The titles are empty; what remains of their line is its end.
        return String(table.text.dropFirst())
    }
}
