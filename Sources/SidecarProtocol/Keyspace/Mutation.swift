// What a command changes, once it has been decided: the seam between the keyspace, which knows Redis's
// commands, and whatever keeps its changes (the log, the replicas).
//
// Theory of operation
//
//   A command is a pure function of the keyspace, its arguments and the time that is passed in. It answers,
//   and it leaves a list of mutations, in order, which say what changed and nothing of why: SPOP leaves the
//   members that it took, SETNX that didn't set leaves nothing. To apply the mutations of a command to an
//   equal keyspace makes an equal keyspace.
//
//   Under `eventual` the replicated store takes the mutations of the own workload's commands, gives each a
//   dot, and makes a delta of them. A delta from another replica is joined to the store, which answers the
//   mutations that bring the keyspace to what its users shall see now. So the keyspace knows nothing of
//   replicas, and the store nothing of commands.
//
//   A key whose last element is removed is gone, with its expiry, without a mutation that says so.

package enum Mutation: Hashable, Sendable {
    /// The key and all that it holds is gone, and so is its expiry.
    case delete(ByteString)
    /// The key is of no use any more since its time has come. As `delete`, but not of the workload's doing:
    /// under `eventual` only the replica that set the winning expiry says so to the others.
    case expire(ByteString)
    /// Every key is gone.
    case deleteAll
    /// When the key ends; nil: never.
    case setExpiry(ByteString, WallTime?)

    // Strings. A key of another type is deleted by a mutation before.

    /// The whole value. The expiry stays as it is.
    case setString(ByteString, ByteString)
    /// INCR and its relatives, on an integer or on nothing.
    case addToString(ByteString, Int64)

    // Hashes.
    case setField(ByteString, field: ByteString, ByteString)
    /// HINCRBY, on an integer or on nothing.
    case addToField(ByteString, field: ByteString, Int64)
    case removeField(ByteString, field: ByteString)

    // Sets.
    case addMember(ByteString, ByteString)
    case removeMember(ByteString, ByteString)

    // Sorted sets. A score is never a NaN.
    case setScore(ByteString, member: ByteString, Double)
    /// ZINCRBY, on a score or on nothing.
    case addToScore(ByteString, member: ByteString, Double)
    case removeScored(ByteString, member: ByteString)

    // Streams. An id is sixteen bytes, an entry its words as `StreamWords` has them; the id 0-0 has the last id.

    case setEntry(ByteString, id: ByteString, ByteString)
    case removeEntry(ByteString, id: ByteString)

    // Lists. An index counts from the head, at the time of the mutation.

    /// The elements stand at `index`, `index + 1`, … afterwards.
    case insertElements(ByteString, index: Int, [ByteString])
    case setElement(ByteString, index: Int, ByteString)
    case removeElements(ByteString, index: Int, count: Int)
}

extension Mutation {
    /// The key that it changes; nil: all.
    var key: ByteString? {
        switch self {
        case .deleteAll: nil
        case .delete(let key), .expire(let key), .setExpiry(let key, _), .setString(let key, _),
            .addToString(let key, _), .setField(let key, _, _), .addToField(let key, _, _),
            .removeField(let key, _), .addMember(let key, _), .removeMember(let key, _),
            .setScore(let key, _, _), .addToScore(let key, _, _), .removeScored(let key, _),
            .setEntry(let key, _, _), .removeEntry(let key, _), .insertElements(let key, _, _),
            .setElement(let key, _, _), .removeElements(let key, _, _):
            key
        }
    }

    /// The bytes of its key and of its values.
    var valueBytes: Int {
        switch self {
        case .delete(let key), .expire(let key), .setExpiry(let key, _), .addToString(let key, _),
            .removeElements(let key, _, _):
            key.count
        case .deleteAll: 0
        case .setString(let key, let value), .addMember(let key, let value),
            .removeMember(let key, let value), .setElement(let key, _, let value):
            key.count + value.count
        case .setField(let key, let name, let value), .setEntry(let key, let name, let value):
            key.count + name.count + value.count
        case .addToField(let key, let name, _), .removeField(let key, let name),
            .setScore(let key, let name, _), .addToScore(let key, let name, _),
            .removeScored(let key, let name), .removeEntry(let key, let name):
            key.count + name.count
        case .insertElements(let key, _, let values): values.reduce(key.count) { $0 + $1.count + 4 }
        }
    }
}
