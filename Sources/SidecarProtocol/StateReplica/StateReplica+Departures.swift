// Replicas that won't come back, because somebody has said so: here, with CRDT.FORGET, or on another replica,
// whose digests tell it. The log has a record of each, so that a restart knows it too.

extension StateReplica {
    /// Carries out what clients have said during the turn, and keeps what is new.
    mutating func keepDepartures() {
        for hash in facts.leaving { store.leave(hash) }
        if !facts.leaving.isEmpty { noteReplicas() }
        facts.leaving.removeAll()
        guard store.removed != keptDepartures else { return }
        for hash in store.removed.subtracting(keptDepartures).sorted() {
            var record: [UInt8] = []
            record.appendBigEndian(hash)
            do { lastRecord = try log.append(record, type: RecordType.departure, isReserved: true) } catch {
                return effects.append(.failed("a replica's departure can't be kept: \(error)"))
            }
        }
        keptDepartures = store.removed
    }

    /// A departure of the log. Of a replica of which the log has nothing else, nothing has to be forgotten.
    mutating func recoverDeparture(_ payload: [UInt8]) {
        store.leave(payload.reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// What CRDT.REPLICAS tells: as of the last round of gossip.
    mutating func noteReplicas() {
        facts.standings = store.standings
        facts.contexts = store.contexts
        facts.connected = gossip.peers.compactMap(\.replica)
        facts.refusedBy = gossip.peers.filter(\.refuses).map { "\($0.replica?.description ?? "\($0.id)")" }
    }
}

extension ReplicaFacts {
    var replicas: [ReplicaDescription] {
        var found: [ReplicaDescription] = []
        for (place, name) in names.enumerated() where place < standings.count {
            guard let standing = standings[place].name else { continue }
            let context = place == 0 ? seen : place < contexts.count ? contexts[place] : []
            var counters: [(name: String, counter: UInt64)] = []
            for (other, counter) in context.enumerated() where counter > 0 && other < names.count {
                guard other < standings.count, standings[other].hasContext else { continue }
                counters.append((names[other].description, counter))
            }
            found.append(
                ReplicaDescription(
                    name: name.description, standing: place == 0 ? "own" : standing,
                    isConnected: connected.contains(name), changes: place < seen.count ? seen[place] : 0,
                    seen: counters.sorted { $0.name < $1.name }))
        }
        return found.sorted { $0.name < $1.name }
    }

    /// - Returns: Why not; nil: it is done at the end of the turn.
    func forget(_ hash: UInt64) -> String? {
        guard let own = names.first, own.hash != hash else {
            return "this is the replica itself: forget it on another, once it has ended"
        }
        let name = ReplicaID(hash: hash, epoch: 0).description.dropLast(2)
        if connected.contains(where: { $0.hash == hash }) {
            return "replica \(name) is connected: end it first, since it couldn't come back"
        }
        guard names.contains(where: { $0.hash == hash && $0 != ReplicaTable.nobody }) else {
            return "no replica \(name) is known here: CRDT.REPLICAS lists them"
        }
        leaving.append(hash)
        return nil
    }
}

extension Standing {
    /// nil: the place is nobody's.
    fileprivate var name: String? {
        switch self {
        case .live: "live"
        case .left: "left"
        case .sealed: "sealed"
        case .retired: "retired"
        case .free: nil
        }
    }
}
