import ArgumentParser

struct Trust: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "See the trust domain of this host.", subcommands: [TrustShow.self])
}
