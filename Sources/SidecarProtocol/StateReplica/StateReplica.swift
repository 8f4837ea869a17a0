// One replica of a workload's state: its clients' commands, the replicated store behind them, the log that
// keeps it, and the gossip that brings it to the others.
//
// Theory of operation
//
//       clients ──▶ StateServer ── mutations ──▶ ReplicatedStore ── delta ──▶ StateLog ──▶ disk
//                       ▲                            ▲     │
//                       └──────── mutations ─────────┘     └── delta ──▶ StateGossip ◀──▶ replicas
//
//   A shell hands in what happens and carries out the effects; `endTurn` closes each turn of its loop. Then
//   what the clients' commands changed becomes one delta, which goes to the log and to the replicas, and the
//   answers may leave: at once, or, under `fsync: always`, when the log says that the delta is on disk.
//   Answers keep the order in which they were given, so that one which waits holds up those behind it.
//
//   What replicas send is joined, put into the log and shown to the clients. The log holds deltas, own and
//   others', and to join them again changes nothing; so a snapshot of the store, taken while deltas go on,
//   and the deltas behind it make the store again, in whatever state the process died. A whole state that was
//   taken over from another replica is in no record: a snapshot follows, and answers wait for that too.
//
//   Each start takes a new epoch of the replica's name, which is on disk before the first command runs. So no
//   dot is ever used twice, though the last deltas of the epoch before may have reached others and not the
//   disk: they come back as another replica's.

package struct StateReplica: ~Copyable {
    package enum Effect {
        case perform(DiskJob)
        case send([UInt8], to: InstanceID)
        /// Clients are served from here on.
        case ready
        /// The log can't be opened, or an answer can't be kept: the process must end.
        case failed(String)
        case log(LogLevel, String)
        case closed
    }

    package struct Settings: Sendable {
        /// What names this replica for good: its folder, and the identity.
        package var name: [UInt8]
        package var group: StateGroup
        package var fsync: StateLogConfiguration.FsyncPolicy
        package var server: StateConfiguration
        /// Random, for the keyspace's hashes and dice.
        package var seed: UInt64
        package var segmentBytes: Int

        package init(
            name: [UInt8], group: StateGroup, fsync: StateLogConfiguration.FsyncPolicy,
            server: StateConfiguration, seed: UInt64, segmentBytes: Int = Limits.stateSegmentBytes
        ) {
            self.name = name
            self.group = group
            self.fsync = fsync
            self.server = server
            self.seed = seed
            self.segmentBytes = segmentBytes
        }
    }

    enum Phase {
        case opening
        /// The new epoch is on its way to the disk.
        case beginning(record: UInt64)
        case serving
        case closing
        case ended
    }

    package internal(set) var server: StateServer
    package var store: ReplicatedStore
    var gossip: StateGossip
    /// Replicas that came before the own log was read.
    var early: [InstanceID] = []
    package internal(set) var log: StateLog
    var phase = Phase.opening
    let settings: Settings
    /// The highest epoch of the own name that the log knows.
    var lastEpoch: UInt32 = 0
    /// Replicas that won't come back, as the log knows it.
    var keptDepartures: Set<UInt64> = []
    /// Replicas whose changes wait for the clocks.
    var clockRefusals: [ReplicaID: ClockRefusal] = [:]
    var refusals = RefusalNotes()
    let facts = ReplicaFacts()
    let published = PublishedMessages()
    var hooks: StateHooks
    /// The log has outgrown its snapshot, or the store holds what no record of the log says.
    var isSnapshotWanted = false
    var mergeKeeping = MergeKeeping.kept
    /// The snapshot that is read, while the log opens.
    var snapshot: StateImport?
    /// The snapshot that is written, and its next piece, where the log had no room for it.
    var export: StateExport?
    var refusedPiece: [UInt8]?
    /// Answers that wait for the disk, in their order.
    var held: [HeldAnswer] = []
    /// The last record of the log that the answers of this turn follow upon, and how far the disk is.
    var lastRecord: UInt64 = 0
    var durable: UInt64 = 0
    var effects: [Effect] = []
    /// Empty: what the next turn's changes are taken into.
    private var taken: [Mutation] = []

    struct HeldAnswer {
        let client: ClientID
        let bytes: [UInt8]
        let closes: Bool
        let record: UInt64
    }

    enum RecordType {
        static let delta: UInt8 = 1
        /// An epoch that the own replica has begun: 4 bytes, big-endian.
        static let epoch: UInt8 = 2
        /// A replica that won't come back: the hash of its name, 8 bytes, big-endian.
        static let departure: UInt8 = 3
    }

    package init(_ settings: Settings, at now: Now) {
        self.settings = settings
        let replica = ReplicaID(naming: settings.name, epoch: 0)
        var configuration = settings.server
        configuration.keyspace = .replicated
        configuration.remember("appendfsync", settings.fsync.redisName)
        configuration.keyspace.streamSequence = replica.hash % (KeyspaceSettings.streamSequenceStep - 1) + 1
        server = StateServer(configuration: configuration, seed: settings.seed, now: now)
        store = ReplicatedStore(replica: replica, hash: server.keyspace.hash)
        gossip = StateGossip(group: settings.group)
        log = StateLog(
            configuration: StateLogConfiguration(
                group: settings.group, segmentBytes: settings.segmentBytes, fsync: settings.fsync))
        hooks = StateReplica.hooks(facts, published)
        server.setHooks(hooks)
    }

    package var isServing: Bool {
        if case .serving = phase { return true }
        return false
    }

    // MARK: Life

    /// Reads the log. `ready` or `failed` follows.
    package mutating func open(at now: Now, effects: inout [Effect]) {
        var jobs: [StateLogEffect] = []
        log.open(effects: &jobs)
        carryOut(jobs, at: now)
        take(&effects)
    }

    /// Writes what isn't written, and that the log ended in order; then `closed`.
    package mutating func close(at now: Now, effects: inout [Effect]) {
        if isServing {
            commit(at: now)
            keepDepartures()
        }
        phase = .closing
        var jobs: [StateLogEffect] = []
        log.close(at: now.monotonic, effects: &jobs)
        carryOut(jobs, at: now)
        take(&effects)
    }

    package mutating func handle(_ outcome: DiskOutcome, at now: Now, effects: inout [Effect]) {
        var jobs: [StateLogEffect] = []
        log.handle(outcome, at: now.monotonic, effects: &jobs)
        carryOut(jobs, at: now)
        take(&effects)
    }

    // MARK: Time and turns

    /// Does what time has made due, and puts on its way what this turn has changed.
    package mutating func endTurn(at now: Now, effects: inout [Effect]) {
        if isServing {
            server.isHeld = isBehind
            server.advance(to: now)
            commit(at: now)
            sendPublished()
            gossipDeadline(at: now)
            keepDepartures()
            noteConditionals()
        }
        var jobs: [StateLogEffect] = []
        if let deadline = log.nextDeadline, deadline <= now.monotonic {
            log.handleDeadline(at: now.monotonic, effects: &jobs)
        }
        if isServing { beginSnapshot() }
        log.flush(at: now.monotonic, effects: &jobs)
        carryOut(jobs, at: now)
        if isServing { noteFacts() }
        server.isHeld = isBehind
        take(&effects)
    }

    /// The disk is slower than the changes: clients and replicas wait, and nothing more piles up here.
    var isBehind: Bool { log.unwrittenBytes > Limits.replicatedBacklogBytesMaximum }

    package mutating func nextDeadline() -> MonotonicTime? {
        guard isServing else { return log.nextDeadline }
        return .earlier(.earlier(server.nextDeadline, log.nextDeadline), gossip.nextDeadline)
    }

    mutating func take(_ out: inout [Effect]) {
        out += effects
        effects.removeAll(keepingCapacity: true)
    }
}

// MARK: - Changes

extension StateReplica {
    /// What the clients' commands changed goes to the log and to the replicas.
    mutating func commit(at now: Now) {
        let isOne = server.keyspace.mutationBytes <= Limits.replicatedDeltaBytesMaximum
        var mutations: [Mutation] = []
        swap(&mutations, &taken)
        server.keyspace.swapMutations(&mutations)
        var start = 0
        while start < mutations.count || store.open != nil {
            let end = isOne ? mutations.count : start + mutations[start...].countForDelta
            if store.commit(mutations[start..<end], at: now) {
                keep(store.committed)
                gossip(.committed, at: now)
            }
            start = end
        }
        mutations.removeAll(keepingCapacity: mutations.capacity <= 1 << 11)
        swap(&mutations, &taken)
        correct(at: now)
    }

    /// What the keyspace couldn't know as it ran the command.
    private mutating func correct(at now: Now) {
        guard !store.corrections.isEmpty else { return }
        let corrections = store.corrections
        store.corrections = []
        show(corrections, at: now)
    }

    /// What others changed is shown to the clients.
    mutating func show(_ mutations: [Mutation], at now: Now) {
        guard !mutations.isEmpty else { return }
        // First, so that what a woken client changes comes after.
        commit(at: now)
        server.apply(mutations, now: now)
    }

    /// It has happened, so it isn't refused; `isBehind` and the refusal of writes see to it that there is an end.
    mutating func keep(_ delta: [UInt8]) {
        do { lastRecord = try log.append(delta, type: RecordType.delta, isReserved: true) } catch {
            // The store has it already, so that an answer would promise what a restart forgets.
            effects.append(.failed("a change can't be kept: \(error)"))
        }
    }
}

// MARK: - Answers

extension StateReplica {
    /// Visits the answers that may leave.
    package mutating func takeOutput(
        _ visit: (ClientID, UnsafeRawBufferPointer, _ closes: Bool) -> Void
    ) {
        let mustWait = settings.fsync == .always
        if mustWait, lastRecord > durable || !held.isEmpty || mergeKeeping != .kept {
            hold(visit)
            release(visit)
        } else {
            server.takeOutput(visit)
        }
    }
    /// On a full disk only those wait that changed something before it was known to be full, and what
    /// follows them on their connections.
    private mutating func hold(_ visit: (ClientID, UnsafeRawBufferPointer, _ closes: Bool) -> Void) {
        let (record, isFull) = (lastRecord, server.writeRefusal != nil)
        var added: [HeldAnswer] = []
        let waiting = isFull ? Set(held.map(\.client)) : []
        server.takeOutput { client, bytes, closes in
            if isFull, !waiting.contains(client) { return visit(client, bytes, closes) }
            added.append(HeldAnswer(client: client, bytes: Array(bytes), closes: closes, record: record))
        }
        held += added
    }

    private mutating func release(_ visit: (ClientID, UnsafeRawBufferPointer, _ closes: Bool) -> Void) {
        guard mergeKeeping == .kept else { return }
        var released = 0
        while released < held.count, held[released].record <= durable {
            let answer = held[released]
            answer.bytes.withUnsafeBytes { visit(answer.client, $0, answer.closes) }
            released += 1
        }
        held.removeFirst(released)
    }
}

extension ArraySlice<Mutation> {
    /// How many of them one delta takes: all, unless they are larger than what a record holds.
    var countForDelta: Int {
        var bytes = 0
        for (place, mutation) in enumerated() {
            bytes += mutation.valueBytes
            if bytes > Limits.replicatedDeltaBytesMaximum { return Swift.max(place, 1) }
        }
        return count
    }
}
