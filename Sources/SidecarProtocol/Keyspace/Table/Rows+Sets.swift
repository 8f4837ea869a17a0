// Rows of the command table.

extension CommandTable {
    static let sets: [Command] = [
        Command(
            "sadd", -3, .set, "1.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW insert @1 0:1:0", acl: "write set fast", "Add one or more members to a set",
            .data { k throws(CommandError) in try k.addMembers() }),
        Command(
            "scard", 2, .set, "1.0.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO @1 0:1:0",
            acl: "read set fast", "Get the number of members in a set",
            .data { k throws(CommandError) in try k.countMembers() }),
        Command(
            "sdiff", -2, .set, "1.0.0", [.readonly], keys: (1, -1, 1), specs: "RO access @1 -1:1:0",
            acl: "read set slow", tips: "nondeterministic_output_order", "Subtract multiple sets",
            .data { k throws(CommandError) in try k.combineSets(.difference) }),
        Command(
            "sdiffstore", -3, .set, "1.0.0", [.write, .denyoom], keys: (1, -1, 1),
            specs: "OW update @1 0:1:0 | RO access @2 -1:1:0", acl: "write set slow",
            "Subtract multiple sets and store the resulting set in a key",
            .data { k throws(CommandError) in try k.storeCombinedSets(.difference) }),
        Command(
            "sinter", -2, .set, "1.0.0", [.readonly], keys: (1, -1, 1), specs: "RO access @1 -1:1:0",
            acl: "read set slow", tips: "nondeterministic_output_order", "Intersect multiple sets",
            .data { k throws(CommandError) in try k.combineSets(.intersection) }),
        Command(
            "sintercard", -3, .set, "7.0.0", [.readonly, .movableKeys], specs: "RO access @1 #0:1:1",
            acl: "read set slow", "Intersect multiple sets and return the cardinality of the result",
            .data { k throws(CommandError) in try k.countIntersection() }),
        Command(
            "sinterstore", -3, .set, "1.0.0", [.write, .denyoom], keys: (1, -1, 1),
            specs: "RW update @1 0:1:0 | RO access @2 -1:1:0", acl: "write set slow",
            "Intersect multiple sets and store the resulting set in a key",
            .data { k throws(CommandError) in try k.storeCombinedSets(.intersection) }),
        Command(
            "sismember", 3, .set, "1.0.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO @1 0:1:0",
            acl: "read set fast", "Determine if a given value is a member of a set",
            .data { k throws(CommandError) in try k.isMember() }),
        Command(
            "smembers", 2, .set, "1.0.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read set slow", tips: "nondeterministic_output_order", "Get all the members in a set",
            .data { k throws(CommandError) in try k.members() }),
        Command(
            "smismember", -3, .set, "6.2.0", [.readonly, .fast], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read set fast",
            "Returns the membership associated with the given elements for a set",
            .data { k throws(CommandError) in try k.areMembers() }),
        Command(
            "smove", 4, .set, "1.0.0", [.write, .fast], keys: (1, 2, 1),
            specs: "RW access delete @1 0:1:0 | RW insert @2 0:1:0", acl: "write set fast",
            conditional: .always, "Move a member from one set to another",
            .data { k throws(CommandError) in try k.moveMember() }),
        Command(
            "spop", -2, .set, "1.0.0", [.write, .fast], keys: (1, 1, 1),
            specs: "RW access delete @1 0:1:0", acl: "write set fast", tips: "nondeterministic_output",
            conditional: .always, "Remove and return one or multiple random members from a set",
            .data { k throws(CommandError) in try k.popMembers() }),
        Command(
            "srandmember", -2, .set, "1.0.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read set slow", tips: "nondeterministic_output",
            "Get one or multiple random members from a set",
            .data { k throws(CommandError) in try k.anyMembers() }),
        Command(
            "srem", -3, .set, "1.0.0", [.write, .fast], keys: (1, 1, 1), specs: "RW delete @1 0:1:0",
            acl: "write set fast", "Remove one or more members from a set",
            .data { k throws(CommandError) in try k.removeMembers() }),
        Command(
            "sscan", -3, .set, "2.8.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read set slow", tips: "nondeterministic_output", "Incrementally iterate Set elements",
            .data { k throws(CommandError) in try k.scanSet() }),
        Command(
            "sunion", -2, .set, "1.0.0", [.readonly], keys: (1, -1, 1), specs: "RO access @1 -1:1:0",
            acl: "read set slow", tips: "nondeterministic_output_order", "Add multiple sets",
            .data { k throws(CommandError) in try k.combineSets(.union) }),
        Command(
            "sunionstore", -3, .set, "1.0.0", [.write, .denyoom], keys: (1, -1, 1),
            specs: "OW update @1 0:1:0 | RO access @2 -1:1:0", acl: "write set slow",
            "Add multiple sets and store the resulting set in a key",
            .data { k throws(CommandError) in try k.storeCombinedSets(.union) }),
    ]
}
