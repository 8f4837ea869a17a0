// Rows of the command table.

extension CommandTable {
    static let sortedSets: [Command] = [
        Command(
            "bzmpop", -5, .sortedSet, "7.0.0", [.write, .blocking, .movableKeys],
            specs: "RW access delete @2 #0:1:1", acl: "write sortedset slow blocking",
            conditional: .always,
            "Remove and return members with scores in a sorted set or block until one is available",
            .data { k throws(CommandError) in try k.popScoresFromFirst(countAt: 2) }),
        Command(
            "bzpopmax", -3, .sortedSet, "5.0.0", [.write, .noscript, .blocking, .fast], keys: (1, -2, 1),
            specs: "RW access delete @1 -2:1:0", acl: "write sortedset fast blocking",
            conditional: .always,
            "Remove and return the member with the highest score from one or more sorted sets, or block until one is available",
            .data { k throws(CommandError) in try k.waitToPopScore(highest: true) }),
        Command(
            "bzpopmin", -3, .sortedSet, "5.0.0", [.write, .noscript, .blocking, .fast], keys: (1, -2, 1),
            specs: "RW access delete @1 -2:1:0", acl: "write sortedset fast blocking",
            conditional: .always,
            "Remove and return the member with the lowest score from one or more sorted sets, or block until one is available",
            .data { k throws(CommandError) in try k.waitToPopScore(highest: false) }),
        Command(
            "zadd", -4, .sortedSet, "1.2.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW update @1 0:1:0", acl: "write sortedset fast",
            conditional: .withWords(["nx", "xx", "gt", "lt"]),
            "Add one or more members to a sorted set, or update its score if it already exists",
            .data { k throws(CommandError) in try k.addScores() }),
        Command(
            "zcard", 2, .sortedSet, "1.2.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO @1 0:1:0",
            acl: "read sortedset fast", "Get the number of members in a sorted set",
            .data { k throws(CommandError) in try k.countScored() }),
        Command(
            "zcount", 4, .sortedSet, "2.0.0", [.readonly, .fast], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset fast",
            "Count the members in a sorted set with scores within the given values",
            .data { k throws(CommandError) in try k.countRange(.score) }),
        Command(
            "zdiff", -3, .sortedSet, "6.2.0", [.readonly, .movableKeys], specs: "RO access @1 #0:1:1",
            acl: "read sortedset slow", "Subtract multiple sorted sets",
            .data { k throws(CommandError) in try k.combineSorted(.difference, countAt: 1) }),
        Command(
            "zdiffstore", -4, .sortedSet, "6.2.0", [.write, .denyoom, .movableKeys], keys: (1, 1, 1),
            specs: "OW update @1 0:1:0 | RO access @2 #0:1:1", acl: "write sortedset slow",
            "Subtract multiple sorted sets and store the resulting sorted set in a new key",
            .data { k throws(CommandError) in try k.combineSorted(.difference, countAt: 2, stores: true) }),
        Command(
            "zincrby", 4, .sortedSet, "1.2.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "write sortedset fast",
            "Increment the score of a member in a sorted set",
            .data { k throws(CommandError) in try k.increaseScore() }),
        Command(
            "zinter", -3, .sortedSet, "6.2.0", [.readonly, .movableKeys], specs: "RO access @1 #0:1:1",
            acl: "read sortedset slow", "Intersect multiple sorted sets",
            .data { k throws(CommandError) in try k.combineSorted(.intersection, countAt: 1) }),
        Command(
            "zintercard", -3, .sortedSet, "7.0.0", [.readonly, .movableKeys], specs: "RO access @1 #0:1:1",
            acl: "read sortedset slow",
            "Intersect multiple sorted sets and return the cardinality of the result",
            .data { k throws(CommandError) in try k.combineSorted(.intersection, countAt: 1, onlyCounts: true)
            }),
        Command(
            "zinterstore", -4, .sortedSet, "2.0.0", [.write, .denyoom, .movableKeys], keys: (1, 1, 1),
            specs: "OW update @1 0:1:0 | RO access @2 #0:1:1", acl: "write sortedset slow",
            "Intersect multiple sorted sets and store the resulting sorted set in a new key",
            .data { k throws(CommandError) in try k.combineSorted(.intersection, countAt: 2, stores: true) }),
        Command(
            "zlexcount", 4, .sortedSet, "2.8.9", [.readonly, .fast], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset fast",
            "Count the number of members in a sorted set between a given lexicographical range",
            .data { k throws(CommandError) in try k.countRange(.name) }),
        Command(
            "zmpop", -4, .sortedSet, "7.0.0", [.write, .movableKeys], specs: "RW access delete @1 #0:1:1",
            acl: "write sortedset slow", conditional: .always,
            "Remove and return members with scores in a sorted set",
            .data { k throws(CommandError) in try k.popScoresFromFirst(countAt: 1) }),
        Command(
            "zmscore", -3, .sortedSet, "6.2.0", [.readonly, .fast], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset fast",
            "Get the score associated with the given members in a sorted set",
            .data { k throws(CommandError) in try k.scores() }),
        Command(
            "zpopmax", -2, .sortedSet, "5.0.0", [.write, .fast], keys: (1, 1, 1),
            specs: "RW access delete @1 0:1:0", acl: "write sortedset fast", conditional: .always,
            "Remove and return members with the highest scores in a sorted set",
            .data { k throws(CommandError) in try k.popScores(highest: true) }),
        Command(
            "zpopmin", -2, .sortedSet, "5.0.0", [.write, .fast], keys: (1, 1, 1),
            specs: "RW access delete @1 0:1:0", acl: "write sortedset fast", conditional: .always,
            "Remove and return members with the lowest scores in a sorted set",
            .data { k throws(CommandError) in try k.popScores(highest: false) }),
        Command(
            "zrandmember", -2, .sortedSet, "6.2.0", [.readonly], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset slow", tips: "nondeterministic_output",
            "Get one or multiple random elements from a sorted set",
            .data { k throws(CommandError) in try k.anyScored() }),
        Command(
            "zrange", -4, .sortedSet, "1.2.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read sortedset slow", "Return a range of members in a sorted set",
            .data { k throws(CommandError) in try k.scoredRange() }),
        Command(
            "zrangebylex", -4, .sortedSet, "2.8.9", [.readonly], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset slow",
            "Return a range of members in a sorted set, by lexicographical range",
            .data { k throws(CommandError) in try k.scoredRange(.name, reversed: false) }),
        Command(
            "zrangebyscore", -4, .sortedSet, "1.0.5", [.readonly], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset slow",
            "Return a range of members in a sorted set, by score",
            .data { k throws(CommandError) in try k.scoredRange(.score, reversed: false) }),
        Command(
            "zrangestore", -5, .sortedSet, "6.2.0", [.write, .denyoom], keys: (1, 2, 1),
            specs: "OW update @1 0:1:0 | RO access @2 0:1:0", acl: "write sortedset slow",
            "Store a range of members from sorted set into another key",
            .data { k throws(CommandError) in try k.scoredRange(first: 2, stores: true) }),
        Command(
            "zrank", 3, .sortedSet, "2.0.0", [.readonly, .fast], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset fast",
            "Determine the index of a member in a sorted set",
            .data { k throws(CommandError) in try k.rank(fromHighest: false) }),
        Command(
            "zrem", -3, .sortedSet, "1.2.0", [.write, .fast], keys: (1, 1, 1), specs: "RW delete @1 0:1:0",
            acl: "write sortedset fast", "Remove one or more members from a sorted set",
            .data { k throws(CommandError) in try k.removeScored() }),
        Command(
            "zremrangebylex", 4, .sortedSet, "2.8.9", [.write], keys: (1, 1, 1),
            specs: "RW delete @1 0:1:0", acl: "write sortedset slow",
            "Remove all members in a sorted set between the given lexicographical range",
            .data { k throws(CommandError) in try k.removeRange(.name) }),
        Command(
            "zremrangebyrank", 4, .sortedSet, "2.0.0", [.write], keys: (1, 1, 1),
            specs: "RW delete @1 0:1:0", acl: "write sortedset slow",
            "Remove all members in a sorted set within the given indexes",
            .data { k throws(CommandError) in try k.removeRange(.rank) }),
        Command(
            "zremrangebyscore", 4, .sortedSet, "1.2.0", [.write], keys: (1, 1, 1),
            specs: "RW delete @1 0:1:0", acl: "write sortedset slow",
            "Remove all members in a sorted set within the given scores",
            .data { k throws(CommandError) in try k.removeRange(.score) }),
        Command(
            "zrevrange", -4, .sortedSet, "1.2.0", [.readonly], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset slow",
            "Return a range of members in a sorted set, by index, with scores ordered from high to low",
            .data { k throws(CommandError) in try k.scoredRange(.rank, reversed: true) }),
        Command(
            "zrevrangebylex", -4, .sortedSet, "2.8.9", [.readonly], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset slow",
            "Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower strings.",
            .data { k throws(CommandError) in try k.scoredRange(.name, reversed: true) }),
        Command(
            "zrevrangebyscore", -4, .sortedSet, "2.2.0", [.readonly], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset slow",
            "Return a range of members in a sorted set, by score, with scores ordered from high to low",
            .data { k throws(CommandError) in try k.scoredRange(.score, reversed: true) }),
        Command(
            "zrevrank", 3, .sortedSet, "2.0.0", [.readonly, .fast], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset fast",
            "Determine the index of a member in a sorted set, with scores ordered from high to low",
            .data { k throws(CommandError) in try k.rank(fromHighest: true) }),
        Command(
            "zscan", -3, .sortedSet, "2.8.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read sortedset slow", tips: "nondeterministic_output",
            "Incrementally iterate sorted sets elements and associated scores",
            .data { k throws(CommandError) in try k.scanSorted() }),
        Command(
            "zscore", 3, .sortedSet, "1.2.0", [.readonly, .fast], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read sortedset fast",
            "Get the score associated with the given member in a sorted set",
            .data { k throws(CommandError) in try k.score() }),
        Command(
            "zunion", -3, .sortedSet, "6.2.0", [.readonly, .movableKeys], specs: "RO access @1 #0:1:1",
            acl: "read sortedset slow", "Add multiple sorted sets",
            .data { k throws(CommandError) in try k.combineSorted(.union, countAt: 1) }),
        Command(
            "zunionstore", -4, .sortedSet, "2.0.0", [.write, .denyoom, .movableKeys], keys: (1, 1, 1),
            specs: "OW update @1 0:1:0 | RO access @2 #0:1:1", acl: "write sortedset slow",
            "Add multiple sorted sets and store the resulting sorted set in a new key",
            .data { k throws(CommandError) in try k.combineSorted(.union, countAt: 2, stores: true) }),
    ]
}
