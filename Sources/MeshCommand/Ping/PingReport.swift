// What one sidecar says of its way to another workload.

struct PingReport {
    private let instance: Instance
    private let target: String
    /// The last answer.
    private var told = JSON.null
    private var failure: String?
    private var roundTrips: [Int] = []
    private(set) var isStranger = false

    init(_ instance: Instance, _ target: String) {
        self.instance = instance
        self.target = target
    }

    mutating func add(_ result: Result<AdminAnswer, AdminFailure>) {
        switch result {
        case .success(let answer) where answer.isOK:
            told = answer.json ?? .null
            failure = nil
            if let time = told["round_trip_us"].integer { roundTrips.append(time) }
        case .success(let answer):
            isStranger = answer.status == 404
            failure = answer.text
        case .failure(let why): failure = "its sidecar " + why.description
        }
    }

    private var isReached: Bool { failure == nil && told["session"] != .null && !roundTrips.isEmpty }

    private var isPermitted: Bool {
        (told["verdicts"].list + told["accepts"].list).contains { $0["verdict"].text != "deny" }
    }

    var exitCode: Int32 { isReached ? (isPermitted ? 0 : 3) : 1 }

    // MARK: Text

    var text: String {
        let head = "\(instance.workload) (\(instance.label)) -> \(target): "
        if let failure { return Table.visible(head + "failed: " + failure) + "\n" }
        guard isReached else { return Table.visible(head + unreached) + "\n" }
        var facts = Table(["", ""])
        let session = told["session"]
        let dialler = session["dialled_by"].text == "self" ? "this side" : "the other side"
        facts.add(["path", "\(told["endpoint"].text ?? "?"), dialled by \(dialler)"])
        facts.add(["session", sessionText(session)])
        facts.add([
            "peer",
            "\(session["peer_instance"].text?.prefix(8) ?? "?"), version \(session["peer_version"].text ?? "?"), "
                + "certificate until \(session["peer_certificate_not_after"].text ?? "?")",
        ])
        facts.add(["round trip", times])
        for (title, key) in [("may call", "verdicts"), ("is called at", "accepts")] {
            for port in told[key].list {
                facts.add([
                    title,
                    "\(port["port"].integer ?? 0)/\(port["protocol"].text ?? "?") \(port["verdict"].text ?? "?") "
                        + "(\(port["rule"].text ?? "?"))",
                ])
            }
        }
        return Table.visible(head + "reached") + "\n"
            + facts.text.split(separator: "\n").map { "  \($0)\n" }.joined()
    }

    private var unreached: String {
        guard told["session"] == .null else {
            return "no answer in the session; \(told["state"].text ?? "?")"
        }
        let places = told["announced_at"].list.compactMap(\.text)
        return "no session, \(told["state"].text ?? "?"); "
            + (places.isEmpty
                ? "it doesn't announce itself" : "announced at \(places.joined(separator: ", "))")
    }

    private func sessionText(_ session: JSON) -> String {
        "for \(Amount.span(milliseconds: session["age_ms"].integer)), \(session["handshake"].text ?? "?"), "
            + "\(session["flows"].integer ?? 0) flows, policy heads "
            + (session["head_equal"].bool == true ? "equal" : "differ")
    }

    private var times: String {
        let mean = roundTrips.reduce(0, +) / max(1, roundTrips.count)
        let all = [roundTrips.min() ?? 0, mean, roundTrips.max() ?? 0]
        return all.map(Amount.milliseconds(microseconds:)).joined(separator: " / ")
            + " ms (shortest, mean and longest of \(roundTrips.count))"
    }

    var json: JSON {
        told.isObject
            ? told.adding([
                "instance": .text(instance.id), "reached": .bool(isReached),
                "round_trips_us": .list(roundTrips.map(JSON.number)),
            ])
            : .object([
                "from": .text(instance.workload), "to": .text(target), "instance": .text(instance.id),
                "reached": .bool(false), "error": .text(failure ?? ""),
            ])
    }
}

extension JSON {
    fileprivate var isObject: Bool {
        if case .object = self { return true }
        return false
    }
}
