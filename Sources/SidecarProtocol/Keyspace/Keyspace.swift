// Sixteen databases, and one command at a time that reads and changes them.
//
// Theory of operation
//
//   A command is a function of this structure alone: of the databases, its arguments, the time and the dice
//   that are set before it runs. It writes its answer to `reply`, and appends to `mutations` what it changed.
//   It knows no connection; what it wants of one (to wait for a key, say) it leaves in a field that the
//   server looks at afterwards.
//
//   A key whose time has come is removed when a command meets it, or when its time comes up, whichever is
//   first, and in both cases a mutation says so. Time is the wall clock's, fixed for a command and for a
//   whole transaction.
//
//   Mutations know one space of keys: a key of database n > 0 is recorded with the prefix 0, n, and a key of
//   database 0 that begins with a zero byte with 0, 0. So the replicas' store needs to know of none of it.

package struct Keyspace {
    // MARK: State

    var databases: [Database]
    var settings = KeyspaceSettings()
    /// Roughly the bytes that all keys take; see `Value.footprint`.
    var footprint = 0
    var statistics = Statistics()

    // MARK: The command that runs

    var arguments: ContiguousArray<ByteString> = []
    var command: Command?
    /// The name of the command as errors give it: `config|get`.
    var commandName: String { command?.name ?? "" }
    var reply = RESPWriter()
    /// The database of the client whose command it is.
    var selected = 0
    /// Milliseconds since 1970.
    var now: Int64 = 0
    var dice: Dice
    /// A command of a transaction or a script doesn't wait.
    var mayWait = true
    var isInScript = false

    // MARK: What it leaves

    /// What commands changed, in order, where somebody wants to know.
    package var mutations: [Mutation] = []
    /// Roughly the bytes of the values in `mutations`.
    var mutationBytes = 0
    /// Beyond it what is overwritten is dropped.
    var mutationBytesMaximum = Limits.replicatedTurnBytesMaximum
    package var isRecording = true
    /// How many changes there were, recorded or not.
    var changes = 0
    /// The command waits for one of these keys.
    var wait: Wait?
    /// Keys that got elements while somebody waited for one.
    var ready: [(database: Int, key: ByteString)] = []
    /// What happened to keys, in order, where somebody wants to know; see `notify`.
    var events: [KeyEvent] = []
    /// Clients that watch a key which has changed.
    var disturbed: [ClientID] = []

    let hash: SeededHash

    package init(seed: UInt64) {
        var dice = Dice(seed: seed)
        let hash = SeededHash(k0: dice.next(), k1: dice.next())
        self.hash = hash
        self.dice = dice
        databases = (0..<Limits.stateDatabases).map { _ in Database(hash: hash) }
    }

    struct Item {
        var value: Value
        /// Milliseconds since 1970; `never`.
        var expiry: Int64
        /// What the key adds to the keyspace's footprint.
        var footprint: Int
        /// The second of its last use.
        var touched: Int64

        static let never: Int64 = -1
    }

    struct Database {
        var items: HashTable<Item>
        /// Keys that expire, by their time.
        var expiries = ScoreTree()
        /// Who watches a key.
        var watched: HashTable<[Watch]>
        /// Who waits for a key, the longest first.
        var waiting: HashTable<[ClientID]>

        init(hash: SeededHash) {
            items = HashTable(hash: hash)
            watched = HashTable(hash: hash)
            waiting = HashTable(hash: hash)
        }
    }

    struct Watch {
        let client: ClientID
        /// The key had expired, and was still there, when it was watched.
        var wasExpired: Bool
    }

    struct Statistics: Sendable {
        var hits = 0
        var misses = 0
        var expired = 0
    }
}

/// A connection's number, as CLIENT ID says it. Never used twice.
package struct ClientID: Hashable, Comparable, Sendable {
    package let number: UInt64
    package init(_ number: UInt64) { self.number = number }
    package static func < (left: ClientID, right: ClientID) -> Bool { left.number < right.number }
}

/// What a blocking command waits for.
struct Wait {
    enum Purpose {
        case pop(from: ListEnd)
        case move(from: ListEnd, to: ListEnd, destination: ByteString)
        case popMany(from: ListEnd, count: Int)
        case popScore(highest: Bool)
        case popScores(highest: Bool, count: Int)
        /// 0: all there are.
        case read(after: [ByteString: EntryID], count: Int)

        var kind: Value.Kind {
            switch self {
            case .pop, .move, .popMany: .list
            case .popScore, .popScores: .sorted
            case .read: .stream
            }
        }
    }

    var keys: [ByteString]
    var purpose: Purpose
    /// Milliseconds; 0: for ever.
    var timeout: Int64
}

enum ListEnd {
    case left, right
}
