import ArgumentParser

struct RecordsNoun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "records", abstract: "Check the records of flows that sidecars leave.",
        subcommands: [RecordsVerify.self])
}
