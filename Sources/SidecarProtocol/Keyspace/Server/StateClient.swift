/// What the server knows of one connection.
final class StateClient {
    let id: ClientID
    /// As CLIENT LIST gives it: `127.0.0.1:40000`.
    let address: String
    let localAddress: String
    let opened: Now
    var lastUse: Now

    // MARK: Bytes

    var parser = RequestParser()
    /// All that arrived was run, or is the beginning of a request: only more input helps.
    var isHungry = true
    /// Replies and pushes that wait to be taken.
    var output: [UInt8] = []
    /// The server's list of connections with output has it.
    var isListed = false
    /// The connection takes no more bytes for now.
    var isPaused = false
    /// The server's list of those whose requests wait has it.
    var isWaiting = false
    /// Nothing more is read of it, and it is closed once its output is taken.
    var isClosing = false

    // MARK: What it has said of itself

    var version: UInt8 = 2
    var database = 0
    var name = ByteString.empty
    var libraryName = ByteString.empty
    var libraryVersion = ByteString.empty
    var isAuthenticated: Bool
    var noEvict = false
    var noTouch = false
    var replies = Replies.all
    /// nil: none has run yet.
    var lastCommand: Command?

    // MARK: What it does

    var transaction: Transaction? { didSet { isInTransaction = transaction != nil } }
    var watched: [(database: Int, key: ByteString)] = []
    /// A key that it watches has changed.
    var isDisturbed = false
    var blocked: Blocked?
    var channels: [ByteString] = [] { didSet { subscriptions = channels.count + patterns.count } }
    var patterns: [ByteString] = [] { didSet { subscriptions = channels.count + patterns.count } }

    // What is asked of every command. A plain number of an object is read without the runtime's check that
    // nobody changes it meanwhile, which a collection isn't.

    private(set) var isInTransaction = false
    private(set) var subscriptions = 0

    enum Replies {
        case all, none, allButNext, allButThis
    }

    struct Transaction {
        var calls: [(command: Command, arguments: ContiguousArray<ByteString>)] = []
        var bytes = 0
        /// A call was refused: EXEC will be too.
        var hasFailed = false
    }

    struct Blocked {
        let wait: Wait
        let database: Int
        let since: MonotonicTime
    }

    init(id: ClientID, address: String, localAddress: String, now: Now, isAuthenticated: Bool) {
        (self.id, self.address, self.localAddress) = (id, address, localAddress)
        (opened, lastUse) = (now, now)
        self.isAuthenticated = isAuthenticated
    }

    /// One line of CLIENT LIST.
    ///
    /// - Parameter unread: bytes that arrived and aren't read yet.
    func description(now: Now, unread: Int) -> String {
        var flags = ""
        if transaction != nil { flags += "x" }
        if blocked != nil { flags += "b" }
        if subscriptions > 0 { flags += "P" }
        if isDisturbed { flags += "d" }
        if isClosing { flags += "c" }
        if noEvict { flags += "e" }
        let fields: [(String, String)] = [
            ("id", String(id.number)), ("addr", address), ("laddr", localAddress), ("fd", String(id.number)),
            ("name", name.text), ("age", String((now.monotonic - opened.monotonic).milliseconds / 1000)),
            ("idle", String((now.monotonic - lastUse.monotonic).milliseconds / 1000)),
            ("flags", flags.isEmpty ? "N" : flags), ("db", String(database)), ("sub", String(channels.count)),
            ("psub", String(patterns.count)), ("ssub", "0"),
            ("multi", String(transaction?.calls.count ?? -1)), ("qbuf", String(unread)),
            ("qbuf-free", "0"), ("argv-mem", "0"), ("multi-mem", String(transaction?.bytes ?? 0)),
            ("rbs", "1024"), ("rbp", "0"), ("obl", String(output.count)), ("oll", "0"), ("omem", "0"),
            ("tot-mem", String(output.capacity + unread)), ("events", "r"),
            ("cmd", lastCommand?.name ?? "NULL"), ("user", "default"), ("redir", "-1"),
            ("resp", String(version)),
        ]
        return fields.map { "\($0)=\($1)" }.joined(separator: " ")
    }
}
