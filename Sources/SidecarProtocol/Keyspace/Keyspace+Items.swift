// Finding, adding, changing and removing keys.

extension Keyspace {
    // MARK: Finding

    /// Where the key stands in `databases[selected].items`, if it is there and its time hasn't come. Valid
    /// until a key is added or removed.
    @inline(__always)
    mutating func find(_ key: ByteString) -> Int? {
        guard let index = databases[selected].items.index(of: key) else { return nil }
        let expiry = databases[selected].items[index].value.expiry
        if expiry != Item.never, now > expiry {
            remove(key, at: index, as: .expire(stored(key)))
            statistics.expired &+= 1
            notify(.expired, "expired", key)
            return nil
        }
        return index
    }

    /// As `find`, for a command that reads: hits and misses are counted, and the use is noted.
    @inline(__always)
    mutating func findToRead(_ key: ByteString) -> Int? {
        guard let index = find(key) else {
            statistics.misses &+= 1
            notify(.missed, "keymiss", key)
            return nil
        }
        statistics.hits &+= 1
        let second = now / 1000
        if databases[selected].items[index].value.touched != second {
            databases[selected].items[index].value.touched = second
        }
        return index
    }

    func value(at index: Int) -> Value { databases[selected].items[index].value.value }
    func item(at index: Int) -> Item { databases[selected].items[index].value }

    mutating func valueToRead(_ key: ByteString) -> Value? {
        findToRead(key).map { value(at: $0) }
    }

    /// The string of a key; nil: there is no key.
    mutating func stringToRead(_ key: ByteString) throws(CommandError) -> ByteString? {
        guard let index = findToRead(key) else { return nil }
        guard let string = value(at: index).string else { throw .wrongType }
        return string
    }

    // MARK: Adding and changing

    /// Adds a key that isn't there, without a mutation.
    ///
    /// - Parameter isNew: false: another value stood there just now.
    @discardableResult
    mutating func add(_ key: ByteString, _ value: Value, isNew: Bool = true) -> Int {
        let footprint = value.footprint &+ key.count &+ Keyspace.keyFootprint
        self.footprint &+= footprint
        let item = Item(value: value, expiry: Item.never, footprint: footprint, touched: now / 1000)
        let index = databases[selected].items.insert(key, item)
        changed(key)
        if isNew { notify(.new, "new", key) }
        return index
    }

    /// What a key takes beside its own bytes and its value.
    static let keyFootprint = 96

    /// Replaces a key's value, whatever it was, without a mutation. The expiry stays.
    mutating func replace(at index: Int, _ value: Value) {
        databases[selected].items[index].value.value = value
        changed(at: index)
    }

    /// The value at `index` was changed.
    mutating func changed(at index: Int) {
        let old = databases[selected].items[index].value.footprint
        let key = databases[selected].items[index].key
        let new = databases[selected].items[index].value.value.footprint &+ key.count &+ Keyspace.keyFootprint
        footprint &+= new &- old
        databases[selected].items[index].value.footprint = new
        changed(key)
    }

    /// Tells those who watch the key.
    mutating func changed(_ key: ByteString) {
        changes &+= 1
        if databases[selected].watched.isEmpty { return }
        disturbWatchers(of: key)
    }

    private mutating func disturbWatchers(of key: ByteString) {
        guard let index = databases[selected].watched.index(of: key) else { return }
        let isGone = databases[selected].items.index(of: key) == nil
        for place in databases[selected].watched[index].value.indices {
            // What had expired already and is now removed hasn't changed.
            if databases[selected].watched[index].value[place].wasExpired {
                databases[selected].watched[index].value[place].wasExpired = false
                if isGone { continue }
            }
            disturbed.append(databases[selected].watched[index].value[place].client)
        }
    }

    // MARK: Removing

    /// Removes a key with its expiry. `mutation`: what is recorded of it, if anything is.
    @discardableResult
    mutating func remove(_ key: ByteString, at index: Int, as mutation: Mutation?) -> Value {
        let item = databases[selected].items.remove(at: index)
        if item.expiry != Item.never {
            databases[selected].expiries.remove(key, score: Double(item.expiry))
        }
        footprint &-= item.footprint
        if let mutation { record(mutation) }
        changed(key)
        return item.value
    }

    /// Removes a key if it is there, without an event.
    @discardableResult
    mutating func delete(_ key: ByteString) -> Bool {
        guard let index = find(key) else { return false }
        remove(key, at: index, as: .delete(stored(key)))
        return true
    }

    /// The collection at `index` was changed: it is gone where nothing is left in it.
    mutating func settle(_ key: ByteString, at index: Int, isEmpty: Bool) {
        if isEmpty {
            remove(key, at: index, as: nil)
            notify(.generic, "del", key)
        } else {
            changed(at: index)
        }
    }

    // MARK: Expiry

    /// Sets or takes away when the key at `index` ends, with a mutation where that is a change.
    mutating func setExpiry(_ key: ByteString, at index: Int, _ expiry: Int64) {
        guard placeExpiry(key, at: index, expiry) else { return }
        let time = expiry == Item.never ? nil : WallTime(milliseconds: expiry)
        record(.setExpiry(stored(key), time))
    }

    /// false: it was so already.
    @discardableResult
    mutating func placeExpiry(_ key: ByteString, at index: Int, _ expiry: Int64) -> Bool {
        let old = databases[selected].items[index].value.expiry
        guard old != expiry else { return false }
        if old != Item.never { databases[selected].expiries.remove(key, score: Double(old)) }
        if expiry != Item.never {
            databases[selected].expiries.insert(databases[selected].items[index].key, score: Double(expiry))
        }
        databases[selected].items[index].value.expiry = expiry
        return true
    }

    /// The time of the first key that ends, in any database.
    var nextExpiry: Int64? {
        var next: Int64?
        for database in databases where database.expiries.count > 0 {
            let first = Int64(clamping: Int(exactly: database.expiries[0].score) ?? .max)
            next = min(next ?? .max, first)
        }
        return next
    }

    /// Removes keys whose time has come, at most `count` of them; how many it were.
    mutating func expireDue(atMost count: Int) -> Int {
        let before = selected
        defer { selected = before }
        var removed = 0
        for number in databases.indices {
            selected = number
            while removed < count, databases[number].expiries.count > 0 {
                let first = databases[number].expiries[0]
                guard first.score < Double(now), find(first.member) == nil else { break }
                removed += 1
            }
        }
        return removed
    }

    // MARK: Recording

    @inline(__always)
    mutating func record(_ mutation: consuming Mutation) {
        guard isRecording else { return }
        mutationBytes &+= mutation.valueBytes
        mutations.append(mutation)
        if mutationBytes > mutationBytesMaximum { dropOverwritten() }
    }

    /// A loop that appends to a long string leaves the whole string again and again: of values that nothing
    /// but another value follows, the last one says all.
    private mutating func dropOverwritten() {
        var overwritten: Set<ByteString> = []
        var kept: [Mutation] = []
        var bytes = 0
        for mutation in mutations.reversed() {
            switch mutation {
            case .setString(let key, _): if !overwritten.insert(key).inserted { continue }
            case .deleteAll: overwritten.removeAll()
            default: if let key = mutation.key { overwritten.remove(key) }
            }
            kept.append(mutation)
            bytes += mutation.valueBytes
        }
        kept.reverse()
        (mutations, mutationBytes) = (kept, bytes)
        mutationBytesMaximum = max(Limits.replicatedTurnBytesMaximum, bytes * 2)
    }

    /// Gives what was recorded for an empty array, which is filled next: so two arrays are enough for all turns.
    mutating func swapMutations(_ empty: inout [Mutation]) {
        swap(&mutations, &empty)
        mutationBytes = 0
        mutationBytesMaximum = Limits.replicatedTurnBytesMaximum
    }

    /// A key of the selected database as mutations name it.
    @inline(__always)
    func stored(_ key: ByteString) -> ByteString {
        if selected == 0, key.bytes.first != 0 { return key }
        return ByteString([0, UInt8(truncatingIfNeeded: selected)] + key.bytes)
    }

    /// The database and key that a mutation names; nil: no database of ours.
    static func resolve(_ stored: ByteString) -> (database: Int, key: ByteString)? {
        guard stored.bytes.first == 0 else { return (0, stored) }
        guard stored.count >= 2, Int(stored.bytes[1]) < Limits.stateDatabases else { return nil }
        return (Int(stored.bytes[1]), ByteString(Array(stored.bytes[2...])))
    }
}
