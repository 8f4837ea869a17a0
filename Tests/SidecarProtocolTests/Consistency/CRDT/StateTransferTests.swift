import Testing

@testable import SidecarProtocol

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

    @Test("though both sides go on writing, and messages are lost", arguments: 0..<UInt64(20))
    func writing(seed: UInt64) {
        var network = ModelNetwork(3, seed: seed)
        network.deliver()
        for index in 0..<3 { network.replicas[index].store.log.bytesMaximum = 500 }
        var commands = RandomCommands(numbers: SeededNumbers(state: seed), subject: .everything)
        func write(_ index: Int) {
            let mutations = commands.next(network.replicas[index].keyspace)
            if network.replicas[index].run(mutations) != nil { network.handle(index, .committed) }
        }
        for _ in 0..<6 {
            network.parts = [0, 1, 2]
            for step in 0..<60 { write(step % 3) }
            network.parts = [0, 0, 0]
            network.lost = Int(seed % 3) * 10
            for step in 0..<60 {
                write(step % 3)
                network.deliver(1 + Int(seed % 5))
                if step % 8 == 0 { network.tick(deliverAll: false) }
            }
        }
        network.lost = 0
        for _ in 0..<20 { network.tick() }
        #expect(network.isConverged)
        #expect(network.refusals == [])
        #expect(network.replicas.contains { $0.store.statistics.reconciliations > 0 })
    }

    @Test("of which only what differs is sent")
    func difference() {
        var network = ModelNetwork(2)
        for key in 0..<20_000 { network.replicas[0].run(.setString(ByteString("key:\(key)"), "some value")) }
        network.handle(0, .committed)
        network.deliver()
        for _ in 0..<3 { network.tick() }
        #expect(network.isConverged)
        network.parts = [0, 1]
        for index in 0..<2 {
            network.replicas[index].store.log.bytesMaximum = 100
            for step in 0..<20 {
                let key = ByteString("key:\(step * 50 + index)")
                network.write(index, step % 4 == 0 ? .delete(key) : .setString(key, "another"))
            }
        }
        network.parts = [0, 0]
        let before = network.byteCount
        for _ in 0..<8 { network.tick() }
        #expect(network.isConverged)
        // Twenty keys a side; all of them are above half a million bytes.
        #expect(network.byteCount - before < 80_000, "\(network.byteCount - before) bytes")
        #expect(network.replicas[0].store.statistics.reconciliations == 1)
    }

    @Test("by one who has nothing yet, in one pass")
    func lateJoin() {
        var network = ModelNetwork(3)
        network.parts = [0, 0, 1]
        network.replicas[0].store.log.bytesMaximum = 1_000
        for key in 0..<3_000 { network.write(0, .setString(ByteString("key:\(key)"), "v")) }
        network.deliver()
        network.parts = [0, 0, 0]
        for _ in 0..<4 { network.tick() }
        #expect(network.isConverged)
        #expect(network.replicas[2].store.statistics.reconciliations == 1)
    }

    @Test("and a counter that came to nothing isn't one that was removed")
    func emptyCounter() {
        var network = ModelNetwork(3)
        network.write(0, .addToString("k", 1))
        network.write(0, .addToString("k", -1))
        network.deliver()
        network.parts = [0, 0, 1]
        network.write(1, .delete("k"))
        network.deliver()
        let ranges = network.replicas.map { StateRanges($0.store) }
        #expect(network.replicas[1].store.shown() == [] && network.replicas[2].store.shown() != [])
        #expect(ranges[1].hash(of: .whole) != ranges[2].hash(of: .whole))
    }

    @Test("and a vector that is taken over too early is noticed")
    func early() throws {
        let isNoticed = try (0..<UInt64(40)).contains { seed in
            var history = RandomHistory(seed: seed, .everything)
            history.settles = false
            try history.run(steps: 60)
            var (one, right) = (history.beforeSync[0], history.beforeSync[0])
            one.store.mutant = .advancesEarly
            try one.merge(history.beforeSync[1])
            try right.merge(history.beforeSync[1])
            return one.store.stateHash() != right.store.stateHash()
        }
        #expect(isNoticed)
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
        restored.store = try ReplicatedStore(
            replica: restored.store.replica, hash: ModelReplica.hash, restoring: state)
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
