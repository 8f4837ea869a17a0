import ArgumentParser
import SidecarProtocol

struct NodeStop: Verb {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "End mesh-node, and wait until it has ended.",
        discussion: """
            Workloads that run go on with the peers that they know; the next launch starts a node again.
            Exit codes: 0 no node runs any more; 1 it refuses, or still runs after ten seconds.
            """)

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        guard let client = try NodeClient(options.place.paths) else { return said("no node ran") }
        client.send(.stop)
        while true {
            switch client.receive(within: 10) {
            case .end: return said("the node has ended")
            case .message(.refused(let reason)):
                throw Complaint("the node refuses to end: \(reason)", fix: "ask as its user, or as root")
            // What it was about to say to us anyhow.
            case .message: continue
            case .silence, .malformed:
                throw Complaint(
                    "the node at \(options.place.paths.topicsSocket) doesn't end",
                    fix: "see mesh node status for its process, and end that")
            }
        }
    }

    private func said(_ text: String) -> Answer {
        Answer(
            text: options.json
                ? "\(JSON.object(["running": .bool(false), "outcome": .text(text)]))\n" : text + "\n")
    }
}
