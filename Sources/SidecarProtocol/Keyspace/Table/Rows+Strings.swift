// Rows of the command table.

extension CommandTable {
    static let strings: [Command] = [
        Command(
            "append", 3, .string, "2.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW insert @1 0:1:0", acl: "write string fast", "Append a value to a key",
            .data { k throws(CommandError) in try k.append() }),
        Command(
            "decr", 2, .string, "1.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "write string fast",
            "Decrement the integer value of a key by one",
            .data { k throws(CommandError) in try k.increase(by: -1) }),
        Command(
            "decrby", 3, .string, "1.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "write string fast",
            "Decrement the integer value of a key by the given number",
            .data { k throws(CommandError) in try k.increaseByArgument(isNegative: true) }),
        Command(
            "get", 2, .string, "1.0.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read string fast", "Get the value of a key",
            .data { k throws(CommandError) in try k.get() }),
        Command(
            "getdel", 2, .string, "6.2.0", [.write, .fast], keys: (1, 1, 1),
            specs: "RW access delete @1 0:1:0", acl: "write string fast", conditional: .always,
            "Get the value of a key and delete the key",
            .data { k throws(CommandError) in try k.getAndDelete() }),
        Command(
            "getex", -2, .string, "6.2.0", [.write, .fast], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "write string fast",
            "Get the value of a key and optionally set its expiration",
            .data { k throws(CommandError) in try k.getAndExpire() }),
        Command(
            "getrange", 4, .string, "2.4.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read string slow", "Get a substring of the string stored at a key",
            .data { k throws(CommandError) in try k.getRange() }),
        Command(
            "getset", 3, .string, "1.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "write string fast", conditional: .always,
            "Set the string value of a key and return its old value",
            .data { k throws(CommandError) in try k.getAndSet() }),
        Command(
            "incr", 2, .string, "1.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "write string fast",
            "Increment the integer value of a key by one",
            .data { k throws(CommandError) in try k.increase(by: 1) }),
        Command(
            "incrby", 3, .string, "1.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "write string fast",
            "Increment the integer value of a key by the given amount",
            .data { k throws(CommandError) in try k.increaseByArgument(isNegative: false) }),
        Command(
            "incrbyfloat", 3, .string, "2.6.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW access update @1 0:1:0", acl: "write string fast",
            "Increment the float value of a key by the given amount",
            .data { k throws(CommandError) in try k.increaseByFloat() }),
        Command(
            "lcs", -3, .string, "7.0.0", [.readonly], keys: (1, 2, 1), specs: "RO access @1 1:1:0",
            acl: "read string slow", "Find longest common substring",
            .data { k throws(CommandError) in try k.longestCommonSubsequence() }),
        Command(
            "mget", -2, .string, "1.0.0", [.readonly, .fast], keys: (1, -1, 1),
            specs: "RO access @1 -1:1:0", acl: "read string fast", tips: "request_policy:multi_shard",
            "Get the values of all the given keys", .data { k throws(CommandError) in k.getMany() }),
        Command(
            "mset", -3, .string, "1.0.1", [.write, .denyoom], keys: (1, -1, 2),
            specs: "OW update @1 -1:2:0", acl: "write string slow",
            tips: "request_policy:multi_shard response_policy:all_succeeded",
            "Set multiple keys to multiple values",
            .data { k throws(CommandError) in try k.setMany(onlyNew: false) }),
        Command(
            "msetnx", -3, .string, "1.0.1", [.write, .denyoom], keys: (1, -1, 2),
            specs: "OW insert @1 -1:2:0", acl: "write string slow",
            tips: "request_policy:multi_shard response_policy:agg_min", conditional: .always,
            "Set multiple keys to multiple values, only if none of the keys exist",
            .data { k throws(CommandError) in try k.setMany(onlyNew: true) }),
        Command(
            "psetex", 4, .string, "2.6.0", [.write, .denyoom], keys: (1, 1, 1),
            specs: "OW update @1 0:1:0", acl: "write string slow",
            "Set the value and expiration in milliseconds of a key",
            .data { k throws(CommandError) in try k.setWithExpiry(milliseconds: true) }),
        Command(
            "set", -3, .string, "1.0.0", [.write, .denyoom], keys: (1, 1, 1),
            specs: "RW access update variable_flags @1 0:1:0", acl: "write string slow",
            conditional: .withWords(["nx", "xx", "get"]), "Set the string value of a key",
            .data { k throws(CommandError) in try k.set() }),
        Command(
            "setex", 4, .string, "2.0.0", [.write, .denyoom], keys: (1, 1, 1), specs: "OW update @1 0:1:0",
            acl: "write string slow", "Set the value and expiration of a key",
            .data { k throws(CommandError) in try k.setWithExpiry(milliseconds: false) }),
        Command(
            "setnx", 3, .string, "1.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "OW insert @1 0:1:0", acl: "write string fast", conditional: .always,
            "Set the value of a key, only if the key does not exist",
            .data { k throws(CommandError) in try k.setNew() }),
        Command(
            "setrange", 4, .string, "2.2.0", [.write, .denyoom], keys: (1, 1, 1),
            specs: "RW update @1 0:1:0", acl: "write string slow",
            "Overwrite part of a string at key starting at the specified offset",
            .data { k throws(CommandError) in try k.setRange() }),
        Command(
            "strlen", 2, .string, "2.2.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO @1 0:1:0",
            acl: "read string fast", "Get the length of the value stored in a key",
            .data { k throws(CommandError) in try k.length() }),
        Command(
            "substr", 4, .string, "1.0.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read string slow", "Get a substring of the string stored at a key",
            .data { k throws(CommandError) in try k.getRange() }),
    ]
}
