// The other replicas, and what their clients publish.

extension StateReplica {
    package mutating func replicaUp(_ peer: InstanceID, at now: Now, effects: inout [Effect]) {
        guard isServing else { return early.append(peer) }
        gossip(.peerUp(peer), at: now)
        noteReplicas()
        take(&effects)
    }

    package mutating func replicaDown(_ peer: InstanceID, at now: Now, effects: inout [Effect]) {
        early.removeAll { $0 == peer }
        guard isServing else { return }
        gossip(.peerDown(peer), at: now)
        noteReplicas()
        take(&effects)
    }

    /// Those that came while the log was being read: what is said now is of the whole store, in its epoch.
    mutating func greetEarly(at now: Now) {
        for peer in early { gossip(.peerUp(peer), at: now) }
        early = []
    }

    /// A message of another replica, as its `send` gave it.
    package mutating func received(
        _ message: [UInt8], from peer: InstanceID, at now: Now, effects: inout [Effect]
    ) {
        guard isServing, let kind = message.first else { return }
        // As if it were lost: what matters of it is sent again.
        guard !isBehind, server.writeRefusal == nil else { return }
        switch kind {
        case Message.gossip:
            // Own changes come first: what is joined now must find them in the store.
            commit(at: now)
            gossip(.message(from: peer, Array(message.dropFirst())), at: now)
        case Message.published: publish(message.dropFirst())
        default: effects.append(.log(.info, "a message of kind \(kind) from replica \(peer), not known here"))
        }
        take(&effects)
    }

    /// What the message says first.
    enum Message {
        static let gossip: UInt8 = 1
        /// The channel's length in 4 bytes, big-endian, the channel, and what was published.
        static let published: UInt8 = 2
    }

    mutating func gossipDeadline(at now: Now) {
        guard let deadline = gossip.nextDeadline, deadline <= now.monotonic else { return }
        store.settle()
        gossip(.deadline, at: now)
        noteReplicas()
    }

    mutating func gossip(_ input: StateGossip.Input, at now: Now) {
        var found: [StateGossip.Effect] = []
        gossip.handle(input, store: &store, at: now, effects: &found)
        for effect in found {
            switch effect {
            case .send(let peer, let bytes): effects.append(.send([Message.gossip] + bytes, to: peer))
            case .joined(let delta): keep(delta)
            case .reconciled:
                (isSnapshotWanted, mergeKeeping) = (true, .wanted)
                clockRefusals.removeAll()
            case .apply(let mutations): show(mutations, at: now)
            case .acknowledged: noteAcknowledgements()
            case .refused(let peer, let refusal): noteRefusal(refusal, of: peer, at: now)
            case .refusedBy(let peer, let isForGood): noteRefusal(isForGood: isForGood, by: peer, at: now)
            }
        }
    }

    // MARK: Publish and subscribe

    /// Messages that were published here go to the other replicas' subscribers too; whoever can't be
    /// reached misses them, as a subscriber that isn't connected does.
    mutating func sendPublished() {
        for (channel, text) in published.messages {
            var message = [Message.published]
            message.appendBigEndian(UInt32(truncatingIfNeeded: channel.count))
            message += channel.bytes
            message += text.bytes
            guard message.count <= Limits.stateMessageBytesMaximum else {
                effects.append(
                    .log(.info, "a published message of \(text.count) bytes stays on its replica"))
                continue
            }
            for peer in gossip.peerIDs { effects.append(.send(message, to: peer)) }
        }
        published.messages.removeAll(keepingCapacity: true)
    }

    private mutating func publish(_ body: ArraySlice<UInt8>) {
        guard body.count >= 4 else { return }
        let count = body.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        let rest = body.dropFirst(4)
        guard count <= rest.count else { return }
        _ = server.publish(
            ByteString(Array(rest.dropFirst(count))), to: ByteString(Array(rest.prefix(count))))
    }
}

/// What clients published during a turn; the server's hook writes here while a command runs.
final class PublishedMessages {
    var messages: [(channel: ByteString, message: ByteString)] = []
}
