// CRDT.*: what redis-cli is told of the replicas, and may say of them.

/// A replica, as CRDT.REPLICAS tells of it.
package struct ReplicaDescription: Sendable {
    package var name: String
    /// `own`, `live`, `left`, `sealed` or `retired`; see ReplicatedStore+Seal.swift.
    package var standing: String
    package var isConnected: Bool
    /// How many of its changes have come here.
    package var changes: UInt64
    /// What it had seen when it said so last: names and counters.
    package var seen: [(name: String, counter: UInt64)]
}

extension StateServer {
    mutating func replicaInfo() throws(CommandError) {
        guard let section = hooks.sections.first(where: { $0.name == "crdt" }) else { throw noReplicas }
        let fields = section.fields()
        keyspace.reply.map(fields.count)
        for (name, value) in fields {
            keyspace.reply.bulk(name)
            keyspace.reply.bulk(value)
        }
    }

    mutating func listReplicas() throws(CommandError) {
        guard let replicas = hooks.replicas?() else { throw noReplicas }
        keyspace.reply.array(replicas.count)
        for replica in replicas {
            keyspace.reply.map(5)
            keyspace.reply.bulk("replica")
            keyspace.reply.bulk(replica.name)
            keyspace.reply.bulk("standing")
            keyspace.reply.bulk(replica.standing)
            keyspace.reply.bulk("connected")
            keyspace.reply.integer(replica.isConnected ? 1 : 0)
            keyspace.reply.bulk("changes")
            keyspace.reply.integer(Int(clamping: replica.changes))
            keyspace.reply.bulk("seen")
            keyspace.reply.bulk(replica.seen.map { "\($0.name):\($0.counter)" }.joined(separator: ","))
        }
    }

    /// CRDT.FORGET: its name as CRDT.REPLICAS gives it, with an epoch or without. All of its epochs go.
    mutating func forgetReplica() throws(CommandError) {
        guard let forget = hooks.forget else { throw noReplicas }
        let word = keyspace.arguments[1].text
        let digits = word.prefix { $0 != "." }
        guard digits.utf8.count == 16, let hash = UInt64(digits, radix: 16) else {
            throw CommandError("'\(word)' is no replica's name: CRDT.REPLICAS lists them")
        }
        if let refusal = forget(hash) { throw CommandError(refusal) }
        keyspace.reply.ok()
    }

    private var noReplicas: CommandError { CommandError("this state has no replicas") }
}
