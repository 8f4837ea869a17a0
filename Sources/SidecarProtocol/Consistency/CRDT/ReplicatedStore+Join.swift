// Another replica's delta comes.

package enum JoinError: Error, Equatable, Sendable {
    case malformed(CompactError)
    case clock(ClockError, origin: ReplicaID)
    /// It skips changes of its origin, or depends on others that haven't come, and there is no room for more
    /// that wait. Anti-entropy brings it again.
    case early(origin: ReplicaID, from: UInt64)
    case tooManyReplicas(ReplicaID)
    /// A delta under the own name that isn't ours: another uses our replica's name.
    case impostor(ReplicaID)
    /// The replica has left, and is to come back under a new epoch.
    case sealed(ReplicaID)
    /// It was said not to come back, or comes from before others were given up whose changes are forgotten; or nobody
    /// can tell that from it. No epoch of it is taken.
    case gone(ReplicaID)
}

extension ReplicatedStore {
    package mutating func join(encoded bytes: [UInt8], at now: Now) throws(JoinError) -> [Mutation] {
        let delta: Delta
        do { delta = try Delta(encoded: bytes) } catch { throw .malformed(error) }
        return try join(delta, bytes, at: now)
    }

    /// Joins a delta, and those that waited for it. One that comes before its time waits. A duplicate is
    /// nothing.
    ///
    /// - Returns: What brings the keyspace to where it belongs now, in order.
    package mutating func join(_ delta: Delta, at now: Now) throws(JoinError) -> [Mutation] {
        try join(delta, delta.encoded(), at: now)
    }

    private mutating func join(
        _ delta: Delta, _ bytes: [UInt8], at now: Now
    ) throws(JoinError) -> [Mutation] {
        guard let origin = try place(of: delta) else {
            statistics.duplicates += 1
            return []
        }
        guard delta.to > seen[origin] || mutant == .joinsTwice else {
            statistics.duplicates += 1
            return []
        }
        guard origin != 0 || isRestoring else { throw .impostor(delta.origin) }
        guard isOpen(origin) else { throw .sealed(delta.origin) }
        do { try clock.observe(delta.time, now.wall) } catch {
            statistics.refused += 1
            throw .clock(error, origin: delta.origin)
        }
        guard isReady(delta, origin) else {
            guard early.insert(delta, bytes) else { throw .early(origin: delta.origin, from: delta.from) }
            statistics.waited += 1
            return []
        }
        if let sealed = beyondItsEnd(delta) { throw .sealed(sealed) }
        var mutations: [Mutation] = []
        apply(delta, bytes, origin, &mutations)
        joinEarly(&mutations)
        return mutations
    }

    /// - Returns: Nil where the origin was forgotten, so that all of it has been seen.
    private mutating func place(of delta: Delta) throws(JoinError) -> Int? {
        if isForgotten(delta.origin) { return nil }
        if let place = replicas.place(of: delta.origin) { return place }
        // Since somebody was forgotten, those that are new are known by their digests before they bring anything.
        if !isRestoring, horizon.raw > 0 { throw .sealed(delta.origin) }
        guard let place = intern(delta.origin) else {
            statistics.refused += 1
            throw .tooManyReplicas(delta.origin)
        }
        return place
    }

    /// Its changes haven't come to their end.
    private func isOpen(_ place: Int) -> Bool {
        switch standings[place] {
        case .live, .left: true
        case .sealed, .retired, .free: false
        }
    }

    /// A replica that the delta says has ended, and of which more is seen here.
    private func beyondItsEnd(_ delta: Delta) -> ReplicaID? {
        for operation in delta.operations {
            guard case .seal(let dot) = operation.action, let place = replicas.place(of: dot.replica),
                !standings[place].isRetired, seen[place] > dot.counter
            else { continue }
            return dot.replica
        }
        return nil
    }

    /// Everything that the delta follows upon is here.
    private func isReady(_ delta: Delta, _ origin: Int) -> Bool {
        guard delta.from <= seen[origin] + 1 || mutant == .ignoresDependencies else { return false }
        if mutant == .ignoresDependencies { return true }
        return delta.dependencies.entries.allSatisfy { entry in
            guard let place = replicas.place(of: entry.replica) else {
                // Its end was seen by whoever wrote this, hence here: it was forgotten.
                return delta.sealed.contains(entry.replica) || isForgotten(entry.replica)
            }
            if standings[place].isRetired { return true }
            return seen[place] >= entry.counter
        }
    }

    mutating func joinEarly(_ mutations: inout [Mutation]) {
        while let place = early.firstIndex(where: { delta in
            replicas.place(of: delta.origin).map { isReady(delta, $0) } ?? false
        }) {
            let (delta, bytes) = early.take(place)
            // Its origin may have been sealed while it waited for what nobody has any more.
            guard let origin = replicas.place(of: delta.origin), isOpen(origin), delta.to > seen[origin],
                beyondItsEnd(delta) == nil
            else { continue }
            apply(delta, bytes, origin, &mutations)
        }
    }

    private mutating func apply(
        _ delta: Delta, _ bytes: [UInt8], _ origin: Int, _ mutations: inout [Mutation]
    ) {
        for name in delta.others where replicas.place(of: name) == nil {
            guard delta.sealed.contains(name) || isForgotten(name), let place = intern(name) else { continue }
            markRetired(place, HybridTime(raw: 0))
        }
        for entry in delta.dependencies.entries {
            guard let place = replicas.place(of: entry.replica) else { continue }
            raiseContext(of: origin, place, to: entry.counter)
        }
        followSeals(origin)
        for (index, operation) in delta.operations.enumerated() {
            let counter = delta.from + UInt64(index)
            // The head of a delta may be known, where its origin was restored to a point inside it.
            guard counter > seen[origin] || mutant == .joinsTwice else { continue }
            raiseContext(of: origin, origin, to: counter - 1)
            var context = Context(counters: contexts[origin], actor: origin, own: 0)
            if mutant == .removesUnseen { context.counters = seen.map { _ in .max } }
            context.resets = operation.resetsByStart(replicas)
            let change = Change(
                operation: operation, dot: LocalDot(origin, counter), time: delta.time, context: context,
                replicas: replicas)
            apply(change, &mutations)
            seen[origin] = max(seen[origin], counter)
        }
        raiseContext(of: origin, origin, to: delta.to)
        if delta.origin.hash == replica.hash, birth.raw == 0 || delta.time < birth { birth = delta.time }
        if origin != 0, !news.contains(origin) { news.append(origin) }
        log.append(DeltaLog.Record(from: delta.from, to: delta.to, bytes: bytes), of: origin)
        joined.append(bytes)
        statistics.joins += 1
    }

    mutating func raiseContext(of replica: Int, _ place: Int, to counter: UInt64) {
        while contexts[replica].count <= place { contexts[replica].append(0) }
        if contexts[replica][place] < counter { contexts[replica][place] = counter }
    }
}

extension Operation {
    fileprivate func resetsByStart(_ replicas: ReplicaTable) -> [LocalDot: (last: UInt64, total: UInt64)] {
        let resets: [Reset]
        switch action {
        case .deleteAll(let some), .delete(let some), .expire(let some), .setString(_, let some),
            .setField(_, _, let some), .removeField(_, let some), .setScore(_, _, let some),
            .removeScored(_, let some):
            resets = some
        case .setExpiry, .addToString, .addToField, .addMember, .removeMember, .addToScore, .setEntry,
            .removeEntry, .insert,
            .setElement, .removeElements, .seal, .begin:
            return [:]
        }
        var byStart: [LocalDot: (last: UInt64, total: UInt64)] = [:]
        for reset in resets {
            let start = replicas.local(reset.start)
            if start != .none { byStart[start] = (reset.last, reset.total) }
        }
        return byStart
    }
}

/// Deltas that came before those that they follow upon. Bounded in bytes.
struct EarlyDeltas: Sendable {
    private var deltas: [(delta: Delta, bytes: [UInt8])] = []
    private(set) var byteCount = 0
    var bytesMaximum = Limits.earlyDeltaBytesMaximum

    var count: Int { deltas.count }

    /// - Returns: False: there is no room.
    mutating func insert(_ delta: Delta, _ bytes: [UInt8]) -> Bool {
        if deltas.contains(where: { $0.delta.origin == delta.origin && $0.delta.from == delta.from }) {
            return true
        }
        guard byteCount + bytes.count <= bytesMaximum else { return false }
        // By origin and counter, so that which goes first doesn't depend on which came first.
        var place = deltas.endIndex
        while place > 0,
            (delta.origin, delta.from) < (deltas[place - 1].delta.origin, deltas[place - 1].delta.from)
        {
            place -= 1
        }
        deltas.insert((delta, bytes), at: place)
        byteCount += bytes.count
        return true
    }

    func firstIndex(where isReady: (Delta) -> Bool) -> Int? {
        deltas.firstIndex { isReady($0.delta) }
    }

    mutating func take(_ place: Int) -> (Delta, [UInt8]) {
        let taken = deltas.remove(at: place)
        byteCount -= taken.bytes.count
        return (taken.delta, taken.bytes)
    }

    mutating func removeAll(where isUseless: (Delta) -> Bool) {
        deltas.removeAll { isUseless($0.delta) }
        byteCount = deltas.reduce(0) { $0 + $1.bytes.count }
    }
}
