import ArgumentParser

struct NodeNoun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "See and end mesh-node, which runs on demand.",
        subcommands: [NodeStatusVerb.self, NodeStop.self])
}
