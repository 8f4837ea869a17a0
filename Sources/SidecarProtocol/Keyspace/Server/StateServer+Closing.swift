// The end of a connection.

extension StateServer {
    /// The connection is gone, and what it had asked for with it.
    mutating func forget(_ client: StateClient) {
        client.isClosing = true
        client.output = []
        remove(client)
    }

    /// Nothing refers to the client any more.
    mutating func remove(_ client: StateClient) {
        unblock(client)
        unwatch(client)
        client.transaction = nil
        for channel in client.channels { removeSubscriber(client, from: channel, isPattern: false) }
        for pattern in client.patterns { removeSubscriber(client, from: pattern, isPattern: true) }
        (client.channels, client.patterns) = ([], [])
        clients[client.id] = nil
        if current === client {
            keyspace.reply.bytes = []
            current = nobody
        }
    }

    /// Closes a connection once it has its output, from this side.
    mutating func closeSoon(_ client: StateClient) {
        client.isClosing = true
        unblock(client)
        if client !== current { noteOutput(client) }
    }
}
