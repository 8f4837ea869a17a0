// Channels (pubsub.c).

extension StateServer {
    // MARK: Subscribing

    mutating func subscribe(isPattern: Bool) throws(CommandError) {
        for place in 1..<keyspace.arguments.count {
            let name = keyspace.arguments[place]
            let has = isPattern ? current.patterns.contains(name) : current.channels.contains(name)
            if !has {
                guard current.subscriptions < Limits.stateSubscriptionsMaximum else {
                    throw CommandError(
                        "a client subscribes to at most \(Limits.stateSubscriptionsMaximum) channels")
                }
                if isPattern { current.patterns.append(name) } else { current.channels.append(name) }
                addSubscriber(current.id, to: name, isPattern: isPattern)
            }
            confirm(isPattern ? "psubscribe" : "subscribe", name)
        }
    }

    mutating func unsubscribe(isPattern: Bool) {
        var names = Array(keyspace.arguments.dropFirst())
        if names.isEmpty { names = isPattern ? current.patterns : current.channels }
        let kind = isPattern ? "punsubscribe" : "unsubscribe"
        if names.isEmpty { return confirm(kind, nil) }
        for name in names {
            removeSubscriber(current, from: name, isPattern: isPattern)
            if isPattern {
                current.patterns.removeAll { $0 == name }
            } else {
                current.channels.removeAll { $0 == name }
            }
            confirm(kind, name)
        }
    }

    private mutating func confirm(_ kind: String, _ name: ByteString?) {
        keyspace.reply.push(3)
        keyspace.reply.bulk(kind)
        if let name { keyspace.reply.bulk(name) } else { keyspace.reply.null() }
        keyspace.reply.integer(current.subscriptions)
    }

    private mutating func addSubscriber(_ id: ClientID, to name: ByteString, isPattern: Bool) {
        if isPattern {
            patterns.set(name, (patterns[name] ?? []) + [id])
        } else {
            channels.set(name, (channels[name] ?? []) + [id])
        }
    }

    mutating func removeSubscriber(_ client: StateClient, from name: ByteString, isPattern: Bool) {
        guard var rest = isPattern ? patterns[name] : channels[name] else { return }
        rest.removeAll { $0 == client.id }
        switch (isPattern, rest.isEmpty) {
        case (true, true): patterns.remove(name)
        case (true, false): patterns.set(name, rest)
        case (false, true): channels.remove(name)
        case (false, false): channels.set(name, rest)
        }
    }

    // MARK: Publishing

    mutating func publish() {
        let (channel, message) = (keyspace.arguments[1], keyspace.arguments[2])
        let count = publish(message, to: channel)
        keyspace.reply.integer(count)
        hooks.published(channel, message)
    }

    /// Sends a message to its subscribers here; how many they are.
    @discardableResult
    package mutating func publish(_ message: ByteString, to channel: ByteString) -> Int {
        var count = 0
        for id in channels[channel] ?? [] {
            deliver(to: id, [("message", channel), ("", message)])
            count += 1
        }
        for index in 0..<patterns.count {
            let pattern = patterns[index].key
            guard GlobPattern(pattern).matches(channel) else { continue }
            for id in patterns[index].value {
                deliver(to: id, [("pmessage", pattern), ("", channel), ("", message)])
                count += 1
            }
        }
        return count
    }

    /// What happened to keys since, to those who subscribe to it.
    mutating func publishEvents() {
        if keyspace.events.isEmpty { return }
        let events = keyspace.takeEvents()
        if channels.isEmpty, patterns.isEmpty { return }
        let classes = keyspace.settings.events
        for event in events {
            if classes.contains(.keyspace) {
                let prefix = Array("__keyspace@\(event.database)__:".utf8)
                publish(ByteString(event.name), to: ByteString(prefix + event.key.bytes))
            }
            if classes.contains(.keyevent) {
                publish(event.key, to: ByteString("__keyevent@\(event.database)__:\(event.name)"))
            }
        }
    }

    private mutating func deliver(to id: ClientID, _ parts: [(kind: String, value: ByteString)]) {
        guard let client = clients[id], !client.isClosing else { return }
        let origin = current
        let selected = keyspace.selected
        enter(client)
        keyspace.reply.push(parts.count + 1)
        for (kind, value) in parts {
            if !kind.isEmpty { keyspace.reply.bulk(kind) }
            keyspace.reply.bulk(value)
        }
        // Who doesn't read what it has subscribed to is dropped before it takes all memory.
        if keyspace.reply.bytes.count > Limits.statePushBytesMaximum, client !== origin {
            keyspace.reply.bytes = []
            client.isClosing = true
        }
        enter(origin)
        keyspace.selected = selected
    }

    // MARK: PUBSUB

    mutating func listChannels() {
        let pattern = keyspace.arguments.count > 2 ? GlobPattern(keyspace.arguments[2]) : nil
        var names: [ByteString] = []
        for index in 0..<channels.count where pattern?.matches(channels[index].key) ?? true {
            names.append(channels[index].key)
        }
        keyspace.reply.array(names.count)
        for name in names { keyspace.reply.bulk(name) }
    }

    mutating func countSubscribers() {
        // Pairs, and no map in RESP3 either.
        keyspace.reply.array(2 * (keyspace.arguments.count - 2))
        for place in 2..<max(keyspace.arguments.count, 2) {
            let name = keyspace.arguments[place]
            keyspace.reply.bulk(name)
            keyspace.reply.integer(channels[name]?.count ?? 0)
        }
    }

    mutating func countPatterns() { keyspace.reply.integer(patterns.count) }
}
