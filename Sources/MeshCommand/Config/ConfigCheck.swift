import ArgumentParser
import SidecarProtocol

struct ConfigCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Say what is wrong with a config file, a line each.",
        discussion: "Exit codes: 0 it can be used; 2 it can't.")

    @OptionGroup var source: ConfigurationSource

    @Flag(help: "Answer in JSON.") var json = false

    func run() throws {
        let file = source.file
        do throws(ConfigurationFailure) {
            let configuration = try source.compiled()
            print(
                json
                    ? "{\"file\":\(JSON.text(file)),\"problems\":[]}"
                    : "\(file): \(configuration.workload) is fine")
        } catch {
            guard json else { throw error }
            let problems = error.problems.map {
                "{\"line\":\($0.line),\"what\":\(JSON.text($0.error.what)),\"fix\":\(JSON.text($0.error.fix))}"
            }
            print("{\"file\":\(JSON.text(file)),\"problems\":[\(problems.joined(separator: ","))]}")
            throw ExitCode(2)
        }
    }
}
