// What happens to keys, for whoever subscribes to it (notify.c).
//
// Theory of operation
//
//   A command that changes a key notes an event of Redis's name there, in Redis's order. While nobody wants events,
//   which is the default, that costs the test of a flag. The server publishes what was noted when the command is
//   done, a transaction or a script as a whole: a client that subscribes in RESP3 and writes on one connection never
//   finds a message within a reply.
//
//   What other replicas change is noted too, as it is applied: their commands aren't known here, only the mutations,
//   so the event is the one of the command that does no more than that. The same event of the same key
//   several times in a row is one. Each replica publishes for its own subscribers, and no event goes from one to
//   another.

/// `notify-keyspace-events`: which events are published, and how.
struct KeyEventClasses: OptionSet, Sendable {
    let rawValue: UInt16

    /// `__keyspace@0__:key`, with the event as its message.
    static let keyspace = KeyEventClasses(rawValue: 1)
    /// `__keyevent@0__:event`, with the key as its message.
    static let keyevent = KeyEventClasses(rawValue: 1 << 1)
    static let generic = KeyEventClasses(rawValue: 1 << 2)
    static let string = KeyEventClasses(rawValue: 1 << 3)
    static let list = KeyEventClasses(rawValue: 1 << 4)
    static let set = KeyEventClasses(rawValue: 1 << 5)
    static let hash = KeyEventClasses(rawValue: 1 << 6)
    static let sorted = KeyEventClasses(rawValue: 1 << 7)
    static let expired = KeyEventClasses(rawValue: 1 << 8)
    /// Nothing is ever evicted.
    static let evicted = KeyEventClasses(rawValue: 1 << 9)
    static let stream = KeyEventClasses(rawValue: 1 << 10)
    /// There are no modules.
    static let module = KeyEventClasses(rawValue: 1 << 11)
    static let new = KeyEventClasses(rawValue: 1 << 12)
    static let missed = KeyEventClasses(rawValue: 1 << 13)

    /// All but misses and new keys.
    static let most: KeyEventClasses = [
        .generic, .string, .list, .set, .hash, .sorted, .expired, .evicted, .stream, .module,
    ]

    /// In the order in which CONFIG GET tells them.
    private static let letters: [(Unicode.Scalar, KeyEventClasses)] = [
        ("g", .generic), ("$", .string), ("l", .list), ("s", .set), ("h", .hash), ("z", .sorted),
        ("x", .expired), ("e", .evicted), ("t", .stream), ("d", .module), ("n", .new), ("K", .keyspace),
        ("E", .keyevent), ("m", .missed),
    ]
}

extension KeyEventClasses {
    /// nil: there is another letter.
    init?(_ text: ByteString) {
        self = []
        for byte in text.bytes {
            let letter = Unicode.Scalar(byte)
            if letter == "A" {
                formUnion(.most)
            } else if let found = KeyEventClasses.letters.first(where: { $0.0 == letter }) {
                formUnion(found.1)
            } else {
                return nil
            }
        }
    }

    var text: ByteString {
        var text = ""
        // With all of the rest said by one letter Redis leaves out `n`, too.
        let isMost = isSuperset(of: .most)
        if isMost { text = "A" }
        for (letter, one) in KeyEventClasses.letters where contains(one) {
            if isMost, KeyEventClasses.most.union(.new).contains(one) { continue }
            text.unicodeScalars.append(letter)
        }
        return ByteString(text)
    }
}

/// Something that happened to a key.
struct KeyEvent: Equatable, Sendable {
    let name: String
    let database: Int
    let key: ByteString
}

extension Keyspace {
    /// Notes an event of a key of the selected database, where such events are published.
    @inline(__always)
    mutating func notify(_ kind: KeyEventClasses, _ name: @autoclosure () -> String, _ key: ByteString) {
        if settings.events.isDisjoint(with: kind) { return }
        note(name(), key)
    }

    private mutating func note(_ name: String, _ key: ByteString) {
        guard events.count < Limits.stateEventsMaximum else { return }
        events.append(KeyEvent(name: name, database: selected, key: key))
    }

    mutating func takeEvents() -> [KeyEvent] {
        let taken = events
        events = []
        return taken
    }

    // MARK: Of other replicas

    /// The event of a mutation that was decided elsewhere; several alike in a row are one.
    ///
    /// - Parameter left: how many elements the list has after it.
    mutating func notify(of mutation: Mutation, _ key: ByteString, left: Int = 0) {
        if settings.events.isEmpty { return }
        guard let (kind, name) = Keyspace.event(of: mutation, left) else { return }
        if events.last == KeyEvent(name: name, database: selected, key: key) { return }
        notify(kind, name, key)
    }

    private static func event(of mutation: Mutation, _ left: Int) -> (KeyEventClasses, String)? {
        switch mutation {
        case .deleteAll: nil
        case .delete: (.generic, "del")
        case .expire: (.expired, "expired")
        case .setExpiry(_, let time): time == nil ? (.generic, "persist") : (.generic, "expire")
        case .setString: (.string, "set")
        case .addToString: (.string, "incrby")
        case .setField: (.hash, "hset")
        case .addToField: (.hash, "hincrby")
        case .removeField: (.hash, "hdel")
        case .addMember: (.set, "sadd")
        case .removeMember: (.set, "srem")
        case .setScore: (.sorted, "zadd")
        case .addToScore: (.sorted, "zincr")
        case .removeScored: (.sorted, "zrem")
        case .setEntry(_, let id, _):
            EntryID(id) == .least ? (.stream, "xsetid") : (.stream, "xadd")
        case .removeEntry: (.stream, "xdel")
        case .insertElements(_, let index, let elements):
            (.list, index + elements.count >= left ? "rpush" : index <= 0 ? "lpush" : "linsert")
        case .setElement: (.list, "lset")
        case .removeElements(_, let index, _):
            (.list, index <= 0 ? "lpop" : index >= left ? "rpop" : "lrem")
        }
    }
}
