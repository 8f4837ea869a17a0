import ArgumentParser
import SidecarProtocol

struct ConfigCompile: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compile", abstract: "Write a config file's canonical form to standard output.",
        discussion: """
            The canonical form is CBOR: what mesh-launch completes with its flags and the sidecar runs by.
            Exit codes: 0 written; 2 the file is wrong.
            """)

    @OptionGroup var source: ConfigurationSource

    func run() throws {
        try StandardOutput.write(try source.compiled().encoded())
    }
}
