// Rows of the command table.

extension CommandTable {
    static let hashes: [Command] = [
        Command(
            "hdel", -3, .hash, "2.0.0", [.write, .fast], keys: (1, 1, 1), specs: "RW delete @1 0:1:0",
            acl: "write hash fast", "Delete one or more hash fields",
            .data { k throws(CommandError) in try k.deleteFields() }),
        Command(
            "hexists", 3, .hash, "2.0.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO @1 0:1:0",
            acl: "read hash fast", "Determine if a hash field exists",
            .data { k throws(CommandError) in try k.hasField() }),
        Command(
            "hget", 3, .hash, "2.0.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read hash fast", "Get the value of a hash field",
            .data { k throws(CommandError) in try k.getField() }),
        Command(
            "hgetall", 2, .hash, "2.0.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read hash slow", tips: "nondeterministic_output_order",
            "Get all the fields and values in a hash",
            .data { k throws(CommandError) in try k.allFields(names: true, values: true) }),
        Command(
            "hincrby", 4, .hash, "2.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "write hash fast",
            "Increment the integer value of a hash field by the given number",
            .data { k throws(CommandError) in try k.increaseField() }),
        Command(
            "hincrbyfloat", 4, .hash, "2.6.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "write hash fast",
            "Increment the float value of a hash field by the given amount",
            .data { k throws(CommandError) in try k.increaseFieldByFloat() }),
        Command(
            "hkeys", 2, .hash, "2.0.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read hash slow", tips: "nondeterministic_output_order", "Get all the fields in a hash",
            .data { k throws(CommandError) in try k.allFields(names: true, values: false) }),
        Command(
            "hlen", 2, .hash, "2.0.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO @1 0:1:0",
            acl: "read hash fast", "Get the number of fields in a hash",
            .data { k throws(CommandError) in try k.countFields() }),
        Command(
            "hmget", -3, .hash, "2.0.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read hash fast", "Get the values of all the given hash fields",
            .data { k throws(CommandError) in try k.getFields() }),
        Command(
            "hmset", -4, .hash, "2.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW update @1 0:1:0", acl: "write hash fast",
            "Set multiple hash fields to multiple values",
            .data { k throws(CommandError) in try k.setFields(repliesOK: true) }),
        Command(
            "hrandfield", -2, .hash, "6.2.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read hash slow", tips: "nondeterministic_output",
            "Get one or multiple random fields from a hash",
            .data { k throws(CommandError) in try k.anyFields() }),
        Command(
            "hscan", -3, .hash, "2.8.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read hash slow", tips: "nondeterministic_output",
            "Incrementally iterate hash fields and associated values",
            .data { k throws(CommandError) in try k.scanHash() }),
        Command(
            "hset", -4, .hash, "2.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW update @1 0:1:0", acl: "write hash fast", "Set the string value of a hash field",
            .data { k throws(CommandError) in try k.setFields(repliesOK: false) }),
        Command(
            "hsetnx", 4, .hash, "2.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW insert @1 0:1:0", acl: "write hash fast", conditional: .always,
            "Set the value of a hash field, only if the field does not exist",
            .data { k throws(CommandError) in try k.setNewField() }),
        Command(
            "hstrlen", 3, .hash, "3.2.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO @1 0:1:0",
            acl: "read hash fast", "Get the length of the value of a hash field",
            .data { k throws(CommandError) in try k.fieldLength() }),
        Command(
            "hvals", 2, .hash, "2.0.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read hash slow", tips: "nondeterministic_output_order", "Get all the values in a hash",
            .data { k throws(CommandError) in try k.allFields(names: false, values: true) }),
    ]
}
