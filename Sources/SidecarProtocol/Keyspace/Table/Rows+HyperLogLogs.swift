// Rows of the command table.

extension CommandTable {
    static let hyperLogLogs: [Command] = [
        Command(
            "pfadd", -2, .hyperloglog, "2.8.9", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW insert @1 0:1:0", acl: "write hyperloglog fast",
            "Adds the specified elements to the specified HyperLogLog.",
            .data { k throws(CommandError) in try k.addToHyperLogLog() }),
        Command(
            "pfcount", -2, .hyperloglog, "2.8.9", [.readonly], keys: (1, -1, 1), specs: "RW access @1 -1:1:0",
            acl: "read hyperloglog slow",
            "Return the approximated cardinality of the set(s) observed by the HyperLogLog at key(s).",
            .data { k throws(CommandError) in try k.countHyperLogLog() }),
        Command(
            "pfdebug", 3, .hyperloglog, "2.8.9", [.write, .denyoom, .admin], keys: (2, 2, 1),
            specs: "RW access @2 0:1:0", acl: "write hyperloglog admin slow dangerous",
            "Internal commands for debugging HyperLogLog values",
            .data { k throws(CommandError) in try k.debugHyperLogLog() }),
        Command(
            "pfmerge", -2, .hyperloglog, "2.8.9", [.write, .denyoom], keys: (1, -1, 1),
            specs: "RW access insert @1 0:1:0 | RO access @2 -1:1:0", acl: "write hyperloglog slow",
            "Merge N different HyperLogLogs into a single one.",
            .data { k throws(CommandError) in try k.mergeHyperLogLogs() }),
    ]
}
