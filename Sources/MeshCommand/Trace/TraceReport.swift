// A trace for people, and for programs.

import SidecarProtocol

struct TraceReport {
    let trace: FlowTrace
    private let differences: [FlowTrace.Difference]

    init(_ trace: FlowTrace) {
        self.trace = trace
        differences = trace.differences
    }

    /// 0: both ends told the same. 3: they differ, or one says nothing.
    var exitCode: Int32 { differences.isEmpty && trace.silent.isEmpty ? 0 : 3 }

    // MARK: Text

    var text: String { Table.visible(title) + "\n" + ends + "\n" + timeline + "\n" + verdict }

    private var title: String {
        guard let entry = trace.last(.caller) ?? trace.last(.callee) else { return "flow \(trace.id)" }
        let flow = Flow(json: entry.record)
        let port = "\(entry.record["port"].integer ?? 0)/\(entry.record["protocol"].text ?? "?")"
        return "flow \(trace.id): \(flow.name("src")) -> \(flow.name("dst")) \(port)"
    }

    /// Who, once; and what each end adds. Where the ends name different identities, the differences say so.
    private var ends: String {
        guard let any = trace.last(.caller) ?? trace.last(.callee) else { return "" }
        var facts = Table(["", ""])
        for (title, key) in [("from", "src"), ("to", "dst")] {
            let end = any.record[key]
            let version = end["version"].text.flatMap { $0.isEmpty ? nil : ", version \($0)" } ?? ""
            let identity = end["identity"].text.flatMap { $0.isEmpty ? nil : $0 } ?? "outside the mesh"
            facts.add([title, identity + version])
        }
        for side in FlowTrace.Side.allCases {
            guard let entry = trace.last(side) else { continue }
            func address(_ key: String) -> String { entry.record[key]["addr"].text ?? "?" }
            facts.add([
                side.rawValue,
                "\(entry.workload) (\(entry.instance.prefix(8))) saw \(address("src")) -> \(address("dst")), "
                    + "\(entry.record["verdict"].text ?? "?") by \(entry.record["rule"].text ?? "?")",
            ])
        }
        // Facts have no titles: what remains of their line is its end.
        return String(facts.text.drop { $0 == "\n" })
    }

    private var timeline: String {
        var table = Table(["TIME", "END", "EVENT", ">SENT", ">RECEIVED", ">AGE", "REASON"])
        for entry in trace.entries {
            table.add([
                entry.time, entry.side.rawValue, entry.event, Amount.bytes(entry.sent),
                Amount.bytes(entry.received),
                Amount.span(milliseconds: entry.record["duration_ms"].integer),
                entry.record["reason"].text ?? "",
            ])
        }
        let more = trace.omitted == 0 ? "" : "and \(trace.omitted) more of each minute\n"
        return table.text + more
    }

    private var verdict: String {
        var lines = trace.silent.map { side in
            "The \(side.rawValue)'s records aren't among those here: it is on another host or another user's, "
                + "its files were dropped, or it wrote nothing."
        }
        if !differences.isEmpty { lines.append("The two ends differ:") }
        for difference in differences {
            lines.append(
                "  \(difference.what): \(difference.caller) at the caller, \(difference.callee) at the callee"
            )
        }
        if lines.isEmpty { lines.append("Both ends say the same.") }
        return lines.map { Table.visible($0) + "\n" }.joined()
    }

    // MARK: JSON

    var json: JSON {
        let timeline = trace.entries.map { entry in
            entry.record.adding([
                "end": .text(entry.side.rawValue), "workload": .text(entry.workload),
                "instance": .text(entry.instance), "live": .bool(entry.isLive),
            ])
        }
        let differing = differences.map { difference in
            JSON.object([
                "what": .text(difference.what), "caller": .text(difference.caller),
                "callee": .text(difference.callee),
            ])
        }
        return .object([
            "flow_id": .text(trace.id), "agrees": .bool(exitCode == 0),
            "missing": .list(trace.silent.map { .text($0.rawValue) }), "differences": .list(differing),
            "timeline": .list(timeline), "omitted": .number(trace.omitted),
        ])
    }
}

extension Flow {
    /// An end's workload, or its address where it isn't of the mesh.
    func name(_ key: String) -> String {
        let end = json[key]
        guard let identity = end["identity"].text, !identity.isEmpty else { return end["addr"].text ?? "?" }
        return (try? SPIFFEIdentity(parsing: identity))?.workload?.description ?? identity
    }
}
