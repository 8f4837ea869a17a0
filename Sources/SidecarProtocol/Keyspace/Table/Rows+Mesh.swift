// Rows of the command table: mesh's own, so that redis-cli is the tool of who looks after a state.

extension CommandTable {
    static let mesh: [Command] = [
        Command(
            "crdt.forget", 2, .mesh, "mesh", [.admin, .noscript], acl: "admin slow dangerous",
            modes: .eventual,
            "Say that a replica won't come back, whose folder is gone; it is refused if it does",
            .server { s throws(CommandError) in try s.forgetReplica() }),
        Command(
            "crdt.info", 1, .mesh, "mesh", [.admin, .noscript], acl: "admin slow dangerous",
            tips: "nondeterministic_output", modes: .eventual,
            "Get what INFO says of this replica and its gossip, as a map",
            .server { s throws(CommandError) in try s.replicaInfo() }),
        Command(
            "crdt.replicas", 1, .mesh, "mesh", [.admin, .noscript], acl: "admin slow dangerous",
            tips: "nondeterministic_output", modes: .eventual,
            "List the replicas, how many changes of each have come here, and what each has seen itself",
            .server { s throws(CommandError) in try s.listReplicas() }),
        Command(
            "mesh.digest", 1, .mesh, "mesh", [.readonly, .admin, .noscript],
            acl: "keyspace read admin slow dangerous",
            "Get a digest of all keys in all databases; replicas that hold the same have the same",
            .data { k throws(CommandError) in k.reply.bulk(ByteString(k.digest())) }),
    ]
}
