import ArgumentParser
import SidecarProtocol

struct NodeReload: Verb {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Take over what changed in the node's config file, while it runs.",
        discussion: """
            Seeds and addresses to listen at that the file no longer names are closed, new ones opened; \
            connections that both name go on.
            Exit codes: 0 taken over, or no node runs (the next one reads the file); 1 refused, and the old \
            configuration stays.
            """)

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        guard let client = try NodeClient(options.place.paths) else { return said("no node runs", false) }
        client.send(.reload)
        while true {
            switch client.receive(within: 20) {
            case .message(.status): return said("the node has taken its config file over", true)
            case .message(.refused(let reason)):
                let lines = reason.split(separator: "\n").joined(separator: "; ")
                throw Complaint(
                    "the node refuses: \(lines)", fix: "correct what is named; the old configuration stays")
            // What it was about to say to us anyhow.
            case .message: continue
            case .end, .silence, .malformed:
                throw Complaint(
                    "the node at \(options.place.paths.topicsSocket) doesn't answer",
                    fix: "see mesh node status")
            }
        }
    }

    private func said(_ text: String, _ isRunning: Bool) -> Answer {
        Answer(
            text: options.json
                ? "\(JSON.object(["running": .bool(isRunning), "outcome": .text(text)]))\n" : text + "\n")
    }
}
