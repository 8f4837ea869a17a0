import ArgumentParser
import SidecarProtocol

struct ConfigCheck: Verb {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Say what is wrong with a workload's config file, a line each.",
        discussion: """
            A node's is checked by mesh config compile-node.

            Exit codes: 0 it can be used; 2 it can't.
            """)

    @OptionGroup var source: ConfigurationSource

    @Flag(help: "Answer in JSON.") var json = false

    func answer() throws -> Answer {
        do throws(ConfigurationFailure) {
            let configuration = try source.compiled()
            guard json else { return Answer(text: "\(source.file): \(configuration.workload) is fine\n") }
            return Answer(text: "\(report([]))\n")
        } catch {
            guard json else { throw error }
            return Answer(text: "\(report(error.problems))\n", exitCode: 2)
        }
    }

    private func report(_ problems: [ConfigurationProblem]) -> JSON {
        let list = problems.map { problem in
            JSON.object([
                "line": .number(problem.line), "what": .text(problem.error.what),
                "fix": .text(problem.error.fix),
            ])
        }
        return .object(["file": .text(source.file), "problems": .list(list)])
    }
}
