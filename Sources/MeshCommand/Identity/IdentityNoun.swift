import ArgumentParser

struct IdentityNoun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "identity", abstract: "See what workloads prove themselves with, and renew it.",
        subcommands: [IdentityShow.self, IdentityRenew.self])
}
