import ArgumentParser
import SidecarProtocol

struct ConfigCompileNode: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compile-node",
        abstract: "Write the canonical form of a node's config file to standard output.",
        discussion: """
            The file is node.yaml in the folder of mesh's configuration: which other hosts' nodes this host's node \
            meets. mesh-node runs this when it starts.

            Exit codes: 0 written; 2 the file is wrong.
            """)

    @Argument(help: "The config file; or -, for standard input.")
    var file: String

    func run() throws {
        let bytes = try ConfigurationSource.content(file)
        try StandardOutput.write(try NodeConfigurationCompiler.compile(bytes, file: file).encoded())
    }
}
