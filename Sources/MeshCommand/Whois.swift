import ArgumentParser
import SidecarProtocol

struct Whois: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Say who is behind an address or a flow, as the running sidecars know it.",
        discussion: """
            An address of the mesh is private to the sidecar that gave it out, so each answer names the \
            workload that sees it so. A flow that isn't open is looked for in the records.

            Exit codes: 0 known; 1 nobody here knows it.
            """)

    @Argument(help: "An address such as 198.18.3.4, or the first digits (4 at least) of a flow's id.")
    var subject: String

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let instances = try Instance.all(in: options.place.paths)
        let isAddress = NetworkLiteral.isAddress(subject)
        let isFlow =
            (4...32).contains(subject.utf8.count) && subject.allSatisfy { $0.isASCII && $0.isHexDigit }
        guard isAddress || isFlow else {
            throw Complaint(
                "\"\(subject)\" is neither an address nor the id of a flow",
                fix: "give an address such as 198.18.3.4, or 4 to 32 hexadecimal digits", exitCode: 64)
        }
        var found = isAddress ? addresses(instances) : flows(instances)
        if found.isEmpty, isFlow { found = endedFlows() }
        if options.json {
            let list = JSON.list(found.map(\.json))
            return Answer(text: "\(JSON.object(["found": list]))\n", exitCode: found.isEmpty ? 1 : 0)
        }
        guard !found.isEmpty else {
            throw Complaint(
                "no sidecar that runs here knows \(subject)",
                fix: isAddress
                    ? "see mesh status NAME for the addresses in use"
                    : "no record here tells of it either; see mesh flows --ended")
        }
        return Answer(text: found.map { $0.line + "\n" }.joined())
    }

    private typealias Finding = (line: String, json: JSON)

    private func addresses(_ instances: [Instance]) -> [Finding] {
        var found: [Finding] = []
        func add(_ instance: Instance, _ identity: String, _ how: String) {
            found.append(
                (
                    Table.visible(
                        "\(subject) is \(identity) \(how) \(instance.workload) (\(instance.label))"),
                    .object([
                        "address": .text(subject), "identity": .text(identity),
                        "seen_by": .text(instance.workload),
                        "instance": .text(instance.id),
                    ])
                ))
        }
        for instance in instances {
            let report = instance.report
            if report["address"].text == subject {
                add(instance, report["identity"].text ?? instance.workload, "itself, in")
            }
            for call in report["calls"].list where call["address"].text == subject {
                add(instance, call["target"].text ?? "?", "as called by")
            }
        }
        guard found.isEmpty else { return found }
        for (instance, flow) in Flow.live(of: instances) {
            for end in [flow.json["src"], flow.json["dst"]] where Whois.host(end["addr"].text) == subject {
                add(instance, end["identity"].text ?? "not of the mesh", "in a flow of")
                return found
            }
        }
        return found
    }

    private func flows(_ instances: [Instance]) -> [Finding] {
        Flow.live(of: instances).filter { $0.flow.id.hasPrefix(subject.lowercased()) }.map { instance, flow in
            (
                Table.visible(
                    "flow \(flow.id.prefix(16)) is \(flow.end("src")) -> \(flow.end("dst")), \(flow.verdict), "
                        + "\(flow.json["direction"].text ?? "?") of \(instance.workload) (\(instance.label))"),
                flow.json.adding(["workload": .text(instance.workload), "instance": .text(instance.id)])
            )
        }
    }

    /// What records say of flows that are over: the last line of each end.
    private func endedFlows() -> [Finding] {
        let wanted = Array("\"flow_id\":\"\(subject.lowercased())".utf8)
        var last: [String: Finding] = [:]
        _ = Array(RecordFile.all(in: options.place.paths).reversed()).forEachLine { file, line in
            guard wanted.withUnsafeBytes({ line.index(of: $0) }) != nil, last.count < Whois.flowsMaximum,
                let flow = JSON(parsing: Array(line)).map(Flow.init)
            else { return }
            let told =
                "flow \(flow.id.prefix(16)) was \(flow.end("src")) -> \(flow.end("dst")), \(flow.verdict), "
                + "\(flow.event) at \(flow.json["time"].text ?? "-"), on record of \(file.workload)"
            last[file.instance + flow.id] = (
                Table.visible(told),
                flow.json.adding(["workload": .text(file.workload), "instance": .text(file.instance)])
            )
        }
        return last.sorted { $0.key < $1.key }.map(\.value)
    }

    private static let flowsMaximum = 32

    /// The address of `address:port` or `[address]:port`.
    private static func host(_ text: String?) -> String? {
        guard let text, let colon = text.lastIndex(of: ":") else { return text }
        return text[..<colon].filter { $0 != "[" && $0 != "]" }
    }
}
