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
    /// Ways that lose everything, from one to the other: see `way`.
    var deaf: Set<Int> = []
    var refusals: [GossipRefusal] = []
    var byteCount = 0
    var messageCount = 0
    var largest = 0
    /// Whether what the stores show is kept, and compared.
    var keepsKeyspaces = true

    init(_ count: Int, seed: UInt64 = 1, groups: [StateGroup?] = []) {
        replicas = (1...count).map { ModelReplica(UInt64($0)) }
        gossips = replicas.indices.map { StateGossip(group: $0 < groups.count ? groups[$0] : nil) }
        numbers = SeededNumbers(state: seed)
        parts = replicas.map { _ in 0 }
        for one in 0..<count { for other in 0..<count where one != other { up(one, other) } }
    }

    func way(_ from: Int, _ to: Int) -> Int { from * replicas.count + to }

    static func id(_ index: Int) -> InstanceID {
        guard let id = InstanceID([UInt8](repeating: UInt8(index + 1), count: 16)) else { fatalError() }
        return id
    }

    mutating func up(_ one: Int, _ other: Int) { handle(one, .peerUp(ModelNetwork.id(other))) }

    mutating func handle(_ index: Int, _ input: StateGossip.Input) {
        var effects: [StateGossip.Effect] = []
        gossips[index].handle(
            input, store: &replicas[index].store, at: replicas[index].time, effects: &effects)
        for effect in effects {
            switch effect {
            case .send(let id, let bytes):
                let to = Int(id.bytes[0]) - 1
                largest = max(largest, bytes.count)
                guard parts[index] == parts[to], !deaf.contains(way(index, to)), numbers.below(100) >= lost
                else { continue }
                messages.append((index, to, bytes))
                if lost > 0, numbers.below(10) == 0 { messages.append((index, to, bytes)) }
            case .apply(let mutations): if keepsKeyspaces { replicas[index].keyspace.apply(mutations) }
            case .refused(_, let refusal): refusals.append(refusal)
            case .joined, .reconciled, .acknowledged, .refusedBy: break
            }
        }
    }

    /// Another process in the place of a replica. What was on its way to it or from it is lost.
    mutating func replace(_ index: Int, _ replica: ModelReplica) {
        messages.removeAll { $0.from == index || $0.to == index }
        let (now, wallOffset) = (replicas[index].now, replicas[index].wallOffset)
        replicas[index] = replica
        (replicas[index].now, replicas[index].wallOffset) = (now, wallOffset)
        gossips[index] = StateGossip()
        for other in replicas.indices where other != index {
            handle(other, .peerDown(ModelNetwork.id(index)))
            up(other, index)
            up(index, other)
        }
    }

    /// What a replica has on its disk now.
    func snapshot(_ index: Int) throws -> StateImport {
        var state = StateImport()
        var export = StateExport(replicas[index].store)
        while let piece = export.next(10_000) { try state.append(piece) }
        return state
    }

    /// Ends without notice, and goes on from what it has on disk: all, unless `disk` says otherwise.
    mutating func restart(_ index: Int, from disk: StateImport? = nil) throws {
        let state = try disk ?? snapshot(index)
        let old = replicas[index].store.replica
        let name = ReplicaID(hash: old.hash, epoch: old.epoch + 1)
        var replica = ModelReplica(name.hash, epoch: name.epoch)
        replica.store = try ReplicatedStore(replica: name, hash: ModelReplica.hash, restoring: state)
        replica.store.restored()
        if keepsKeyspaces { replica.keyspace.apply(replica.store.shown()) }
        replace(index, replica)
    }

    mutating func write(_ index: Int, _ mutations: Mutation...) { write(index, mutations) }

    mutating func write(_ index: Int, _ mutations: [Mutation]) {
        let isAny =
            keepsKeyspaces
            ? replicas[index].run(mutations) != nil
            : replicas[index].store.commit(mutations[...], at: replicas[index].time)
        if isAny { handle(index, .committed) }
    }

    /// Until nothing is on its way, or so many messages have come.
    mutating func deliver(_ maximum: Int = .max) {
        var position = 0
        while position < messages.count, position < maximum {
            if lost > 0, position + 1 < messages.count {
                messages.swapAt(position, position + numbers.below(min(4, messages.count - position)))
            }
            let message = messages[position]
            position += 1
            messageCount += 1
            byteCount += message.bytes.count
            handle(message.to, .message(from: ModelNetwork.id(message.from), message.bytes))
        }
        messages.removeFirst(position)
    }

    /// A second goes by.
    mutating func tick(deliverAll: Bool = true) {
        for index in replicas.indices {
            replicas[index].now += 1_000
            handle(index, .deadline)
        }
        if deliverAll { deliver() }
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
