// One peer: what it is known to have, and what is on its way to it.

extension StateGossip {
    struct Peer: Sendable {
        let id: InstanceID
        /// As its first digest says.
        var replica: ReplicaID?
        /// Of its last digest.
        var digestNumber: UInt64 = 0
        /// What it has said that it has, or has sent itself.
        var known = VersionVector()
        /// What has been sent, or was known already.
        var sent = VersionVector()
        var lastDigest: VersionVector?
        /// Other origins whose deltas it is sent.
        var relays: [ReplicaID] = []
        var flights: [Flight] = []
        var inFlight = 0
        /// How much has been sent of a delta that doesn't fit one message, the next of its origin.
        var partial: GossipMessage.PartProgress?
        /// A piece has been acknowledged since the last digest.
        var hasProgressed = false
        var assembly = PartAssembly()
        /// It knows, since its last digest, that the log can't help it.
        var isToldTruncated = false
        /// It has said last that it takes nothing from here.
        var refuses = false
        var fetch: StateFetch?
        var serve: StateServe?

        struct Flight: Sendable {
            var origin: ReplicaID
            var to: UInt64
            /// The end of a piece; nil: the delta is whole.
            var end: UInt64?
            var bytes: Int
        }

        init(id: InstanceID) { self.id = id }
    }
}

extension StateGossip.Peer {
    mutating func note(_ origin: ReplicaID, _ counter: UInt64) {
        if known[origin] < counter { known[origin] = counter }
        if sent[origin] < counter { sent[origin] = counter }
    }

    mutating func relay(_ origin: ReplicaID) {
        if !relays.contains(origin) {
            relays.append(origin)
            relays.sort()
        }
    }

    /// It has told the same of this origin twice.
    func stalls(_ origin: ReplicaID) -> Bool {
        lastDigest.map { $0[origin] == known[origin] } ?? false
    }

    /// - Returns: How many origins are sent again from where the peer has stopped.
    mutating func receiveDigest(_ version: VersionVector) -> UInt64 {
        acknowledge(version, nil)
        guard let last = lastDigest else { return 0 }
        var again: UInt64 = 0
        for entry in sent.entries where entry.counter > known[entry.replica] {
            guard last[entry.replica] == known[entry.replica] else { continue }
            sent[entry.replica] = known[entry.replica]
            flights.removeAll { $0.origin == entry.replica }
            again += 1
        }
        if let stuck = partial, !hasProgressed {
            partial = nil
            flights.removeAll { $0.origin == stuck.origin }
            again += 1
        }
        hasProgressed = false
        inFlight = flights.reduce(0) { $0 + $1.bytes }
        return again
    }

    mutating func acknowledge(_ version: VersionVector, _ progress: GossipMessage.PartProgress?) {
        for entry in version.entries { note(entry.replica, entry.counter) }
        flights.removeAll { flight in
            if known[flight.origin] >= flight.to { return true }
            guard let progress, let end = flight.end else { return false }
            hasProgressed = true
            return progress.origin == flight.origin && end <= progress.offset
        }
        inFlight = flights.reduce(0) { $0 + $1.bytes }
        if let partial, known[partial.origin] >= partial.from { self.partial = nil }
    }
}

// MARK: - Sending

extension StateGossip {
    /// Sends what the peer lacks of our own deltas, and of those that it is relayed, as far as there is room.
    mutating func pump(_ index: Int, _ store: ReplicatedStore, _ effects: inout [Effect]) {
        // Before its first digest nobody knows what it has.
        guard peers[index].lastDigest != nil else { return }
        push(store.replica, index, store, &effects)
        for origin in peers[index].relays {
            let before = peers[index].sent[origin]
            push(origin, index, store, &effects)
            statistics.relayed += peers[index].sent[origin] &- before
            if peers[index].sent[origin] >= store.counter(of: origin) {
                peers[index].relays.removeAll { $0 == origin }
            }
        }
    }

    private mutating func push(
        _ origin: ReplicaID, _ index: Int, _ store: ReplicatedStore, _ effects: inout [Effect]
    ) {
        while peers[index].inFlight < Limits.gossipInFlightBytesMaximum,
            peers[index].sent[origin] < store.counter(of: origin)
        {
            guard let records = store.records(of: origin, from: peers[index].sent[origin] + 1) else {
                guard !peers[index].isToldTruncated else { return }
                peers[index].isToldTruncated = true
                return send(.truncated(origin), index, &effects)
            }
            guard let first = records.first else { return }
            if first.bytes.count > Limits.gossipMessageBytesMaximum - GossipMessage.overhead {
                pushPart(first, origin, index, &effects)
                continue
            }
            var deltas: [[UInt8]] = []
            var room = Limits.gossipMessageBytesMaximum - GossipMessage.overhead
            var to: UInt64 = 0
            for record in records {
                guard record.bytes.count + 4 <= room else { break }
                room -= record.bytes.count + 4
                deltas.append(record.bytes)
                to = record.to
            }
            if deltas.isEmpty {
                deltas = [first.bytes]
                to = first.to
            }
            fly(origin, to, nil, deltas.reduce(0) { $0 + $1.count }, index)
            peers[index].sent[origin] = to
            send(.deltas(deltas), index, &effects)
        }
    }

    private mutating func pushPart(
        _ record: DeltaLog.Record, _ origin: ReplicaID, _ index: Int, _ effects: inout [Effect]
    ) {
        var progress = GossipMessage.PartProgress(origin: origin, from: record.from, offset: 0)
        if let partial = peers[index].partial, partial.origin == origin, partial.from == record.from {
            progress = partial
        }
        let start = Int(progress.offset)
        let end = min(
            start + Limits.gossipMessageBytesMaximum - GossipMessage.overhead, record.bytes.count)
        fly(origin, record.to, UInt64(end), end - start, index)
        progress.offset = UInt64(end)
        peers[index].partial = progress
        if end == record.bytes.count {
            peers[index].partial = nil
            peers[index].sent[origin] = record.to
        }
        send(
            .part(
                GossipMessage.Part(
                    origin: origin, from: record.from, total: UInt64(record.bytes.count),
                    offset: UInt64(start), bytes: Array(record.bytes[start..<end]))),
            index, &effects)
    }

    private mutating func fly(_ origin: ReplicaID, _ to: UInt64, _ end: UInt64?, _ bytes: Int, _ index: Int) {
        peers[index].flights.append(Peer.Flight(origin: origin, to: to, end: end, bytes: bytes))
        peers[index].inFlight += bytes
    }
}

extension ReplicatedStore {
    func counter(of replica: ReplicaID) -> UInt64 { replicas.place(of: replica).map { seen[$0] } ?? 0 }

    func records(of replica: ReplicaID, from counter: UInt64) -> ArraySlice<DeltaLog.Record>? {
        replicas.place(of: replica).flatMap { log.records(of: $0, from: counter) }
    }
}

/// A delta that comes in pieces, one at a time. Pieces may come in any order within the sender's window.
struct PartAssembly: Sendable {
    private(set) var bytes: [UInt8] = []
    private var origin: ReplicaID?
    private var from: UInt64 = 0
    private var total: UInt64 = 0
    private var waiting: [GossipMessage.Part] = []

    /// - Returns: The whole delta, once its last piece is here.
    mutating func add(_ part: GossipMessage.Part) -> [UInt8]? {
        if origin != part.origin || from != part.from || total != part.total {
            self = PartAssembly()
            (origin, from, total) = (part.origin, part.from, part.total)
        }
        guard part.offset >= UInt64(bytes.count), !waiting.contains(part) else { return nil }
        let held = waiting.reduce(0) { $0 + $1.bytes.count }
        if part.offset > UInt64(bytes.count) {
            guard held + part.bytes.count <= Limits.gossipInFlightBytesMaximum * 2 else { return nil }
            waiting.append(part)
            return nil
        }
        bytes += part.bytes
        while let next = waiting.firstIndex(where: { $0.offset == UInt64(bytes.count) }) {
            bytes += waiting.remove(at: next).bytes
        }
        waiting.removeAll { $0.offset < UInt64(bytes.count) }
        guard UInt64(bytes.count) == total else { return nil }
        defer { self = PartAssembly() }
        return bytes
    }
}
