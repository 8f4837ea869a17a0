import ArgumentParser
import SidecarProtocol

struct IdentityRenew: Verb {
    static let configuration = CommandConfiguration(
        commandName: "renew", abstract: "Renew a workload's certificate now, with new keys.",
        discussion: """
            Flows go on. It comes with the domain's newest trust bundle. The replaced key goes on answering, \
            with its own certificate, until that ends.

            Exit codes: 0 renewed; 1 not so, or no such workload.
            """)

    @Argument(help: "NAME, NAMESPACE/NAME or an instance's id.", completion: .workloads)
    var workload: String

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let instances = try Instance.named(workload, in: options.place.paths)
        var outcomes = Outcomes(json: options.json)
        for (instance, result) in zip(instances, RenewalOrder.give(instances)) {
            switch result {
            case .success(let report):
                let end = report["valid_until"].text ?? "?"
                outcomes.add(
                    instance, "renewed, valid until \(end)",
                    ["serial": report["serial"], "valid_until": .text(end), "bundle": report["bundle"]])
            case .failure(let failure):
                outcomes.fail(instance, failure.text, fix: "the old certificate stays; see mesh check")
            }
        }
        return outcomes.answer
    }
}
