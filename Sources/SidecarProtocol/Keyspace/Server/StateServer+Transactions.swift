// MULTI, EXEC, WATCH (multi.c).

extension StateServer {
    mutating func multi() throws(CommandError) {
        guard current.transaction == nil else { throw CommandError("MULTI calls can not be nested") }
        current.transaction = StateClient.Transaction()
        keyspace.reply.ok()
    }

    mutating func discard() throws(CommandError) {
        guard current.transaction != nil else { throw CommandError("DISCARD without MULTI") }
        endTransaction(current)
        keyspace.reply.ok()
    }

    mutating func endTransaction(_ client: StateClient) {
        client.transaction = nil
        unwatch(client)
    }

    /// A command within MULTI waits for EXEC.
    mutating func queue(_ command: Command) {
        let bytes = keyspace.arguments.reduce(64) { $0 + $1.count + 48 }
        let total = (current.transaction?.bytes ?? 0) + bytes
        guard total <= Limits.stateTransactionBytesMaximum else {
            current.transaction?.hasFailed = true
            current.transaction?.calls = []
            return keyspace.reply.error("ERR the transaction is longer than this server keeps")
        }
        current.transaction?.bytes = total
        if current.transaction?.hasFailed == false {
            current.transaction?.calls.append((command, keyspace.arguments))
        }
        keyspace.reply.raw("+QUEUED\r\n")
    }

    mutating func exec() throws(CommandError) {
        let client = current
        guard let transaction = client.transaction else { throw CommandError("EXEC without MULTI") }
        if hasExpiredWatch(client) { client.isDisturbed = true }
        let isDisturbed = client.isDisturbed
        endTransaction(client)
        if transaction.hasFailed {
            throw CommandError(
                coded: "EXECABORT Transaction discarded because of previous errors.")
        }
        if isDisturbed { return keyspace.reply.nullArray() }
        keyspace.reply.array(transaction.calls.count)
        keyspace.mayWait = false
        for (command, arguments) in transaction.calls {
            keyspace.arguments = arguments
            call(command)
        }
        keyspace.mayWait = true
    }

    mutating func watch() throws(CommandError) {
        guard current.transaction == nil else { throw CommandError("WATCH inside MULTI is not allowed") }
        let database = keyspace.selected
        for place in 1..<keyspace.arguments.count where !current.isDisturbed {
            let key = keyspace.arguments[place]
            if current.watched.contains(where: { $0.database == database && $0.key == key }) { continue }
            guard current.watched.count < Limits.stateWatchedKeysMaximum else {
                throw CommandError("a client watches at most \(Limits.stateWatchedKeysMaximum) keys")
            }
            current.watched.append((database, key))
            var watches = keyspace.databases[database].watched[key] ?? []
            watches.append(Keyspace.Watch(client: current.id, wasExpired: keyspace.hasExpired(key)))
            keyspace.databases[database].watched.set(key, watches)
        }
        keyspace.reply.ok()
    }

    mutating func unwatch() {
        unwatch(current)
        keyspace.reply.ok()
    }

    mutating func unwatch(_ client: StateClient) {
        client.isDisturbed = false
        for (database, key) in client.watched {
            guard var watches = keyspace.databases[database].watched[key] else { continue }
            watches.removeAll { $0.client == client.id }
            if watches.isEmpty {
                keyspace.databases[database].watched.remove(key)
            } else {
                keyspace.databases[database].watched.set(key, watches)
            }
        }
        client.watched = []
    }

    /// Tells those whose watched keys have changed.
    mutating func disturb() {
        for id in keyspace.disturbed { clients[id]?.isDisturbed = true }
        keyspace.disturbed.removeAll(keepingCapacity: true)
    }

    /// A watched key whose time has come since, and that nobody has met yet.
    private func hasExpiredWatch(_ client: StateClient) -> Bool {
        client.watched.contains { database, key in
            guard let item = keyspace.databases[database].items[key], item.expiry != Keyspace.Item.never,
                keyspace.now > item.expiry
            else { return false }
            let watch = keyspace.databases[database].watched[key]?.first { $0.client == client.id }
            return watch?.wasExpired == false
        }
    }
}

extension Keyspace {
    /// The key is there, and its time has come.
    func hasExpired(_ key: ByteString) -> Bool {
        guard let item = databases[selected].items[key] else { return false }
        return item.expiry != Item.never && now > item.expiry
    }
}
