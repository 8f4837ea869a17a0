import Testing

@testable import SidecarProtocol

/// Replicas that gossip over a network that loses, doubles and reorders messages.
struct ModelNetwork {
    var replicas: [ModelReplica]
    var gossips: [StateGossip]
    var messages: [(from: Int, to: Int, bytes: [UInt8])] = []
    var numbers: SeededNumbers
    /// Of a hundred messages.
    var lost = 0
    /// Replicas of different parts don't hear each other.
    var parts: [Int]
    var refusals: [GossipRefusal] = []
    var byteCount = 0
    var messageCount = 0
    var largest = 0

    init(_ count: Int, seed: UInt64 = 1) {
        replicas = (1...count).map { ModelReplica(UInt64($0)) }
        gossips = replicas.map { _ in StateGossip() }
        numbers = SeededNumbers(state: seed)
        parts = replicas.map { _ in 0 }
        for one in 0..<count { for other in 0..<count where one != other { up(one, other) } }
    }

    static func id(_ index: Int) -> InstanceID {
        guard let id = InstanceID([UInt8](repeating: UInt8(index + 1), count: 16)) else { fatalError() }
        return id
    }

    mutating func up(_ one: Int, _ other: Int) { handle(one, .peerUp(ModelNetwork.id(other))) }

    mutating func handle(_ index: Int, _ input: StateGossip.Input) {
        var effects: [StateGossip.Effect] = []
        gossips[index].handle(
            input, store: &replicas[index].store, at: ModelReplica.time(replicas[index].now),
            effects: &effects)
        for effect in effects {
            switch effect {
            case .send(let id, let bytes):
                let to = Int(id.bytes[0]) - 1
                largest = max(largest, bytes.count)
                guard parts[index] == parts[to], numbers.below(100) >= lost else { continue }
                messages.append((index, to, bytes))
                if lost > 0, numbers.below(10) == 0 { messages.append((index, to, bytes)) }
            case .apply(let mutations): replicas[index].keyspace.apply(mutations)
            case .refused(_, let refusal): refusals.append(refusal)
            case .joined, .reconciled, .acknowledged: break
            }
        }
    }

    mutating func write(_ index: Int, _ mutations: Mutation...) {
        if replicas[index].run(mutations) != nil { handle(index, .committed) }
    }

    /// Until nothing is on its way.
    mutating func deliver() {
        var position = 0
        while position < messages.count {
            if lost > 0, position + 1 < messages.count {
                messages.swapAt(position, position + numbers.below(min(4, messages.count - position)))
            }
            let message = messages[position]
            position += 1
            messageCount += 1
            byteCount += message.bytes.count
            handle(message.to, .message(from: ModelNetwork.id(message.from), message.bytes))
        }
        messages = []
    }

    /// A second goes by.
    mutating func tick() {
        for index in replicas.indices {
            replicas[index].now += 1_000
            handle(index, .deadline)
        }
        deliver()
    }

    var isConverged: Bool {
        replicas.allSatisfy {
            $0.store.version == replicas[0].store.version
                && $0.store.stateHash() == replicas[0].store.stateHash()
                && $0.keyspace == replicas[0].keyspace
        }
    }
}

@Suite("Gossip brings every delta to every replica")
struct StateGossipTests {
    @Test("a write is pushed to each peer once, and acknowledged")
    func push() {
        var network = ModelNetwork(3)
        network.deliver()
        let before = network.messageCount
        network.write(0, .setString("k", "v"))
        #expect(network.gossips[0].acknowledgements(of: 1, store: network.replicas[0].store) == 0)
        network.deliver()
        #expect(network.isConverged)
        #expect(network.messageCount - before == 4)
        #expect(network.gossips[0].acknowledgements(of: 1, store: network.replicas[0].store) == 2)
    }

    @Test("loss, doubling and reordering are made good", arguments: 0..<UInt64(5))
    func loss(seed: UInt64) {
        var network = ModelNetwork(4, seed: seed)
        network.lost = 30
        var commands = RandomCommands(numbers: SeededNumbers(state: seed), subject: .everything)
        for step in 0..<150 {
            let index = step % 4
            let mutations = commands.next(network.replicas[index].keyspace)
            if network.replicas[index].run(mutations) != nil { network.handle(index, .committed) }
            if step % 5 == 0 { network.deliver() }
            if step % 40 == 0 { network.tick() }
        }
        network.lost = 0
        for _ in 0..<6 { network.tick() }
        #expect(network.isConverged)
        #expect(network.refusals == [])
    }

    @Test("a value larger than a message comes in pieces, over a network that loses some")
    func pieces() {
        var network = ModelNetwork(2)
        network.deliver()
        network.lost = 10
        let value = ByteString([UInt8](repeating: 7, count: 3_000_000))
        network.write(0, .setString("k", value))
        network.write(0, .setString("after", "v"))
        network.deliver()
        for _ in 0..<4 { network.tick() }
        network.lost = 0
        for _ in 0..<4 { network.tick() }
        #expect(network.isConverged)
        #expect(network.largest <= Limits.gossipMessageBytesMaximum)
    }

    @Test("what was written in both parts of a partition is in all replicas after it")
    func partition() {
        var network = ModelNetwork(3)
        network.deliver()
        network.parts = [0, 0, 1]
        for step in 0..<500 {
            network.write(0, .setString(ByteString("a\(step)"), "1"))
            network.write(2, .addMember("s", ByteString("m\(step)")))
        }
        network.deliver()
        network.tick()
        network.parts = [0, 0, 0]
        for _ in 0..<3 { network.tick() }
        #expect(network.isConverged)
    }

    @Test("a peer that knows nobody else gets their deltas by relay")
    func relay() {
        var network = ModelNetwork(3)
        network.deliver()
        // 0 and 2 never hear each other; 1 hears both.
        network.handle(0, .peerDown(ModelNetwork.id(2)))
        network.handle(2, .peerDown(ModelNetwork.id(0)))
        network.write(0, .setString("k", "v"))
        network.deliver()
        for _ in 0..<3 { network.tick() }
        #expect(network.isConverged)
    }

    @Test("a clock that is too far ahead is refused, and nothing is lost")
    func skew() {
        var network = ModelNetwork(2)
        network.deliver()
        network.replicas[0].now += 3_600_000
        network.write(0, .setString("k", "v"))
        network.deliver()
        #expect(network.replicas[1].keyspace.string("k") == nil)
        #expect(!network.refusals.isEmpty)
        network.replicas[1].now += 3_600_000
        for _ in 0..<3 { network.tick() }
        #expect(network.isConverged)
    }

    @Test("no bytes of a peer do harm")
    func fuzz() {
        var network = ModelNetwork(2)
        network.deliver()
        var numbers = SeededNumbers(state: 9)
        var commands = RandomCommands(numbers: SeededNumbers(state: 3), subject: .everything)
        for _ in 0..<400 {
            let mutations = commands.next(network.replicas[0].keyspace)
            if network.replicas[0].run(mutations) != nil { network.handle(0, .committed) }
            let messages = network.messages
            network.messages = []
            for message in messages {
                let mutated = numbers.mutated(message.bytes)
                network.handle(message.to, .message(from: ModelNetwork.id(message.from), mutated))
            }
        }
        #expect(!network.refusals.isEmpty)
    }

    @Test("a delta has one encoding, and is what it was after it")
    func coding() throws {
        var numbers = SeededNumbers(state: 4)
        var history = RandomHistory(seed: 11, .everything)
        try history.run(steps: 200)
        for delta in history.group.deltas.joined() {
            let bytes = delta.encoded()
            #expect(try Delta(encoded: bytes) == delta)
            let other = numbers.mutated(bytes)
            if let decoded = try? Delta(encoded: other) { #expect(decoded.encoded() == other) }
        }
    }
}

@Suite("A whole state is taken over")
struct StateTransferTests {
    @Test("by a replica whom the logs can't help, with what it has written itself", arguments: 0..<UInt64(6))
    func transfer(seed: UInt64) {
        var network = ModelNetwork(3, seed: seed)
        network.deliver()
        for index in 0..<3 { network.replicas[index].store.log.bytesMaximum = 400 }
        var commands = RandomCommands(numbers: SeededNumbers(state: seed), subject: .everything)
        func write(_ steps: Int) {
            for step in 0..<steps {
                let mutations = commands.next(network.replicas[step % 3].keyspace)
                if network.replicas[step % 3].run(mutations) != nil { network.handle(step % 3, .committed) }
                network.deliver()
            }
        }
        write(30)
        network.parts = [0, 1, 2]
        write(120)
        network.parts = [0, 0, 0]
        network.lost = 20
        for _ in 0..<10 { network.tick() }
        network.lost = 0
        for _ in 0..<10 { network.tick() }
        #expect(network.isConverged)
        #expect(network.replicas.contains { $0.store.statistics.reconciliations > 0 })
    }

    @Test("by a store from its snapshot, which goes on under a new epoch")
    func restore() throws {
        var history = RandomHistory(seed: 5, .everything)
        try history.run(steps: 200)
        let old = history.group.replicas[0]
        var export = StateExport(old.store)
        var state = StateImport()
        while let piece = export.next(100) { try state.append(piece) }
        #expect(state.isComplete)
        var restored = ModelReplica(1, epoch: 2)
        restored.now = old.now
        restored.store = try ReplicatedStore(replica: restored.store.replica, restoring: state)
        restored.store.restored()
        restored.keyspace.apply(restored.store.shown())
        #expect(restored.keyspace == old.keyspace)
        #expect(restored.store.stateHash() == old.store.stateHash())
        #expect(restored.store.version == old.store.version)
        let written = restored.run(.setString("new", "v"))
        let delta = try #require(written)
        try history.group.replicas[1].join(delta)
        #expect(history.group.replicas[1].store.stateHash() == restored.store.stateHash())
    }

    @Test("merging is the same either way round, and twice", arguments: RandomCommands.Subject.allCases)
    func merge(subject: RandomCommands.Subject) throws {
        for seed in 0..<UInt64(20) {
            var history = RandomHistory(seed: seed, subject)
            history.settles = false
            try history.run(steps: 60)
            var (one, other) = (history.beforeSync[0], history.beforeSync[1])
            let before = other
            try meet(&one, &other)
            #expect(one.store.version == other.store.version)
            #expect(one.store.stateHash() == other.store.stateHash(), "seed \(seed)")
            #expect(one.keyspace == other.keyspace, "seed \(seed)")
            let hash = one.store.stateHash()
            try one.merge(before)
            #expect(one.store.stateHash() == hash)
            var third = history.beforeSync[2]
            try meet(&one, &third)
            #expect(one.store.version == third.store.version)
            #expect(one.store.stateHash() == third.store.stateHash(), "seed \(seed)")
            #expect(one.keyspace == third.keyspace, "seed \(seed)")
        }
    }

    /// Each takes the other's state, as it was when they met, until a merge makes no waiting delta ready.
    private func meet(_ one: inout ModelReplica, _ other: inout ModelReplica) throws {
        for _ in 0..<20 {
            let (first, second) = (one, other)
            try one.merge(second)
            try other.merge(first)
            if one.store.version == other.store.version { return }
        }
    }
}

extension ModelReplica {
    mutating func merge(_ other: ModelReplica) throws {
        var export = StateExport(other.store)
        var state = StateImport()
        while let piece = export.next(1_000) { try state.append(piece) }
        keyspace.apply(try store.merge(state, at: ModelReplica.time(max(now, other.now))))
    }
}
