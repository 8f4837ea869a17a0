import SidecarProtocol

/// A replica's core on a simulated disk, with clients that speak RESP and messages that wait to be carried.
package final class SimulatedReplica {
    package private(set) var id: InstanceID
    package var disk = SimulatedDisk()
    package var settings: StateReplica.Settings
    package private(set) var isReady = false
    package private(set) var failure: String?
    package private(set) var logged: [String] = []
    package private(set) var isClosed = false
    /// What is on its way to others.
    package var outbox: [(to: InstanceID, message: [UInt8])] = []
    package var now: Now
    /// The process ends before its next effect, or operation of the disk, but so many; nil: it goes on.
    package var effectsLeft: Int?
    package private(set) var isDead = false
    /// Of the core, on purpose.
    package var mutant = ReplicatedStore.Mutant.none

    private var replica: StateReplica
    private var queue = SimulatedDiskQueue()
    private var replies: [ClientID: [UInt8]] = [:]

    package init(
        _ number: UInt8, group: StateGroup, fsync: StateLogConfiguration.FsyncPolicy = .always,
        segmentBytes: Int = Limits.stateSegmentBytesMinimum
    ) {
        id = InstanceID([UInt8](repeating: number, count: 16))!
        now = Now(
            monotonic: MonotonicTime(nanoseconds: 1_000_000_000), wall: WallTime(seconds: 1_800_000_000))
        var server = StateConfiguration()
        server.consistency = .eventual
        settings = StateReplica.Settings(
            name: [number], group: group, fsync: fsync, server: server, seed: UInt64(number),
            segmentBytes: segmentBytes)
        replica = StateReplica(settings, at: now)
        restart()
    }

    package var operations: Int { queue.operations }
    /// What the disk does next; nil: nothing, or a job without operations.
    package var nextOperation: DiskOperation? { queue.next }
    package var isDiskIdle: Bool { queue.isIdle }

    /// As a process that is killed, and started again; with an `id`, as another instance.
    package func restart(as id: InstanceID? = nil) {
        queue.forget()
        self.id = id ?? self.id
        (replies, outbox) = ([:], [])
        (isReady, failure, isClosed) = (false, nil, false)
        (effectsLeft, isDead) = (nil, false)
        replica = StateReplica(settings, at: now)
        turn { $0.open(at: $1, effects: &$2) }
    }

    package func losePower(random: inout SeededRandom) {
        disk.losePower(random: &random)
        restart()
    }

    /// What it has sent is on its way; nothing else of it goes on.
    package func kill() {
        isDead = true
        queue.forget()
        replies = [:]
    }

    /// False: the process has ended, or ends here.
    private func goesOn() -> Bool {
        if effectsLeft == 0 { kill() }
        if let left = effectsLeft { effectsLeft = left - 1 }
        return !isDead
    }

    package func close() { turn { $0.close(at: $1, effects: &$2) } }

    // MARK: Clients

    package func connect() -> ClientID { replica.accepted(from: "client", to: "state", at: now)! }

    package func send(_ words: String..., from client: ClientID) { send(words, from: client) }

    private func send(_ words: [String], from client: ClientID) {
        send(SimulatedReplica.request(words), from: client)
    }

    /// Requests as they are on the wire, all in one turn.
    package func send(_ requests: [UInt8], from client: ClientID) {
        requests.withUnsafeBytes { replica.received($0, from: client, at: now) }
        turn { _, _, _ in }
    }

    package static func request(_ words: [String]) -> [UInt8] {
        var request = Array("*\(words.count)\r\n".utf8)
        for word in words { request += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
        return request
    }

    /// The client has closed its connection.
    package func hangUp(_ client: ClientID) {
        replica.closed(client, at: now)
        turn { _, _, _ in }
    }

    package func wantsInput(_ client: ClientID) -> Bool { replica.wantsInput(from: client) }

    /// What has come back since the last call.
    package func takeReplies(_ client: ClientID) -> String {
        String(decoding: takeReplyBytes(client), as: UTF8.self)
    }

    package func takeReplyBytes(_ client: ClientID) -> [UInt8] {
        replies.isEmpty ? [] : replies.removeValue(forKey: client) ?? []
    }

    /// Sends one request, lets the disk finish, and takes the answer.
    package func ask(_ words: String...) -> String {
        let client = connect()
        send(words, from: client)
        settle()
        defer { replica.closed(client, at: now) }
        return takeReplies(client)
    }

    // MARK: Others

    package func meet(_ other: InstanceID) { turn { $0.replicaUp(other, at: $1, effects: &$2) } }
    package func part(_ other: InstanceID) { turn { $0.replicaDown(other, at: $1, effects: &$2) } }
    package func receive(_ message: [UInt8], from other: InstanceID) {
        turn { $0.received(message, from: other, at: $1, effects: &$2) }
    }

    // MARK: Inside

    package var name: ReplicaID { replica.store.replica }
    package var version: VersionVector { replica.store.version }
    package var statistics: ReplicatedStore.Statistics { replica.store.statistics }
    package var stateHash: UInt64 { replica.store.stateHash() }
    /// What the store has for the clients, and what they have.
    package var shown: [Mutation] { replica.store.shown() }
    package var keyspaceDigest: [UInt8] { replica.server.keyspace.digest() }

    // MARK: Time and the disk

    package var nextDeadline: MonotonicTime? { replica.nextDeadline() }

    /// What time has made due.
    package func wake() { turn { _, _, _ in } }

    package func pass(_ span: MonotonicTime.Span) {
        now.monotonic = now.monotonic + span
        now.wall.milliseconds += Int64(span.nanoseconds / 1_000_000)
        wake()
    }

    /// Performs one operation. False: there is none.
    @discardableResult
    package func step() -> Bool {
        guard !queue.isIdle, goesOn(), let step = queue.step(&disk) else { return false }
        if case .ended(let outcome) = step { turn { $0.handle(outcome, at: $1, effects: &$2) } }
        return true
    }

    package func settle() {
        while step() {}
    }

    /// What the sidecar's loop does with each thing that happens.
    private func turn(_ input: (inout StateReplica, Now, inout [StateReplica.Effect]) -> Void) {
        guard !isDead else { return }
        var effects: [StateReplica.Effect] = []
        if replica.store.mutant != mutant { replica.store.mutant = mutant }
        input(&replica, now, &effects)
        replica.endTurn(at: now, effects: &effects)
        for effect in effects {
            guard goesOn() else { return }
            switch effect {
            case .perform(let job): queue.add(job)
            case .send(let message, let other): outbox.append((other, message))
            case .ready: isReady = true
            case .failed(let why): failure = why
            case .log(_, let text): logged.append(text)
            case .closed: isClosed = true
            }
        }
        guard goesOn() else { return }
        replica.takeOutput { client, bytes, _ in replies[client, default: []] += bytes }
    }
}
