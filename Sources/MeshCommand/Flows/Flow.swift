import SidecarProtocol

/// A flow's record, as its sidecar states it live and in its records file.
struct Flow {
    let json: JSON

    var id: String { json["flow_id"].text ?? "" }
    var verdict: String { json["verdict"].text ?? "-" }
    var event: String { json["event"].text ?? "-" }

    /// One end: its workload, where it is of the mesh, and its address.
    func end(_ key: String) -> String {
        let end = json[key]
        let identity = end["identity"].text.map { identity in
            (try? SPIFFEIdentity(parsing: identity))?.workload?.description ?? identity
        }
        let parts = [identity, end["addr"].text].compactMap { $0 }
        return parts.isEmpty ? "-" : parts.joined(separator: " ")
    }

    /// The open flows of instances, each with the instance that told of it.
    static func live(of instances: [Instance]) -> [(instance: Instance, flow: Flow)] {
        let answers = AdminClient.ask(instances.map { ($0.socket, .get("/flows")) })
        return zip(instances, answers).flatMap { instance, answer in
            let list = (try? answer.get())?.json?["flows"].list ?? []
            return list.map { (instance, Flow(json: $0)) }
        }
    }
}

/// Flows, a line each, as one of their two sidecars saw them.
struct FlowTable {
    private let isEnded: Bool
    private var table: Table

    /// - Parameter ended: whether these have ended, so that how and why matters too.
    init(ended: Bool) {
        isEnded = ended
        let both = ["SEEN BY", "FROM", "TO", "PROTO", ">SENT", ">RECEIVED", ">AGE", "FLOW"]
        table = Table(ended ? ["TIME", "EVENT"] + both + ["REASON"] : both)
    }

    mutating func add(_ flow: Flow, seenBy workload: String) {
        let cells = FlowTable.cells(flow, workload)
        table.add(isEnded ? cells : Array(cells[2..<10]))
    }

    var text: String { table.text }

    /// One line by itself, for a list that grows.
    static func line(_ flow: Flow, seenBy workload: String) -> String {
        if flow.event == "gap" { return gapLine(flow, seenBy: workload) }
        let cells = cells(flow, workload).map(Table.visible)
        return
            "\(cells[0])  \(cells[1])  \(cells[2]): \(cells[3]) -> \(cells[4]) \(cells[5]), \(flow.verdict), "
            + "sent \(cells[6]), received \(cells[7]), \(cells[8]), flow \(cells[9])"
            + (cells[10].isEmpty ? "\n" : ", \(cells[10])\n")
    }

    /// That records were lost, which are therefore not among the others.
    static func gapLine(_ flow: Flow, seenBy workload: String) -> String {
        let json = flow.json
        let text =
            "\(json["time"].text ?? "-")  gap  \(workload): \(json["lost"].integer ?? 0) records lost from "
            + "\(json["from"].text ?? "-") to \(json["until"].text ?? "-") (\(json["cause"].text ?? "-"))"
        return Table.visible(text) + "\n"
    }

    private static func cells(_ flow: Flow, _ workload: String) -> [String] {
        let json = flow.json
        // The rule says why a flow was refused; the reason, why one ended.
        let reason = json["reason"].text.flatMap { $0.isEmpty ? nil : $0 } ?? json["rule"].text ?? ""
        return [
            json["time"].text ?? "-", flow.event, workload, flow.end("src"), flow.end("dst"),
            json["protocol"].text ?? "-", Amount.bytes(json["bytes_sent"].integer),
            Amount.bytes(json["bytes_recv"].integer), Amount.span(milliseconds: json["duration_ms"].integer),
            String(flow.id.prefix(12)), reason,
        ]
    }
}
