import SidecarProtocol
import Simulator
import Testing

/// Instances of one workload find each other and may exchange its state, for as long as they may.
@Suite struct ReplicaTests {
    private static func configuration(_ name: String, version: String = "0") -> WorkloadConfiguration {
        var configuration = WorkloadConfiguration(workload: MeetExchangeCutTests.name(name))
        configuration.consistency = .eventual
        configuration.version = version
        return configuration
    }

    private static func others(_ world: World, _ sidecars: [Int], than index: Int) -> Set<InstanceID> {
        Set(sidecars.filter { $0 != index }.map { world.sidecars[$0].instance })
    }

    @Test("every replica reaches every other, and hears it", arguments: 1...20)
    func allMeet(seed: UInt64) {
        let world = World(seed: seed)
        let sidecars = (0..<4).map { _ in world.launch(Self.configuration("kv")) }
        world.run(for: .seconds(10))
        for index in sidecars {
            #expect(world.sidecars[index].replicas == Self.others(world, sidecars, than: index))
        }
        for index in sidecars {
            for other in Self.others(world, sidecars, than: index) {
                world.hand(.replicate([UInt8(index)], to: other), to: index)
            }
        }
        world.run(for: .seconds(1))
        for index in sidecars {
            let heard = world.sidecars[index].stateMessages.map(\.message)
            #expect(Set(heard) == Set(sidecars.filter { $0 != index }.map { [UInt8($0)] }))
        }
    }

    @Test("another workload's replica is never reached, and is offered nothing")
    func strangers() {
        let world = World(seed: 1)
        let kv = world.launch(Self.configuration("kv"))
        let other = world.launch(Self.configuration("other"))
        var stateless = Self.configuration("kv")
        stateless.consistency = .none
        let without = world.launch(stateless)
        world.run(for: .seconds(10))
        for index in [kv, other, without] {
            #expect(world.sidecars[index].replicas.isEmpty)
            #expect(world.sidecars[index].node.status.peers.isEmpty)
        }
    }

    @Test("a replica whose certificate ends is down at once, and nothing passes after", arguments: 1...5)
    func expiry(seed: UInt64) {
        let world = World(seed: seed)
        let first = world.launch(Self.configuration("kv"), lifetime: .seconds(10))
        let second = world.launch(Self.configuration("kv"))
        world.run(for: .seconds(4))
        #expect(world.sidecars[first].replicas.count == 1)
        world.stepWallClock(by: 20_000)
        #expect(world.sidecars[first].replicas.isEmpty)
        let heard = world.sidecars[second].stateMessages.count
        world.hand(.replicate([1], to: world.sidecars[second].instance), to: first)
        world.run(for: .seconds(1))
        #expect(world.sidecars[second].stateMessages.count == heard)
    }

    @Test("after a partition, and after a lost session, replicas meet again", arguments: 1...10)
    func healing(seed: UInt64) {
        let world = World(seed: seed)
        let sidecars = (0..<3).map { _ in world.launch(Self.configuration("kv")) }
        world.run(for: .seconds(5))
        world.partitioned = [[sidecars[0], sidecars[1]]]
        world.run(for: .seconds(60))
        #expect(world.sidecars[0].replicas == [world.sidecars[2].instance])
        world.partitioned = []
        world.breakLinks(between: sidecars[1], and: sidecars[2])
        world.run(for: .seconds(10))
        for index in sidecars {
            #expect(world.sidecars[index].replicas == Self.others(world, sidecars, than: index))
        }
    }

    @Test("the workload finds its state by name, both ways, and only with state")
    func names() throws {
        let world = World(seed: 2)
        let kv = world.launch(Self.configuration("kv"))
        var stateless = Self.configuration("plain")
        stateless.consistency = .none
        let plain = world.launch(stateless)
        let (yes, no) = (world.ask(kv, "state.mesh"), world.ask(plain, "state.mesh"))
        world.run(for: .seconds(1))
        #expect(world.sidecars[kv].answers[yes] == .address(MeshNode.stateEndpoint.address))
        #expect(world.sidecars[plain].answers[no] == .nameError)
        #expect(world.sidecars[kv].listeners.contains(MeshNode.stateEndpoint))
        #expect(!world.sidecars[plain].listeners.contains(MeshNode.stateEndpoint))
    }
}
