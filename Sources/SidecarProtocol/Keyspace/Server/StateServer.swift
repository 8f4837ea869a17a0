// The workload's state as its clients see it: connections, and the one keyspace behind them.
//
// Theory of operation
//
//   A shell opens connections, hands over the bytes that arrive, and takes the bytes to send; it owns the
//   sockets and the clock. Nothing happens but by a call of one of the methods below, and the same calls
//   make the same bytes, so a simulator drives the server as the sidecar does.
//
//   While a connection's requests run, its output is the keyspace's reply buffer: `enter` puts the one away
//   and takes the other out. A reply goes to nobody else but by `enter` of that connection. Its parser is
//   the server's own for as long.
//
//   Order within one call: the requests of the connection, each followed by whoever it wakes; then the
//   requests that those woken had sent meanwhile. What is changed stands in `mutations` in that order. A
//   shell that makes writes durable before they are answered takes the mutations first, and the output when
//   they are on disk.
//
//   Memory: a connection's output is bounded, since its requests aren't run while it has more than its limit;
//   its input is bounded by the shell, which doesn't read while `wantsInput` is false.

package struct StateServer: ~Copyable {
    package var keyspace: Keyspace
    package var configuration: StateConfiguration
    /// What the workload's config gives, beyond which no client may set `maxmemory`; 0: any number. In bytes.
    let memoryGranted: Int
    package var scripts: ScriptCache
    let table = CommandTable.standard
    /// The last command that was looked up, and the word that it was looked up by.
    var called: (word: ByteString, command: Command)

    /// Never walked in its own order, which isn't the same twice.
    var clients: [ClientID: StateClient] = [:]
    /// Whose requests run.
    var current: StateClient
    /// The parser of the connection whose requests run.
    var parser = RequestParser()
    let nobody: StateClient
    var now: Now
    let started: Now
    var lastID: UInt64 = 0

    /// Subscribers of a channel, of a pattern, in the order of their subscribing.
    var channels: HashTable<[ClientID]>
    var patterns: HashTable<[ClientID]>

    /// When those who wait for a key give up.
    var timeouts = TimerQueue<ClientID>()
    /// Connections with output, in the order in which they got it.
    var listed: [ClientID] = []
    /// Connections that may go on: they were woken, or their output was taken.
    var woken: [ClientID] = []
    /// Connections whose requests wait for the end of the turn, or of `isHeld`.
    var waiting: [ClientID] = []
    var expiresActively = true
    var statistics = ServerStatistics()
    /// Conditional commands that were told of under `conditional: warn`, and those that are to be.
    var warned: Set<String> = []
    var warnings: [String] = []
    var hooks = StateHooks()
    /// What every command that writes is answered, with its code, while what it changed couldn't be kept.
    package var writeRefusal: String?

    package init(configuration: StateConfiguration, seed: UInt64, now: Now) {
        keyspace = Keyspace(seed: seed)
        keyspace.settings = configuration.keyspace
        self.configuration = configuration
        memoryGranted = configuration.memoryMaximum
        scripts = ScriptCache(hash: keyspace.hash)
        self.now = now
        started = now
        called = (ByteString(table.commands[0].name), table.commands[0])
        nobody = StateClient(
            id: ClientID(0), address: "", localAddress: "", now: now, isAuthenticated: true)
        current = nobody
        channels = HashTable(hash: keyspace.hash)
        patterns = HashTable(hash: keyspace.hash)
        setTime(now)
    }

    // MARK: Connections

    /// A new connection; nil: there are as many as there may be, and the shell closes it.
    package mutating func open(address: String, localAddress: String, now: Now) -> ClientID? {
        setTime(now)
        guard clients.count < configuration.clientsMaximum else {
            statistics.refusedConnections += 1
            return nil
        }
        lastID += 1
        statistics.connections += 1
        let client = StateClient(
            id: ClientID(lastID), address: address, localAddress: localAddress, now: now,
            isAuthenticated: configuration.password == nil)
        clients[client.id] = client
        return client.id
    }

    /// Bytes that arrived on a connection.
    package mutating func receive(_ bytes: UnsafeRawBufferPointer, from id: ClientID, now: Now) {
        setTime(now)
        guard let client = clients[id], !client.isClosing else { return }
        statistics.inputBytes += bytes.count
        client.lastUse = now
        client.parser.append(bytes)
        work(client)
        finish()
    }

    /// Whether the connection's input shall be read. `mutating` as what runs commands is: see `work`.
    package mutating func wantsInput(_ id: ClientID) -> Bool {
        guard let client = clients[id] else { return false }
        if client.isClosing { return false }
        return client.isHungry || client.parser.pendingBytes < Limits.stateUnreadInputBytesMaximum
    }

    /// The connection is gone.
    package mutating func close(_ id: ClientID, now: Now) {
        setTime(now)
        if let client = clients[id] { forget(client) }
        finish()
    }

    // MARK: Time

    /// When `advance` is due, if ever.
    package var nextDeadline: MonotonicTime? {
        mutating get {
            if !woken.isEmpty || !waiting.isEmpty && !isHeld { return now.monotonic }
            var next = timeouts.next
            if expiresActively, let expiry = keyspace.nextExpiry {
                // A key is gone in the millisecond after its last.
                let wait = UInt64(clamping: expiry &+ 1 &- now.wall.milliseconds)
                let limit = UInt64(Limits.stateExpiryLookSpan.milliseconds)
                let time = now.monotonic + .milliseconds(min(wait, limit))
                next = min(next ?? time, time)
            }
            return next
        }
    }

    /// Does what time has made due, and what was left undone.
    package mutating func advance(to now: Now) {
        setTime(now)
        while let id = timeouts.popDue(at: now.monotonic) {
            if let client = clients[id] { giveUp(client) }
        }
        if !isTurnFull, !waiting.isEmpty {
            for id in waiting { clients[id]?.isWaiting = false }
            woken += waiting
            waiting.removeAll(keepingCapacity: true)
        }
        if expiresActively { _ = keyspace.expireDue(atMost: Limits.stateExpiriesAtOnce) }
        publishEvents()
        for number in keyspace.databases.indices { keyspace.databases[number].items.step(100) }
        finish()
    }

    mutating func setTime(_ now: Now) {
        self.now = now
        keyspace.now = now.wall.milliseconds
    }

    // MARK: Output and mutations

    /// Visits every connection that has output, which is then gone, or that is to be closed.
    package mutating func takeOutput(_ visit: (ClientID, UnsafeRawBufferPointer, _ closes: Bool) -> Void) {
        let taken = listed
        listed.removeAll(keepingCapacity: true)
        for id in taken {
            guard let client = clients[id] else { continue }
            if client.isPaused, !client.isClosing {
                listed.append(id)
                continue
            }
            client.isListed = false
            statistics.outputBytes += client.output.count
            let hadMore = client.output.count >= Limits.stateUnreadReplyBytesMaximum
            client.output.withUnsafeBytes { visit(id, $0, client.isClosing) }
            client.output.removeAll(keepingCapacity: client.output.capacity <= 1 << 16)
            if client.isClosing { remove(client) } else if hadMore { woken.append(id) }
        }
    }

    package var hasOutput: Bool { !listed.isEmpty }

    /// The connection can't take bytes, or can again: its requests wait meanwhile.
    package mutating func setPaused(_ id: ClientID, _ isPaused: Bool) {
        guard let client = clients[id], client.isPaused != isPaused else { return }
        client.isPaused = isPaused
        if !isPaused { woken.append(id) }
    }

    /// What changed since the last call, in order.
    package mutating func takeMutations() -> [Mutation] {
        var taken: [Mutation] = []
        keyspace.swapMutations(&taken)
        return taken
    }

    /// Commands that were atomic on this replica only, each once, since the last call.
    package mutating func takeWarnings() -> [String] {
        guard !warnings.isEmpty else { return [] }
        defer { warnings = [] }
        return warnings
    }

    /// No more requests run until there is room for what they change; those that came wait.
    package var isHeld = false

    /// A turn whose changes are to be taken before the next request runs.
    var isTurnFull: Bool { isHeld || keyspace.mutationBytes > Limits.replicatedTurnBytesMaximum }

    /// Changes that were decided elsewhere. They wake who waits for them, and disturb who watches.
    package mutating func apply(_ mutations: [Mutation], now: Now) {
        setTime(now)
        keyspace.apply(mutations)
        disturb()
        serveReady()
        publishEvents()
        finish()
    }
}

/// Facts that the sidecar adds to INFO, and what it does for commands that need it.
package struct StateHooks {
    /// A section of INFO, by its name in small letters, without its heading.
    package var sections: [(name: String, heading: String, fields: () -> [(String, String)])] = []
    /// How many replicas have all that was written: WAIT's answer.
    package var acknowledgedReplicas: () -> Int = { 0 }
    /// The replicas of this state, sorted by name; nil: it has none.
    package var replicas: (() -> [ReplicaDescription])?
    /// A replica won't come back, by the hash of its name: why that can't be said of it, or nil.
    package var forget: ((UInt64) -> String?)?
    /// Begins a snapshot of the log; nil: nothing is kept on a disk.
    package var beginSnapshot: (() -> Void)?
    /// When the last snapshot was complete; nil: none was, since the start.
    package var lastSnapshot: () -> WallTime? = { nil }
    package var scriptEngine: (any ScriptEngine)?
    /// DEBUG SLEEP, where a test wants it.
    package var sleep: (MonotonicTime.Span) -> Void = { _ in }
    /// A message was published here, and goes to the other replicas' subscribers too.
    package var published: (_ channel: ByteString, _ message: ByteString) -> Void = { _, _ in }

    package init() {}
}

extension StateServer {
    package mutating func setHooks(_ hooks: StateHooks) { self.hooks = hooks }
}

struct ServerStatistics: Sendable {
    var connections = 0
    var refusedConnections = 0
    var commands = 0
    var inputBytes = 0
    var outputBytes = 0
    var errors = 0
    var conditionalCommands = 0
}
