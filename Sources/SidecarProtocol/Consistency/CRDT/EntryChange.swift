// An operation comes to a key: what it changes, and what the keyspace is told of it.

/// An operation with all that is known of it.
struct Change {
    let operation: Operation
    let dot: LocalDot
    let time: HybridTime
    let context: Context
    let replicas: ReplicaTable
    /// Whether the keyspace is to be told; it knows of its own.
    var reports: Bool { !context.isLocal }
}

extension Entry.Contents {
    /// - Parameter mutations: gets what brings the keyspace from what this key showed to what it shows now.
    mutating func apply(_ change: Change, _ mutations: inout [Mutation]) {
        guard change.reports else {
            var none: [Mutation] = []
            perform(change, &none)
            hiddenAt = nil
            return
        }
        let key = change.operation.key
        let before = hiddenAt == nil ? kind : nil
        let expiryBefore = shownExpiry(change.replicas)
        var fine: [Mutation] = []
        perform(change, &fine)
        let after = kind
        let expiry = shownExpiry(change.replicas)
        if let hidden = hiddenAt {
            // Until its time is another one, the key stays away.
            if after != nil, expiry == hidden { return }
            hiddenAt = nil
        }
        var isAnew = false
        switch (before, after) {
        case (nil, nil): return
        case (_?, nil):
            mutations.append(.delete(key))
            return
        case (nil, let shown?):
            show(shown, of: key, change.replicas, &mutations)
            isAnew = true
        case (let old?, let shown?) where old != shown:
            mutations.append(.delete(key))
            show(shown, of: key, change.replicas, &mutations)
            isAnew = true
        case (_?, let shown?):
            mutations += fine.filter { $0.contentKind == shown }
        }
        if isAnew ? expiry != .never : expiry != expiryBefore {
            mutations.append(.setExpiry(key, expiry.time))
        }
    }

    /// Everything of one type, for a keyspace that has nothing of the key.
    func show(
        _ kind: ContentKind, of key: ByteString, _ replicas: ReplicaTable, _ mutations: inout [Mutation]
    ) {
        switch kind {
        case .string:
            if let value = string?.shown(replicas) { mutations.append(.setString(key, value)) }
        case .hash:
            for field in hash.names {
                guard let value = hash[field]?.shown(replicas) else { continue }
                mutations.append(.setField(key, field: field, value))
            }
        case .list:
            let elements = list.shown(replicas)
            mutations.append(.insertElements(key, index: 0, elements))
        case .set:
            for member in members.names where members[member]?.isLive ?? false {
                mutations.append(.addMember(key, member))
            }
        case .sorted:
            for member in scores.names {
                guard let score = scores[member]?.shown(replicas) else { continue }
                mutations.append(.setScore(key, member: member, score))
            }
        case .stream:
            for id in entries.names {
                guard let value = entries[id]?.shown(replicas) else { continue }
                mutations.append(.setEntry(key, id: id, value))
            }
        }
    }
}

// MARK: - By type

extension Entry.Contents {
    private mutating func perform(_ change: Change, _ mutations: inout [Mutation]) {
        let (key, context, dot) = (change.operation.key, change.context, change.dot)
        if change.operation.isFresh { removeExpiry(context) }
        switch change.operation.action {
        case .deleteAll, .delete, .expire: removeAll(change, &mutations)
        case .setExpiry(let time):
            var cell = expiry ?? .many(.init())
            cell.put(Register(dot: dot, time: change.time, value: Expiry(time)), context)
            expiry = cell
        case .setString(let value, _):
            changeString(change, &mutations) {
                $0.put(Register(dot: dot, time: change.time, value: value), context)
            }
        case .addToString(let increment):
            let base = change.replicas.local(increment.base)
            changeString(change, &mutations) { $0.add(increment, base: base, dot: dot) }
        case .setField(let field, let value, _):
            changeField(field, change, &mutations) {
                $0.put(Register(dot: dot, time: change.time, value: value), context)
            }
        case .addToField(let field, let increment):
            let base = change.replicas.local(increment.base)
            changeField(field, change, &mutations) { $0.add(increment, base: base, dot: dot) }
        case .removeField(let field, _): changeField(field, change, &mutations) { $0.remove(context) }
        case .addMember(let member):
            let wasLive = change.reports && members[member] != nil
            members.change(member) {
                $0.put(Register(dot: dot, time: change.time, value: Presence()), context)
            }
            if !wasLive { mutations.append(.addMember(key, member)) }
        case .removeMember(let member):
            members.change(member) { $0.remove(context) }
            if change.reports, members[member] == nil { mutations.append(.removeMember(key, member)) }
        case .setScore(let member, let bits, _):
            changeScore(member, change, &mutations) {
                $0.put(Register(dot: dot, time: change.time, value: Score(bits: bits)), context)
            }
        case .addToScore(let member, let increment):
            let base = change.replicas.local(increment.base)
            changeScore(member, change, &mutations) { $0.add(increment, base: base, dot: dot) }
        case .removeScored(let member, _): changeScore(member, change, &mutations) { $0.remove(context) }
        case .setEntry(let id, let value):
            changeEntry(id, change, &mutations) {
                $0.put(Register(dot: dot, time: change.time, value: value), context)
            }
        case .removeEntry(let id): changeEntry(id, change, &mutations) { $0.remove(context) }
        case .insert, .setElement, .removeElements: list.apply(change, &mutations)
        case .seal, .begin: break
        }
    }

    private mutating func removeExpiry(_ context: Context) {
        expiry?.remove(context)
        if expiry?.isEmpty ?? false { expiry = nil }
    }

    private mutating func removeAll(_ change: Change, _ mutations: inout [Mutation]) {
        let (key, context, replicas) = (change.operation.key, change.context, change.replicas)
        removeExpiry(context)
        if string != nil { changeString(change, &mutations) { $0.remove(context) } }
        for field in hash.removeAll(context, reports: change.reports) {
            mutations.append(
                hash[field]?.shown(replicas).map { .setField(key, field: field, $0) }
                    ?? .removeField(key, field: field))
        }
        list.removeAll(change, &mutations)
        for member in members.removeAll(context, reports: change.reports) where members[member] == nil {
            mutations.append(.removeMember(key, member))
        }
        for member in scores.removeAll(context, reports: change.reports) {
            mutations.append(
                scores[member]?.shown(replicas).map { .setScore(key, member: member, $0) }
                    ?? .removeScored(key, member: member))
        }
        for id in entries.removeAll(context, reports: change.reports) {
            mutations.append(
                entries[id]?.shown(replicas).map { .setEntry(key, id: id, $0) } ?? .removeEntry(key, id: id))
        }
    }

    private mutating func changeEntry(
        _ id: ByteString, _ change: Change, _ mutations: inout [Mutation],
        _ body: (inout Cell<ByteString>) -> Void
    ) {
        let key = change.operation.key
        guard let value = entries.change(id, change, { $0.shown($1) }, body) else { return }
        mutations.append(value.map { .setEntry(key, id: id, $0) } ?? .removeEntry(key, id: id))
    }

    private mutating func changeString(
        _ change: Change, _ mutations: inout [Mutation], _ body: (inout Cell<ByteString>) -> Void
    ) {
        let before = change.reports ? string?.shown(change.replicas) : nil
        var cell = string ?? .many(.init())
        string = nil
        body(&cell)
        if !cell.isEmpty { string = cell }
        guard change.reports, let value = cell.shown(change.replicas), value != before else { return }
        mutations.append(.setString(change.operation.key, value))
    }

    private mutating func changeField(
        _ field: ByteString, _ change: Change, _ mutations: inout [Mutation],
        _ body: (inout Cell<ByteString>) -> Void
    ) {
        let key = change.operation.key
        guard let value = hash.change(field, change, { $0.shown($1) }, body) else { return }
        mutations.append(value.map { .setField(key, field: field, $0) } ?? .removeField(key, field: field))
    }

    private mutating func changeScore(
        _ member: ByteString, _ change: Change, _ mutations: inout [Mutation],
        _ body: (inout Cell<Score>) -> Void
    ) {
        let key = change.operation.key
        guard let score = scores.change(member, change, { $0.shown($1) }, body) else { return }
        mutations.append(
            score.map { .setScore(key, member: member, $0) } ?? .removeScored(key, member: member))
    }
}

extension CellCollection {
    /// Changes one cell.
    ///
    /// - Returns: What it shows then, inside nil for nothing; nil where that is what it showed before, or the keyspace
    ///   isn't to be told.
    fileprivate mutating func change<Shown: Equatable>(
        _ name: ByteString, _ change: Change, _ shown: (Cell<Value>, ReplicaTable) -> Shown?,
        _ body: (inout Cell<Value>) -> Void
    ) -> Shown?? {
        let before = change.reports ? self[name].flatMap { shown($0, change.replicas) } : nil
        self.change(name, body)
        guard change.reports else { return nil }
        let after = self[name].flatMap { shown($0, change.replicas) }
        return after == before ? nil : .some(after)
    }
}

extension Mutation {
    /// The type that it changes; nil: the key as a whole.
    fileprivate var contentKind: ContentKind? {
        switch self {
        case .delete, .expire, .deleteAll, .setExpiry: nil
        case .setString, .addToString: .string
        case .setField, .addToField, .removeField: .hash
        case .addMember, .removeMember: .set
        case .setScore, .addToScore, .removeScored: .sorted
        case .setEntry, .removeEntry: .stream
        case .insertElements, .setElement, .removeElements: .list
        }
    }
}
