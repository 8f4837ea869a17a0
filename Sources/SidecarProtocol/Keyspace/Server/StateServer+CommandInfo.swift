// COMMAND: the table, told to clients (server.c).

extension StateServer {
    mutating func countCommands() { keyspace.reply.integer(table.commands.count) }

    mutating func describeCommands() {
        keyspace.reply.array(table.commands.count)
        for command in table.commands { describe(command) }
    }

    mutating func describeNamedCommands() {
        guard keyspace.arguments.count > 2 else { return describeCommands() }
        let names = Array(keyspace.arguments[2...])
        keyspace.reply.array(names.count)
        for name in names {
            if let command = named(name) { describe(command) } else { keyspace.reply.nullArray() }
        }
    }

    /// `get`, or `config|get`.
    private func named(_ name: ByteString) -> Command? {
        let parts = name.bytes.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
        guard let first = parts.first, let command = table.command(ByteString(Array(first))) else {
            return nil
        }
        guard parts.count > 1 else { return command }
        return parts.count == 2 ? command.subcommand(ByteString(Array(parts[1]))) : nil
    }

    private mutating func describe(_ command: Command) {
        keyspace.reply.array(10)
        keyspace.reply.bulk(command.name)
        keyspace.reply.integer(command.arity)
        let flags = Command.Flags.names.filter { command.flags.contains($0.0) }
        writeSet(flags.map(\.1), simple: true)
        keyspace.reply.integer(command.keys.first)
        keyspace.reply.integer(command.keys.last)
        keyspace.reply.integer(command.keys.step)
        writeSet(command.categories.split(separator: " ").map { "@" + $0 }, simple: true)
        writeArray(command.tips.split(separator: " ").map(String.init))
        let specs = KeySpec.all(command.specs)
        keyspace.reply.set(specs.count)
        for spec in specs { describe(spec) }
        keyspace.reply.array(command.subcommands.count)
        for subcommand in command.subcommands { describe(subcommand) }
    }

    private mutating func writeSet(_ words: [String], simple: Bool) {
        keyspace.reply.set(words.count)
        for word in words { if simple { keyspace.reply.simple(word) } else { keyspace.reply.bulk(word) } }
    }

    private mutating func writeArray(_ words: [String]) {
        keyspace.reply.array(words.count)
        for word in words { keyspace.reply.bulk(word) }
    }

    private mutating func writeMap(_ fields: [(String, Int)]) {
        keyspace.reply.map(fields.count)
        for (name, value) in fields {
            keyspace.reply.bulk(name)
            keyspace.reply.integer(value)
        }
    }

    private mutating func describe(_ spec: KeySpec) {
        keyspace.reply.map(3)
        keyspace.reply.bulk("flags")
        writeSet(spec.flags.map(String.init), simple: true)
        keyspace.reply.bulk("begin_search")
        keyspace.reply.map(2)
        keyspace.reply.bulk("type")
        let place = Int(spec.begin)
        keyspace.reply.bulk(place == nil ? "unknown" : "index")
        keyspace.reply.bulk("spec")
        writeMap(place.map { [("index", $0)] } ?? [])
        keyspace.reply.bulk("find_keys")
        keyspace.reply.map(2)
        keyspace.reply.bulk("type")
        let isCounted = spec.find.first == "#"
        let numbers = spec.find.drop { $0 == "#" }.split(separator: ":").map { Int($0) ?? 0 }
        keyspace.reply.bulk(place == nil ? "unknown" : isCounted ? "keynum" : "range")
        keyspace.reply.bulk("spec")
        guard numbers.count == 3, place != nil else { return keyspace.reply.map(0) }
        if isCounted {
            writeMap([("keynumidx", numbers[0]), ("firstkey", numbers[1]), ("keystep", numbers[2])])
        } else {
            writeMap([("lastkey", numbers[0]), ("keystep", numbers[1]), ("limit", numbers[2])])
        }
    }

    // MARK: DOCS, GETKEYS, LIST

    mutating func documentCommands() {
        let names = keyspace.arguments.dropFirst(2)
        let chosen = names.isEmpty ? table.commands : names.compactMap { named($0) }
        keyspace.reply.map(chosen.count)
        for command in chosen { document(command) }
    }

    private mutating func document(_ command: Command) {
        keyspace.reply.bulk(command.name)
        keyspace.reply.map(command.subcommands.isEmpty ? 3 : 4)
        let fields = [
            ("summary", command.summary), ("since", command.since), ("group", command.group.rawValue),
        ]
        for (name, value) in fields {
            keyspace.reply.bulk(name)
            keyspace.reply.bulk(value)
        }
        guard !command.subcommands.isEmpty else { return }
        keyspace.reply.bulk("subcommands")
        keyspace.reply.map(command.subcommands.count)
        for subcommand in command.subcommands { document(subcommand) }
    }

    mutating func keysOfCommand(withFlags: Bool = false) throws(CommandError) {
        let arguments = ContiguousArray(keyspace.arguments[2...])
        guard let command = table.command(arguments[0]) else {
            throw CommandError("Invalid command specified")
        }
        let called = arguments.count > 1 ? command.subcommand(arguments[1]) ?? command : command
        let specs = KeySpec.all(called.specs)
        guard !specs.isEmpty else { throw CommandError("The command has no key arguments") }
        guard called.allowsCount(arguments.count) else {
            throw CommandError("Invalid number of arguments specified for command")
        }
        var places: [(place: Int, flags: [Substring])] = []
        for spec in specs {
            guard let found = spec.places(in: arguments) else {
                throw CommandError("Invalid arguments specified for command")
            }
            places += found.map { ($0, spec.flags) }
        }
        keyspace.reply.array(places.count)
        for (place, flags) in places {
            if withFlags { keyspace.reply.array(2) }
            keyspace.reply.bulk(arguments[place])
            if withFlags { writeSet(flags.map(String.init), simple: true) }
        }
    }

    mutating func listCommands() throws(CommandError) {
        let arguments = keyspace.arguments
        var names = table.commands.flatMap { [$0.name] + $0.subcommands.map(\.name) }
        if arguments.count > 2 {
            guard arguments.count == 5, arguments[2].isWord("filterby") else { throw .syntax }
            let value = arguments[4]
            if arguments[3].isWord("pattern") {
                let pattern = GlobPattern(value)
                names = names.filter { pattern.matches(Array($0.utf8), ignoringCase: true) }
            } else if arguments[3].isWord("aclcat") {
                names = names.filter { name in
                    named(ByteString(name))?.categories.split(separator: " ").contains {
                        ByteString($0) == value.lowercased
                    } ?? false
                }
            } else if arguments[3].isWord("module") {
                names = []
            } else {
                throw .syntax
            }
        }
        writeSet(names, simple: false)
    }

    /// X HELP: the subcommands of X.
    mutating func help(_ name: String) {
        guard let command = table.command(ByteString(name)) else { return }
        let lines = command.subcommands.filter { !$0.name.hasSuffix("|help") }.flatMap { subcommand in
            let word = subcommand.name.drop { $0 != "|" }.dropFirst()
            return [word.uppercased(), "    " + subcommand.summary + "."]
        }
        let first = "\(name.uppercased()) <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
        keyspace.reply.array(lines.count + 3)
        for line in [first] + lines + ["HELP", "    Prints this help."] { keyspace.reply.simple(line) }
    }
}
