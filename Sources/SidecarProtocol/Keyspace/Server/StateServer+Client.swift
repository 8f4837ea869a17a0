// CLIENT (networking.c).

extension StateServer {
    mutating func clientID() { keyspace.reply.integer(Int(current.id.number)) }

    mutating func clientName() {
        if current.name.count > 0 { keyspace.reply.bulk(current.name) } else { keyspace.reply.null() }
    }

    mutating func setClientName() throws(CommandError) {
        try setName(keyspace.arguments[2])
        keyspace.reply.ok()
    }

    /// Of Redis 7.2, since every client library of today says it first.
    mutating func setClientInfo() throws(CommandError) {
        let (option, value) = (keyspace.arguments[2], keyspace.arguments[3])
        guard StateServer.isPlain(value) else {
            throw CommandError(
                "", option.lowercased, " cannot contain spaces, newlines or special characters.")
        }
        if option.isWord("lib-name") {
            current.libraryName = value
        } else if option.isWord("lib-ver") {
            current.libraryVersion = value
        } else {
            throw CommandError("Unrecognized option '", option, "'")
        }
        keyspace.reply.ok()
    }

    mutating func clientInfo() {
        keyspace.reply.verbatim(Array((description(of: current) + "\n").utf8))
    }

    mutating func listClients() throws(CommandError) {
        let arguments = keyspace.arguments
        var chosen = clients.keys.sorted()
        if arguments.count == 4, arguments[2].isWord("type") {
            let kind = try clientKind(arguments[3])
            chosen = chosen.filter { clients[$0].map(kind) ?? false }
        } else if arguments.count > 3, arguments[2].isWord("id") {
            chosen = []
            for place in 3..<arguments.count {
                guard let number = arguments[place].integer else { throw CommandError("Invalid client ID") }
                if number > 0 { chosen.append(ClientID(UInt64(number))) }
            }
        } else if arguments.count != 2 {
            throw .syntax
        }
        let lines = chosen.compactMap { clients[$0].map { description(of: $0) } }
        keyspace.reply.verbatim(Array(lines.map { $0 + "\n" }.joined().utf8))
    }

    private func description(of client: StateClient) -> String {
        let unread = client === current ? parser.pendingBytes : client.parser.pendingBytes
        return client.description(now: now, unread: unread)
    }

    private func clientKind(_ word: ByteString) throws(CommandError) -> (StateClient) -> Bool {
        if word.isWord("normal") { return { $0.subscriptions == 0 } }
        if word.isWord("pubsub") { return { $0.subscriptions > 0 } }
        if word.isWord("master") || word.isWord("replica") || word.isWord("slave") { return { _ in false } }
        throw CommandError("Unknown client type '", word, "'")
    }

    mutating func setClientReplies() throws(CommandError) {
        let word = keyspace.arguments[2]
        if word.isWord("on") {
            current.replies = .all
            keyspace.reply.ok()
        } else if word.isWord("off") {
            current.replies = .none
        } else if word.isWord("skip") {
            if current.replies != .none { current.replies = .allButNext }
        } else {
            throw .syntax
        }
    }

    mutating func setClientEviction() throws(CommandError) {
        current.noEvict = try isOn(keyspace.arguments[2])
        keyspace.reply.ok()
    }

    private func isOn(_ word: ByteString) throws(CommandError) -> Bool {
        if word.isWord("on") { return true }
        if word.isWord("off") { return false }
        throw .syntax
    }

    mutating func unblockClient() throws(CommandError) {
        let arguments = keyspace.arguments
        var isError = false
        if arguments.count == 4 {
            isError = arguments[3].isWord("error")
            guard isError || arguments[3].isWord("timeout") else {
                throw CommandError("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
            }
        } else if arguments.count > 4 {
            throw .syntax
        }
        let number = try keyspace.integer(2)
        guard number > 0, let client = clients[ClientID(UInt64(number))], client.blocked != nil else {
            return keyspace.reply.integer(0)
        }
        let origin = current
        enter(client)
        if isError {
            keyspace.reply.error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
        } else {
            keyspace.reply.nullArray()
        }
        unblock(client)
        enter(origin)
        keyspace.reply.integer(1)
    }

    // MARK: CLIENT KILL

    private struct KillFilter {
        var id: UInt64?
        var address: ByteString?
        var localAddress: ByteString?
        var kind: ((StateClient) -> Bool)?
        var skipsOwn = true

        func matches(_ client: StateClient) -> Bool {
            if let id, client.id.number != id { return false }
            if let address, address != ByteString(client.address) { return false }
            if let localAddress, localAddress != ByteString(client.localAddress) { return false }
            return kind?(client) ?? true
        }
    }

    mutating func killClients() throws(CommandError) {
        var filter = KillFilter()
        let isOld = keyspace.arguments.count == 3
        if isOld {
            filter.address = keyspace.arguments[2]
            filter.skipsOwn = false
        } else {
            filter = try killFilter()
        }
        var count = 0
        for id in clients.keys.sorted() {
            guard let client = clients[id], filter.matches(client) else { continue }
            if client === current, filter.skipsOwn { continue }
            count += 1
            if client === current { current.isClosing = true } else { closeSoon(client) }
        }
        guard isOld else { return keyspace.reply.integer(count) }
        if count == 0 { throw CommandError("No such client") }
        keyspace.reply.ok()
    }

    private func killFilter() throws(CommandError) -> KillFilter {
        var filter = KillFilter()
        let arguments = keyspace.arguments
        guard arguments.count > 3 else { throw .syntax }
        var place = 2
        while place < arguments.count {
            guard place + 1 < arguments.count else { throw .syntax }
            let (word, value) = (arguments[place], arguments[place + 1])
            if word.isWord("id") {
                guard let number = value.integer, number >= 1 else {
                    throw CommandError("client-id should be greater than 0")
                }
                filter.id = UInt64(number)
            } else if word.isWord("type") {
                filter.kind = try clientKind(value)
            } else if word.isWord("addr") {
                filter.address = value
            } else if word.isWord("laddr") {
                filter.localAddress = value
            } else if word.isWord("user") {
                guard value == "default" else { throw CommandError("No such user '", value, "'") }
            } else if word.isWord("skipme") {
                guard value.isWord("yes") || value.isWord("no") else { throw .syntax }
                filter.skipsOwn = value.isWord("yes")
            } else {
                throw .syntax
            }
            place += 2
        }
        return filter
    }
}
