import ArgumentParser
import SidecarProtocol

struct Edges: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Show who talks to whom: callers, callees, ports, flows, bytes, refusals.",
        discussion: """
            From all records files that you can read, and from the sidecars that run. What records no longer \
            hold isn't counted. A flow that both ends tell is counted once.

            Exit codes: 0 shown, also where there is nothing; 1 some records can't be read, and the rest is \
            shown.
            """)

    enum Form: String, EnumerableFlag {
        case dot
        case svg

        static func help(for form: Form) -> ArgumentHelp? {
            switch form {
            case .dot: "As a graph in the DOT language."
            case .svg: "As an SVG that a browser shows: mesh edges --svg > edges.svg."
            }
        }
    }

    @Flag(exclusivity: .exclusive) var form: Form?

    @Option(help: "Only edges from or to this workload: NAME or NAMESPACE/NAME.", completion: .workloads)
    var workload: String?

    @OptionGroup var records: RecordsOptions
    @OptionGroup var options: ReportOptions

    func validate() throws {
        guard !options.json || form == nil else {
            throw ValidationError("--json and --\(form?.rawValue ?? "") exclude each other")
        }
    }

    func answer() throws -> Answer {
        var table = EdgeTable()
        let unread = records.files(options.place.paths).forEachLine { _, line in table.add(line) }
        for (_, flow) in Flow.live(of: try Instance.all(in: options.place.paths)) {
            Array(flow.json.description.utf8).withUnsafeBytes { table.add($0, isLive: true) }
        }
        let edges = table.sorted.filter { edge in
            workload.map { Edges.isCalled(edge.source, $0) || Edges.isCalled(edge.destination, $0) } ?? true
        }
        var warning = ""
        if !unread.isEmpty {
            warning +=
                "mesh: not read, for lack of permission or a bad disk: \(unread.joined(separator: ", "))\n"
        }
        if table.unreadable > 0 {
            warning += "mesh: \(table.unreadable) lines aren't records; see mesh records verify\n"
        }
        if table.omitted > 0 {
            warning +=
                "mesh: \(table.omitted) records of more than \(EdgeTable.edgesMaximum) edges aren't shown\n"
        }
        return Answer(
            text: text(edges, table), exitCode: unread.isEmpty ? 0 : 1, warning: Edges.visibleLines(warning))
    }

    private static func visibleLines(_ text: String) -> String {
        text.split(separator: "\n").map { Table.visible(String($0)) + "\n" }.joined()
    }

    private static func isCalled(_ identity: String, _ name: String) -> Bool {
        let own = Edge.name(identity)
        return own == name || own.hasSuffix("/" + name) || identity == name
    }

    private func text(_ edges: [Edge], _ table: EdgeTable) -> String {
        switch form {
        case .dot: return EdgeGraph(edges).dot
        case .svg: return EdgeGraph(edges).svg
        case nil: break
        }
        if options.json {
            return "\(JSON.object(["edges": .list(edges.map(\.json)), "omitted": .number(table.omitted)]))\n"
        }
        guard !edges.isEmpty else { return "No flow is on record.\n" }
        var rows = Table([
            "FROM", "TO", "PORT", ">FLOWS", ">OPEN", ">TO CALLEE", ">TO CALLER", ">DENIED", ">REFUSED",
            "LAST",
        ])
        for edge in edges {
            rows.add([
                Edge.name(edge.source), Edge.name(edge.destination), edge.service, "\(edge.flows)",
                "\(edge.open)", Amount.bytes(edge.bytesToCallee), Amount.bytes(edge.bytesToCaller),
                "\(edge.denied)", "\(edge.refused)", edge.last,
            ])
        }
        return rows.text
    }
}

extension Edge {
    var json: JSON {
        .object([
            "from": .text(source), "to": .text(destination), "outside": .bool(isOutside),
            "port": .number(port), "protocol": .text(flowProtocol), "flows": .number(flows),
            "open": .number(open), "bytes_to_callee": .number(bytesToCallee),
            "bytes_to_caller": .number(bytesToCaller), "denied": .number(denied),
            "refused": .number(refused), "seen_by": .list(seenBy.map(JSON.text)), "last": .text(last),
        ])
    }
}
