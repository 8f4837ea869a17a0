// Rows of the command table.

extension CommandTable {
    static let bitmaps: [Command] = [
        Command(
            "bitcount", -2, .bitmap, "2.6.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read bitmap slow", "Count set bits in a string",
            .data { k throws(CommandError) in try k.countBits() }),
        Command(
            "bitfield", -2, .bitmap, "3.2.0", [.write, .denyoom], keys: (1, 1, 1),
            specs: "RW access update variable_flags @1 0:1:0", acl: "write bitmap slow",
            conditional: .withWords(["incrby", "fail"]),
            "Perform arbitrary bitfield integer operations on strings",
            .data { k throws(CommandError) in try k.bitField(isReadOnly: false) }),
        Command(
            "bitfield_ro", -2, .bitmap, "6.0.0", [.readonly, .fast], keys: (1, 1, 1),
            specs: "RO access @1 0:1:0", acl: "read bitmap fast",
            "Perform arbitrary bitfield integer operations on strings. Read-only variant of BITFIELD",
            .data { k throws(CommandError) in try k.bitField(isReadOnly: true) }),
        Command(
            "bitop", -4, .bitmap, "2.6.0", [.write, .denyoom], keys: (2, -1, 1),
            specs: "OW update @2 0:1:0 | RO access @3 -1:1:0", acl: "write bitmap slow",
            "Perform bitwise operations between strings",
            .data { k throws(CommandError) in try k.combineBits() }),
        Command(
            "bitpos", -3, .bitmap, "2.8.7", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read bitmap slow", "Find first bit set or clear in a string",
            .data { k throws(CommandError) in try k.findBit() }),
        Command(
            "getbit", 3, .bitmap, "2.2.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read bitmap fast", "Returns the bit value at offset in the string value stored at key",
            .data { k throws(CommandError) in try k.getBit() }),
        Command(
            "setbit", 4, .bitmap, "2.2.0", [.write, .denyoom], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "write bitmap slow",
            "Sets or clears the bit at offset in the string value stored at key",
            .data { k throws(CommandError) in try k.setBit() }),
    ]
}
