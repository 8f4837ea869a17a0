import ArgumentParser
import SidecarProtocol

struct PolicyDiff: Verb {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Say what a policy file would change of what the policy in force says.",
        discussion: """
            Rules that come and go, pairs of workloads that run here whose verdict changes, and live flows that \
            would be cut. Without a file: what the policy in force changes against none.

            Exit codes: 0 nobody who runs here would notice; 3 somebody would; 1 it can't be said; 2 the file is \
            wrong.
            """)

    @Argument(
        help: "The policy file; or -, for standard input.", completion: .file(extensions: ["yaml", "yml"]))
    var file: String?
    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let paths = options.place.paths
        let changes: PolicyChanges
        if let file {
            changes = try PolicyChanges(to: try PolicyFileArgument.compile(file, paths), paths)
        } else {
            guard let current = try HeldPolicy.read(paths) else {
                throw Complaint("there is no signed policy yet", fix: "name a file to compare with")
            }
            changes = try PolicyChanges(of: current, paths)
        }
        return changes.answer(json: options.json, exitCode: changes.isNoticed ? 3 : 0)
    }
}
