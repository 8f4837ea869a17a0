import ArgumentParser

struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check and translate workloads' config files.",
        subcommands: [ConfigCheck.self, ConfigCompile.self, ConfigPrint.self])
}
