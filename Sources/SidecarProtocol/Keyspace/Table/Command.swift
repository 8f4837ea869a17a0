/// One command, as COMMAND tells of it and as it is run: a row of the one table.
final class Command: Sendable {
    /// In small letters; a subcommand has its command's name before it: `config|get`.
    let name: String
    /// How many words a call has, the name among them; negative: at least so many.
    let arity: Int
    let group: Group
    /// The version of Redis that brought it.
    let since: String
    let flags: Flags
    /// First, last and step of the arguments that are keys; zeros: none, or `specs` alone says it.
    let keys: (first: Int, last: Int, step: Int)
    /// `FLAGS… @begin find`, several divided by ` | `: see `KeySpec`.
    let specs: String
    /// ACL categories, without their `@`.
    let categories: String
    let tips: String
    let summary: String
    let conditional: Condition
    let modes: Modes
    let run: Body
    let subcommands: [Command]

    init(
        _ name: String, _ arity: Int, _ group: Group, _ since: String, _ flags: Flags,
        keys: (Int, Int, Int) = (0, 0, 0), specs: String = "", acl: String = "", tips: String = "",
        conditional: Condition = .never, modes: Modes = .all, _ summary: String, _ run: Body,
        _ subcommands: [Command] = []
    ) {
        (self.name, self.arity, self.group, self.since, self.flags) = (name, arity, group, since, flags)
        self.keys = (keys.0, keys.1, keys.2)
        (self.specs, self.categories, self.tips, self.summary) = (specs, acl, tips, summary)
        (self.conditional, self.modes, self.run, self.subcommands) = (conditional, modes, run, subcommands)
    }

    enum Group: String, CaseIterable, Sendable {
        case generic, string, bitmap, hyperloglog, list, set
        case sortedSet = "sorted-set"
        case geo, hash, pubsub, transactions, connection
        case server, scripting, cluster, stream
        /// No commands of Redis.
        case mesh
    }

    enum Body: Sendable {
        /// A function of the keyspace alone.
        case data(@Sendable (inout Keyspace) throws(CommandError) -> Void)
        /// One that knows of connections.
        case server(@Sendable (inout StateServer) throws(CommandError) -> Void)
        /// It has subcommands and does nothing itself.
        case container
    }

    /// Whether what it does depends on what it finds, in a way that two replicas may both find: under
    /// `eventual` such a command is atomic on its own replica only.
    enum Condition: Sendable {
        case never, always
        /// With one of these words among its arguments.
        case withWords([StaticString])
    }

    struct Modes: OptionSet, Sendable {
        let rawValue: UInt8
        /// One replica without others.
        static let none = Modes(rawValue: 1)
        static let eventual = Modes(rawValue: 2)
        static let strong = Modes(rawValue: 4)
        static let all: Modes = [.none, .eventual, .strong]
    }

    struct Flags: OptionSet, Sendable {
        let rawValue: UInt32
        static let write = Flags(rawValue: 1)
        static let readonly = Flags(rawValue: 1 << 1)
        static let denyoom = Flags(rawValue: 1 << 2)
        static let admin = Flags(rawValue: 1 << 3)
        static let pubsub = Flags(rawValue: 1 << 4)
        static let noscript = Flags(rawValue: 1 << 5)
        static let blocking = Flags(rawValue: 1 << 6)
        static let loading = Flags(rawValue: 1 << 7)
        static let stale = Flags(rawValue: 1 << 8)
        static let skipMonitor = Flags(rawValue: 1 << 9)
        static let skipSlowlog = Flags(rawValue: 1 << 10)
        static let fast = Flags(rawValue: 1 << 11)
        static let noAuth = Flags(rawValue: 1 << 12)
        /// What a read-only script may not call either. COMMAND doesn't tell it.
        static let mayReplicate = Flags(rawValue: 1 << 13)
        static let noMandatoryKeys = Flags(rawValue: 1 << 14)
        static let protected = Flags(rawValue: 1 << 15)
        static let noAsyncLoading = Flags(rawValue: 1 << 16)
        static let noMulti = Flags(rawValue: 1 << 17)
        static let movableKeys = Flags(rawValue: 1 << 18)
        static let allowBusy = Flags(rawValue: 1 << 19)

        /// In the order in which Redis tells them.
        static let names: [(Flags, String)] = [
            (.write, "write"), (.readonly, "readonly"), (.denyoom, "denyoom"), (.admin, "admin"),
            (.pubsub, "pubsub"), (.noscript, "noscript"), (.blocking, "blocking"), (.loading, "loading"),
            (.stale, "stale"), (.skipMonitor, "skip_monitor"), (.skipSlowlog, "skip_slowlog"),
            (.fast, "fast"), (.noAuth, "no_auth"),
            (.noMandatoryKeys, "no_mandatory_keys"), (.protected, "protected"),
            (.noAsyncLoading, "no_async_loading"), (.noMulti, "no_multi"), (.movableKeys, "movablekeys"),
            (.allowBusy, "allow_busy"),
        ]
    }

    func allowsCount(_ count: Int) -> Bool { arity >= 0 ? count == arity : count >= -arity }
}

/// Where a command's keys are. `@2` or `@WORD:1`: where they begin; then `a:b:c`, the last key counted from
/// the first, the step and the limit, or `#a:b:c`, where their number stands, the first key and the step.
struct KeySpec {
    var flags: [Substring] = []
    var begin: Substring = ""
    var find: Substring = ""

    static func all(_ text: String) -> [KeySpec] {
        text.split(separator: "|").map { part in
            var spec = KeySpec()
            for word in part.split(separator: " ") {
                if word.first == "@" {
                    spec.begin = word.dropFirst()
                } else if word.contains(":") || word == "?" {
                    spec.find = word
                } else {
                    spec.flags.append(word)
                }
            }
            return spec
        }
    }

    /// Indices of the keys in a call; nil: its arguments can't be read so.
    func places(in arguments: ContiguousArray<ByteString>) -> [Int]? {
        guard let begin = beginning(arguments) else { return [] }
        let isCounted = find.first == "#"
        let numbers = (isCounted ? find.dropFirst() : find).split(separator: ":").compactMap { Int($0) }
        guard numbers.count == 3, begin < arguments.count else { return nil }
        var (first, last, step) = (begin, 0, max(numbers[2], 1))
        if isCounted {
            let place = begin + numbers[0]
            guard place < arguments.count, let count = arguments[place].integer, count >= 0,
                count < arguments.count
            else { return nil }
            first = begin + numbers[1]
            last = first + (Int(count) - 1) * step
            if count == 0 { return [] }
        } else {
            step = max(numbers[1], 1)
            last = numbers[0] >= 0 ? begin + numbers[0] : arguments.count + numbers[0]
            if numbers[0] < 0, numbers[2] > 1 {
                last = begin + (arguments.count - begin) / numbers[2] + numbers[0]
            }
        }
        guard last < arguments.count else { return nil }
        return last < first ? [] : Array(stride(from: first, through: last, by: step))
    }

    private func beginning(_ arguments: ContiguousArray<ByteString>) -> Int? {
        if let index = Int(begin) { return index }
        let parts = begin.split(separator: ":")
        guard parts.count == 2, let start = Int(parts[1]) else { return nil }
        let word = ByteString(parts[0]).lowercased
        let places = arguments.indices.filter { $0 >= max(start, 1) && arguments[$0].lowercased == word }
        // SORT and GEORADIUS take the last of several.
        return (word.text.hasPrefix("store") ? places.last : places.first).map { $0 + 1 }
    }
}
