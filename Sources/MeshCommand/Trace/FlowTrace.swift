// One flow as both of its sidecars tell it, joined. Pure: from records to a timeline and differences.

import SidecarProtocol

struct FlowTrace {
    /// Which sidecar tells.
    enum Side: String, CaseIterable {
        case caller
        case callee
    }

    struct Entry {
        let side: Side
        /// `namespace/name` of the workload whose sidecar tells.
        let workload: String
        let instance: String
        let record: JSON
        /// Told by an admin socket now, not read from a file.
        let isLive: Bool
        let time: String

        init(side: Side, workload: String, instance: String, record: JSON, isLive: Bool) {
            (self.side, self.workload, self.instance) = (side, workload, instance)
            (self.record, self.isLive) = (record, isLive)
            time = record["time"].text ?? ""
        }

        var event: String { isLive ? "live" : record["event"].text ?? "?" }
        var sent: Int? { record["bytes_sent"].integer }
        var received: Int? { record["bytes_recv"].integer }
        var isEnd: Bool { event == "close" || event == "refused" }
    }

    /// What the two ends don't say alike.
    struct Difference: Equatable {
        let what: String
        let caller: String
        let callee: String
    }

    let id: String
    private(set) var entries: [Entry] = []
    /// Minutely records beyond those that are kept.
    private(set) var omitted = 0

    /// Enough for a flow's beginning, its end and a day of its minutes at both ends.
    static let entriesMaximum = 4_096

    init(id: String) { self.id = id }

    /// Takes a record of this flow; false where it doesn't say which end tells it.
    @discardableResult
    mutating func add(_ record: JSON, workload: String, instance: String, isLive: Bool = false) -> Bool {
        guard let side = FlowTrace.side(of: record) else { return false }
        if record["event"].text == "minute", !isLive, entries.count >= FlowTrace.entriesMaximum {
            omitted += 1
            return true
        }
        let entry = Entry(
            side: side, workload: workload, instance: instance, record: record, isLive: isLive)
        entries.insert(entry, at: place(of: entry.time))
        return true
    }

    /// Behind all that isn't later: records mostly come in time's order.
    private func place(of time: String) -> Int {
        var place = entries.count
        while place > 0, time < entries[place - 1].time { place -= 1 }
        return place
    }

    private static func side(of record: JSON) -> Side? {
        switch record["direction"].text {
        case "outbound": .caller
        case "inbound": .callee
        default: nil
        }
    }

    /// What an end said last: its end, where the flow has one, else what it says now.
    func last(_ side: Side) -> Entry? {
        let own = entries.filter { $0.side == side }
        return own.last(where: \.isEnd) ?? own.last(where: \.isLive) ?? own.last
    }

    /// The sides that say nothing.
    var silent: [Side] { Side.allCases.filter { last($0) == nil } }

    // MARK: What differs

    var differences: [Difference] {
        guard let caller = last(.caller), let callee = last(.callee) else { return [] }
        var found: [Difference] = []
        func compare(_ what: String, _ caller: String?, _ callee: String?) {
            guard let caller, let callee, !caller.isEmpty, !callee.isEmpty, caller != callee else { return }
            found.append(Difference(what: what, caller: caller, callee: callee))
        }
        for (name, key) in [("source", "src"), ("destination", "dst")] {
            compare(
                "\(name) identity", caller.record[key]["identity"].text, callee.record[key]["identity"].text)
            compare(
                "\(name) version", caller.record[key]["version"].text, callee.record[key]["version"].text)
        }
        compare("protocol", caller.record["protocol"].text, callee.record["protocol"].text)
        compare(
            "port", caller.record["port"].integer.map(String.init),
            callee.record["port"].integer.map(String.init))
        compare("verdict", caller.record["verdict"].text, callee.record["verdict"].text)
        compare("policy head", FlowTrace.head(caller.record), FlowTrace.head(callee.record))
        compare("state", FlowTrace.state(caller), FlowTrace.state(callee))
        // While it is open, bytes are under way and each end counts its own.
        guard caller.isEnd, callee.isEnd else { return found }
        compare("reason", caller.record["reason"].text, callee.record["reason"].text)
        compare("bytes to the callee", FlowTrace.sent(caller.sent), FlowTrace.got(callee.received))
        compare("bytes to the caller", FlowTrace.got(caller.received), FlowTrace.sent(callee.sent))
        // Told apart by their numbers alone.
        return found.filter { difference in
            !difference.what.hasPrefix("bytes")
                || difference.caller.filter(\.isNumber) != difference.callee.filter(\.isNumber)
        }
    }

    private static func sent(_ count: Int?) -> String? { count.map { "sent \($0)" } }
    private static func got(_ count: Int?) -> String? { count.map { "received \($0)" } }
    private static func state(_ entry: Entry) -> String { entry.isEnd ? "ended" : "open" }

    private static func head(_ record: JSON) -> String? {
        let head = record["policy"]["head"]
        guard let epoch = head["epoch"].integer, let hash = head["hash"].text else { return nil }
        return "\(epoch)/\(hash.prefix(8))"
    }
}

/// The flows whose ids begin with some digits: one, it is hoped.
struct FlowSearch {
    let prefix: String
    private(set) var traces: [String: FlowTrace] = [:]
    /// More ids than are named.
    private(set) var isCrowded = false

    static let flowsMaximum = 32

    init(prefix: String) { self.prefix = prefix.lowercased() }

    mutating func add(_ record: JSON, workload: String, instance: String, isLive: Bool = false) {
        guard let id = record["flow_id"].text, id.hasPrefix(prefix) else { return }
        guard traces[id] != nil || traces.count < FlowSearch.flowsMaximum else {
            isCrowded = true
            return
        }
        traces[id, default: FlowTrace(id: id)].add(
            record, workload: workload, instance: instance, isLive: isLive)
    }
}
