// A whole state is merged: what either has, less what the other has seen and has no more.

extension ReplicatedStore {
    /// Merges an import that is complete, in one step with its vector.
    ///
    /// - Returns: What brings the keyspace to where it belongs now.
    package mutating func merge(_ state: StateImport, at now: Now) throws(JoinError) -> [Mutation] {
        try merge(state, nil, at: now)
    }

    /// - Parameter held: of their state what isn't in the import.
    mutating func merge(
        _ state: StateImport, _ held: HeldState?, at now: Now
    ) throws(JoinError) -> [Mutation] {
        guard let head = state.head, state.isComplete else { throw .malformed(.truncated(at: 0)) }
        do { try clock.observe(head.time, now.wall) } catch {
            throw .clock(error, origin: head.replicas[0])
        }
        return try take(state, head, held)
    }

    /// A store as it was, from a snapshot of itself or of an earlier epoch of it.
    ///
    /// The durable log's deltas after the snapshot are then joined, one's own too, until `restored`.
    ///
    /// - Parameter replica: a new epoch, unless it is certain that no change was lost.
    init(replica: ReplicaID, hash: SeededHash, restoring state: StateImport) throws(JoinError) {
        self.init(replica: replica, hash: hash)
        guard let head = state.head, state.isComplete else { throw .malformed(.truncated(at: 0)) }
        clock.restore(head.time)
        isRestoring = true
        _ = try take(state, head, nil)
        contexts[0] = seen
        birth = head.birth
    }

    /// The durable log's end has been reached.
    package mutating func restored() {
        isRestoring = false
        joined = []
        // Those that are retired, too: others can't know that a disk hasn't lost what was seen of them.
        news = seen.indices.dropFirst().filter { seen[$0] > 0 }
    }

    /// Everything that is shown, for a keyspace that is empty. In the order of the keys.
    package func shown() -> [Mutation] {
        var mutations: [Mutation] = []
        for key in entries.keys.sorted() {
            guard let entry = entries[key], !entry.isHidden, let kind = entry.kind else { continue }
            let contents = entry.contents
            contents.show(kind, of: key, replicas, &mutations)
            let expiry = contents.shownExpiry(replicas)
            if expiry != .never { mutations.append(.setExpiry(key, expiry.time)) }
        }
        return mutations
    }

    private mutating func take(
        _ state: StateImport, _ head: StateImport.Head, _ held: HeldState?
    ) throws(JoinError) -> [Mutation] {
        let places = try intern(head)
        let theirs = counters(of: head, places)
        guard theirs[0] <= seen[0] || entries.isEmpty && seen[0] == 0 && isRestoring else {
            throw .impostor(replica)
        }
        if mutant == .advancesEarly { seen = zip(seen, theirs).map { max($0, $1) } }
        let merge = StateMerge(mine: seen, theirs: theirs, replicas: replicas)
        var mutations: [Mutation] = []
        for (key, contents) in state.records {
            mergeKey(key, contents.renamed { LocalDot(places[$0.replica], $0.counter) }, merge, &mutations)
        }
        mergeOthers(Set(state.records.map(\.key)), held, merge, &mutations)
        advance(to: theirs)
        takeStandings(head, places)
        statistics.reconciliations += 1
        joinEarly(&mutations)
        return mutations
    }

    /// Keys that didn't come: those that are held, and those that they haven't.
    private mutating func mergeOthers(
        _ came: Set<ByteString>, _ held: HeldState?, _ merge: StateMerge, _ mutations: inout [Mutation]
    ) {
        for key in entries.keys.sorted() where !came.contains(key) {
            guard let theirs = held?.entry(of: key) else {
                mergeKey(key, Entry.Contents(), merge, &mutations)
                continue
            }
            if let mine = entries[key], mine.isSame(as: theirs) { continue }
            mergeKey(key, theirs.contents, merge, &mutations)
        }
        guard let held else { return }
        for key in held.own.entries.keys.sorted() where entries[key] == nil && !came.contains(key) {
            if let theirs = held.entry(of: key) { mergeKey(key, theirs.contents, merge, &mutations) }
        }
    }

    private mutating func advance(to theirs: [UInt64]) {
        for (place, counter) in theirs.enumerated() where seen[place] < counter {
            seen[place] = counter
            // What lies between isn't in the log.
            log.drop(of: place, upTo: .max)
            if place != 0, !news.contains(place) { news.append(place) }
        }
        early.removeAll { delta in
            replicas.place(of: delta.origin).map { delta.to <= seen[$0] } ?? false
        }
    }

    private mutating func mergeKey(
        _ key: ByteString, _ theirs: Entry.Contents, _ merge: StateMerge, _ mutations: inout [Mutation]
    ) {
        var entry = entries[key] ?? Entry()
        let before = hash(of: entry, key)
        let wasShown = entry.kind != nil && !entry.isHidden
        entry.change { contents in contents = merge.merge(contents, theirs) }
        entries[key] = entry.isEmpty ? nil : entry
        if !entry.isPlain, entry.contents.isUnsettled { unsettled.insert(key) }
        guard hash(of: entry, key) != before else { return }
        if wasShown { mutations.append(.delete(key)) }
        guard let kind = entry.kind else { return }
        if entry.isHidden, let place = entries.index(of: key) {
            entries[place].value.change { $0.hiddenAt = nil }
        }
        let contents = entry.contents
        contents.show(kind, of: key, replicas, &mutations)
        let expiry = contents.shownExpiry(replicas)
        if expiry != .never { mutations.append(.setExpiry(key, expiry.time)) }
    }
}

/// Two states of one key become one.
struct StateMerge {
    let mine: [UInt64]
    let theirs: [UInt64]
    let replicas: ReplicaTable

    func merge(_ one: Entry.Contents, _ other: Entry.Contents) -> Entry.Contents {
        var result = one
        result.string = cell(one.string, other.string)
        result.expiry = cell(one.expiry, other.expiry)
        result.hash = collection(one.hash, other.hash)
        result.members = collection(one.members, other.members)
        result.scores = collection(one.scores, other.scores)
        result.entries = collection(one.entries, other.entries)
        result.list = list(one.list, other.list)
        return result
    }

    private func covers(_ counters: [UInt64], _ replica: Int, _ counter: UInt64) -> Bool {
        replica < counters.count && counters[replica] >= counter
    }

    private func cell<Value>(_ one: Cell<Value>?, _ other: Cell<Value>?) -> Cell<Value>? {
        if one == nil, other == nil { return nil }
        let (left, right) = (one?.parts ?? .init(), other?.parts ?? .init())
        var parts = Cell<Value>.Parts()
        for register in left.registers {
            if right.registers.contains(where: { $0.dot == register.dot })
                || !covers(theirs, register.dot.replica, register.dot.counter)
            {
                parts.registers.append(register)
            }
        }
        for register in right.registers where !left.registers.contains(where: { $0.dot == register.dot }) {
            if !covers(mine, register.dot.replica, register.dot.counter) { parts.registers.append(register) }
        }
        for sum in left.sums {
            if let same = right.sums.first(where: { $0.start == sum.start }) {
                parts.sums.append(merge(sum, same))
            } else if !covers(theirs, sum.start.replica, sum.last) {
                parts.sums.append(sum)
            }
        }
        for sum in right.sums where !left.sums.contains(where: { $0.start == sum.start }) {
            if !covers(mine, sum.start.replica, sum.last) { parts.sums.append(sum) }
        }
        // One's own hollow sums are of no use: a new one begins anyway.
        parts.sums.removeAll { $0.isHollow && $0.start.replica == 0 }
        let cell = Cell(parts)
        return cell.isEmpty ? nil : cell
    }

    private func merge(_ one: Sum, _ other: Sum) -> Sum {
        var sum = one.last >= other.last ? one : other
        if other.floor > sum.floor { (sum.floor, sum.floorTotal) = (other.floor, other.floorTotal) }
        if one.floor > sum.floor { (sum.floor, sum.floorTotal) = (one.floor, one.floorTotal) }
        return sum
    }

    private func collection<Value>(
        _ one: CellCollection<Value>, _ other: CellCollection<Value>
    ) -> CellCollection<Value> {
        if one.isEmpty, other.isEmpty { return one }
        var result = CellCollection<Value>()
        for (name, mine) in one.cells {
            if let merged = cell(mine, other[name]) { result.insert(name, merged) }
        }
        for (name, theirs) in other.cells where one[name] == nil {
            if let merged = cell(nil, theirs) { result.insert(name, merged) }
        }
        return result
    }

    private func list(_ one: ListContent, _ other: ListContent) -> ListContent {
        if one.isEmpty, other.isEmpty { return one }
        let order = ListOrder(replicas: replicas)
        let (left, right) = (one.elements, other.elements)
        var result: [ListContent.Element] = []
        var (i, j) = (0, 0)
        while i < left.count || j < right.count {
            let side =
                i == left.count ? 1 : j == right.count ? -1 : order.compare(left[i].place, right[j].place)
            let place = side <= 0 ? left[i].place : right[j].place
            if let merged = cell(side <= 0 ? left[i].cell : nil, side >= 0 ? right[j].cell : nil) {
                result.append(ListContent.Element(place: place, cell: merged))
            }
            if side <= 0 { i += 1 }
            if side >= 0 { j += 1 }
        }
        return ListContent(result)
    }
}

// MARK: - Dots of another table

extension Entry.Contents {
    fileprivate func renamed(_ name: (LocalDot) -> LocalDot) -> Entry.Contents {
        var result = Entry.Contents()
        result.string = string?.renamed(name)
        result.expiry = expiry?.renamed(name)
        result.hash = hash.renamed(name)
        result.members = members.renamed(name)
        result.scores = scores.renamed(name)
        result.entries = entries.renamed(name)
        result.list = ListContent(
            list.elements.map { element in
                let steps = element.place.steps.map {
                    ListPlace.Step(digit: $0.digit, dot: name($0.dot), offset: $0.offset)
                }
                return ListContent.Element(place: ListPlace(steps), cell: element.cell.renamed(name))
            })
        return result
    }
}

extension Cell {
    fileprivate func renamed(_ name: (LocalDot) -> LocalDot) -> Cell {
        var parts = parts
        for index in parts.registers.indices { parts.registers[index].dot = name(parts.registers[index].dot) }
        for index in parts.sums.indices {
            parts.sums[index].start = name(parts.sums[index].start)
            if parts.sums[index].base != .none { parts.sums[index].base = name(parts.sums[index].base) }
        }
        return Cell(parts)
    }
}

extension CellCollection {
    fileprivate func renamed(_ name: (LocalDot) -> LocalDot) -> CellCollection {
        var result = CellCollection()
        for (field, cell) in cells { result.insert(field, cell.renamed(name)) }
        return result
    }
}
