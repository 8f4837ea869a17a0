// Replicas that left: what is known of them ends, so that what is kept doesn't grow with them.
//
// Theory of operation
//
//   A replica has left once a later epoch of it is known, or somebody said so (`leave`). Whoever knows it takes
//   nothing from it any more, only from those who had it before, and says so in its digests, with how much of
//   it is seen (`closed`). What waits for others then is no part of that, and is dropped (`close`). Once every live replica has said so of the same counter, nobody can come to have
//   more: the first to have more would have it from one who had it already. Then the lowest live replica
//   writes a seal, a change like any other.
//
//   A replica writes a first change as soon as it meets another (`begin`), so that it is in their logs, and they
//   wait for it, whether it writes anything else or not.
//
//   Whoever has seen the seal has seen all of the sealed replica, since the seal depends on it. Once every live
//   replica is known to have seen the seal, the sealed one is retired: its counter leaves the vectors, and its name
//   goes with the last dot of it that is in a cell. Who comes later may not have seen it, such as one that a power
//   failure has set back; so a delta goes on to say how much of the retired its origin had seen, where that is new.
//
//   A name that was forgotten so must not come back as if it were new: its old deltas would be joined again.
//   Of a replica whose later epoch is known, the last forgotten epoch is kept beside it (`forgotten`). Of one
//   that is gone altogether nothing is kept but the time of the latest such seal (`horizon`): who is unknown
//   here, and hasn't seen a seal of that time, may only bring what it has written itself since.

/// What is known of a replica's life.
enum Standing: Hashable, Sendable {
    case live
    case left
    /// By the change `by`, at `time`; nothing of it comes after `counter`.
    case sealed(by: LocalDot, at: UInt64, time: HybridTime)
    case retired(time: HybridTime)
    /// The place is nobody's.
    case free

    var isRetired: Bool { if case .retired = self { true } else { false } }
}

/// A replica from which nothing is taken any more, but through others.
struct Closing: Hashable, Sendable {
    var replica: ReplicaID
    /// Somebody said that it won't come back; else a later epoch of it is known.
    var isRemoved: Bool
}

/// All of a replica's changes end with `counter`, says the change `by`.
struct Seal: Hashable, Sendable {
    var replica: ReplicaID
    var counter: UInt64
    var by: Dot
}

extension ReplicatedStore {
    func isLive(_ place: Int) -> Bool { standings[place] == .live }

    /// A replica won't come back: its folder is gone. Should it come all the same, it is refused.
    ///
    /// - Returns: Whether anything of it was known, in any epoch.
    @discardableResult
    package mutating func leave(_ hash: UInt64) -> Bool {
        var isKnown = false
        for (place, name) in replicas.names.enumerated() where place != 0 && name.hash == hash {
            isKnown = true
            if isLive(place) { close(place) }
        }
        if isKnown { removed.insert(hash) }
        return isKnown
    }

    /// Epochs before others of the same replica have left.
    mutating func noteSuccessions() {
        for place in standings.indices.dropFirst() where isLive(place) {
            let name = replicas.names[place]
            if replicas.names.contains(where: { name.isSucceeded(by: $0) }) { close(place) }
        }
    }

    /// From here on a digest says how much of the replica is seen, and the others count on it. What had come of it
    /// too early would make that more later on, though a power failure may have taken it from everybody else; so it
    /// is dropped, as is what the replica may have relayed of others that left. Who has it brings it again.
    mutating func close(_ place: Int) {
        standings[place] = .left
        let departed = Set(standings.indices.filter { !isLive($0) }.map { replicas.names[$0] })
        early.removeAll { departed.contains($0.origin) }
    }

    /// What a digest says of them: from these nothing more is taken here, but through others.
    var closed: [Closing] {
        var closed: [Closing] = []
        for place in standings.indices where standings[place] == .left {
            let name = replicas.names[place]
            closed.append(Closing(replica: name, isRemoved: removed.contains(name.hash)))
        }
        return closed.sorted { $0.replica < $1.replica }
    }

    /// Seals that not every live replica is known to have seen.
    var openSeals: [Seal] {
        var seals: [Seal] = []
        for (place, standing) in standings.enumerated() {
            guard case .sealed(let by, let counter, _) = standing else { continue }
            seals.append(Seal(replica: replicas.names[place], counter: counter, by: replicas.dot(by)))
        }
        return seals.sorted { $0.replica < $1.replica }
    }

    /// A live replica has closed these, having seen so much of them.
    mutating func observe(closed: [Closing], version: VersionVector, of replica: ReplicaID) {
        guard let place = replicas.place(of: replica), place != 0 else { return }
        closings[place] = [:]
        for closing in closed {
            guard let other = replicas.place(of: closing.replica), other != 0 else { continue }
            if closing.isRemoved { leave(closing.replica.hash) }
            closings[place]?[other] = version[closing.replica]
        }
        // Those of whom nothing has come here, but there.
        for entry in version.entries {
            guard let other = replicas.place(of: entry.replica), seen[other] == 0 else { continue }
            closings[place]?[other] = entry.counter
        }
    }

    /// Seals what can be, where it is this replica's turn.
    ///
    /// - Returns: What the other replicas must be told, and the durable log; nil: nothing.
    package mutating func seal(at now: Now) -> Delta? {
        noteSuccessions()
        let live = standings.indices.filter { isLive($0) }
        // Who knows nobody doesn't know who else has seen what.
        guard live.count > 1 else { return nil }
        guard live.allSatisfy({ $0 == 0 || replica < replicas.names[$0] }) else { return nil }
        var dots: [Dot] = []
        for place in standings.indices where standings[place] == .left {
            let counter = seen[place]
            let isAgreed = live.allSatisfy { $0 == 0 || closings[$0]?[place] == counter }
            guard isAgreed || mutant == .sealsAlone else { continue }
            if counter > 0 { dots.append(Dot(replicas.names[place], counter)) }
        }
        guard !dots.isEmpty else { return nil }
        return commit(seals: dots.sorted(), at: now)
    }

    /// The end of a replica was seen before one's own change `counter`.
    func isSealed(_ replica: ReplicaID, before counter: UInt64) -> Bool {
        guard let place = replicas.place(of: replica) else { return false }
        switch standings[place] {
        case .live, .left, .free: return false
        case .sealed(let by, _, _): return by.replica != 0 || by.counter < counter
        case .retired: return true
        }
    }

    /// A seal, one's own or another's, whose turn it is.
    mutating func applySeal(_ dot: Dot, _ change: Change) {
        lastSeal = max(lastSeal, change.time)
        guard let place = replicas.place(of: dot.replica), place != 0 else { return }
        switch standings[place] {
        case .live, .left:
            standings[place] = .sealed(by: change.dot, at: dot.counter, time: change.time)
        case .sealed, .retired, .free: break
        }
    }

    /// Who has seen a seal has seen all of the sealed replica, which no delta says that comes later.
    mutating func followSeals(_ replica: Int) {
        var hasMore = true
        while hasMore {
            hasMore = false
            for (place, standing) in standings.enumerated() {
                guard case .sealed(let by, let counter, _) = standing, covers(contexts[replica], by),
                    place >= contexts[replica].count || contexts[replica][place] < counter
                else { continue }
                raiseContext(of: replica, place, to: counter)
                // That one may have sealed another.
                hasMore = true
            }
        }
    }

    /// Lets the sealed go whom every live replica has seen to the end.
    mutating func retire() {
        for other in standings.indices.dropFirst() where isLive(other) { followSeals(other) }
        for (place, standing) in standings.enumerated() {
            if standing == .left, seen[place] == 0, isUnheard(place) { release(place) }
            guard case .sealed(let by, _, let time) = standing else { continue }
            guard
                standings.indices.dropFirst().allSatisfy({ !isLive($0) || covers(contexts[$0], by) })
                    || mutant == .retiresEarly
            else { continue }
            retire(place, time)
        }
        if standings.count(where: { $0.isRetired }) >= retiredInUse + retiredMaximum { sweep() }
    }

    func covers(_ counters: [UInt64], _ dot: LocalDot) -> Bool {
        dot.replica < counters.count && counters[dot.replica] >= dot.counter
    }

    /// All who are live have seen all of it. Those who have left may have ended before, and what they wrote may be
    /// on its way still: it says itself what they had seen.
    private mutating func retire(_ place: Int, _ time: HybridTime) {
        markRetired(place, time)
        for other in contexts.indices where isLive(other) { raiseContext(of: other, place, to: .max) }
    }

    /// That all who were live had seen all of it was said elsewhere. A replica whose disk has lost what it had
    /// seen is live, too, and hasn't: what it has seen says its first delta.
    mutating func markRetired(_ place: Int, _ time: HybridTime) {
        standings[place] = .retired(time: time)
        lastSeal = max(lastSeal, time)
        log.drop(of: place, upTo: .max)
        closings[place] = nil
    }

    /// Forgets the names of retired replicas of which no dot is left, whose places then are free.
    mutating func sweep() {
        var isUsed = [Bool](repeating: false, count: seen.count)
        for entry in entries.entries { entry.value.forEachDot { isUsed[$0.replica] = true } }
        for (place, standing) in standings.enumerated() where !isUsed[place] {
            if case .retired(let time) = standing, !hasEarlier(place) { forget(place, time) }
        }
        // Scanning everything is worth it for several at once only.
        retiredInUse = standings.count { $0.isRetired }
    }

    /// Nobody has anything of the replica.
    private func isUnheard(_ place: Int) -> Bool {
        standings.indices.dropFirst().allSatisfy { other in
            !isLive(other) || closings[other].map { ($0[place] ?? 0) == 0 } ?? false
        }
    }

    /// Of an epoch before it not everybody has seen all: it would count as forgotten with this one.
    private func hasEarlier(_ place: Int) -> Bool {
        let name = replicas.names[place]
        return standings.indices.contains {
            standings[$0].hasContext && replicas.names[$0].isSucceeded(by: name)
        }
    }

    private mutating func forget(_ place: Int, _ time: HybridTime) {
        let name = replicas.names[place]
        release(place)
        if replicas.names.contains(where: { $0.hash == name.hash }) {
            forgotten[name.hash] = max(forgotten[name.hash] ?? 0, name.epoch)
        } else {
            forgotten[name.hash] = nil
            removed.remove(name.hash)
            horizon = max(horizon, time)
        }
    }

    /// The place is free from here on.
    private mutating func release(_ place: Int) {
        replicas.remove(place)
        seen[place] = 0
        standings[place] = .free
        news.removeAll { $0 == place }
        contexts[place] = []
        for other in contexts.indices where place < contexts[other].count { contexts[other][place] = 0 }
        unsettled.forget(place)
        closings[place] = nil
        for other in closings.keys { closings[other]?[place] = nil }
    }
}
