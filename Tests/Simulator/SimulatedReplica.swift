import SidecarProtocol

/// A replica's core on a simulated disk, with clients that speak RESP and messages that wait to be carried.
package final class SimulatedReplica {
    package let id: InstanceID
    package var disk = SimulatedDisk()
    package private(set) var settings: StateReplica.Settings
    package private(set) var isReady = false
    package private(set) var failure: String?
    package private(set) var logged: [String] = []
    package private(set) var isClosed = false
    /// What is on its way to others.
    package var outbox: [(to: InstanceID, message: [UInt8])] = []
    package var now: Now

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

    /// As a process that is killed, and started again.
    package func restart() {
        queue.forget()
        (replies, outbox) = ([:], [])
        (isReady, failure, isClosed) = (false, nil, false)
        replica = StateReplica(settings, at: now)
        turn { $0.open(at: $1, effects: &$2) }
    }

    package func losePower(random: inout SeededRandom) {
        disk.losePower(random: &random)
        restart()
    }

    package func close() { turn { $0.close(at: $1, effects: &$2) } }

    // MARK: Clients

    package func connect() -> ClientID { replica.accepted(from: "client", to: "state", at: now)! }

    package func send(_ words: String..., from client: ClientID) { send(words, from: client) }

    private func send(_ words: [String], from client: ClientID) {
        var request = "*\(words.count)\r\n"
        for word in words { request += "$\(word.utf8.count)\r\n\(word)\r\n" }
        Array(request.utf8).withUnsafeBytes { replica.received($0, from: client, at: now) }
        turn { _, _, _ in }
    }

    /// What has come back since the last call.
    package func takeReplies(_ client: ClientID) -> String {
        String(decoding: replies.removeValue(forKey: client) ?? [], as: UTF8.self)
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

    // MARK: Time and the disk

    package func pass(_ span: MonotonicTime.Span) {
        now.monotonic = now.monotonic + span
        now.wall.milliseconds += Int64(span.nanoseconds / 1_000_000)
        turn { _, _, _ in }
    }

    /// Performs one operation. False: there is none.
    @discardableResult
    package func step() -> Bool {
        guard let step = queue.step(&disk) else { return false }
        if case .ended(let outcome) = step { turn { $0.handle(outcome, at: $1, effects: &$2) } }
        return true
    }

    package func settle() {
        while step() {}
    }

    /// What the sidecar's loop does with each thing that happens.
    private func turn(_ input: (inout StateReplica, Now, inout [StateReplica.Effect]) -> Void) {
        var effects: [StateReplica.Effect] = []
        input(&replica, now, &effects)
        replica.endTurn(at: now, effects: &effects)
        for effect in effects {
            switch effect {
            case .perform(let job): queue.add(job)
            case .send(let message, let other): outbox.append((other, message))
            case .ready: isReady = true
            case .failed(let why): failure = why
            case .log(_, let text): logged.append(text)
            case .closed: isClosed = true
            }
        }
        replica.takeOutput { client, bytes, _ in replies[client, default: []] += bytes }
    }
}
