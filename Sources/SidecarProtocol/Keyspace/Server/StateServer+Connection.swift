// Commands about the connection itself (networking.c, acl.c).

extension StateServer {
    // MARK: Who it is

    mutating func hello() throws(CommandError) {
        let arguments = keyspace.arguments
        var version = current.version
        if arguments.count > 1 {
            guard let number = arguments[1].integer else {
                throw CommandError("Protocol version is not an integer or out of range")
            }
            guard number == 2 || number == 3 else {
                throw CommandError(coded: "NOPROTO unsupported protocol version")
            }
            version = UInt8(number)
        }
        var place = 2
        while place < arguments.count {
            let left = arguments.count - 1 - place
            if arguments[place].isWord("auth"), left >= 2 {
                try authenticate(arguments[place + 1], arguments[place + 2])
                place += 3
            } else if arguments[place].isWord("setname"), left >= 1 {
                try setName(arguments[place + 1])
                place += 2
            } else {
                throw CommandError("Syntax error in HELLO option '", arguments[place], "'")
            }
        }
        guard current.isAuthenticated else {
            throw CommandError(
                coded: "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
                    + "HELLO AUTH <user> <pass> option can be used to authenticate the client and select "
                    + "the RESP protocol version at the same time")
        }
        current.version = version
        keyspace.reply.version = version
        writeHello(version)
    }

    private mutating func writeHello(_ version: UInt8) {
        keyspace.reply.map(7)
        keyspace.reply.bulk("server")
        keyspace.reply.bulk("redis")
        keyspace.reply.bulk("version")
        keyspace.reply.bulk(StateServer.redisVersion)
        keyspace.reply.bulk("proto")
        keyspace.reply.integer(Int(version))
        keyspace.reply.bulk("id")
        keyspace.reply.integer(Int(current.id.number))
        for (key, value) in [("mode", "standalone"), ("role", "master")] {
            keyspace.reply.bulk(key)
            keyspace.reply.bulk(value)
        }
        keyspace.reply.bulk("modules")
        keyspace.reply.emptyArray()
    }

    /// The version of Redis whose commands and errors these are: clients choose by it what they send.
    static let redisVersion = "7.0.15"

    mutating func authenticate() throws(CommandError) {
        let arguments = keyspace.arguments
        guard arguments.count <= 3 else { throw .syntax }
        if arguments.count == 2, configuration.password == nil {
            throw CommandError(
                "AUTH <password> called without any password configured for the default user. Are you sure "
                    + "your configuration is correct?")
        }
        try authenticate(arguments.count == 3 ? arguments[1] : "default", arguments[arguments.count - 1])
        keyspace.reply.ok()
    }

    private mutating func authenticate(_ user: ByteString, _ password: ByteString) throws(CommandError) {
        let isRight = configuration.password.map { StateServer.isSame($0, password) } ?? true
        guard user == "default", isRight else {
            throw CommandError(
                coded: "WRONGPASS invalid username-password pair or user is disabled.")
        }
        current.isAuthenticated = true
    }

    /// Takes as long whatever the first difference is.
    private static func isSame(_ a: ByteString, _ b: ByteString) -> Bool {
        guard a.count == b.count else { return false }
        return zip(a.bytes, b.bytes).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    mutating func whoAmI() { keyspace.reply.bulk("default") }

    // MARK: Small talk

    mutating func ping() throws(CommandError) {
        guard keyspace.arguments.count <= 2 else { throw .arity("ping") }
        let message = keyspace.arguments.count == 2 ? keyspace.arguments[1] : nil
        if current.subscriptions > 0, current.version == 2 {
            keyspace.reply.array(2)
            keyspace.reply.bulk("pong")
            return keyspace.reply.bulk(message ?? .empty)
        }
        if let message { keyspace.reply.bulk(message) } else { keyspace.reply.raw("+PONG\r\n") }
    }

    mutating func echo() { keyspace.reply.bulk(keyspace.arguments[1]) }

    mutating func quit() {
        keyspace.reply.ok()
        current.isClosing = true
    }

    mutating func select() throws(CommandError) {
        let database = try keyspace.database(1)
        current.database = database
        keyspace.selected = database
        keyspace.reply.ok()
    }

    /// As if the connection were new.
    mutating func reset() {
        let client = current
        endTransaction(client)
        for channel in client.channels { removeSubscriber(client, from: channel, isPattern: false) }
        for pattern in client.patterns { removeSubscriber(client, from: pattern, isPattern: true) }
        (client.channels, client.patterns) = ([], [])
        (client.version, client.database, client.name) = (2, 0, .empty)
        client.replies = .all
        client.noEvict = false
        client.isAuthenticated = configuration.password == nil
        keyspace.reply.version = 2
        keyspace.selected = 0
        keyspace.reply.simple("RESET")
    }

    mutating func tellTime() {
        keyspace.reply.array(2)
        keyspace.reply.bulk(String(now.wall.milliseconds / 1000))
        keyspace.reply.bulk(String(now.wall.milliseconds % 1000 * 1000))
    }

    /// WAIT: how many replicas have everything; it doesn't wait for more of them.
    mutating func waitForReplicas() throws(CommandError) {
        _ = try keyspace.integer(1)
        guard let timeout = keyspace.arguments[2].integer else {
            throw CommandError("timeout is not an integer or out of range")
        }
        if timeout < 0 { throw CommandError("timeout is negative") }
        keyspace.reply.integer(hooks.acknowledgedReplicas())
    }

    mutating func role() {
        keyspace.reply.array(3)
        keyspace.reply.bulk("master")
        keyspace.reply.integer(0)
        keyspace.reply.emptyArray()
    }

    func setName(_ name: ByteString) throws(CommandError) {
        guard StateServer.isPlain(name) else {
            throw CommandError("Client names cannot contain spaces, newlines or special characters.")
        }
        current.name = name
    }

    static func isPlain(_ text: ByteString) -> Bool { text.bytes.allSatisfy { $0 >= 33 && $0 <= 126 } }
}
