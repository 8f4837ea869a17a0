import Testing

@testable import SidecarProtocol

@Suite("A state that is written anew")
struct RenewedStateTests {
    private static let name = [UInt8](repeating: 9, count: 16)

    private func contents(_ store: ReplicatedStore) throws -> StateContents {
        var contents = StateContents(group: try #require(StateGroup([UInt8](repeating: 7, count: 16))))
        var export = StateExport(store)
        while let chunk = export.next(20) { contents.chunks.append(chunk) }
        return contents
    }

    /// As it is after its first start.
    private func replica(_ contents: StateContents, at now: Now) throws -> ModelReplica {
        let name = ReplicaID(naming: RenewedStateTests.name, epoch: 2)
        var replica = ModelReplica(name.hash, epoch: name.epoch)
        for record in contents.records where record.type == StateReplica.RecordType.delta {
            replica.keyspace.apply(try replica.store.join(encoded: record.payload, at: now))
        }
        replica.store.restored()
        return replica
    }

    @Test("is taken by replicas that refuse the one it was, with all that it shows and nothing else of it")
    func comeback() throws {
        var network = ModelNetwork(4)
        network.write(3, .setString("k", "v"))
        network.deliver()
        let old = network.replicas[3]
        network.write(0, .delete("k"))
        // It is forgotten, with all that was known of it.
        for round in 0..<40 {
            let left = network.replicas[3].store.replica.hash
            network.replace(3, ModelReplica(UInt64(100 + round)))
            network.replicas[0].store.leave(left)
            network.tick()
            network.write(3, .setString("x", ByteString("\(round)")))
            for _ in 0..<5 { network.tick() }
        }
        network.replace(3, old)
        network.write(3, .setString("own", "late"), .insertElements("l", index: 0, ["a", "b"]))
        network.write(3, .setScore("z", member: "m", 1.5), .addMember("s", "one"))
        network.write(3, .setExpiry("own", WallTime(milliseconds: 5_000_000_000_000)))
        for _ in 0..<5 { network.tick() }
        #expect(network.refusals.contains(.join(.gone(old.store.replica))))
        #expect(network.replicas[0].keyspace.string("own") == nil)

        let shown = network.replicas[3].store.shown()
        let renewed = try contents(network.replicas[3].store).anew(
            as: RenewedStateTests.name, at: network.replicas[3].time, seed: 5)
        network.refusals = []
        network.replace(3, try replica(renewed, at: network.replicas[3].time))
        #expect(network.replicas[3].store.shown() == shown)
        for _ in 0..<8 { network.tick() }
        let isConverged = network.isConverged
        #expect(isConverged && network.refusals == [])
        for index in 0..<4 {
            #expect(network.replicas[index].keyspace.string("own") == "late")
            // Nobody could tell that this was removed.
            #expect(network.replicas[index].keyspace.string("k") == "v")
            #expect(network.replicas[index].keyspace.string("x") == "39")
            #expect(network.replicas[index].store.replicas.place(of: old.store.replica) == nil)
        }
    }

    @Test("what can't be read is said, and never a state that is half there")
    func unreadable() throws {
        var source = ModelReplica(1)
        _ = source.run([.setString("k", "v"), .setString("l", "w")])
        var broken = try contents(source.store)
        broken.chunks.removeLast()
        #expect(throws: StateUnreadable.self) {
            try broken.anew(as: RenewedStateTests.name, at: source.time, seed: 1)
        }
    }
}
