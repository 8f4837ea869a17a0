import ArgumentParser
import SidecarProtocol

struct PolicyNoun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Try, sign and put in force the policy of this trust domain.",
        discussion: """
            A policy stands beside the workloads' own configurations: it can take away what they allow, and \
            with unmatched: deny it must allow it, too. Signing needs this host's policy key (mesh trust \
            policy-key).
            """,
        subcommands: [
            PolicyTest.self, PolicyDiff.self, PolicyApply.self, PolicyShow.self, PolicyBeacon.self,
        ])
}

/// A policy file that a verb is given.
struct PolicyFileArgument: ParsableArguments {
    @Argument(
        help: "The policy file; or -, for standard input.", completion: .file(extensions: ["yaml", "yml"]))
    var file: String

    static func compile(_ file: String, _ paths: MeshPaths) throws(ConfigurationFailure) -> CompiledPolicyFile
    {
        let bytes: [UInt8]
        do throws(Complaint) {
            let limit = Limits.policyBytesMaximum + 1
            bytes =
                file == "-"
                ? try FileContent.standardInput(atMost: limit) : try FileContent.read(file, atMost: limit)
        } catch {
            throw ConfigurationFailure(
                file: file, problems: [ConfigurationProblem(line: 1, error.what, fix: error.fix)])
        }
        let ownKey = (try? PolicyKey.installed(paths))?.key.publicKey
        return try PolicyCompiler.compile(
            bytes, file: file, trustDomain: TrustFiles.ownDomain(paths), ownKey: ownKey, at: KeyFiles.now())
    }
}
