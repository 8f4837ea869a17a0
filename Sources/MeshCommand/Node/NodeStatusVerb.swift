import ArgumentParser
import SidecarProtocol

struct NodeStatusVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show whether mesh-node runs, and what it holds.",
        discussion: "Exit codes: 0 it runs; 1 it doesn't (the next launch starts it), or doesn't answer.")

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        guard let client = try NodeClient(options.place.paths) else {
            return Answer(
                text: options.json
                    ? "\(JSON.object(["running": .bool(false)]))\n"
                    : "No node runs here; the next launch starts one.\n", exitCode: 1)
        }
        client.send(.status)
        guard case .message(.status(let status)) = client.receive(within: 2) else {
            throw Complaint(
                "the node at \(options.place.paths.topicsSocket) doesn't answer",
                fix: "end it with mesh node stop")
        }
        return Answer(text: options.json ? "\(NodeStatusVerb.json(status))\n" : NodeStatusVerb.text(status))
    }

    private static func counts(_ status: NodeStatus) -> KeyValuePairs<String, UInt64> {
        [
            "registrations": status.registrations, "subscriptions": status.subscriptions,
            "announcements": status.announcements, "tombstones": status.tombstones,
            "certificates": status.certificates, "neighbours": status.neighbours,
        ]
    }

    private static func text(_ status: NodeStatus) -> String {
        var table = Table(["NODE", ">COUNT"])
        table.add(["process", "\(status.processID)"])
        for (name, count) in counts(status) { table.add([name, "\(count)"]) }
        let problem = status.configurationProblem
        return table.text + (problem.isEmpty ? "" : "The node's config file isn't in force:\n\(problem)\n")
    }

    private static func json(_ status: NodeStatus) -> JSON {
        let members = counts(status).map { JSON.Member(key: $0.key, value: .number("\($0.value)")) }
        return JSON.object(members).adding([
            "running": .bool(true), "pid": .number(Int(status.processID)),
            "configuration_problem": .text(status.configurationProblem),
        ])
    }
}
