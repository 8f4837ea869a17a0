import ArgumentParser

struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check and translate config files of workloads and nodes.",
        subcommands: [ConfigCheck.self, ConfigCompile.self, ConfigCompileNode.self, ConfigPrint.self])
}
