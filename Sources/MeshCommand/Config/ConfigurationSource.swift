import ArgumentParser
import SidecarProtocol

struct DomainOption: ParsableArguments {
    @Option(
        name: .customLong("trust-domain"),
        help: "One's own trust domain, for names that spell it out; that of this host, without it.")
    var given: String?

    var trustDomain: String? { given ?? TrustFiles.ownDomain(.current()) }
}

/// The config file that a verb is given.
struct ConfigurationSource: ParsableArguments {
    @Argument(help: "The config file; or -, for standard input.")
    var file: String

    @OptionGroup var domain: DomainOption

    func compiled() throws(ConfigurationFailure) -> WorkloadConfiguration {
        try ConfigurationSource.compiled(file, domain.trustDomain)
    }

    static func compiled(
        _ file: String, _ trustDomain: String?
    ) throws(ConfigurationFailure) -> WorkloadConfiguration {
        try compile(file, trustDomain).configuration
    }

    static func compile(
        _ file: String, _ trustDomain: String?
    ) throws(ConfigurationFailure) -> CompiledConfiguration {
        try ConfigurationCompiler.compile(try content(file), file: file, trustDomain: trustDomain)
    }

    static func content(_ file: String) throws(ConfigurationFailure) -> [UInt8] {
        do throws(Complaint) {
            // One byte more than may be read tells a file at the limit from a longer one.
            let limit = Limits.configurationBytesMaximum + 1
            return file == "-"
                ? try FileContent.standardInput(atMost: limit) : try FileContent.read(file, atMost: limit)
        } catch {
            let problem = ConfigurationProblem(line: 1, error.what, fix: error.fix)
            throw ConfigurationFailure(file: file, problems: [problem])
        }
    }
}
