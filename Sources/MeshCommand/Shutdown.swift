import ArgumentParser

struct Shutdown: Verb {
    static let configuration = CommandConfiguration(
        abstract: "End a workload: its program is told to stop, and its sidecar follows.",
        discussion: "Exit codes: 0 all of its instances were told; 1 one wasn't, or none has the name.")

    @Argument(help: "NAME, NAMESPACE/NAME or an instance's id.", completion: .workloads)
    var workload: String

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let instances = try Instance.named(workload, in: options.place.paths)
        let results = AdminClient.ask(instances.map { ($0.socket, .post("/shutdown")) })
        var outcomes = Outcomes(json: options.json)
        for (instance, result) in zip(instances, results) {
            switch result {
            case .success(let answer) where answer.isOK: outcomes.add(instance, "is ending")
            // It ended before it could answer: what was asked for.
            case .failure(.gone): outcomes.add(instance, "has ended")
            case .success(let answer):
                outcomes.fail(
                    instance,
                    "refused to end: \(answer.text.isEmpty ? "status \(answer.status)" : answer.text)",
                    fix: "end its launcher (process \(instance.report["launcher_pid"].integer ?? 0))")
            case .failure(let failure):
                outcomes.fail(
                    instance, failure.description,
                    fix: "end its launcher (process \(instance.report["launcher_pid"].integer ?? 0))")
            }
        }
        return outcomes.answer
    }
}
