import ArgumentParser
import SidecarProtocol

struct Ping: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Say how the workloads here reach another one: path, session, round trip, verdicts.",
        discussion: """
            Each running workload that names it in its calls, or that it calls, is asked; its sidecar opens a \
            session where there is none, and measures the round trip inside it. No flow is opened.

            Exit codes: 0 reached, and a port is permitted; 3 reached, and every port is denied; 1 not reached, \
            or nobody here has to do with it.
            """)

    @Argument(help: "NAME or NAMESPACE/NAME; without a namespace, that of the workload that asks.")
    var target: String

    @Option(help: "Ask only this workload: NAME, NAMESPACE/NAME or an instance's id.", completion: .workloads)
    var from: String?

    @Option(help: "Round trips to measure.") var count: Int = 3

    @OptionGroup var options: ReportOptions

    func validate() throws {
        guard (1...100).contains(count) else {
            throw ValidationError("--count \(count) is not possible; use 1 to 100")
        }
    }

    func answer() throws -> Answer {
        let paths = options.place.paths
        let instances =
            try from.map { (name) throws(Complaint) in try Instance.named(name, in: paths) }
            ?? Instance.all(in: paths)
        let askers = instances.compactMap { instance in
            name(as: instance).flatMap { $0 == instance.workload ? nil : (instance, $0) }
        }
        var reports: [PingReport] = []
        for _ in 0..<count {
            let answers = AdminClient.ask(
                askers.map { ($0.0.socket, .post("/ping", Array($0.1.utf8))) }, patience: Ping.patience)
            for (index, result) in answers.enumerated() {
                if reports.count <= index { reports.append(PingReport(askers[index].0, askers[index].1)) }
                reports[index].add(result)
            }
        }
        reports.removeAll { $0.isStranger && from == nil }
        guard !reports.isEmpty else {
            throw Complaint(
                "no workload that runs here calls \(target), or is called by it",
                fix: "see mesh status for who runs, and mesh explain for what is permitted")
        }
        let exitCode = reports.map(\.exitCode).min { Ping.rank($0) < Ping.rank($1) } ?? 1
        if options.json {
            let list = JSON.list(reports.map(\.json))
            return Answer(text: "\(JSON.object(["pings": list]))\n", exitCode: exitCode)
        }
        return Answer(text: reports.map(\.text).joined(separator: "\n"), exitCode: exitCode)
    }

    /// A sidecar gives itself 4 s for a session, and 2 for an answer.
    private static let patience = 8_000

    /// What is worst to hear stands first.
    private static func rank(_ exitCode: Int32) -> Int { [1: 0, 3: 1][exitCode] ?? 2 }

    /// The target's whole name; nil where it is none.
    private func name(as instance: Instance) -> String? {
        let parts = target.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let namespace = instance.workload.split(separator: "/").first.map(String.init) ?? "default"
        let name = try? WorkloadName(
            namespace: parts.count == 2 ? parts[0] : namespace, name: parts[parts.count - 1])
        return parts.count <= 2 ? name?.description : nil
    }
}
