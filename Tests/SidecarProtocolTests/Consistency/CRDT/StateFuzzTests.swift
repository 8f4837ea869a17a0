import Testing

@testable import SidecarProtocol

@Suite("No bytes of a peer do harm to a whole state")
struct StateFuzzTests {
    @Test("a changed stream is refused, or merged like another's state", arguments: 0..<UInt64(4))
    func stream(seed: UInt64) throws {
        var history = RandomHistory(seed: seed, .everything)
        history.settles = false
        try history.run(steps: 120)
        var export = StateExport(history.beforeSync[0].store)
        var bytes: [UInt8] = []
        while let piece = export.next(1_000) { bytes += piece }
        var numbers = SeededNumbers(state: seed)
        var (refused, merged) = (0, 0)
        for _ in 0..<1_500 {
            var other = history.beforeSync[1]
            do {
                var state = StateImport()
                try state.append(numbers.below(3) == 0 ? numbers.mutated(bytes) : changed(bytes, &numbers))
                guard state.isComplete else { continue }
                _ = try other.store.merge(state, at: ModelReplica.time(other.now))
                merged += 1
                // It still answers for what it holds.
                _ = other.store.shown()
                _ = other.store.commit([.deleteAll], at: ModelReplica.time(other.now))
                other.store.settle()
                _ = StateRanges(other.store).hash(of: .whole)
            } catch { refused += 1 }
        }
        #expect(refused > 100)
        #expect(merged > 100)
    }

    /// One byte is another, so that the lengths mostly stay right.
    private func changed(_ bytes: [UInt8], _ numbers: inout SeededNumbers) -> [UInt8] {
        var bytes = bytes
        bytes[numbers.below(bytes.count)] ^= UInt8(1 << numbers.below(8))
        return bytes
    }

    @Test("changed messages of a transfer, too", arguments: 0..<UInt64(4))
    func messages(seed: UInt64) {
        var network = ModelNetwork(3, seed: seed)
        network.deliver()
        var numbers = SeededNumbers(state: seed)
        var commands = RandomCommands(numbers: SeededNumbers(state: seed), subject: .everything)
        for index in 0..<3 { network.replicas[index].store.log.bytesMaximum = 300 }
        for round in 0..<60 {
            network.parts = [0, 1, 2]
            for step in 0..<12 { network.writeAny(step % 3, &commands) }
            network.parts = [0, 0, 0]
            for _ in 0..<3 {
                network.tick(deliverAll: false)
                for _ in 0..<8 {
                    let messages = network.messages
                    network.messages = []
                    for message in messages {
                        let isChanged = round % 2 == 0 && numbers.below(4) == 0
                        let bytes = isChanged ? numbers.mutated(message.bytes) : message.bytes
                        network.handle(message.to, .message(from: ModelNetwork.id(message.from), bytes))
                    }
                }
            }
        }
        #expect(!network.refusals.isEmpty)
    }

    @Test("every message has one encoding, and is what it was after it")
    func coding() throws {
        let replica = ReplicaID(hash: 7, epoch: 3)
        let other = ReplicaID(hash: 9, epoch: 1)
        var version = VersionVector()
        version[replica] = 12
        let digest = GossipMessage.Digest(
            group: StateGroup([UInt8](repeating: 5, count: 16)), replica: replica, version: version,
            wantsAnswer: true, number: 4, birth: HybridTime(raw: 1 << 40), lastSeal: HybridTime(raw: 9),
            closed: [Closing(replica: replica, isRemoved: false), Closing(replica: other, isRemoved: true)],
            seals: [Seal(replica: other, counter: 5, by: Dot(replica, 12))])
        let ranges = [
            RangeQuestion(range: .whole, hash: nil),
            RangeQuestion(range: KeyRange(depth: 3, prefix: 0xABC), hash: 8),
            RangeQuestion(range: KeyRange(depth: 16, prefix: .max), hash: 0),
        ]
        let messages: [GossipMessage] = [
            .digest(digest), .rangesAsked(session: 1, round: 2, ranges),
            .rangesAnswered(session: 1, round: 2, [.equal, .split, .taken]),
            .stateWanted(session: 1, offset: 7), .truncated(other),
            .statePiece(.init(session: 1, offset: 3, bytes: [1, 2])), .acknowledgement(version, nil),
            .refused(other, isForGood: true),
        ]
        var numbers = SeededNumbers(state: 1)
        for message in messages {
            let bytes = message.encoded()
            #expect(try GossipMessage(encoded: bytes) == message)
            for end in 0..<bytes.count { _ = try? GossipMessage(encoded: Array(bytes[..<end])) }
            for _ in 0..<500 {
                let changed = numbers.mutated(bytes)
                if let decoded = try? GossipMessage(encoded: changed) {
                    #expect(decoded.encoded() == changed)
                }
            }
        }
    }
}
