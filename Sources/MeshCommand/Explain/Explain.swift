import ArgumentParser
import SidecarProtocol

struct Explain: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Say whether one workload may call another, by which rule, and at which end.",
        discussion: """
            Both running sidecars are asked what they decide by (calls and egress of FROM, serves and accepts of \
            TO, certificates of both, and the signed policy that they state), and the sidecar's own code decides. \
            Nothing is dialled.

            Exit codes: 0 allowed; 3 denied; 1 not known, since an end isn't running here or can't be asked, and \
            what is known doesn't deny it.
            """)

    @Argument(help: "Who calls: NAME, NAMESPACE/NAME or an instance's id.", completion: .workloads)
    var from: String

    @Argument(
        help: ArgumentHelp(
            "Whom, and where: web:8080, shop/web:53/udp, or a host outside such as example.com:443.",
            valueName: "to:port"))
    var to: String

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let all = try Instance.all(in: options.place.paths)
        let callers = all.filter { $0.isCalled(from) }
        let caller = try Explain.name(from, callers)
        let destination = try Destination(parsing: to, namespace: caller.namespace)
        let policy = try HeldPolicy.read(options.place.paths).map(CompiledPolicy.init)
        let own = Explain.ends(callers, policy)
        var explanation: Explanation
        switch destination {
        case .outside(let host, let port):
            explanation = Explanation(from: caller, own.known, outside: host, port: port)
        case .workload(let callee, let port):
            let theirs = Explain.ends(all.filter { $0.workload == callee.description }, policy)
            explanation = Explanation(
                from: caller, own.known, to: callee, theirs.known, port: port, at: Explain.now)
            if !theirs.known.isEmpty { explanation.add(silent: theirs.silent) }
            if own.known.isEmpty || theirs.known.isEmpty, let policy {
                explanation.add(policy, from: caller, to: callee, port)
            }
        }
        if !own.known.isEmpty { explanation.add(silent: own.silent) }
        return Answer(
            text: options.json ? "\(explanation.json)\n" : explanation.text, exitCode: explanation.exitCode)
    }

    /// The workload that `text` means: of the instances that it names, or as it is spelled.
    private static func name(_ text: String, _ instances: [Instance]) throws(Complaint) -> WorkloadName {
        let names = Set(instances.map(\.workload)).sorted()
        guard names.count <= 1 else {
            throw Complaint(
                "\"\(text)\" means several workloads", fix: "use one of: \(names.joined(separator: ", "))")
        }
        return try WorkloadName(argument: names.first ?? text)
    }

    /// What those instances decide by, and those that don't say.
    private static func ends(
        _ instances: [Instance], _ policy: CompiledPolicy?
    ) -> (known: [ExplainedEnd], silent: [String]) {
        let subjects = PolicySubjects(instances)
        let answers = AdminClient.ask(instances.map { ($0.socket, .get("/config")) })
        var known: [ExplainedEnd] = []
        var silent: [String] = []
        for (instance, answer) in zip(instances, answers) {
            if let json = (try? answer.get())?.json,
                let end = Rehearsal.End(
                    configuration: json, status: instance.report,
                    subject: subjects.subject(ofInstance: instance.id), policy: policy)
            {
                known.append(ExplainedEnd(instance: instance.id, end: end))
            } else {
                silent.append("\(instance.workload) (\(instance.label))")
            }
        }
        return (known, silent)
    }

    private static var now: Now {
        Now(
            monotonic: MonotonicTime(nanoseconds: UInt64(clamping: monotonicMilliseconds()) * 1_000_000),
            wall: WallTime(seconds: Int64(WallClock.now())))
    }
}
