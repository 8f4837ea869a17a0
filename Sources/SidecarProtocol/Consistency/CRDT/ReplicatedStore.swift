// The replicated state under `consistency: eventual`.
//
// Theory of operation
//
//   Every replica numbers its own changes, and every other joins them in that order and after what they
//   depend on. So one version vector says what a replica has seen, of the whole keyspace; a change that it
//   covers and that is in no cell has been removed. There are no tombstones.
//
//   `commit` makes a delta of what the own workload's commands changed. `join` takes another replica's, at
//   once or when what it depends on has come, and answers the mutations that bring the keyspace to what its
//   users shall see now. Two stores whose vectors are equal are equal, and so are their state hashes.
//
//   For each replica the store also keeps what that replica had seen as it wrote last (its context): that is
//   what its removals have observed, and the least of all of them is what nobody can be surprised by any
//   more (stable), so that hollow sums and the expiries of keys that are gone can be forgotten.
//
//   Nothing here iterates over a dictionary where the order could show: hash seeds differ by process.

package struct ReplicatedStore: Sendable {
    /// By their keys. A copy of the store, as for a snapshot, shares all pages but those that change meanwhile.
    var entries: HashTable<Entry>
    var replicas = ReplicaTable()
    /// What is seen, by the replicas' places. One's own is the first.
    var seen: [UInt64] = [0]
    /// For each place what that replica had seen, as far as is known here.
    var contexts: [[UInt64]] = [[]]
    package var clock = HybridLogicalClock()
    package internal(set) var log = DeltaLog()
    var early = EarlyDeltas()
    var unsettled = Unsettled()
    /// Places of replicas of which more is seen than the own last delta says.
    var news: [Int] = []
    /// Keys that are hidden, and when the deletion isn't left to another replica any more; in order of time.
    var hidden: [(due: WallTime, key: ByteString)] = []
    /// What is known of the replicas' lives, by their places.
    var standings: [Standing] = [.live]
    /// For each live replica's place what it had seen, as it said last, of those that it takes nothing from
    /// any more, by their places.
    var closings: [Int: [Int: UInt64]] = [:]
    /// The latest seal that is seen, and the latest whose replica is unknown now.
    package internal(set) var lastSeal = HybridTime(raw: 0)
    package internal(set) var horizon = HybridTime(raw: 0)
    /// Of replicas that are known here, the highest epoch that isn't any more.
    var forgotten: [UInt64: UInt32] = [:]
    /// Replicas that won't come back in any epoch; as long as one of their names is known.
    var removed: Set<UInt64> = []
    /// So many retired replicas more than had dots left are worth looking for their dots.
    var retiredMaximum = Limits.retiredReplicasKept
    /// Retired replicas that had dots left.
    var retiredInUse = 0
    /// The time of one's own first change, in any epoch; zero: there is none.
    package internal(set) var birth = HybridTime(raw: 0)
    package internal(set) var statistics = Statistics()
    /// What the keyspace has to apply after a commit, since it can't know better: a sum of fractions that
    /// rounds otherwise here, or one that passed the ends of 64 bits.
    package var corrections: [Mutation] = []
    /// The last delta of our own, encoded.
    package internal(set) var committed: [UInt8] = []
    /// What the next commit begins with, up to a megabyte; see `absorb`.
    var open: Draft?
    /// Memory for the next draft's strings, so that it isn't asked for every time.
    var room = CompactWriter()
    /// Deltas of others that were joined, encoded, in order, until they are taken for the durable log.
    package var joined: [[UInt8]] = []
    /// Until `restored`, one's own deltas are joined too, from the durable log.
    var isRestoring = false
    /// Defects on purpose, for the tests that must notice them.
    package var mutant = Mutant.none

    package enum Mutant: Sendable {
        case none
        /// A delta is joined without those that it depends on.
        case ignoresDependencies
        /// A removal takes away what it hasn't seen.
        case removesUnseen
        /// The vector of a reconciliation is taken over before its contents.
        case advancesEarly
        /// Duplicates are joined again.
        case joinsTwice
        /// A replica that left is sealed without asking who knows more of it.
        case sealsAlone
        /// A sealed replica is retired though others haven't seen the seal.
        case retiresEarly
        /// Changes of a replica that was forgotten are new ones.
        case recallsForgotten
    }

    package struct Statistics: Sendable {
        package var commits: UInt64 = 0
        package var joins: UInt64 = 0
        package var duplicates: UInt64 = 0
        package var waited: UInt64 = 0
        package var refused: UInt64 = 0
        package var reconciliations: UInt64 = 0
    }

    /// - Parameters:
    ///   - replica: must never have been used since an unclean end; see `ReplicaID.epoch`.
    ///   - hash: under a key that nobody knows who chooses keys.
    init(replica: ReplicaID, hash: SeededHash) {
        entries = HashTable(hash: hash)
        _ = replicas.intern(replica)
    }

    package var replica: ReplicaID { replicas.names[0] }

    /// What is seen.
    package var version: VersionVector {
        var vector = VersionVector()
        for (place, counter) in seen.enumerated() where counter > 0 && !standings[place].isRetired {
            vector[replicas.names[place]] = counter
        }
        return vector
    }

    package var keyCount: Int { entries.count }

    /// The place of a replica, whether it was known or not. Nil: there is no room for one more.
    mutating func intern(_ replica: ReplicaID) -> Int? {
        if let place = replicas.place(of: replica) { return place }
        guard let place = replicas.intern(replica) else { return nil }
        while seen.count <= place {
            seen.append(0)
            contexts.append([])
            standings.append(.free)
        }
        standings[place] = .live
        return place
    }
}

extension ReplicatedStore {
    /// Applies an operation whose turn it is.
    ///
    /// - Parameter mutations: gets what the keyspace must be told.
    mutating func apply(_ change: Change, _ mutations: inout [Mutation]) {
        switch change.operation.action {
        case .deleteAll: return deleteAll(change, &mutations)
        case .seal(let dot): return applySeal(dot, change)
        case .begin: return
        default: break
        }
        let key = change.operation.key
        guard let place = entries.index(of: key) else {
            var entry = Entry()
            entry.change { $0.apply(change, &mutations) }
            if !entry.isEmpty { entries.insert(key, entry) }
            note(entry, key)
            return
        }
        entries[place].value.change { $0.apply(change, &mutations) }
        if entries[place].value.isEmpty {
            entries.remove(at: place)
        } else {
            note(entries[place].value, key)
        }
    }

    /// Remembers a key that has something to forget once everybody knows.
    private mutating func note(_ entry: Entry, _ key: ByteString) {
        guard !entry.isPlain, entry.contents.isUnsettled else { return }
        unsettled.insert(key)
    }

    private mutating func deleteAll(_ change: Change, _ mutations: inout [Mutation]) {
        var one = Operation(key: change.operation.key, action: .delete([]))
        var fine: [Mutation] = []
        for key in entries.keys.sorted() {
            one.key = key
            apply(
                Change(
                    operation: one, dot: change.dot, time: change.time, context: change.context,
                    replicas: change.replicas), &fine)
        }
        guard change.reports else { return }
        let isAllGone = !entries.entries.contains { $0.value.kind != nil && !$0.value.isHidden }
        mutations += isAllGone && !fine.isEmpty ? [.deleteAll] : fine
    }
}

/// Keys that hold something which nobody is shown, in two generations: those of the first go once every
/// replica has seen what we had seen when the generation was closed.
struct Unsettled: Sendable {
    private(set) var open: Set<ByteString> = []
    private(set) var closed: [ByteString] = []
    private(set) var bound: [UInt64] = []

    mutating func insert(_ key: ByteString) { open.insert(key) }

    var isEmpty: Bool { open.isEmpty && closed.isEmpty }

    mutating func close(_ seen: [UInt64]) {
        guard closed.isEmpty else { return }
        closed = open.sorted()
        open = []
        bound = seen
    }

    /// The place is another replica's from here on.
    mutating func forget(_ place: Int) { if place < bound.count { bound[place] = 0 } }

    mutating func takeClosed() -> [ByteString] {
        defer { closed = [] }
        return closed
    }
}
