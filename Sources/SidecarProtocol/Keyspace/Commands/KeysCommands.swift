// Keys, whatever they hold (db.c).

extension Keyspace {
    mutating func deleteKeys() {
        var count = 0
        for place in 1..<arguments.count where delete(arguments[place]) {
            count += 1
            notify(.generic, "del", arguments[place])
        }
        reply.integer(count)
    }

    mutating func countExisting() {
        var count = 0
        for place in 1..<arguments.count {
            guard find(arguments[place]) != nil else {
                notify(.missed, "keymiss", arguments[place])
                continue
            }
            count += 1
            statistics.hits &+= 1
        }
        reply.integer(count)
    }

    mutating func touchKeys() {
        var count = 0
        for place in 1..<arguments.count where findToRead(arguments[place]) != nil { count += 1 }
        reply.integer(count)
    }

    mutating func type() {
        guard let index = find(arguments[1]) else {
            notify(.missed, "keymiss", arguments[1])
            return reply.simple("none")
        }
        reply.simple(value(at: index).kind.name)
    }

    mutating func keys() {
        let pattern = GlobPattern(arguments[1])
        let items = databases[selected].items
        var found: [ByteString] = []
        for index in 0..<items.count {
            let item = items[index]
            let isLive = item.value.expiry == Item.never || item.value.expiry >= now
            if isLive, pattern.isEverything || pattern.matches(item.key) { found.append(item.key) }
        }
        reply.array(found.count)
        for key in found { reply.bulk(key) }
    }

    mutating func anyKey() {
        while databases[selected].items.count > 0 {
            let index = dice.below(databases[selected].items.count)
            let key = databases[selected].items[index].key
            if find(key) != nil { return reply.bulk(key) }
        }
        reply.null()
    }

    mutating func rename(onlyNew: Bool) throws(CommandError) {
        let (source, target) = (arguments[1], arguments[2])
        guard find(source) != nil else { throw .noKey }
        if source == target { return onlyNew ? reply.integer(0) : reply.ok() }
        if find(target) != nil {
            if onlyNew { return reply.integer(0) }
            delete(target)
        }
        guard let place = find(source) else { throw .noKey }
        let expiry = item(at: place).expiry
        let value = remove(source, at: place, as: .delete(stored(source)))
        put(value, under: target, expiry: expiry)
        notify(.generic, "rename_from", source)
        notify(.generic, "rename_to", target)
        if onlyNew { reply.integer(1) } else { reply.ok() }
    }

    /// Adds a whole value under a key that isn't there, with the mutations that make it.
    mutating func put(_ value: Value, under key: ByteString, expiry: Int64, isNew: Bool = true) {
        let index = add(key, value, isNew: isNew)
        if isRecording { recordWhole(value, under: stored(key)) }
        setExpiry(key, at: index, expiry)
        switch value.kind {
        case .list, .sorted, .stream: noteReady(key)
        case .string, .hash, .set: break
        }
    }

    /// The mutations that make this value of nothing.
    mutating func recordWhole(_ value: Value, under key: ByteString) {
        switch value {
        case .integer, .text, .raw: record(.setString(key, value.string ?? .empty))
        case .list(let list):
            record(.insertElements(key, index: 0, (0..<list.ring.count).map { list.ring[$0] }))
        case .hash(let hash):
            for index in 0..<hash.table.count {
                record(.setField(key, field: hash.table[index].key, hash.table[index].value))
            }
        case .set(let set): set.visit { record(.addMember(key, $0)) }
        case .sorted(let sorted):
            for index in 0..<sorted.table.count {
                record(.setScore(key, member: sorted.table[index].key, sorted.table[index].value))
            }
        case .stream(let stream):
            record(.setEntry(key, id: EntryID.least.bytes, stream.last.bytes))
            for index in 0..<stream.count {
                record(.setEntry(key, id: stream[index].id.bytes, StreamWords.packed(stream[index].words)))
            }
        }
    }

    mutating func copy() throws(CommandError) {
        let (source, target) = (arguments[1], arguments[2])
        let home = selected
        var (replaces, database) = (false, home)
        var place = 3
        while place < arguments.count {
            if arguments[place].isWord("replace") {
                replaces = true
            } else if arguments[place].isWord("db"), place + 1 < arguments.count {
                database = try self.database(place + 1)
                place += 1
            } else {
                throw .syntax
            }
            place += 1
        }
        if database == home, source == target { throw .sameObject }
        guard let index = findToRead(source) else { return reply.integer(0) }
        let (value, expiry) = (value(at: index), item(at: index).expiry)
        selected = database
        defer { selected = home }
        if find(target) != nil {
            guard replaces else { return reply.integer(0) }
            delete(target)
        }
        put(value.copied(), under: target, expiry: expiry)
        notify(.generic, "copy_to", target)
        reply.integer(1)
    }

    mutating func move() throws(CommandError) {
        let key = arguments[1]
        let home = selected
        let database = try self.database(2)
        if database == home { throw .sameObject }
        guard let index = find(key) else { return reply.integer(0) }
        selected = database
        let isTaken = find(key) != nil
        selected = home
        if isTaken { return reply.integer(0) }
        let expiry = item(at: index).expiry
        let value = remove(key, at: index, as: .delete(stored(key)))
        selected = database
        put(value, under: key, expiry: expiry)
        selected = home
        notify(.generic, "move_from", key)
        selected = database
        notify(.generic, "move_to", key)
        selected = home
        reply.integer(1)
    }

    mutating func object() throws(CommandError) {
        guard let index = find(arguments[2]) else { return reply.null() }
        if arguments[1].isWord("encoding") {
            reply.bulk(value(at: index).encoding)
        } else if arguments[1].isWord("refcount") {
            reply.integer(1)
        } else if arguments[1].isWord("idletime") {
            reply.integer(max(now / 1000 - item(at: index).touched, 0))
        } else {
            throw CommandError(
                "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
                    + "when switching between policies at runtime LRU and LFU data will take some time to "
                    + "adjust.")
        }
    }

    /// MEMORY USAGE: what the key adds to the keyspace's footprint.
    mutating func memoryUsage() throws(CommandError) {
        if arguments.count > 3 {
            guard arguments.count == 5, arguments[3].isWord("samples") else { throw .syntax }
            guard try integer(4) >= 0 else { throw .syntax }
        }
        guard let index = find(arguments[2]) else { return reply.null() }
        reply.integer(item(at: index).footprint)
    }

    // MARK: Whole databases

    mutating func databaseSize() { reply.integer(databases[selected].items.count) }

    mutating func flush(all: Bool) throws(CommandError) {
        guard arguments.count == 1 || arguments.count == 2 && Keyspace.isFlushMode(arguments[1]) else {
            throw .syntax
        }
        if all {
            record(.deleteAll)
            let home = selected
            deleteEverything()
            selected = home
        } else {
            let others = databases.indices.contains { $0 != selected && !databases[$0].items.isEmpty }
            if !others {
                record(.deleteAll)
            } else if isRecording {
                let items = databases[selected].items
                for index in 0..<items.count { record(.delete(stored(items[index].key))) }
            }
            clearSelected()
        }
        reply.ok()
    }

    private static func isFlushMode(_ word: ByteString) -> Bool {
        word.isWord("sync") || word.isWord("async")
    }

    mutating func swapDatabases() throws(CommandError) {
        guard let first = arguments[1].integer, Int32(exactly: first) != nil else {
            throw CommandError("invalid first DB index")
        }
        guard let second = arguments[2].integer, Int32(exactly: second) != nil else {
            throw CommandError("invalid second DB index")
        }
        guard first >= 0, second >= 0, first < Limits.stateDatabases, second < Limits.stateDatabases else {
            throw .badDatabase
        }
        if first != second { exchange(Int(first), Int(second)) }
        reply.ok()
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        let home = selected
        let (items, expiries) = (databases[a].items, databases[a].expiries)
        (databases[a].items, databases[a].expiries) = (databases[b].items, databases[b].expiries)
        (databases[b].items, databases[b].expiries) = (items, expiries)
        for (from, to) in [(a, b), (b, a)] {
            // Keys of `to` stood in `from`, and are recorded as if they had been moved.
            selected = from
            let items = databases[to].items
            for index in 0..<items.count {
                let key = items[index].key
                if databases[from].items.index(of: key) == nil { record(.delete(stored(key))) }
                changed(key)
            }
        }
        for database in [a, b] {
            selected = database
            let items = databases[database].items
            for index in 0..<items.count {
                let (key, item) = (items[index].key, items[index].value)
                record(.delete(stored(key)))
                recordWhole(item.value, under: stored(key))
                if item.expiry != Item.never {
                    record(.setExpiry(stored(key), WallTime(milliseconds: item.expiry)))
                }
                changed(key)
                if item.value.kind == .list || item.value.kind == .sorted { noteReady(key) }
            }
        }
        selected = home
    }
}
