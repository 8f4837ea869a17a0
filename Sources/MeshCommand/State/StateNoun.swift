import ArgumentParser

struct StateNoun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "state", abstract: "Check, back up and restore what workloads keep at state.mesh.",
        subcommands: [StateVerify.self, StateExportVerb.self, StateImportVerb.self, StateRepair.self])
}
