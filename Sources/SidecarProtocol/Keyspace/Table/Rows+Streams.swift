// Rows of the command table.

extension CommandTable {
    static let streams: [Command] = [
        Command(
            "xadd", -5, .stream, "5.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW update @1 0:1:0", acl: "write stream fast", tips: "nondeterministic_output",
            "Appends a new entry to a stream",
            .data { k throws(CommandError) in try k.addEntry() }),
        Command(
            "xdel", -3, .stream, "5.0.0", [.write, .fast], keys: (1, 1, 1), specs: "RW delete @1 0:1:0",
            acl: "write stream fast",
            "Removes the specified entries from the stream. Returns the number of items actually deleted, that "
                + "may be different from the number of IDs passed in case certain IDs do not exist.",
            .data { k throws(CommandError) in try k.deleteEntries() }),
        Command(
            "xlen", 2, .stream, "5.0.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO @1 0:1:0",
            acl: "read stream fast", "Return the number of entries in a stream",
            .data { k throws(CommandError) in try k.countEntries() }),
        Command(
            "xrange", -4, .stream, "5.0.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read stream slow",
            "Return a range of elements in a stream, with IDs matching the specified IDs interval",
            .data { k throws(CommandError) in try k.entries(reversed: false) }),
        Command(
            "xread", -4, .stream, "5.0.0", [.readonly, .blocking, .movableKeys],
            specs: "RO access @STREAMS:1 -1:1:2", acl: "read stream slow blocking",
            "Return never seen elements in multiple streams, with IDs greater than the ones reported by the "
                + "caller for each stream. Can block.",
            .data { k throws(CommandError) in try k.readStreams() }),
        Command(
            "xrevrange", -4, .stream, "5.0.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read stream slow",
            "Return a range of elements in a stream, with IDs matching the specified IDs interval, in reverse "
                + "order (from greater to smaller IDs) compared to XRANGE",
            .data { k throws(CommandError) in try k.entries(reversed: true) }),
        Command(
            "xsetid", -3, .stream, "5.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW update @1 0:1:0", acl: "write stream fast",
            "An internal command for replicating stream values",
            .data { k throws(CommandError) in try k.setStreamID() }),
        Command(
            "xtrim", -4, .stream, "5.0.0", [.write], keys: (1, 1, 1), specs: "RW delete @1 0:1:0",
            acl: "write stream slow", tips: "nondeterministic_output",
            "Trims the stream to (approximately if '~' is passed) a certain size",
            .data { k throws(CommandError) in try k.trimStream() }),
    ]
}
