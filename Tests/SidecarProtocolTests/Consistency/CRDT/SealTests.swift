import Testing

@testable import SidecarProtocol

@Suite("Replicas that left are forgotten")
struct SealTests {
    @Test("the epochs before the last, however often a replica starts", arguments: 0..<UInt64(4))
    func restarts(seed: UInt64) throws {
        var network = ModelNetwork(3, seed: seed)
        var commands = RandomCommands(numbers: SeededNumbers(state: seed), subject: .everything)
        for round in 0..<60 {
            network.lost = Int(seed) * 10
            for step in 0..<6 { network.writeAny(step % 3, &commands) }
            network.deliver(Int(seed) * 5 + 1)
            if round % 2 == 0 { try network.restart(round / 2 % 3) }
            network.tick()
        }
        network.lost = 0
        for _ in 0..<40 { network.tick() }
        #expect(network.isConverged)
        for replica in network.replicas {
            #expect(replica.store.version.entries.count == 3)
            #expect(replica.store.replicas.count <= 3 + 2 * Limits.retiredReplicasKept)
            #expect(replica.keyspace.mistakes == [])
        }
    }

    @Test(
        "and what a crash took from a replica's disk comes back from the others first",
        arguments: 0..<UInt64(8))
    func unclean(seed: UInt64) throws {
        var network = ModelNetwork(3, seed: seed)
        var commands = RandomCommands(numbers: SeededNumbers(state: seed), subject: .everything)
        network.deliver()
        for _ in 0..<3 { network.tick() }
        for round in 0..<20 {
            for step in 0..<6 { network.writeAny(step % 3, &commands) }
            network.deliver()
            let index = round % 3
            let disk = try network.snapshot(index)
            // Some of what isn't on the disk reaches one of the others only.
            network.parts = [0, 0, 0]
            network.parts[(index + 1) % 3] = 1
            for _ in 0..<4 { network.writeAny(index, &commands) }
            network.deliver()
            network.parts = [0, 0, 0]
            try network.restart(index, from: disk)
            for _ in 0..<2 { network.tick() }
        }
        for _ in 0..<20 { network.tick() }
        #expect(network.isConverged)
        #expect(network.refusals == [])
        #expect(network.replicas.allSatisfy { $0.store.version.entries.count == 3 })
    }

    @Test("and one whose disk has lost what it had seen of them removes only what it still knew")
    func removalFromThePast() throws {
        var network = ModelNetwork(2)
        network.write(0, .setField("h", field: "known", "1"))
        network.deliver()
        let disk = try network.snapshot(1)
        network.write(0, .setField("h", field: "lost", "2"))
        network.deliver()
        let first = network.replicas[0].store.replica
        try network.restart(0)
        for _ in 0..<10 { network.tick() }
        let place = try #require(network.replicas[0].store.replicas.place(of: first))
        #expect(network.replicas[0].store.standings[place].isRetired)
        network.parts = [0, 1]
        try network.restart(1, from: disk)
        network.write(1, .delete("h"))
        network.parts = [0, 0]
        for _ in 0..<10 { network.tick() }
        #expect(network.isConverged)
        for replica in network.replicas {
            #expect(replica.store.shown() == [.setField("h", field: "lost", "2")])
        }
    }

    @Test("and what waited for changes that are lost ends with its origin")
    func lostWhileWaiting() throws {
        var network = ModelNetwork(2)
        network.write(0, .addMember("s", "a"))
        network.write(1, .addMember("s", "b"))
        network.deliver()
        let disks = try [network.snapshot(0), network.snapshot(1)]
        network.write(0, .addMember("s", "lost"))
        network.deliver()
        let written = network.replicas[1].run(.addMember("s", "late"))
        let late = try #require(written)
        network.parts = [0, 1]
        for index in 0..<2 { try network.restart(index, from: disks[index]) }
        // It depends on what both have lost.
        try network.replicas[0].join(late)
        network.parts = [0, 0]
        for _ in 0..<10 { network.tick() }
        network.write(1, .addMember("s", "c"))
        for _ in 0..<3 { network.tick() }
        #expect(network.isConverged)
        for replica in network.replicas {
            #expect(replica.store.shown() == ["a", "b", "c"].map { .addMember("s", $0) })
        }
    }

    @Test("those that won't come back, once somebody has said so", arguments: 0..<UInt64(4))
    func removal(seed: UInt64) {
        var network = ModelNetwork(4, seed: seed)
        var commands = RandomCommands(numbers: SeededNumbers(state: seed), subject: .everything)
        for round in 0..<60 {
            network.lost = Int(seed) * 10
            for step in 0..<8 { network.writeAny(step % 4, &commands) }
            for _ in 0..<3 { network.tick() }
            let left = network.replicas[3].store.replica.hash
            network.replace(3, ModelReplica(UInt64(100 + round)))
            network.replicas[round % 3].store.leave(left)
        }
        network.lost = 0
        for _ in 0..<40 { network.tick() }
        #expect(network.isConverged)
        // A newcomer whose digests were lost may be taken for one of long ago, until it has seen a seal.
        let isSealed = network.refusals.allSatisfy { refusal in
            switch refusal {
            case .join(.sealed), .join(.gone): true
            default: false
            }
        }
        #expect(isSealed && (seed > 0 || network.refusals == []))
        for replica in network.replicas {
            #expect(replica.store.version.entries.count <= 4)
            #expect(replica.store.replicas.count <= 4 + 2 * Limits.retiredReplicasKept)
            #expect(replica.keyspace.mistakes == [])
        }
    }

    @Test("and one of them that comes back is refused")
    func comeback() {
        var network = ModelNetwork(4)
        network.write(3, .setString("k", "v"))
        network.deliver()
        let old = network.replicas[3]
        network.write(0, .delete("k"))
        for round in 0..<40 {
            let left = network.replicas[3].store.replica.hash
            network.replace(3, ModelReplica(UInt64(100 + round)))
            network.replicas[0].store.leave(left)
            network.tick()
            network.write(3, .setString("x", ByteString("\(round)")))
            for _ in 0..<5 { network.tick() }
        }
        #expect(network.replicas[0].store.replicas.place(of: old.store.replica) == nil)
        for _ in 0..<3 { network.tick() }
        #expect(network.isConverged)
        #expect(network.refusals == [])
        network.replace(3, old)
        network.write(3, .setString("other", "v"))
        for _ in 0..<5 { network.tick() }
        #expect(network.refusals.contains(.join(.gone(old.store.replica))))
        for index in 0..<3 {
            #expect(network.replicas[index].keyspace.string("k") == nil)
            #expect(network.replicas[index].keyspace.string("other") == nil)
        }
    }

    @Test("but not while a live replica may know more of them")
    func absence() {
        var network = ModelNetwork(3)
        network.deliver()
        network.parts = [0, 1, 1]
        // Replica 2's last change reaches replica 1 only.
        network.write(2, .setString("k", "v"))
        network.deliver()
        let left = network.replicas[2].store.replica
        network.handle(0, .peerDown(ModelNetwork.id(2)))
        network.handle(1, .peerDown(ModelNetwork.id(2)))
        network.replicas[0].store.leave(left.hash)
        for _ in 0..<5 { network.tick() }
        #expect(network.replicas[0].store.closed.map(\.replica) == [left])
        network.parts = [0, 0, 1]
        for _ in 0..<8 { network.tick() }
        #expect(network.replicas[0].keyspace.string("k") == "v")
        #expect(network.replicas[0].store.hasAll(of: left))
        #expect(network.replicas[0].store.version == network.replicas[1].store.version)
    }
}

extension SealTests {
    @Test("two with one name, as a folder and its copy, take nothing of each other, and both say so")
    func namesakes() throws {
        var network = ModelNetwork(3)
        network.deliver()
        var copy = ModelReplica(1)
        copy.store = network.replicas[0].store
        network.replace(2, copy)
        network.write(0, .setString("k", "one"))
        network.write(2, .setString("k", "other"))
        network.deliver()
        let name = network.replicas[0].store.replica
        #expect(network.refusals.contains(.join(.impostor(name))))
        #expect(network.replicas[0].keyspace.string("k") == "one")
        #expect(network.replicas[2].keyspace.string("k") == "other")
        let (one, other) = (network.gossips[0].peers, network.gossips[2].peers)
        #expect(one.map(\.refuses) == [false, true] && other.map(\.refuses) == [true, false])
    }

    @Test("what waits of a replica that left isn't joined after all have said what they have")
    func lateDelta() throws {
        var network = ModelNetwork(3)
        network.deliver()
        for _ in 0..<3 { network.tick() }
        let disk = try network.snapshot(0)
        // Replica 1 lacks what the last change of replica 0 follows upon; replica 2 lacks that change.
        network.deaf = [network.way(2, 1)]
        network.write(2, .setString("first", "v"))
        network.deliver()
        network.deaf.insert(network.way(0, 2))
        network.write(0, .setString("lost", "v"))
        network.deliver()
        #expect(network.replicas[1].store.early.count == 1)
        network.deaf = [network.way(2, 1)]
        try network.restart(0, from: disk)
        for _ in 0..<3 { network.tick() }
        network.deaf = []
        for _ in 0..<6 { network.tick() }
        let isConverged = network.isConverged
        #expect(isConverged && network.refusals == [])
        #expect(network.replicas[1].keyspace.string("first") == "v")
        #expect(network.replicas.allSatisfy { $0.store.closed.isEmpty && $0.store.early.count == 0 })
    }
}

extension ModelNetwork {
    mutating func writeAny(_ index: Int, _ commands: inout RandomCommands) {
        let mutations = commands.next(replicas[index].keyspace)
        if replicas[index].run(mutations) != nil { handle(index, .committed) }
    }
}
