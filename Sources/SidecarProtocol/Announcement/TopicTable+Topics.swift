// Topics: who subscribes, and what they are sent.

extension TopicTable {
    /// Everything that is known of the topic, at once; later changes follow as they come.
    mutating func subscribe(_ client: Client, to topic: TopicID, effects: inout [Effect]) {
        guard let state = clients[client] else { return }
        guard state.topics.contains(topic) || state.topics.count < capacity.subscriptions else {
            effects.append(
                .send(
                    client,
                    .refused("at most \(capacity.subscriptions) topics can be subscribed to")))
            return
        }
        clients[client]?.topics.insert(topic)
        subscribers[topic, default: []].insert(client)
        for burial in store?.burials(on: topic) ?? [] {
            effects.append(.send(client, .tombstone(burial.bytes)))
        }
        for entry in store?.announcements(on: topic) ?? [] {
            guard registrations[entry.announcement.instance]?.owner != client else { continue }
            send(entry.announcement, entry.bytes, to: client, effects: &effects)
        }
    }

    mutating func unsubscribe(_ client: Client, from topic: TopicID) {
        guard clients[client]?.topics.remove(topic) != nil else { return }
        removeSubscriber(client, from: topic)
    }

    mutating func removeSubscriber(_ client: Client, from topic: TopicID) {
        subscribers[topic]?.remove(client)
        if subscribers[topic]?.isEmpty == true { subscribers[topic] = nil }
    }

    /// The chain, where this client hasn't had it, and then the announcement's own bytes.
    private mutating func send(
        _ announcement: Announcement, _ bytes: [UInt8], to client: Client, effects: inout [Effect]
    ) {
        let hash = announcement.certificateHash
        if let chain = store?.chain(hash), clients[client]?.certificates.contains(hash) == false {
            // It asks for those that it has forgotten.
            if clients[client]!.certificates.count >= capacity.certificates {
                clients[client]?.certificates.removeAll()
            }
            clients[client]?.certificates.insert(hash)
            effects.append(.send(client, chain.message))
        }
        effects.append(.send(client, .announcement(bytes)))
    }

    mutating func relay(
        _ announcement: Announcement, _ bytes: [UInt8], except sender: Client?,
        effects: inout [Effect]
    ) {
        for client in subscribers[announcement.topic] ?? [] where client != sender {
            send(announcement, bytes, to: client, effects: &effects)
        }
    }

    /// Sends a tombstone to everyone who may have heard of the instance.
    func tell(_ burial: AnnouncementStore.Burial, effects: inout [Effect]) {
        var told: Set<Client> = []
        for topic in burial.topics { told.formUnion(subscribers[topic] ?? []) }
        for client in told { effects.append(.send(client, .tombstone(burial.bytes))) }
    }
}
