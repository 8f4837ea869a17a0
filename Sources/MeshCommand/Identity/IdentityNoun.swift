import ArgumentParser

struct IdentityNoun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "identity",
        abstract: "See what workloads prove themselves with, renew it, and revoke it.",
        subcommands: [IdentityShow.self, IdentityRenew.self, IdentityRevoke.self])
}
