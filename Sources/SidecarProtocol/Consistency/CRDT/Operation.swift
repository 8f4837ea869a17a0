// What a change is when it travels: one operation, with one dot.
//
// Theory of operation
//
//   An operation names no dots that it removes. A delta says what its origin had seen when it was made (its
//   context), and deltas are joined in causal order, so every replica knows by itself what `remove` has
//   observed: everything below the context. That's what makes an observed remove of a million members as
//   short as its key.
//
//   The one thing that can't be known so is how much of another replica's sum had been seen: sums grow in
//   place. An operation that removes or overwrites counters therefore carries a `Reset` for each.

package enum ContentKind: UInt8, CaseIterable, Sendable {
    // The order decides which type a key shows where replicas gave it several: the first.
    case string = 0
    case hash, list, set, sorted, stream
}

/// How much of one replica's sum somebody had seen: up to its change `last`, and `total` by then.
struct Reset: Hashable, Sendable {
    /// The first change of the sum, which names it.
    var start: Dot
    var last: UInt64
    /// An Int64's or a Double's bits.
    var total: UInt64
}

struct Increment: Hashable, Sendable {
    /// The counter of the origin's change that began the sum.
    var start: UInt64
    /// The value that it is added to; nil: nothing.
    var base: Dot?
    /// Bits of the amount, and of the sum without it.
    var amount: UInt64
    var before: UInt64
}

struct Operation: Hashable, Sendable {
    enum Action: Hashable, Sendable {
        case deleteAll([Reset])
        case delete([Reset])
        /// A deletion because the key's time had come.
        case expire([Reset])
        /// Milliseconds since 1970; nil: never.
        case setExpiry(Int64?)
        case setString(ByteString, [Reset])
        case addToString(Increment)
        case setField(ByteString, ByteString, [Reset])
        case addToField(ByteString, Increment)
        case removeField(ByteString, [Reset])
        case addMember(ByteString)
        case removeMember(ByteString)
        case setScore(ByteString, UInt64, [Reset])
        case addToScore(ByteString, Increment)
        case removeScored(ByteString, [Reset])
        /// A stream's entry by its id.
        case setEntry(ByteString, ByteString)
        case removeEntry(ByteString)
        case insert(ListPath, [ByteString])
        case setElement(ListPath, ByteString)
        case removeElements([ListPath])
        /// All of a replica ends with this change of it. Of no key.
        case seal(Dot)
        /// Its replica is there, and writes nothing else yet. Of no key.
        case begin
    }

    /// Empty for `deleteAll`, `seal` and `begin`.
    var key: ByteString
    /// The key was new to the origin: what was said of its expiry before is void.
    var isFresh = false
    var action: Action
}

/// Where an element of a list stands, for good; see `ListOrder`.
struct ListPath: Hashable, Sendable {
    struct Step: Hashable, Sendable {
        var digit: Int64
        var dot: Dot
        /// The element's place among those inserted at once.
        var offset: UInt64
    }

    var steps: [Step]
}

extension Operation {
    /// Replicas that it names besides its origin.
    func forEachReplica(_ body: (ReplicaID) -> Void) {
        switch action {
        case .deleteAll(let resets), .delete(let resets), .expire(let resets), .setString(_, let resets),
            .setField(_, _, let resets), .removeField(_, let resets), .setScore(_, _, let resets),
            .removeScored(_, let resets):
            for reset in resets { body(reset.start.replica) }
        case .addToString(let increment), .addToField(_, let increment), .addToScore(_, let increment):
            if let base = increment.base { body(base.replica) }
        case .insert(let path, _), .setElement(let path, _):
            for step in path.steps { body(step.dot.replica) }
        case .removeElements(let paths):
            for path in paths { for step in path.steps { body(step.dot.replica) } }
        case .seal(let dot): body(dot.replica)
        case .setExpiry, .addMember, .removeMember, .setEntry, .removeEntry, .begin: break
        }
    }
}
