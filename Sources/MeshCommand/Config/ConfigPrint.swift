import ArgumentParser
import SidecarProtocol

struct ConfigPrint: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print", abstract: "Print a configuration as YAML, with every key.",
        discussion: "Exit codes: 0 printed; 2 the configuration is wrong.")

    @Argument(help: "A config file; or -, for the canonical form on standard input.")
    var file: String = "-"

    @OptionGroup var domain: DomainOption

    func run() throws {
        print(YAMLText.file(try configuration()), terminator: "")
    }

    private func configuration() throws -> WorkloadConfiguration {
        do {
            guard file == "-" else { return try ConfigurationSource.compiled(file, domain.trustDomain) }
            let bytes = try FileContent.standardInput(atMost: Limits.configurationBytesMaximum)
            return try WorkloadConfiguration(canonical: bytes)
        } catch let error as CBORError {
            throw Complaint(
                "standard input isn't a configuration's canonical form (\(error))",
                fix: "pipe the output of \"mesh config compile FILE\" into it", exitCode: 2)
        }
    }
}
