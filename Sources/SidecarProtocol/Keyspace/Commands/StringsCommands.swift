// Strings: GET, SET and their relatives (t_string.c).

extension Keyspace {
    mutating func get() throws(CommandError) {
        guard let index = findToRead(arguments[1]) else { return reply.null() }
        try write(stringAt: index)
    }

    private mutating func write(stringAt index: Int) throws(CommandError) {
        switch databases[selected].items[index].value.value {
        case .integer(let number): reply.bulk(integer: number)
        case .text(let text), .raw(let text): reply.bulk(text)
        case .list, .hash, .set, .sorted, .stream: throw .wrongType
        }
    }

    mutating func set() throws(CommandError) {
        if arguments.count == 3 {
            // Taken out and not copied, so that no reference is counted.
            var (key, value) = (ByteString.empty, ByteString.empty)
            swap(&key, &arguments[1])
            swap(&value, &arguments[2])
            store(value, under: key, at: find(key))
            return reply.ok()
        }
        let options = arguments.count > 3 ? try setOptions(from: 3, isGet: false) : SetOptions()
        let expiry = try options.expiry(at: now, for: "set")
        let key = arguments[1]
        let existing = options.returnsOld ? findToRead(key) : find(key)
        var old: Value?
        if options.returnsOld, let existing {
            old = value(at: existing)
            guard old?.kind == .string else { throw .wrongType }
        }
        if options.onlyNew && existing != nil || options.onlyExisting && existing == nil {
            if options.returnsOld { return write(old) }
            return reply.null()
        }
        let index = store(arguments[2], under: key, at: existing, keepingExpiry: options.keepsExpiry)
        if let expiry {
            setExpiry(key, at: index, expiry)
            notify(.generic, "expire", key)
        }
        if options.returnsOld { write(old) } else { reply.ok() }
    }

    private mutating func write(_ string: Value?) {
        guard let bytes = string?.string else { return reply.null() }
        reply.bulk(bytes)
    }

    /// SET of a whole string, over whatever the key held.
    @discardableResult
    mutating func store(
        _ bytes: ByteString, under key: ByteString, at existing: Int?, keepingExpiry: Bool = false
    ) -> Int {
        guard let existing else {
            record(.setString(stored(key), bytes))
            let index = add(key, Value(string: bytes))
            notify(.string, "set", key)
            return index
        }
        let old = databases[selected].items[existing].replaceString(bytes, at: now)
        footprint &+= old.growth
        // The key that stands in the table: the argument's copy of it needn't be kept.
        let stored = stored(old.key)
        if old.isOtherKind { record(.delete(stored)) }
        record(.setString(stored, bytes))
        changed(key)
        notify(.string, "set", key)
        if old.expiry != Item.never {
            if !keepingExpiry {
                setExpiry(key, at: existing, Item.never)
            } else if old.isOtherKind {
                // What replicas delete has no expiry any more: it is set anew where it stays.
                record(.setExpiry(stored, WallTime(milliseconds: old.expiry)))
            }
        }
        return existing
    }

    mutating func setNew() throws(CommandError) {
        guard find(arguments[1]) == nil else { return reply.integer(0) }
        store(arguments[2], under: arguments[1], at: nil)
        reply.integer(1)
    }

    mutating func setWithExpiry(milliseconds: Bool) throws(CommandError) {
        let options = SetOptions(amount: arguments[2], isMilliseconds: milliseconds)
        let expiry = try options.expiry(at: now, for: commandName)
        let index = store(arguments[3], under: arguments[1], at: find(arguments[1]))
        if let expiry {
            setExpiry(arguments[1], at: index, expiry)
            notify(.generic, "expire", arguments[1])
        }
        reply.ok()
    }

    mutating func getAndSet() throws(CommandError) {
        let index = findToRead(arguments[1])
        if let index { try write(stringAt: index) } else { reply.null() }
        store(arguments[2], under: arguments[1], at: index)
    }

    mutating func getAndDelete() throws(CommandError) {
        guard let index = findToRead(arguments[1]) else { return reply.null() }
        try write(stringAt: index)
        remove(arguments[1], at: index, as: .delete(stored(arguments[1])))
        notify(.generic, "del", arguments[1])
    }

    mutating func getAndExpire() throws(CommandError) {
        let options = try setOptions(from: 2, isGet: true)
        guard let index = findToRead(arguments[1]) else { return reply.null() }
        guard value(at: index).kind == .string else { throw .wrongType }
        let expiry = try options.expiry(at: now, for: "getex")
        try write(stringAt: index)
        if let expiry {
            if options.isAbsolute, expiry < now {
                remove(arguments[1], at: index, as: .delete(stored(arguments[1])))
                notify(.generic, "del", arguments[1])
            } else {
                setExpiry(arguments[1], at: index, expiry)
                changed(at: index)
                notify(.generic, "expire", arguments[1])
            }
        } else if options.persists, item(at: index).expiry != Item.never {
            setExpiry(arguments[1], at: index, Item.never)
            changed(at: index)
            notify(.generic, "persist", arguments[1])
        }
    }

    // MARK: Many keys

    mutating func getMany() {
        reply.array(arguments.count - 1)
        for place in 1..<arguments.count { write(valueToRead(arguments[place])) }
    }

    mutating func setMany(onlyNew: Bool) throws(CommandError) {
        guard arguments.count % 2 == 1 else { throw .arity(commandName) }
        if onlyNew {
            for place in stride(from: 1, to: arguments.count, by: 2) where find(arguments[place]) != nil {
                return reply.integer(0)
            }
        }
        for place in stride(from: 1, to: arguments.count, by: 2) {
            store(arguments[place + 1], under: arguments[place], at: find(arguments[place]))
        }
        if onlyNew { reply.integer(1) } else { reply.ok() }
    }

    // MARK: Numbers

    mutating func increase(by amount: Int64) throws(CommandError) {
        let key = arguments[1]
        let index = find(key)
        var old: Int64 = 0
        if let index {
            guard let string = value(at: index).number else { throw .wrongType }
            guard let number = string else { throw .notInteger }
            old = number
        }
        let (sum, over) = old.addingReportingOverflow(amount)
        if over { throw .overflow }
        if let index { replace(at: index, .integer(sum)) } else { add(key, .integer(sum)) }
        record(.addToString(stored(key), amount))
        notify(.string, "incrby", key)
        reply.integer(sum)
    }

    mutating func increaseByArgument(isNegative: Bool) throws(CommandError) {
        let amount = try integer(2)
        if isNegative, amount == .min { throw CommandError("decrement would overflow") }
        try increase(by: isNegative ? -amount : amount)
    }

    mutating func increaseByFloat() throws(CommandError) {
        let key = arguments[1]
        let index = find(key)
        var old = ExtendedDouble.zero
        if let index {
            guard let string = value(at: index).string else { throw .wrongType }
            guard let number = ExtendedDouble(string) else { throw .notFloat }
            old = number
        }
        guard let amount = ExtendedDouble(arguments[2]) else { throw .notFloat }
        let sum = old + amount
        guard sum.isFinite else { throw .notFinite }
        let text = sum.text
        if let index { replace(at: index, .text(text)) } else { add(key, .text(text)) }
        record(.setString(stored(key), text))
        notify(.string, "incrbyfloat", key)
        reply.bulk(text)
    }
}

extension HashTable.Entry where Value == Keyspace.Item {
    /// Puts a string in the place of the value, whatever that was. The expiry stays.
    ///
    /// All at once, since each way from the keyspace to an item asks of three arrays whether anybody else has them.
    fileprivate mutating func replaceString(_ bytes: ByteString, at now: Int64) -> (
        key: ByteString, isOtherKind: Bool, expiry: Int64, growth: Int
    ) {
        let isOtherKind = value.value.kind != .string
        value.value = SidecarProtocol.Value(string: bytes)
        value.touched = now / 1000
        let footprint = value.value.footprint &+ key.count &+ Keyspace.keyFootprint
        let growth = footprint &- value.footprint
        value.footprint = footprint
        return (key, isOtherKind, value.expiry, growth)
    }
}

extension Value {
    /// nil: no string; nil inside: a string that is no number.
    var number: Int64?? {
        switch self {
        case .integer(let number): .some(number)
        case .text(let text), .raw(let text): .some(text.integer)
        case .list, .hash, .set, .sorted, .stream: nil
        }
    }
}

/// The options of SET and GETEX.
struct SetOptions {
    var onlyNew = false
    var onlyExisting = false
    var returnsOld = false
    var keepsExpiry = false
    var persists = false
    /// The number that says when; it is read when its turn comes.
    var amount: ByteString?
    var isMilliseconds = false
    var isAbsolute = false

    /// The time that the options name, in milliseconds since 1970.
    func expiry(at now: Int64, for command: String) throws(CommandError) -> Int64? {
        guard let amount else { return nil }
        guard var time = amount.integer else { throw .notInteger }
        guard time > 0 else { throw .expireTime(command) }
        if !isMilliseconds {
            guard time <= Int64.max / 1000 else { throw .expireTime(command) }
            time *= 1000
        }
        if !isAbsolute {
            guard time <= Int64.max - now else { throw .expireTime(command) }
            time += now
        }
        return time
    }
}

extension Keyspace {
    func setOptions(from start: Int, isGet: Bool) throws(CommandError) -> SetOptions {
        var options = SetOptions()
        var place = start
        while place < arguments.count {
            let word = arguments[place]
            let next = place + 1 < arguments.count ? arguments[place + 1] : nil
            if !isGet, word.isWord("nx"), !options.onlyExisting {
                options.onlyNew = true
            } else if !isGet, word.isWord("xx"), !options.onlyNew {
                options.onlyExisting = true
            } else if !isGet, word.isWord("get") {
                options.returnsOld = true
            } else if !isGet, word.isWord("keepttl"), options.amount == nil, !options.persists {
                options.keepsExpiry = true
            } else if isGet, word.isWord("persist"), options.amount == nil, !options.keepsExpiry {
                options.persists = true
            } else if let next, let unit = SetOptions.unit(word), options.takes(unit) {
                (options.isMilliseconds, options.isAbsolute) = unit
                options.amount = next
                place += 1
            } else {
                throw .syntax
            }
            place += 1
        }
        return options
    }
}

extension SetOptions {
    /// A time is given once, or again in the same unit.
    func takes(_ unit: (isMilliseconds: Bool, isAbsolute: Bool)) -> Bool {
        !keepsExpiry && !persists && (amount == nil || unit == (isMilliseconds, isAbsolute))
    }

    static func unit(_ word: ByteString) -> (isMilliseconds: Bool, isAbsolute: Bool)? {
        if word.isWord("ex") { return (false, false) }
        if word.isWord("px") { return (true, false) }
        if word.isWord("exat") { return (false, true) }
        if word.isWord("pxat") { return (true, true) }
        return nil
    }
}
