// Rows of the command table.

extension CommandTable {
    static let lists: [Command] = [
        Command(
            "blmove", 6, .list, "6.2.0", [.write, .denyoom, .noscript, .blocking], keys: (1, 2, 1),
            specs: "RW access delete @1 0:1:0 | RW insert @2 0:1:0", acl: "write list slow blocking",
            conditional: .always,
            "Pop an element from a list, push it to another list and return it; or block until one is available",
            .data { k throws(CommandError) in try k.waitToMove() }),
        Command(
            "blmpop", -5, .list, "7.0.0", [.write, .blocking, .movableKeys],
            specs: "RW access delete @2 #0:1:1", acl: "write list slow blocking", conditional: .always,
            "Pop elements from a list, or block until one is available",
            .data { k throws(CommandError) in try k.popFromFirst(countAt: 2) }),
        Command(
            "blpop", -3, .list, "2.0.0", [.write, .noscript, .blocking], keys: (1, -2, 1),
            specs: "RW access delete @1 -2:1:0", acl: "write list slow blocking", conditional: .always,
            "Remove and get the first element in a list, or block until one is available",
            .data { k throws(CommandError) in try k.waitToPop(.left) }),
        Command(
            "brpop", -3, .list, "2.0.0", [.write, .noscript, .blocking], keys: (1, -2, 1),
            specs: "RW access delete @1 -2:1:0", acl: "write list slow blocking", conditional: .always,
            "Remove and get the last element in a list, or block until one is available",
            .data { k throws(CommandError) in try k.waitToPop(.right) }),
        Command(
            "brpoplpush", 4, .list, "2.2.0", [.write, .denyoom, .noscript, .blocking], keys: (1, 2, 1),
            specs: "RW access delete @1 0:1:0 | RW insert @2 0:1:0", acl: "write list slow blocking",
            conditional: .always,
            "Pop an element from a list, push it to another list and return it; or block until one is available",
            .data { k throws(CommandError) in try k.waitToMoveRightLeft() }),
        Command(
            "lindex", 3, .list, "1.0.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read list slow", "Get an element from a list by its index",
            .data { k throws(CommandError) in try k.elementAt() }),
        Command(
            "linsert", 5, .list, "2.2.0", [.write, .denyoom], keys: (1, 1, 1), specs: "RW insert @1 0:1:0",
            acl: "write list slow", "Insert an element before or after another element in a list",
            .data { k throws(CommandError) in try k.insertElement() }),
        Command(
            "llen", 2, .list, "1.0.0", [.readonly, .fast], keys: (1, 1, 1), specs: "RO @1 0:1:0",
            acl: "read list fast", "Get the length of a list",
            .data { k throws(CommandError) in try k.listLength() }),
        Command(
            "lmove", 5, .list, "6.2.0", [.write, .denyoom], keys: (1, 2, 1),
            specs: "RW access delete @1 0:1:0 | RW insert @2 0:1:0", acl: "write list slow",
            conditional: .always, "Pop an element from a list, push it to another list and return it",
            .data { k throws(CommandError) in try k.moveElement() }),
        Command(
            "lmpop", -4, .list, "7.0.0", [.write, .movableKeys], specs: "RW access delete @1 #0:1:1",
            acl: "write list slow", conditional: .always, "Pop elements from a list",
            .data { k throws(CommandError) in try k.popFromFirst(countAt: 1) }),
        Command(
            "lpop", -2, .list, "1.0.0", [.write, .fast], keys: (1, 1, 1),
            specs: "RW access delete @1 0:1:0", acl: "write list fast", conditional: .always,
            "Remove and get the first elements in a list",
            .data { k throws(CommandError) in try k.pop(.left) }),
        Command(
            "lpos", -3, .list, "6.0.6", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read list slow", "Return the index of matching elements on a list",
            .data { k throws(CommandError) in try k.position() }),
        Command(
            "lpush", -3, .list, "1.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW insert @1 0:1:0", acl: "write list fast",
            "Prepend one or multiple elements to a list",
            .data { k throws(CommandError) in try k.push(.left, onlyExisting: false) }),
        Command(
            "lpushx", -3, .list, "2.2.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW insert @1 0:1:0", acl: "write list fast", conditional: .always,
            "Prepend an element to a list, only if the list exists",
            .data { k throws(CommandError) in try k.push(.left, onlyExisting: true) }),
        Command(
            "lrange", 4, .list, "1.0.0", [.readonly], keys: (1, 1, 1), specs: "RO access @1 0:1:0",
            acl: "read list slow", "Get a range of elements from a list",
            .data { k throws(CommandError) in try k.elementRange() }),
        Command(
            "lrem", 4, .list, "1.0.0", [.write], keys: (1, 1, 1), specs: "RW delete @1 0:1:0",
            acl: "write list slow", "Remove elements from a list",
            .data { k throws(CommandError) in try k.removeElements() }),
        Command(
            "lset", 4, .list, "1.0.0", [.write, .denyoom], keys: (1, 1, 1), specs: "RW update @1 0:1:0",
            acl: "write list slow", "Set the value of an element in a list by its index",
            .data { k throws(CommandError) in try k.setElement() }),
        Command(
            "ltrim", 4, .list, "1.0.0", [.write], keys: (1, 1, 1), specs: "RW delete @1 0:1:0",
            acl: "write list slow", "Trim a list to the specified range",
            .data { k throws(CommandError) in try k.trim() }),
        Command(
            "rpop", -2, .list, "1.0.0", [.write, .fast], keys: (1, 1, 1),
            specs: "RW access delete @1 0:1:0", acl: "write list fast", conditional: .always,
            "Remove and get the last elements in a list",
            .data { k throws(CommandError) in try k.pop(.right) }),
        Command(
            "rpoplpush", 3, .list, "1.2.0", [.write, .denyoom], keys: (1, 2, 1),
            specs: "RW access delete @1 0:1:0 | RW insert @2 0:1:0", acl: "write list slow",
            conditional: .always,
            "Remove the last element in a list, prepend it to another list and return it",
            .data { k throws(CommandError) in try k.moveElement(from: .right, to: .left) }),
        Command(
            "rpush", -3, .list, "1.0.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW insert @1 0:1:0", acl: "write list fast",
            "Append one or multiple elements to a list",
            .data { k throws(CommandError) in try k.push(.right, onlyExisting: false) }),
        Command(
            "rpushx", -3, .list, "2.2.0", [.write, .denyoom, .fast], keys: (1, 1, 1),
            specs: "RW insert @1 0:1:0", acl: "write list fast", conditional: .always,
            "Append an element to a list, only if the list exists",
            .data { k throws(CommandError) in try k.push(.right, onlyExisting: true) }),
    ]
}
