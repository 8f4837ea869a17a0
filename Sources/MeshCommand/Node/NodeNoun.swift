import ArgumentParser

struct NodeNoun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "See, change and end mesh-node, which runs on demand.",
        subcommands: [NodeStatusVerb.self, NodeReload.self, NodeStop.self])
}
