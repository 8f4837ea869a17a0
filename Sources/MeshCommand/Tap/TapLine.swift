// A flow's beginning or end, on one line.

struct TapLine {
    /// As the sidecar wrote it.
    let record: JSON

    /// Nil for what isn't a beginning, an end or a refusal.
    init?(_ line: [UInt8]) {
        guard let json = JSON(parsing: line),
            ["open", "close", "denied", "refused", "gap"].contains(json["event"].text)
        else { return nil }
        record = json
    }

    /// - Parameter workload: whose sidecar tells it.
    func text(toldBy workload: String) -> String {
        let flow = Flow(json: record)
        if flow.event == "gap" { return FlowTable.gapLine(flow, seenBy: workload) }
        let event = flow.event + String(repeating: " ", count: max(0, 7 - flow.event.count))
        var parts = [
            "\(record["time"].text ?? "-")  \(event)  \(flow.name("src")) -> \(flow.name("dst")) "
                + "\(record["port"].integer ?? 0)/\(record["protocol"].text ?? "?")"
        ]
        switch flow.event {
        case "close":
            parts.append(
                "sent \(Amount.bytes(record["bytes_sent"].integer)), "
                    + "received \(Amount.bytes(record["bytes_recv"].integer)) in "
                    + Amount.span(milliseconds: record["duration_ms"].integer))
            parts.append(record["reason"].text ?? "")
        case "refused":
            parts.append(record["reason"].text ?? "")
        default:
            parts.append(record["rule"].text ?? "")
        }
        if !flow.id.isEmpty { parts.append("flow \(flow.id.prefix(12))") }
        parts.append("told by \(workload)")
        return Table.visible(parts.filter { !$0.isEmpty }.joined(separator: "  ")) + "\n"
    }

    func json(toldBy workload: String, instance: String) -> String {
        "\(record.adding(["workload": .text(workload), "instance": .text(instance)]))\n"
    }
}
