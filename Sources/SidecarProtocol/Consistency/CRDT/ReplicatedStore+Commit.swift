// What the own workload's commands changed becomes a delta.

extension ReplicatedStore {
    /// Takes over mutations that the keyspace has already made.
    ///
    /// - Returns: Whether the other replicas must be told something, which `committed` then is.
    package mutating func commit(_ mutations: ArraySlice<Mutation>, at now: Now) -> Bool {
        var draft = open.take() ?? newDraft(at: now)
        seen[0] += UInt64(draft.stringCount)
        for mutation in mutations {
            commit(mutation, &draft)
            if !corrections.isEmpty { renewCorrections(after: mutation) }
        }
        let isAny = finish(draft) != nil
        draft.strings.bytes.removeAll(keepingCapacity: draft.strings.bytes.capacity <= 1 << 16)
        room = draft.strings
        return isAny
    }

    /// Begins the next `commit` with the first of these mutations, as far as they are plain strings, and takes
    /// them away: while what a command has touched is still in the processor's cache. Until the commit they are
    /// unseen: nothing tells of them.
    mutating func absorb(_ mutations: inout [Mutation], at now: Now) {
        guard case .setString? = mutations.first, corrections.isEmpty else { return }
        if open == nil { open = newDraft(at: now) }
        var count = 0
        while count < mutations.count, case .setString = mutations[count] {
            // Taken out and not copied, and so on to where it stays: no reference is counted.
            var mutation = Mutation.deleteAll
            swap(&mutation, &mutations[count])
            guard case .setString(let key, let value) = mutation else { break }
            let place = entries.index(of: key)
            guard isPlain(place), open!.strings.bytes.count + key.count + value.count <= 1 << 20 else {
                mutations[count] = .setString(key, value)
                break
            }
            let dot = LocalDot(0, seen[0] + UInt64(open!.stringCount) + 1)
            ReplicatedStore.put(key, value, at: place, dot, &entries, &open!)
            count += 1
        }
        if count == mutations.count {
            mutations.removeAll(keepingCapacity: true)
        } else {
            mutations.removeFirst(count)
        }
    }

    private mutating func newDraft(at now: Now) -> Draft {
        // Else two changes would have one dot.
        precondition(open == nil, "what was absorbed is committed before anything else is drafted")
        var draft = Draft(from: seen[0] + 1, time: clock.tick(now.wall), now: now)
        swap(&draft.strings, &room)
        return draft
    }

    /// A correction of what was changed again says what is there now, or nothing.
    private mutating func renewCorrections(after mutation: Mutation) {
        corrections = corrections.compactMap { correction in
            guard let key = correction.key, mutation.key == nil || mutation.key == key else {
                return correction
            }
            let contents = entries[key]?.contents
            return switch correction {
            case .setField(_, let field, _):
                contents?.hash[field]?.shown(replicas).map { .setField(key, field: field, $0) }
            case .setScore(_, let member, _):
                contents?.scores[member]?.shown(replicas).map { .setScore(key, member: member, $0) }
            default: contents?.string?.shown(replicas).map { .setString(key, $0) }
            }
        }
    }

    /// Deletes hidden keys whose deletion was another replica's to send, which hasn't.
    package mutating func deleteExpired(at now: Now) -> Delta? {
        guard let first = hidden.first, first.due <= now.wall else { return nil }
        var draft = newDraft(at: now)
        while let first = hidden.first, first.due <= now.wall {
            hidden.removeFirst()
            guard isHidden(first.key) else { continue }
            perform(Operation(key: first.key, action: .expire(resets(first.key) { $0.resets($1) })), &draft)
        }
        return finish(draft)
    }

    /// Makes itself known to those who only heard of it: what a replica has seen that never wrote is in nobody's
    /// log, and nobody could wait for it.
    package mutating func begin(at now: Now) -> Delta? {
        guard seen[0] == 0 else { return nil }
        var draft = newDraft(at: now)
        perform(Operation(key: ByteString([]), action: .begin), &draft)
        return finish(draft)
    }

    /// Says where the changes of these replicas end.
    mutating func commit(seals: [Dot], at now: Now) -> Delta? {
        var draft = newDraft(at: now)
        for dot in seals { perform(Operation(key: ByteString([]), action: .seal(dot)), &draft) }
        return finish(draft)
    }

    /// - Returns: The delta without `strings`; nil: there is nothing to tell.
    private mutating func finish(_ draft: Draft) -> Delta? {
        let count = draft.stringCount + draft.operations.count
        guard count > 0 else { return nil }
        if birth.raw == 0 { birth = draft.time }
        let dependencies = takeNews()
        let delta = Delta(
            origin: replica, from: draft.from, time: draft.time, dependencies: dependencies,
            operations: draft.operations, namesOthers: draft.namesOthers
        ) { isSealed($0, before: draft.from) }
        committed = delta.encoded(behind: draft.strings.bytes, count: draft.stringCount)
        let record = DeltaLog.Record(
            from: draft.from, to: draft.from &+ UInt64(count) &- 1, bytes: committed)
        log.append(record, of: 0)
        statistics.commits += 1
        return delta
    }

    struct Draft {
        let from: UInt64
        let time: HybridTime
        let now: Now
        /// The first operations, encoded at once: plain strings, which name no replica. Behind another operation
        /// they stand among `operations`.
        var strings = CompactWriter()
        var stringCount = 0
        var operations: [Operation] = []
        /// An operation may name other replicas.
        var namesOthers = false

        mutating func append(_ key: ByteString, isFresh: Bool, _ value: ByteString) {
            if operations.isEmpty {
                Operation.encodeString(key, isFresh: isFresh, value, into: &strings)
                stringCount += 1
            } else {
                operations.append(Operation(key: key, isFresh: isFresh, action: .setString(value, [])))
            }
        }
    }

    private mutating func takeNews() -> VersionVector {
        var dependencies = VersionVector()
        for place in news { dependencies[replicas.names[place]] = seen[place] }
        news.removeAll(keepingCapacity: true)
        return dependencies
    }

    private mutating func commit(_ mutation: Mutation, _ draft: inout Draft) {
        switch mutation {
        case .setString(let key, let value): commitString(key, value, &draft)
        case .deleteAll:
            var resets: [Reset] = []
            for entry in entries.entries where !entry.value.isPlain {
                resets += entry.value.contents.resets(replicas)
            }
            perform(Operation(key: ByteString([]), action: .deleteAll(resets.sortedByStart)), &draft)
        case .delete(let key):
            guard entries[key] != nil, !isHidden(key) else { return }
            perform(Operation(key: key, action: .delete(resets(key) { $0.resets($1) })), &draft)
        case .expire(let key): commitExpiry(of: key, &draft)
        case .setExpiry(let key, let time):
            guard prepare(key, &draft) == false else { return }
            if time == nil, entries[key]?.contents.expiry == nil { return }
            perform(Operation(key: key, action: .setExpiry(time?.milliseconds)), &draft)
        case .addToString, .setField, .addToField, .addMember, .setScore, .addToScore, .setEntry:
            commitAddition(mutation, &draft)
        case .removeField, .removeMember, .removeScored, .removeEntry, .removeElements:
            commitRemoval(mutation, &draft)
        case .insertElements, .setElement: commitList(mutation, &draft)
        }
    }

    /// A key that is hidden, or new to the keyspace, begins anew.
    ///
    /// - Returns: Whether there is nothing of the key that the keyspace knows.
    private mutating func prepare(_ key: ByteString, _ draft: inout Draft) -> Bool {
        if isHidden(key) {
            perform(Operation(key: key, action: .delete(resets(key) { $0.resets($1) })), &draft)
            return true
        }
        return entries[key]?.kind == nil
    }

    /// Applies the operation here, as the next of the draft.
    private mutating func perform(_ operation: Operation, _ draft: inout Draft) {
        let counter = seen[0] + 1
        var none: [Mutation] = []
        let change = Change(
            operation: operation, dot: LocalDot(0, counter), time: draft.time, context: localContext,
            replicas: replicas)
        apply(change, &none)
        seen[0] = counter
        draft.operations.append(operation)
        draft.namesOthers = true
    }

    private func isHidden(_ key: ByteString) -> Bool { entries[key]?.isHidden ?? false }

    private var localContext: Context { Context(counters: seen, actor: 0, own: 0, isLocal: true) }

    private func resets(
        _ key: ByteString, _ of: (Entry.Contents, ReplicaTable) -> [Reset]
    ) -> [Reset] {
        guard let entry = entries[key], !entry.isPlain else { return [] }
        return of(entry.contents, replicas).sortedByStart
    }
}

// MARK: - By type

extension ReplicatedStore {
    /// The commonest change of all, and so with the fewest steps.
    private mutating func commitString(_ key: ByteString, _ value: ByteString, _ draft: inout Draft) {
        let place = entries.index(of: key)
        if isPlain(place) {
            seen[0] += 1
            return ReplicatedStore.put(key, value, at: place, LocalDot(0, seen[0]), &entries, &draft)
        }
        let isFresh = prepare(key, &draft)
        let resets = resets(key) { $0.string?.resets($1) ?? [] }
        perform(Operation(key: key, isFresh: isFresh, action: .setString(value, resets)), &draft)
    }

    /// Whether a string takes the place of all that is there.
    @inline(__always)
    private func isPlain(_ place: Int?) -> Bool {
        guard let place else { return true }
        return entries[place].value.isPlain
    }

    /// - Parameter place: the key's, where only a plain string stands; nil: the key is new.
    private static func put(
        _ key: ByteString, _ value: consuming ByteString, at place: Int?, _ dot: LocalDot,
        _ entries: inout HashTable<Entry>, _ draft: inout Draft
    ) {
        draft.append(key, isFresh: place == nil, value)
        let register = Register(dot: dot, time: draft.time, value: value)
        if let place { entries[place].value.plain = register } else { entries.insert(key, Entry(register)) }
    }

    private mutating func commitExpiry(of key: ByteString, _ draft: inout Draft) {
        guard let place = entries.index(of: key), entries[place].value.kind != nil, !isHidden(key) else {
            return
        }
        if let winner = entries[place].value.contents.expiry?.winner(replicas), isOthers(winner.dot.replica) {
            entries[place].value.change { $0.hiddenAt = winner.value }
            hidden.append((draft.now.wall + Limits.expiryGrace, key))
            return
        }
        perform(Operation(key: key, action: .expire(resets(key) { $0.resets($1) })), &draft)
    }

    /// Another replica, which may still be there, is to delete what it has set the time of.
    private func isOthers(_ place: Int) -> Bool {
        let owner = replicas.names[place]
        return owner != replica && !owner.isSucceeded(by: replica) && isLive(place)
    }

    private mutating func commitAddition(_ mutation: Mutation, _ draft: inout Draft) {
        guard let key = mutation.key else { return }
        let isFresh = prepare(key, &draft)
        guard let (action, expected) = addition(mutation, key) else { return }
        perform(Operation(key: key, isFresh: isFresh, action: action), &draft)
        if let expected { correct(expected) }
    }

    // Contents are read in functions of their own: whoever holds them while they are changed has them copied.

    /// The operation, and for sums what the keyspace has now.
    private func addition(
        _ mutation: Mutation, _ key: ByteString
    ) -> (Operation.Action, expected: Mutation?)? {
        let contents = entries[key]?.contents
        switch mutation {
        case .addToString(_, let amount):
            let cell = contents?.string
            let sum = (cell?.shown(replicas)?.decimalInteger ?? 0) &+ amount
            return (
                .addToString(increment(cell, UInt64(bitPattern: amount))),
                .setString(key, ByteString(decimal: sum))
            )
        case .setField(_, let field, let value):
            let resets = contents?.hash[field]?.resets(replicas).sortedByStart ?? []
            return (.setField(field, value, resets), nil)
        case .addToField(_, let field, let amount):
            let cell = contents?.hash[field]
            let sum = (cell?.shown(replicas)?.decimalInteger ?? 0) &+ amount
            return (
                .addToField(field, increment(cell, UInt64(bitPattern: amount))),
                .setField(key, field: field, ByteString(decimal: sum))
            )
        case .addMember(_, let member): return (.addMember(member), nil)
        case .setEntry(_, let id, let value): return (.setEntry(id, value), nil)
        case .setScore(_, let member, let score):
            let resets = contents?.scores[member]?.resets(replicas).sortedByStart ?? []
            return (.setScore(member, score.bitPattern, resets), nil)
        case .addToScore(_, let member, let amount):
            let cell = contents?.scores[member]
            return (
                .addToScore(member, increment(cell, amount.bitPattern)),
                .setScore(key, member: member, (cell?.shown(replicas) ?? 0) + amount)
            )
        default: return nil
        }
    }

    /// One's own sum on the value that is shown goes on, or a new one begins.
    private func increment<Value>(_ cell: Cell<Value>?, _ amount: UInt64) -> Increment {
        let shown = cell?.winner(replicas)?.dot ?? .none
        let base = shown == .none ? nil : replicas.dot(shown)
        if case .many(let parts)? = cell,
            let sum = parts.sums.first(where: { $0.start.replica == 0 && $0.base == shown })
        {
            return Increment(start: sum.start.counter, base: base, amount: amount, before: sum.total)
        }
        return Increment(start: seen[0] + 1, base: base, amount: amount, before: 0)
    }

    /// Where the sum came out otherwise than the keyspace has it.
    private mutating func correct(_ expected: Mutation) {
        guard let key = expected.key, let contents = entries[key]?.contents else { return }
        switch expected {
        case .setString(_, let value):
            guard let shown = contents.string?.shown(replicas), shown != value else { return }
            corrections.append(.setString(key, shown))
        case .setField(_, let field, let value):
            guard let shown = contents.hash[field]?.shown(replicas), shown != value else { return }
            corrections.append(.setField(key, field: field, shown))
        case .setScore(_, let member, let score):
            guard let shown = contents.scores[member]?.shown(replicas), shown != score else { return }
            corrections.append(.setScore(key, member: member, shown))
        default: return
        }
    }

    private mutating func commitRemoval(_ mutation: Mutation, _ draft: inout Draft) {
        guard let key = mutation.key, !isHidden(key), let action = removal(mutation, key) else { return }
        let before = entries[key]?.kind
        perform(Operation(key: key, action: action), &draft)
        finishRemoval(key, before, &draft)
    }

    private func removal(_ mutation: Mutation, _ key: ByteString) -> Operation.Action? {
        guard let contents = entries[key]?.contents else { return nil }
        switch mutation {
        case .removeField(_, let field):
            return contents.hash[field].map { .removeField(field, $0.resets(replicas).sortedByStart) }
        case .removeMember(_, let member):
            return contents.members[member].map { _ in .removeMember(member) }
        case .removeEntry(_, let id):
            return contents.entries[id].map { _ in .removeEntry(id) }
        case .removeScored(_, let member):
            return contents.scores[member].map { .removeScored(member, $0.resets(replicas).sortedByStart) }
        case .removeElements(_, let index, let count):
            let list = contents.list
            guard index >= 0, count > 0, count <= list.count - index else { return nil }
            return .removeElements((index..<index + count).map { list[$0].place.path(replicas) })
        default: return nil
        }
    }

    /// A key whose last element is removed is gone, and with it what another type's changes left hidden.
    private mutating func finishRemoval(_ key: ByteString, _ before: ContentKind?, _ draft: inout Draft) {
        guard let kind = entries[key]?.kind, kind != before else { return }
        perform(Operation(key: key, action: .delete(resets(key) { $0.resets($1) })), &draft)
    }

    private mutating func commitList(_ mutation: Mutation, _ draft: inout Draft) {
        guard let key = mutation.key else { return }
        let isFresh = prepare(key, &draft)
        guard let action = listChange(mutation, key, draft.time) else { return }
        perform(Operation(key: key, isFresh: isFresh, action: action), &draft)
    }

    private func listChange(
        _ mutation: Mutation, _ key: ByteString, _ time: HybridTime
    ) -> Operation.Action? {
        let list = entries[key]?.contents.list ?? ListContent()
        switch mutation {
        case .insertElements(_, let index, let elements):
            guard index >= 0, index <= list.count, !elements.isEmpty else { return nil }
            let place = ListOrder(replicas: replicas).between(
                index > 0 ? list[index - 1].place : nil, index < list.count ? list[index].place : nil,
                LocalDot(0, seen[0] + 1), time)
            return .insert(place.path(replicas), elements)
        case .setElement(_, let index, let element):
            guard index >= 0, index < list.count else { return nil }
            return .setElement(list[index].place.path(replicas), element)
        default: return nil
        }
    }
}

extension [Reset] {
    /// By the first change of the sum: dictionaries gave them in no order.
    var sortedByStart: [Reset] { count < 2 ? self : sorted { $0.start < $1.start } }
}
