// What was decided elsewhere: by a replica, or before the last start.

extension Keyspace {
    /// Brings the keyspace to where these mutations lead. They are trusted to be of our own making, yet
    /// whatever they say, nothing traps: what can't be done isn't. Watchers are told, and who waits for one
    /// of the keys is noted in `ready`.
    mutating func apply(_ mutations: [Mutation]) {
        let (wasRecording, before) = (isRecording, selected)
        isRecording = false
        defer { (isRecording, selected) = (wasRecording, before) }
        for mutation in mutations { apply(mutation) }
    }

    private mutating func apply(_ mutation: Mutation) {
        guard let stored = mutation.key else { return deleteEverything() }
        guard let (database, key) = Keyspace.resolve(stored) else { return }
        selected = database
        switch mutation {
        case .deleteAll: break
        case .delete, .expire:
            guard let index = place(key) else { return }
            remove(key, at: index, as: nil)
            notify(of: mutation, key)
        case .setExpiry(_, let time):
            guard let index = place(key) else { return }
            let isOther = placeExpiry(key, at: index, time?.milliseconds ?? Item.never)
            changed(key)
            if isOther { notify(of: mutation, key) }
        case .setString(_, let value): applyString(key, Value(string: value), mutation)
        case .addToString(_, let amount):
            let old = place(key).flatMap { value(at: $0).string?.integer } ?? 0
            applyString(key, .integer(old &+ amount), mutation)
        case .setField, .addToField, .removeField: applyToHash(key, mutation)
        case .addMember, .removeMember: applyToSet(key, mutation)
        case .setScore, .addToScore, .removeScored: applyToSorted(key, mutation)
        case .setEntry, .removeEntry: applyToStream(key, mutation)
        case .insertElements, .setElement, .removeElements: applyToList(key, mutation)
        }
    }

    /// Where the key stands, whether its time has come or not.
    private func place(_ key: ByteString) -> Int? { databases[selected].items.index(of: key) }

    /// The place of a key of this kind; one of another kind is removed.
    private mutating func place(_ key: ByteString, of kind: Value.Kind) -> Int? {
        guard let index = place(key) else { return nil }
        if value(at: index).kind == kind { return index }
        remove(key, at: index, as: nil)
        return nil
    }

    /// The place of a key of this kind, which is made where there is none, unless there is only something to take
    /// away from it.
    private mutating func place(
        _ key: ByteString, for mutation: Mutation, _ kind: Value.Kind, _ make: (SeededHash) -> Value
    ) -> Int? {
        if let index = place(key, of: kind) { return index }
        switch mutation {
        case .removeField, .removeMember, .removeScored, .removeEntry, .removeElements, .setElement:
            return nil
        default: return add(key, make(hash))
        }
    }

    private mutating func applyString(_ key: ByteString, _ value: Value, _ mutation: Mutation) {
        if let index = place(key, of: .string) { replace(at: index, value) } else { add(key, value) }
        notify(of: mutation, key)
    }

    private mutating func applyToHash(_ key: ByteString, _ mutation: Mutation) {
        guard let index = place(key, for: mutation, .hash, { .hash(HashObject(hash: $0)) }) else { return }
        guard case .hash(let object) = value(at: index) else { return }
        switch mutation {
        case .setField(_, let field, let value): object.set(field, value, limits: settings)
        case .addToField(_, let field, let amount):
            let sum = (object.table[field]?.integer ?? 0) &+ amount
            object.set(field, ByteString(DecimalText.bytes(of: sum)), limits: settings)
        case .removeField(_, let field): _ = object.remove(field)
        default: break
        }
        notify(of: mutation, key)
        settle(key, at: index, isEmpty: object.table.isEmpty)
    }

    private mutating func applyToSet(_ key: ByteString, _ mutation: Mutation) {
        guard let index = place(key, for: mutation, .set, { .set(SetObject(hash: $0)) }) else { return }
        guard case .set(let object) = value(at: index) else { return }
        switch mutation {
        case .addMember(_, let member): _ = object.add(member, limits: settings)
        case .removeMember(_, let member): _ = object.remove(member)
        default: break
        }
        notify(of: mutation, key)
        settle(key, at: index, isEmpty: object.count == 0)
    }

    private mutating func applyToSorted(_ key: ByteString, _ mutation: Mutation) {
        guard let index = place(key, for: mutation, .sorted, { .sorted(SortedObject(hash: $0)) }) else {
            return
        }
        guard case .sorted(let object) = value(at: index) else { return }
        switch mutation {
        case .setScore(_, let member, let score):
            if !score.isNaN { object.set(member, score, limits: settings) }
        case .addToScore(_, let member, let amount):
            let sum = (object.score(of: member) ?? 0) + amount
            if !sum.isNaN { object.set(member, sum, limits: settings) }
        case .removeScored(_, let member): _ = object.remove(member)
        default: break
        }
        if object.count > 0 { noteReady(key) }
        notify(of: mutation, key)
        settle(key, at: index, isEmpty: object.count == 0)
    }

    private mutating func applyToList(_ key: ByteString, _ mutation: Mutation) {
        guard let index = place(key, for: mutation, .list, { _ in .list(ListObject()) }) else { return }
        guard case .list(let object) = value(at: index) else { return }
        switch mutation {
        case .insertElements(_, let place, let elements):
            var place = min(max(place, 0), object.ring.count)
            for element in elements {
                object.ring.insert(element, at: place)
                place += 1
            }
        case .setElement(_, let place, let element):
            if place >= 0, place < object.ring.count { object.ring[place] = element }
        case .removeElements(_, let place, let count):
            let start = min(max(place, 0), object.ring.count)
            object.ring.remove(start..<start + min(max(count, 0), object.ring.count - start))
        default: break
        }
        if !object.ring.isEmpty { noteReady(key) }
        notify(of: mutation, key, left: object.ring.count)
        settle(key, at: index, isEmpty: object.ring.isEmpty)
    }

    private mutating func applyToStream(_ key: ByteString, _ mutation: Mutation) {
        guard let index = place(key, for: mutation, .stream, { _ in .stream(StreamObject()) }) else { return }
        guard case .stream(let object) = value(at: index) else { return }
        switch mutation {
        case .setEntry(_, let name, let value):
            guard let id = EntryID(name) else { break }
            if id == .least {
                if let last = EntryID(value) { object.setLast(last) }
            } else if let words = StreamWords.unpacked(value) {
                object.set(id, words)
                noteReady(key)
            }
        case .removeEntry(_, let name): if let id = EntryID(name) { object.remove(id) }
        default: break
        }
        notify(of: mutation, key)
        changed(at: index)
    }

    mutating func deleteEverything() {
        for number in databases.indices {
            selected = number
            clearSelected()
        }
        selected = 0
    }

    /// Empties the selected database, without a mutation.
    mutating func clearSelected() {
        let old = databases[selected].items
        guard !old.isEmpty else { return }
        databases[selected].items.removeAll()
        databases[selected].expiries = ScoreTree()
        changes &+= old.count
        for index in 0..<old.count {
            footprint &-= old[index].value.footprint
            if !databases[selected].watched.isEmpty { changed(old[index].key) }
        }
    }

    /// The key has elements: whoever waits for it is served after the command.
    mutating func noteReady(_ key: ByteString) {
        guard !databases[selected].waiting.isEmpty, databases[selected].waiting.index(of: key) != nil else {
            return
        }
        if !ready.contains(where: { $0.database == selected && $0.key == key }) {
            ready.append((selected, key))
        }
    }
}
