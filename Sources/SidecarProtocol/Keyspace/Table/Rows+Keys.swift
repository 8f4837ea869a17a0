// Rows of the command table.

extension CommandTable {
    static let generic: [Command] = [
        Command(
            "copy", -3, .generic, "6.2.0", [.write, .denyoom], keys: (1, 2, 1),
            specs: "RO access @1 0:1:0 | OW update @2 0:1:0", acl: "keyspace write slow",
            conditional: .always, "Copy a key", .data { k throws(CommandError) in try k.copy() }),
        Command(
            "del", -2, .generic, "1.0.0", [.write], keys: (1, -1, 1), specs: "RM delete @1 -1:1:0",
            acl: "keyspace write slow", tips: "request_policy:multi_shard response_policy:agg_sum",
            "Delete a key", .data { k throws(CommandError) in k.deleteKeys() }),
        Command(
            "dump", 2, .generic, "2.6.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "keyspace read slow", tips: "nondeterministic_output",
            "Return a serialized version of the value stored at the specified key.",
            .data { k throws(CommandError) in try k.dump() }),
        Command(
            "exists", -2, .generic, "1.0.0", [.readonly, .fast], keys: (1, -1, 1), specs: "RO @1 -1:1:0",
            acl: "keyspace read fast", tips: "request_policy:multi_shard response_policy:agg_sum",
            "Determine if a key exists", .data { k throws(CommandError) in k.countExisting() }),
        Command(
            "expire", -3, .generic, "1.0.0", [.write, .fast], keys: (1, 1, 1), specs: "RW update @1 0:1:0",
            acl: "keyspace write fast", conditional: .withWords(["nx", "xx", "gt", "lt"]),
            "Set a key's time to live in seconds",
            .data { k throws(CommandError) in try k.expire(milliseconds: false, absolute: false) }),
        Command(
            "expireat", -3, .generic, "1.2.0", [.write, .fast], keys: (1, 1, 1),
            specs: "RW update @1 0:1:0", acl: "keyspace write fast",
            conditional: .withWords(["nx", "xx", "gt", "lt"]),
            "Set the expiration for a key as a UNIX timestamp",
            .data { k throws(CommandError) in try k.expire(milliseconds: false, absolute: true) }),
        Command(
            "expiretime", 2, .generic, "7.0.0", [.readonly, .fast], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "keyspace read fast",
            "Get the expiration Unix timestamp for a key",
            .data { k throws(CommandError) in k.timeToLive(milliseconds: false, absolute: true) }),
        Command(
            "keys", 2, .generic, "1.0.0", [.readonly], acl: "keyspace read slow dangerous",
            tips: "request_policy:all_shards nondeterministic_output_order",
            "Find all keys matching the given pattern", .data { k throws(CommandError) in k.keys() }),
        Command(
            "move", 3, .generic, "1.0.0", [.write, .fast], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "keyspace write fast", conditional: .always,
            "Move a key to another database", .data { k throws(CommandError) in try k.move() }),
        Command(
            "object", -2, .generic, "2.2.3", [], acl: "slow",
            "A container for object introspection commands", .container,
            [
                Command(
                    "object|encoding", 3, .generic, "2.2.3", [.readonly], keys: (2, 2, 1),
                    specs: "RO @2 0:1:0", acl: "keyspace read slow", tips: "nondeterministic_output",
                    "Inspect the internal encoding of a Redis object",
                    .data { k throws(CommandError) in try k.object() }),
                Command(
                    "object|freq", 3, .generic, "4.0.0", [.readonly], keys: (2, 2, 1), specs: "RO @2 0:1:0",
                    acl: "keyspace read slow", tips: "nondeterministic_output",
                    "Get the logarithmic access frequency counter of a Redis object",
                    .data { k throws(CommandError) in try k.object() }),
                Command(
                    "object|help", 2, .generic, "6.2.0", [.loading, .stale], acl: "keyspace slow",
                    "Show helpful text about the different subcommands",
                    .server { s throws(CommandError) in s.help("object") }),
                Command(
                    "object|idletime", 3, .generic, "2.2.3", [.readonly], keys: (2, 2, 1),
                    specs: "RO @2 0:1:0", acl: "keyspace read slow", tips: "nondeterministic_output",
                    "Get the time since a Redis object was last accessed",
                    .data { k throws(CommandError) in try k.object() }),
                Command(
                    "object|refcount", 3, .generic, "2.2.3", [.readonly], keys: (2, 2, 1),
                    specs: "RO @2 0:1:0", acl: "keyspace read slow", tips: "nondeterministic_output",
                    "Get the number of references to the value of the key",
                    .data { k throws(CommandError) in try k.object() }),
            ]),
        Command(
            "persist", 2, .generic, "2.2.0", [.write, .fast], keys: (1, 1, 1), specs: "RW update @1 0:1:0",
            acl: "keyspace write fast", "Remove the expiration from a key",
            .data { k throws(CommandError) in k.persist() }),
        Command(
            "pexpire", -3, .generic, "2.6.0", [.write, .fast], keys: (1, 1, 1),
            specs: "RW update @1 0:1:0", acl: "keyspace write fast",
            conditional: .withWords(["nx", "xx", "gt", "lt"]), "Set a key's time to live in milliseconds",
            .data { k throws(CommandError) in try k.expire(milliseconds: true, absolute: false) }),
        Command(
            "pexpireat", -3, .generic, "2.6.0", [.write, .fast], keys: (1, 1, 1),
            specs: "RW update @1 0:1:0", acl: "keyspace write fast",
            conditional: .withWords(["nx", "xx", "gt", "lt"]),
            "Set the expiration for a key as a UNIX timestamp specified in milliseconds",
            .data { k throws(CommandError) in try k.expire(milliseconds: true, absolute: true) }),
        Command(
            "pexpiretime", 2, .generic, "7.0.0", [.readonly, .fast], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "keyspace read fast",
            "Get the expiration Unix timestamp for a key in milliseconds",
            .data { k throws(CommandError) in k.timeToLive(milliseconds: true, absolute: true) }),
        Command(
            "pttl", 2, .generic, "2.6.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "keyspace read fast", tips: "nondeterministic_output",
            "Get the time to live for a key in milliseconds",
            .data { k throws(CommandError) in k.timeToLive(milliseconds: true, absolute: false) }),
        Command(
            "randomkey", 1, .generic, "1.0.0", [.readonly], acl: "keyspace read slow",
            tips: "request_policy:all_shards nondeterministic_output",
            "Return a random key from the keyspace", .data { k throws(CommandError) in k.anyKey() }),
        Command(
            "rename", 3, .generic, "1.0.0", [.write], keys: (1, 2, 1),
            specs: "RW access delete @1 0:1:0 | OW update @2 0:1:0", acl: "keyspace write slow",
            "Rename a key", .data { k throws(CommandError) in try k.rename(onlyNew: false) }),
        Command(
            "renamenx", 3, .generic, "1.0.0", [.write, .fast], keys: (1, 2, 1),
            specs: "RW access delete @1 0:1:0 | OW insert @2 0:1:0", acl: "keyspace write fast",
            conditional: .always, "Rename a key, only if the new key does not exist",
            .data { k throws(CommandError) in try k.rename(onlyNew: true) }),
        Command(
            "restore", -4, .generic, "2.6.0", [.write, .denyoom], keys: (1, 1, 1),
            specs: "OW update @1 0:1:0", acl: "keyspace write slow dangerous", conditional: .always,
            "Create a key using the provided serialized value, previously obtained using DUMP.",
            .data { k throws(CommandError) in try k.restore() }),
        Command(
            "scan", -2, .generic, "2.8.0", [.readonly], acl: "keyspace read slow",
            tips: "nondeterministic_output request_policy:special", "Incrementally iterate the keys space",
            .data { k throws(CommandError) in try k.scan() }),
        Command(
            "sort", -2, .generic, "1.0.0", [.write, .denyoom, .movableKeys], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0 | RO access @? ? | OW update @STORE:1 0:1:0",
            acl: "write set sortedset list slow dangerous", "Sort the elements in a list, set or sorted set",
            .data { k throws(CommandError) in try k.sort(isReadOnly: false) }),
        Command(
            "sort_ro", -2, .generic, "7.0.0", [.readonly, .movableKeys], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0 | RO access @? ?", acl: "read set sortedset list slow dangerous",
            "Sort the elements in a list, set or sorted set. Read-only variant of SORT.",
            .data { k throws(CommandError) in try k.sort(isReadOnly: true) }),
        Command(
            "touch", -2, .generic, "3.2.1", [.readonly, .fast], keys: (1, -1, 1), specs: "RO @1 -1:1:0",
            acl: "keyspace read fast", tips: "request_policy:multi_shard response_policy:agg_sum",
            "Alters the last access time of a key(s). Returns the number of existing keys specified.",
            .data { k throws(CommandError) in k.touchKeys() }),
        Command(
            "ttl", 2, .generic, "1.0.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "keyspace read fast", tips: "nondeterministic_output",
            "Get the time to live for a key in seconds",
            .data { k throws(CommandError) in k.timeToLive(milliseconds: false, absolute: false) }),
        Command(
            "type", 2, .generic, "1.0.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO @1 0:1:0",
            acl: "keyspace read fast", "Determine the type stored at key",
            .data { k throws(CommandError) in k.type() }),
        Command(
            "unlink", -2, .generic, "4.0.0", [.write, .fast], keys: (1, -1, 1),
            specs: "RM delete @1 -1:1:0", acl: "keyspace write fast",
            tips: "request_policy:multi_shard response_policy:agg_sum",
            "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.",
            .data { k throws(CommandError) in k.deleteKeys() }),
        Command(
            "wait", 3, .generic, "3.0.0", [.noscript], acl: "slow connection",
            tips: "request_policy:all_shards response_policy:agg_min",
            "Wait for the synchronous replication of all the write commands sent in the context of the current connection",
            .server { s throws(CommandError) in try s.waitForReplicas() }),
    ]
}
