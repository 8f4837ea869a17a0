// Commands that wait for a key (blocked.c).

extension StateServer {
    /// The command that ran waits: its client is put at the end of the line of each key.
    mutating func block() {
        guard let wait = keyspace.wait else { return }
        keyspace.wait = nil
        let client = current
        let database = keyspace.selected
        client.blocked = StateClient.Blocked(wait: wait, database: database, since: now.monotonic)
        for key in wait.keys {
            var line = keyspace.databases[database].waiting[key] ?? []
            if !line.contains(client.id) { line.append(client.id) }
            keyspace.databases[database].waiting.set(key, line)
        }
        if wait.timeout > 0 {
            timeouts.set(client.id, at: now.monotonic + .milliseconds(UInt64(min(wait.timeout, 1 << 53))))
        }
    }

    /// Takes a client out of the lines that it stands in.
    mutating func unblock(_ client: StateClient) {
        guard let blocked = client.blocked else { return }
        client.blocked = nil
        timeouts.remove(client.id)
        for key in blocked.wait.keys {
            guard var line = keyspace.databases[blocked.database].waiting[key] else { continue }
            line.removeAll { $0 == client.id }
            if line.isEmpty {
                keyspace.databases[blocked.database].waiting.remove(key)
            } else {
                keyspace.databases[blocked.database].waiting.set(key, line)
            }
        }
        woken.append(client.id)
    }

    /// The time of one who waits is over.
    mutating func giveUp(_ client: StateClient) {
        guard client.blocked != nil else { return }
        enter(client)
        keyspace.reply.nullArray()
        unblock(client)
    }

    /// Gives elements to those who wait for them, the longest waiting first. What one of them makes ready
    /// (BLMOVE) is given on in the next round.
    mutating func serveReady() {
        let origin = current
        while !keyspace.ready.isEmpty {
            let ready = keyspace.ready
            keyspace.ready = []
            for (database, key) in ready {
                for id in keyspace.databases[database].waiting[key] ?? [] {
                    guard let client = clients[id], let blocked = client.blocked else { continue }
                    enter(client)
                    keyspace.selected = database
                    let isServed = keyspace.serve(blocked.wait.purpose, from: key)
                    keyspace.selected = client.database
                    if isServed { unblock(client) }
                }
            }
        }
        disturb()
        enter(origin)
    }
}
