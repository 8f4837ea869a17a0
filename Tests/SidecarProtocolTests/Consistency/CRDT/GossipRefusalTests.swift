import Testing

@testable import SidecarProtocol

@Suite("What another replica says can be refused")
struct GossipRefusalTests {
    @Test("a change of a clock that is an hour ahead, by name, until the clocks agree; nothing is lost")
    func ahead() {
        var network = ModelNetwork(3)
        network.deliver()
        network.replicas[0].now += 3_600_000
        network.write(0, .setString("k", "ahead"))
        network.deliver()
        for index in 1..<3 { #expect(network.replicas[index].keyspace.string("k") == nil) }
        let refusal = GossipRefusal.join(
            .clock(.ahead(milliseconds: 3_600_000, bound: 300_000), origin: network.replicas[0].store.replica)
        )
        #expect(network.refusals == [refusal, refusal])
        // The others are served meanwhile, and by the one that is ahead too.
        network.write(1, .setString("other", "v"))
        network.deliver()
        #expect(network.replicas.allSatisfy { $0.keyspace.string("other") == "v" })
        for index in 1..<3 { network.replicas[index].now += 3_600_000 }
        for _ in 0..<3 { network.tick() }
        #expect(network.isConverged)
    }

    @Test(
        "and a clock at the bound is followed, one millisecond beyond it not", arguments: [300_000, 300_001])
    func bound(ahead: Int64) {
        var network = ModelNetwork(2)
        network.deliver()
        network.replicas[0].now += ahead
        network.write(0, .setString("k", "v"))
        network.deliver()
        #expect(network.replicas[1].keyspace.string("k") == (ahead == 300_000 ? "v" : nil))
        #expect(network.refusals.isEmpty == (ahead == 300_000))
    }

    @Test(
        "a clock that is an hour behind loses no change, and its later change wins where it has seen the other"
    )
    func behind() {
        var network = ModelNetwork(2)
        network.deliver()
        network.replicas[1].now += 3_600_000
        network.replicas[0].now += 3_600_000 - 299_000
        network.write(1, .setString("k", "first"))
        network.deliver()
        network.write(0, .setString("k", "second"))
        network.deliver()
        #expect(network.replicas.allSatisfy { $0.keyspace.string("k") == "second" })
        #expect(network.refusals == [])
    }

    @Test("a whole state of a clock that is an hour ahead, too")
    func wholeState() {
        var network = ModelNetwork(2)
        network.deliver()
        network.parts = [0, 1]
        network.replicas[0].store.log.bytesMaximum = 10
        network.replicas[0].now += 3_600_000
        for step in 0..<5 { network.write(0, .setString(ByteString("k\(step)"), "v")) }
        network.parts = [0, 0]
        for _ in 0..<4 { network.tick() }
        let isNamed = network.refusals.contains { refusal in
            if case .join(.clock(.ahead, _)) = refusal { true } else { false }
        }
        #expect(isNamed)
        #expect(network.replicas[1].store.keyCount == 0)
        network.replicas[1].now += 3_600_000
        for _ in 0..<6 { network.tick() }
        #expect(network.isConverged)
    }

    @Test("a replica of another group, and of none")
    func group() {
        let groups = [1, 1, 2].map { StateGroup([UInt8](repeating: $0, count: 16)) }
        for other in [groups[2], nil] {
            var network = ModelNetwork(3, groups: [groups[0], groups[1], other])
            network.deliver()
            for index in 0..<3 { network.write(index, .setString(ByteString("k\(index)"), "v")) }
            for _ in 0..<3 { network.tick() }
            for index in 0..<2 {
                #expect(network.replicas[index].keyspace.values.keys.sorted() == ["k0", "k1"])
            }
            #expect(network.replicas[2].keyspace.values.keys.sorted() == ["k2"])
            #expect(network.refusals.contains(.otherGroup(other, own: groups[0])))
        }
    }

    @Test("what the log says of a refusal names the value, and is words")
    func words() {
        let replica = ReplicaID(hash: 0xABCD, epoch: 7)
        let refusals: [(GossipRefusal, String)] = [
            (.malformed(.truncated(at: 81)), "81"), (.malformed(.notCanonical(at: 82)), "82"),
            (.malformed(.unknown(what: "version", value: 9)), "version 9"),
            (.malformed(.tooLarge(what: "keys", count: 1_234)), "1234"),
            (.join(.malformed(.truncated(at: 83))), "83"), (.join(.early(origin: replica, from: 84)), "84"),
            (.join(.clock(.ahead(milliseconds: 3_600_000, bound: 60_000), origin: replica)), "3600000"),
            (.join(.tooManyReplicas(replica)), "CRDT.FORGET"), (.join(.impostor(replica)), "\(replica)"),
            (.join(.sealed(replica)), "\(replica)"), (.join(.gone(replica)), "import --anew"),
            (.unknownPeer, "connected"),
            (.tooManyPeers(maximum: 85), "85"), (.otherGroup(nil, own: nil), "none"),
        ]
        for (refusal, value) in refusals {
            let text = "\(refusal)"
            #expect(
                text.contains(value) && !text.contains("SidecarProtocol") && !text.contains("Error"),
                "\(text)")
        }
    }
}
