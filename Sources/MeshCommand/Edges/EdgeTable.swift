// Who talks to whom: flows added up by caller, callee and port. Pure, and bounded.
//
// A flow is told twice, once at each end, and either end's files may be gone or out of reach. So each end is
// added up by itself, and what an edge shows is the larger of the two counts.

import SidecarProtocol

struct Edge {
    let source: String
    let destination: String
    /// Whether the destination is an address outside the mesh.
    let isOutside: Bool
    let port: Int
    let flowProtocol: String
    fileprivate(set) var atCaller = Tally()
    fileprivate(set) var atCallee = Tally()
    /// Of the newest record.
    fileprivate(set) var last = ""

    /// What one end says.
    struct Tally {
        fileprivate(set) var opened = 0
        fileprivate(set) var closed = 0
        fileprivate(set) var live = 0
        fileprivate(set) var refused = 0
        fileprivate(set) var denied = 0
        fileprivate(set) var toCallee = 0
        fileprivate(set) var toCaller = 0

        /// Of some flows only the end, or nothing but that they are open, may still be told.
        var flows: Int { max(opened, closed &+ live) }
        var isEmpty: Bool { flows == 0 && refused == 0 && denied == 0 }
    }

    private func larger(_ value: (Tally) -> Int) -> Int { max(value(atCaller), value(atCallee)) }

    var flows: Int { larger(\.flows) }
    var open: Int { larger(\.live) }
    /// Flows that were allowed, and never opened.
    var refused: Int { larger(\.refused) }
    /// Refusals by a rule: one a session and decision, or one an attempt to leave the mesh.
    var denied: Int { larger(\.denied) }
    var bytesToCallee: Int { larger(\.toCallee) }
    var bytesToCaller: Int { larger(\.toCaller) }

    var seenBy: [String] {
        (atCaller.isEmpty ? [] : ["caller"]) + (atCallee.isEmpty ? [] : ["callee"])
    }

    var service: String { "\(port)/\(flowProtocol)" }
}

struct EdgeTable {
    private var places: [Key: Int] = [:]
    private var edges: [Edge] = []
    /// Of the line that is looked at; kept for its room.
    private var key = Key()
    /// Records of edges beyond those that are kept.
    private(set) var omitted = 0
    /// Lines that aren't records.
    private(set) var unreadable = 0

    static let edgesMaximum = 10_000

    /// Caller, callee, port and protocol, hashed at once: an array would be hashed byte by byte.
    private struct Key: Hashable {
        var bytes: [UInt8] = []

        func hash(into hasher: inout Hasher) {
            bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
    }

    /// By caller, callee and port.
    var sorted: [Edge] {
        edges.sorted {
            ($0.source, $0.destination, $0.port, $0.flowProtocol)
                < ($1.source, $1.destination, $1.port, $1.flowProtocol)
        }
    }

    /// - Parameter isLive: told by an admin socket: a flow that is open now, with its bytes so far.
    mutating func add(_ bytes: UnsafeRawBufferPointer, isLive: Bool = false) {
        guard let line = RecordLine(bytes) else {
            if RecordLine.isAside(bytes) { return }
            unreadable += 1
            return
        }
        guard let place = place(of: line) else { return }
        let isCaller = line.isEqual(line.direction, "outbound")
        let (sent, received) = (line.number(line.sent), line.number(line.received))
        func count(_ tally: inout Edge.Tally) {
            func addBytes() {
                tally.toCallee = EdgeTable.sum(tally.toCallee, isCaller ? sent : received)
                tally.toCaller = EdgeTable.sum(tally.toCaller, isCaller ? received : sent)
            }
            if isLive {
                tally.live += 1
                addBytes()
            } else if line.isEqual(line.event, "open") {
                tally.opened += 1
            } else if line.isEqual(line.event, "close") {
                tally.closed += 1
                addBytes()
            } else if line.isEqual(line.event, "denied") {
                tally.denied += 1
            } else if line.isEqual(line.event, "refused") {
                tally.refused += 1
            }
        }
        if isCaller { count(&edges[place].atCaller) } else { count(&edges[place].atCallee) }
        let time = line.text(line.time)
        if time > edges[place].last { edges[place].last = time }
    }

    /// Nil, and counted, where there is no more room.
    private mutating func place(of line: RecordLine) -> Int? {
        let isOutside = line.destination.isEmpty
        let destination = isOutside ? EdgeTable.host(line) : line.destination
        key.bytes.removeAll(keepingCapacity: true)
        line.append(line.source, to: &key.bytes)
        line.append(destination, to: &key.bytes)
        line.append(line.port, to: &key.bytes)
        line.append(line.flowProtocol, to: &key.bytes)
        if let place = places[key] { return place }
        guard edges.count < EdgeTable.edgesMaximum else {
            omitted += 1
            return nil
        }
        edges.append(
            Edge(
                source: line.text(line.source), destination: line.text(destination), isOutside: isOutside,
                port: line.number(line.port), flowProtocol: line.text(line.flowProtocol)))
        places[key] = edges.count - 1
        return edges.count - 1
    }

    /// The address without its port.
    private static func host(_ line: RecordLine) -> Range<Int> {
        let range = line.destinationAddress
        let colon = line.bytes[range].lastIndex(of: UInt8(ascii: ":")) ?? range.upperBound
        return range.lowerBound..<colon
    }

    /// Stops at the end of the scale.
    private static func sum(_ left: Int, _ right: Int) -> Int {
        let (sum, over) = left.addingReportingOverflow(right)
        return over ? Int.max : sum
    }
}

extension Edge {
    /// As people read it: without the trust domain.
    static func name(_ identity: String) -> String {
        (try? SPIFFEIdentity(parsing: identity))?.workload?.description ?? identity
    }

    var label: String {
        var parts = [service]
        if flows > 0 { parts.append("\(flows) \(flows == 1 ? "flow" : "flows")") }
        if bytesToCallee > 0 || bytesToCaller > 0 {
            parts.append("\(Amount.bytes(bytesToCallee)) → ← \(Amount.bytes(bytesToCaller))")
        }
        if denied > 0 { parts.append("\(denied) denied") }
        if refused > 0 { parts.append("\(refused) refused") }
        return parts.joined(separator: ", ")
    }

    /// Whether nothing ever went over it.
    var isOnlyDenied: Bool { flows == 0 && denied > 0 }
}
