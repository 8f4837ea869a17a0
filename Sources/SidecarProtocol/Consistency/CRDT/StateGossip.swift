// How deltas reach the other replicas.
//
// Theory of operation
//
//   Replicas form a mesh of at most 16. Each pushes its own deltas to every peer as they are made, from its
//   log, in order, with a bounded number of bytes unacknowledged; a peer that is slow is simply further
//   behind in the log. Another's deltas are relayed only to a peer that lacks them for longer, or whose
//   origin we can't see.
//
//   Once a second, and when they meet, two peers exchange what they have seen (a digest). What was lost on
//   the way shows as a peer that hasn't come on since the digest before, and is sent again from there. What
//   the log has lost comes with a peer's whole state.
//
//   The layer beneath may lose, double and reorder messages. Effects are to be done in order.

package struct StateGossip: Sendable {
    package enum Input: Sendable {
        case peerUp(InstanceID)
        case peerDown(InstanceID)
        case message(from: InstanceID, [UInt8])
        /// The store has committed one or more deltas.
        case committed
        /// `nextDeadline` has come.
        case deadline
    }

    package enum Effect: Equatable, Sendable {
        case send(InstanceID, [UInt8])
        /// Another replica's delta has been joined: for the durable log, before `apply`.
        case joined([UInt8])
        /// The whole state of the store is to be made durable: it was reconciled.
        case reconciled
        case apply([Mutation])
        /// A peer knows more of our changes: see `acknowledgements`.
        case acknowledged
        case refused(InstanceID, GossipRefusal)
        /// A peer doesn't take what this replica says; for good: nor what it says after another start.
        case refusedBy(InstanceID, isForGood: Bool)
    }

    package struct Statistics: Sendable {
        package var messagesSent: UInt64 = 0
        package var bytesSent: UInt64 = 0
        package var messagesReceived: UInt64 = 0
        package var retransmissions: UInt64 = 0
        package var relayed: UInt64 = 0
    }

    package internal(set) var statistics = Statistics()
    /// Sorted by id.
    var peers: [Peer] = []
    package internal(set) var nextDeadline: MonotonicTime?
    var sessions: UInt64 = 0
    /// Digests that were made.
    var digests: UInt64 = 0

    /// Whose replicas these are.
    let group: StateGroup?

    package init(group: StateGroup? = nil) { self.group = group }
}

package enum GossipRefusal: Error, Equatable, Sendable {
    case malformed(CompactError)
    case join(JoinError)
    case unknownPeer
    case tooManyPeers(maximum: Int)
    /// A replica of another workload or trust domain; nil: of none.
    case otherGroup(StateGroup?, own: StateGroup?)
}

extension StateGossip {
    package mutating func handle(
        _ input: Input, store: inout ReplicatedStore, at now: Now, effects: inout [Effect]
    ) {
        switch input {
        case .peerUp(let id): peerUp(id, store, now, &effects)
        case .peerDown(let id):
            peers.removeAll { $0.id == id }
            if peers.isEmpty { nextDeadline = nil }
        case .message(let id, let bytes): receive(bytes, from: id, &store, now, &effects)
        case .committed: for index in peers.indices { pump(index, store, &effects) }
        case .deadline: tick(&store, now, &effects)
        }
    }

    /// How many peers have a change of our own, and all before it.
    package func acknowledgements(of counter: UInt64, store: ReplicatedStore) -> Int {
        peers.count { $0.known[store.replica] >= counter }
    }

    private mutating func peerUp(
        _ id: InstanceID, _ store: ReplicatedStore, _ now: Now, _ effects: inout [Effect]
    ) {
        peers.removeAll { $0.id == id }
        guard peers.count < Limits.gossipPeersMaximum else {
            effects.append(.refused(id, .tooManyPeers(maximum: Limits.gossipPeersMaximum)))
            return
        }
        let place = peers.firstIndex { id.bytes.lexicographicallyPrecedes($0.id.bytes) } ?? peers.count
        peers.insert(Peer(id: id), at: place)
        send(digest(store, wantsAnswer: true), place, &effects)
        if nextDeadline == nil { nextDeadline = now.monotonic + Limits.gossipInterval }
    }

    private mutating func tick(_ store: inout ReplicatedStore, _ now: Now, _ effects: inout [Effect]) {
        guard let due = nextDeadline, now.monotonic >= due else { return }
        nextDeadline = now.monotonic + Limits.gossipInterval
        let isMet = peers.contains { $0.replica != nil }
        for delta in [isMet ? store.begin(at: now) : nil, store.deleteExpired(at: now), store.seal(at: now)] {
            if let delta { effects.append(.joined(delta.encoded())) }
        }
        let digest = digest(store, wantsAnswer: false)
        for index in peers.indices {
            send(digest, index, &effects)
            tickTransfer(index, &effects)
            pump(index, store, &effects)
        }
    }

    mutating func digest(_ store: ReplicatedStore, wantsAnswer: Bool) -> GossipMessage {
        digests += 1
        return .digest(
            GossipMessage.Digest(
                group: group, replica: store.replica, version: store.version, wantsAnswer: wantsAnswer,
                number: digests,
                birth: store.birth, lastSeal: store.lastSeal, closed: store.closed, seals: store.openSeals))
    }

    mutating func send(_ message: GossipMessage, _ index: Int, _ effects: inout [Effect]) {
        let bytes = message.encoded()
        statistics.messagesSent += 1
        statistics.bytesSent += UInt64(bytes.count)
        effects.append(.send(peers[index].id, bytes))
    }
}

// MARK: - Receiving

extension StateGossip {
    private mutating func receive(
        _ bytes: [UInt8], from id: InstanceID, _ store: inout ReplicatedStore, _ now: Now,
        _ effects: inout [Effect]
    ) {
        guard let index = peers.firstIndex(where: { $0.id == id }) else {
            effects.append(.refused(id, .unknownPeer))
            return
        }
        statistics.messagesReceived += 1
        let message: GossipMessage
        do { message = try GossipMessage(encoded: bytes) } catch {
            effects.append(.refused(id, .malformed(error)))
            return
        }
        if case .digest(let digest) = message {
            if digest.wantsAnswer { send(self.digest(store, wantsAnswer: false), index, &effects) }
            return receiveDigest(digest, index, &store, &effects)
        }
        if case .refused(let name, let isForGood) = message {
            // Not of an earlier name, which is on its way still.
            guard name == store.replica else { return }
            peers[index].refuses = true
            return effects.append(.refusedBy(id, isForGood: isForGood))
        }
        // Of one who has left, or hasn't said who it is, nothing is taken: see `Standing`.
        guard store.isAdmitted(peers[index].replica) else { return }
        peers[index].refuses = false
        switch message {
        case .digest, .refused: break
        case .deltas(let deltas): receiveDeltas(deltas, index, &store, now, &effects)
        case .part(let part): receivePart(part, index, &store, now, &effects)
        case .acknowledgement(let version, let progress):
            receiveAcknowledgement(version, progress, index, store, &effects)
        case .truncated(let origin): beginTransfer(origin, index, store, now, &effects)
        case .rangesAsked(let session, let round, let questions):
            answer(session, round, questions, index, store, &effects)
        case .rangesAnswered(let session, let round, let answers):
            receiveAnswers(session, round, answers, index, &effects)
        case .stateWanted(let session, let offset): serve(session, offset, index, &effects)
        case .statePiece(let piece): receivePiece(piece, index, &store, now, &effects)
        }
    }

    private mutating func receiveDigest(
        _ digest: GossipMessage.Digest, _ index: Int, _ store: inout ReplicatedStore,
        _ effects: inout [Effect]
    ) {
        // An older one, that was overtaken, may name replicas that are forgotten since.
        guard digest.number > peers[index].digestNumber else { return }
        peers[index].digestNumber = digest.number
        let (replica, version) = (digest.replica, digest.version)
        peers[index].replica = nil
        guard digest.group == group else {
            effects.append(.refused(peers[index].id, .otherGroup(digest.group, own: group)))
            return
        }
        do throws(JoinError) { try store.admit(digest) } catch {
            effects.append(.refused(peers[index].id, .join(error)))
            var isForGood = false
            if case .gone = error { isForGood = true }
            return send(.refused(replica, isForGood: isForGood), index, &effects)
        }
        peers[index].replica = replica
        if version[store.replica] > store.counter(of: store.replica) {
            // We have forgotten changes of our own: their numbers must not be used again.
            effects.append(.refused(peers[index].id, .join(.impostor(store.replica))))
            return
        }
        peers[index].isToldTruncated = false
        store.observe(closed: digest.closed, version: version, of: replica)
        store.observe(version, of: replica)
        let direct = peers.compactMap(\.replica)
        let own = store.replica
        statistics.retransmissions += peers[index].receiveDigest(version)
        for entry in store.version.entries where entry.replica != own && entry.replica != replica {
            if store.isSealed(entry.replica, for: version) {
                peers[index].note(entry.replica, entry.counter)
                continue
            }
            let lacks = peers[index].known[entry.replica] < entry.counter
            if lacks, peers[index].stalls(entry.replica) || !direct.contains(entry.replica) {
                peers[index].relay(entry.replica)
            }
        }
        peers[index].lastDigest = version
        effects.append(.acknowledged)
        pump(index, store, &effects)
    }

    private mutating func receiveAcknowledgement(
        _ version: VersionVector, _ progress: GossipMessage.PartProgress?, _ index: Int,
        _ store: ReplicatedStore, _ effects: inout [Effect]
    ) {
        peers[index].acknowledge(version, progress)
        if version[store.replica] > 0 { effects.append(.acknowledged) }
        pump(index, store, &effects)
    }

    private mutating func receiveDeltas(
        _ deltas: [[UInt8]], _ index: Int, _ store: inout ReplicatedStore, _ now: Now,
        _ effects: inout [Effect]
    ) {
        var mutations: [Mutation] = []
        var origins = VersionVector()
        for bytes in deltas {
            let delta: Delta
            do throws(CompactError) { delta = try Delta(encoded: bytes) } catch {
                effects.append(.refused(peers[index].id, .malformed(error)))
                break
            }
            peers[index].note(delta.origin, delta.to)
            do throws(JoinError) { mutations += try store.join(delta, at: now) } catch {
                effects.append(.refused(peers[index].id, .join(error)))
                // What follows it waits for it, and all of it comes again.
                break
            }
            origins[delta.origin] = store.hasAll(of: delta.origin) ? delta.to : 1
        }
        finishJoin(mutations, &store, &effects)
        var seen = VersionVector()
        for entry in origins.entries {
            let counter = store.counter(of: entry.replica)
            seen[entry.replica] = store.hasAll(of: entry.replica) ? max(counter, entry.counter) : counter
        }
        send(.acknowledgement(seen, nil), index, &effects)
    }

    mutating func finishJoin(
        _ mutations: [Mutation], _ store: inout ReplicatedStore, _ effects: inout [Effect]
    ) {
        for bytes in store.joined { effects.append(.joined(bytes)) }
        store.joined = []
        if !mutations.isEmpty { effects.append(.apply(mutations)) }
    }

    private mutating func receivePart(
        _ part: GossipMessage.Part, _ index: Int, _ store: inout ReplicatedStore, _ now: Now,
        _ effects: inout [Effect]
    ) {
        guard part.from > store.counter(of: part.origin) else {
            var seen = VersionVector()
            seen[part.origin] = store.counter(of: part.origin)
            return send(.acknowledgement(seen, nil), index, &effects)
        }
        if let whole = peers[index].assembly.add(part) {
            return receiveDeltas([whole], index, &store, now, &effects)
        }
        let progress = GossipMessage.PartProgress(
            origin: part.origin, from: part.from, offset: UInt64(peers[index].assembly.bytes.count))
        send(.acknowledgement(VersionVector(), progress), index, &effects)
    }
}
