// The clients of a replica: a thin way to the server.

extension StateReplica {
    /// A connection; nil: there are as many as there may be.
    package mutating func accepted(from address: String, to local: String, at now: Now) -> ClientID? {
        server.open(address: address, localAddress: local, now: now)
    }

    package mutating func received(
        _ bytes: UnsafeRawBufferPointer, from client: ClientID, at now: Now
    ) {
        server.receive(bytes, from: client, now: now)
        if isServing { StateReplica.absorb(&server.keyspace, into: &store, at: now) }
    }

    /// The beginning of the turn's delta, where that is plain strings: see `ReplicatedStore.absorb`.
    private static func absorb(_ keyspace: inout Keyspace, into store: inout ReplicatedStore, at now: Now) {
        let count = keyspace.mutations.count
        store.absorb(&keyspace.mutations, at: now)
        if keyspace.mutations.isEmpty {
            keyspace.mutationBytes = 0
        } else if keyspace.mutations.count < count {
            keyspace.mutationBytes = keyspace.mutations.reduce(0) { $0 + $1.valueBytes }
        }
    }

    package mutating func closed(_ client: ClientID, at now: Now) { server.close(client, now: now) }

    /// The client doesn't take its answers, or takes them again.
    package mutating func paused(_ client: ClientID, _ isPaused: Bool) { server.setPaused(client, isPaused) }

    /// `mutating`, though nothing changes: else the whole replica is copied for the call.
    package mutating func wantsInput(from client: ClientID) -> Bool { server.wantsInput(client) }

    /// A sync runs that all answers wait for, those too that aren't given yet. Whoever asks meanwhile may be
    /// heard when it is over, with all the others at once: the answer doesn't leave sooner, whenever it is given.
    package var answersAwaitDisk: Bool {
        mutating get {
            guard settings.fsync == .always, isServing, mergeKeeping == .kept, server.writeRefusal == nil,
                let next = held.first
            else { return false }
            return next.record > durable && log.isSyncing
        }
    }

    /// Whether a job's outcome is to be handled at once; else it has time until the next turn.
    package var wantsOutcomes: Bool {
        mutating get { !isServing || log.wantsOutcomes }
    }

    /// Runs the scripts of EVAL and its relatives.
    package mutating func use(_ engine: any ScriptEngine) {
        hooks.scriptEngine = engine
        server.setHooks(hooks)
    }

    /// For a log line.
    package var summary: String { "replica \(store.replica), \(store.keyCount) keys" }
}

/// What INFO and WAIT are told of a replica: as of the last turn, since a command runs inside the server.
final class ReplicaFacts {
    /// What the store has seen of each replica that it knows.
    var seen: [UInt64] = []
    var names: [ReplicaID] = []
    var peers = 0
    var store = ReplicatedStore.Statistics()
    var gossip = StateGossip.Statistics()
    var log: StateLogStatus?
    var fsync = ""
    var acknowledged = 0
    /// Replicas whose changes are refused, and by how many milliseconds these lie ahead of the clock here.
    var clocksAhead: [(ReplicaID, Int64)] = []
    var replica = ""
    /// What others said and wasn't taken, in messages.
    var refusals: UInt64 = 0
    /// Those who take nothing from here.
    var refusedBy: [String] = []
    /// As of the last round of gossip.
    var standings: [Standing] = []
    var contexts: [[UInt64]] = []
    var connected: [ReplicaID] = []
    /// BGSAVE, during this turn.
    var wantsSnapshot = false
    var lastSnapshot: WallTime?
    /// Replicas of which a client has said, during this turn, that they won't come back.
    var leaving: [UInt64] = []
}

extension StateReplica {
    static func hooks(_ facts: ReplicaFacts, _ published: PublishedMessages) -> StateHooks {
        var hooks = StateHooks()
        hooks.sections = [
            (name: "crdt", heading: "CRDT", fields: { facts.crdtFields }),
            (name: "storage", heading: "Storage", fields: { facts.storageFields }),
        ]
        hooks.acknowledgedReplicas = { facts.acknowledged }
        hooks.beginSnapshot = { facts.wantsSnapshot = true }
        hooks.lastSnapshot = { facts.lastSnapshot }
        hooks.replicas = { facts.replicas }
        hooks.forget = { facts.forget($0) }
        hooks.published = { published.messages.append(($0, $1)) }
        return hooks
    }

    /// A peer has told how far it is.
    mutating func noteAcknowledgements() {
        facts.acknowledged = gossip.acknowledgements(of: store.version[store.replica], store: store)
    }

    mutating func noteFacts() {
        (facts.seen, facts.names) = (store.seen, store.replicas.names)
        facts.peers = gossip.peerIDs.count
        facts.store = store.statistics
        facts.gossip = gossip.statistics
        facts.log = log.status
        noteClocks()
    }
}

extension ReplicaFacts {
    fileprivate var crdtFields: [(String, String)] {
        [
            ("crdt_replica", replica),
            ("crdt_peers", String(peers)),
            (
                "crdt_version",
                zip(names, seen).filter { $0.1 > 0 }.map { "\($0):\($1)" }.sorted().joined(separator: ",")
            ),
            ("crdt_commits", String(store.commits)),
            ("crdt_joins", String(store.joins)),
            ("crdt_duplicates", String(store.duplicates)),
            ("crdt_waited", String(store.waited)),
            ("crdt_refused", String(refusals)),
            ("crdt_refused_by", refusedBy.joined(separator: ",")),
            ("crdt_clocks_ahead", clocksAhead.map { "\($0.0):\($0.1)" }.joined(separator: ",")),
            ("crdt_reconciliations", String(store.reconciliations)),
            ("crdt_messages_sent", String(gossip.messagesSent)),
            ("crdt_bytes_sent", String(gossip.bytesSent)),
            ("crdt_retransmissions", String(gossip.retransmissions)),
        ]
    }

    fileprivate var storageFields: [(String, String)] {
        guard let log else { return [] }
        return [
            ("storage_fsync", fsync),
            ("storage_records", String(log.last)),
            ("storage_durable", String(log.durable)),
            ("storage_segments", String(log.segments)),
            ("storage_bytes", String(log.bytes)),
            ("storage_snapshot_records", String(log.snapshotSequence)),
            ("storage_snapshot_bytes", String(log.snapshotBytes)),
            ("storage_syncs", String(log.syncs)),
            ("storage_unwritten_bytes", String(log.unwrittenBytes)),
            ("storage_full", log.isFull ? "1" : "0"),
        ]
    }
}

extension StateLogConfiguration.FsyncPolicy {
    var name: String {
        switch self {
        case .always: "always"
        case .interval: "interval"
        case .none: "none"
        }
    }

    /// What comes nearest among the values of Redis's `appendfsync`.
    var redisName: ByteString {
        switch self {
        case .always: "always"
        case .interval: "everysec"
        case .none: "no"
        }
    }
}
