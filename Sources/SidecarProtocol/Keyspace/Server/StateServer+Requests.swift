// From bytes to commands (networking.c, server.c).
//
// What runs for every command is `mutating` throughout: to call a method that isn't, on the server that is being
// changed, the compiler copies the whole server, a kilobyte, for the time of the call.

extension StateServer {
    /// Makes `client` the one whose replies are written.
    mutating func enter(_ client: StateClient) {
        guard client !== current else { return }
        swap(&current.output, &keyspace.reply.bytes)
        noteOutput(current)
        current = client
        swap(&current.output, &keyspace.reply.bytes)
        keyspace.reply.version = client.version
        keyspace.selected = client.database
    }

    mutating func noteOutput(_ client: StateClient) {
        guard !client.isListed, !client.output.isEmpty || client.isClosing, client !== nobody else { return }
        client.isListed = true
        listed.append(client.id)
    }

    /// Runs a connection's requests until there are no more, or it has to wait.
    mutating func work(_ client: StateClient) {
        enter(client)
        swap(&parser, &client.parser)
        defer { swap(&parser, &client.parser) }
        parser.bulkBytesMaximum = keyspace.settings.stringBytesMaximum
        parser.requestBytesMaximum = keyspace.settings.requestBytesMaximum
        parser.isUnauthenticated = !client.isAuthenticated
        while client.blocked == nil, !client.isClosing, !client.isPaused,
            keyspace.reply.bytes.count < Limits.stateUnreadReplyBytesMaximum
        {
            client.isHungry = false
            if isTurnFull { return wait(client) }
            switch parser.next() {
            case .incomplete:
                client.isHungry = true
                return
            case .violation(let text):
                keyspace.reply.error("ERR Protocol error: " + text)
                client.isClosing = true
                return
            case .request:
                swap(&keyspace.arguments, &parser.arguments)
                run(client)
                if parser.isUnauthenticated { parser.isUnauthenticated = !client.isAuthenticated }
            }
        }
    }

    private mutating func wait(_ client: StateClient) {
        guard !client.isWaiting else { return }
        client.isWaiting = true
        waiting.append(client.id)
    }

    /// Everybody's turn is over but that of those who were woken.
    mutating func finish() {
        // It ends, since who is woken again has used up some of what it had sent.
        while !woken.isEmpty {
            let id = woken.removeFirst()
            if let client = clients[id] { work(client) }
        }
        enter(nobody)
        keyspace.reply.bytes.removeAll(keepingCapacity: true)
    }

    /// One request, whose words are the keyspace's arguments.
    private mutating func run(_ client: StateClient) {
        statistics.commands &+= 1
        let start = keyspace.reply.bytes.count
        let mode = client.replies
        dispatch()
        if mode != .all || client.replies == .none { silence(client, mode, from: start) }
        if !keyspace.disturbed.isEmpty { disturb() }
        if !keyspace.ready.isEmpty { serveReady() }
        if !keyspace.events.isEmpty { publishEvents() }
    }

    /// CLIENT REPLY: what was answered is taken back. What SUBSCRIBE and its relatives say isn't an answer: it goes to
    /// those too who want none.
    private mutating func silence(_ client: StateClient, _ mode: StateClient.Replies, from start: Int) {
        switch (mode, client.replies) {
        case (_, .none), (.allButThis, .allButThis):
            if client.lastCommand?.name.hasSuffix("subscribe") != true {
                keyspace.reply.bytes.removeLast(keyspace.reply.bytes.count - start)
            }
            if client.replies == .allButThis { client.replies = .all }
        case (.allButNext, .allButNext): client.replies = .allButThis
        default: break
        }
    }

    private mutating func dispatch() {
        let command: Command
        do {
            command = try commandOfCall()
            try admit(command)
        } catch {
            statistics.errors &+= 1
            return refuse(error)
        }
        if current.isInTransaction, !Self.runsInTransaction(command) { return queue(command) }
        call(command)
    }

    /// The command isn't run; a transaction that it belongs to won't be either.
    private mutating func refuse(_ error: CommandError) {
        guard keyspace.arguments[0].isWord("exec") else {
            current.transaction?.hasFailed = true
            return keyspace.reply.error(error.text)
        }
        endTransaction(current)
        let prefix = Array("ERR ".utf8)
        let reason =
            error.text.bytes.starts(with: prefix) ? error.text.bytes.dropFirst(4) : error.text.bytes[...]
        let text = Array("EXECABORT Transaction discarded because of: ".utf8) + reason
        keyspace.reply.error(ByteString(text))
    }

    /// The command that the arguments name, with as many words as it takes.
    mutating func commandOfCall() throws(CommandError) -> Command {
        if keyspace.arguments[0] != called.word {
            guard let index = table.index(of: keyspace.arguments[0]) else { throw unknownCommand() }
            called = (keyspace.arguments[0], table.commands[index])
        }
        var command = called.command
        let count = keyspace.arguments.count
        if !command.subcommands.isEmpty, count > 1 {
            let word = keyspace.arguments[1]
            guard let subcommand = command.subcommand(word) else {
                let name = command.name.uppercased()
                throw CommandError(
                    "unknown subcommand '", ByteString(Array(word.bytes.prefix(128))),
                    "'. Try \(name) HELP.")
            }
            command = subcommand
        }
        guard command.allowsCount(count) else { throw .arity(command.name) }
        return command
    }

    private mutating func unknownCommand() -> CommandError {
        // As C has it, a word ends at its first zero byte.
        func word(_ argument: ByteString) -> ArraySlice<UInt8> { argument.bytes.prefix { $0 != 0 } }
        var text = Array("unknown command '".utf8) + word(keyspace.arguments[0]).prefix(128)
        text += Array("', with args beginning with: ".utf8)
        var left = 128
        for argument in keyspace.arguments.dropFirst() where left > 0 {
            let quoted = [UInt8(ascii: "'")] + word(argument).prefix(left) + Array("' ".utf8)
            text += quoted
            left -= quoted.count
        }
        return CommandError("", ByteString(text))
    }

    /// Whether the command may run now, on this connection.
    private mutating func admit(_ command: Command) throws(CommandError) {
        if !current.isAuthenticated, !command.flags.contains(.noAuth) {
            throw CommandError(coded: "NOAUTH Authentication required.")
        }
        if current.isInTransaction, command.flags.contains(.noMulti) {
            throw CommandError("Command not allowed inside a transaction")
        }
        if command.flags.contains(.protected), !configuration.allowsDebug {
            throw CommandError(
                "DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can "
                    + "run it from a local connection, otherwise you need to set this option in the "
                    + "configuration file, and then restart the server.")
        }
        if configuration.consistency != .none { try admitToReplicas(command) }
        if configuration.memoryMaximum > 0 { try admitToMemory(command) }
        if writeRefusal != nil { try admitToFullDisk(command) }
        if current.subscriptions > 0, current.version == 2, !Self.runsWhileSubscribed(command) {
            throw CommandError(
                "Can't execute '\(command.name)': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
                    + "RESET are allowed in this context")
        }
    }

    private mutating func admitToFullDisk(_ command: Command) throws(CommandError) {
        guard let writeRefusal else { return }
        var mayWrite = command.flags.contains(.write)
        if command.name == "exec", let transaction = current.transaction {
            mayWrite = transaction.calls.contains { $0.command.flags.contains(.write) }
        }
        if mayWrite { throw CommandError(coded: writeRefusal) }
    }

    private mutating func admitToMemory(_ command: Command) throws(CommandError) {
        guard keyspace.footprint > configuration.memoryMaximum else { return }
        var isRefused = command.flags.contains(.denyoom)
        if let transaction = current.transaction {
            isRefused =
                command.name == "exec"
                ? transaction.calls.contains { $0.command.flags.contains(.denyoom) }
                : !["discard", "quit", "reset"].contains(command.name)
        }
        if isRefused { throw .noMemory }
    }

    /// What several replicas can't do, or can't do as one.
    private mutating func admitToReplicas(_ command: Command) throws(CommandError) {
        guard command.modes.contains(configuration.consistency.mode) else {
            throw CommandError(
                "\(command.name.uppercased()) is not available under `consistency: "
                    + "\(configuration.consistency.rawValue)`")
        }
        guard configuration.consistency == .eventual, command.isConditional(keyspace.arguments) else {
            return
        }
        statistics.conditionalCommands &+= 1
        switch configuration.conditional {
        case .allow: break
        case .warn: if warned.insert(command.name).inserted { warnings.append(command.name) }
        case .deny:
            throw CommandError(
                "\(command.name.uppercased()) would be atomic on this replica only, and the configuration "
                    + "says `conditional: deny`")
        }
    }

    private static func runsWhileSubscribed(_ command: Command) -> Bool {
        switch command.name {
        case "ping", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "quit", "reset": true
        default: false
        }
    }

    private static func runsInTransaction(_ command: Command) -> Bool {
        switch command.name {
        case "exec", "discard", "multi", "watch", "quit", "reset": true
        default: false
        }
    }

    /// Runs a command that was admitted.
    mutating func call(_ command: Command) {
        // Mostly it is the same as before, and then no reference is counted.
        if keyspace.command !== command { keyspace.command = command }
        if current.lastCommand !== command { current.lastCommand = command }
        do throws(CommandError) {
            switch command.run {
            case .data(let body): try body(&keyspace)
            case .server(let body): try body(&self)
            case .container: throw .arity(command.name)
            }
        } catch {
            statistics.errors &+= 1
            keyspace.reply.error(error.text)
        }
        if keyspace.wait != nil { block() }
    }
}

extension Command {
    /// Whether this call depends on what it finds; see `Condition`.
    func isConditional(_ arguments: ContiguousArray<ByteString>) -> Bool {
        switch conditional {
        case .never: return false
        case .always: return true
        case .withWords(let words):
            var place = 2
            while place < arguments.count {
                for word in words where arguments[place].isWord(word) { return true }
                place += 1
            }
            return false
        }
    }

    func subcommand(_ word: ByteString) -> Command? {
        subcommands.first { command in
            let part = command.name.utf8.drop { $0 != UInt8(ascii: "|") }.dropFirst()
            guard part.count == word.count else { return false }
            return zip(part, word.bytes).allSatisfy { $0 == ByteString.lowercased($1) }
        }
    }
}
