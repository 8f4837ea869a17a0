import SidecarProtocol
import Simulator
import Testing

/// A policy that one of many sidecars hears first.
@Suite struct PolicyTests {
    typealias Base = MeetExchangeCutTests

    /// A server, callers with an open flow each, and what they have received so far.
    static func world(seed: UInt64, callers: Int) throws -> (world: World, web: Int, callers: [Int]) {
        let world = World(seed: seed)
        let web = world.launch(Base.server(accepts: ["*"]))
        let clients = (0..<callers).map { world.launch(Base.client("client\($0)")) }
        for client in clients { try #require(try Base.dial(world, client) != nil) }
        world.run(for: .seconds(1))
        return (world, web, clients)
    }

    static func epochs(_ world: World) -> Set<UInt64> {
        Set(world.sidecars.map { $0.node.status.policy?.head.epoch ?? 0 })
    }

    static func closes(_ world: World, _ index: Int) -> [CloseReason?] {
        world.sidecars[index].records.filter { $0.event == .close }.map(\.reason)
    }

    @Test("it reaches all, cuts what it denies at both ends, and resets nothing else", arguments: 1...10)
    func spreads(seed: UInt64) throws {
        let (world, web, clients) = try Self.world(seed: seed, callers: 7)
        world.publish(epoch: 1, denying: [Base.name("client3")], at: clients[Int(seed) % 7])
        world.run(for: .seconds(1))
        #expect(Self.epochs(world) == [1])
        #expect(Self.closes(world, web) == [.policy])
        for (number, client) in clients.enumerated() {
            #expect(Self.closes(world, client) == (number == 3 ? [.policy] : []))
        }
        let before = world.sidecars[web].bytesReceived
        world.run(for: .seconds(60))
        #expect(world.sidecars[web].bytesReceived > before + 6 * 1_000_000)
        #expect(Self.closes(world, web).count == 1)
        // What is denied says so before anybody dials.
        #expect(
            world.sidecars[clients[3]].node.status.calls[0].verdicts.map(\.rule)
                == [#"policy 1 deny[0] "client3""#])
        #expect(world.violations.isEmpty)
    }

    @Test("a partition shorter than the lease costs no allowed flow", arguments: 1...10)
    func partition(seed: UInt64) throws {
        let (world, web, clients) = try Self.world(seed: seed, callers: 4)
        world.partitioned = [[web, clients[2]]]
        world.publish(epoch: 1, denying: [Base.name("client0")], at: web)
        world.run(for: .seconds(12))
        #expect(world.sidecars[clients[2]].node.status.policy?.head.epoch == 0)
        world.partitioned = []
        world.run(for: .seconds(30))
        #expect(Self.epochs(world) == [1])
        #expect(clients.map { Self.closes(world, $0).count } == [1, 0, 0, 0])
        #expect(world.violations.isEmpty)
    }

    @Test("a partition longer than the lease cuts, at both ends")
    func longPartition() throws {
        let (world, web, clients) = try Self.world(seed: 4, callers: 2)
        world.partitioned = [[web, clients[1]]]
        world.publish(epoch: 1, denying: [Base.name("client1")], at: web)
        world.run(for: .seconds(31))
        #expect(Self.closes(world, clients[1]) == [.lease])
        #expect(Self.closes(world, web) == [.policy])
        #expect(world.violations.isEmpty)
    }

    @Test("whatever is cut off from whom, in the end all hold the newest", arguments: 1...20)
    func converges(seed: UInt64) throws {
        let (world, web, clients) = try Self.world(seed: seed, callers: 5)
        for epoch in UInt64(1)...4 {
            world.partitioned = Set(
                clients.filter { _ in world.random.chance(perMille: 400) }.map { [web, $0] })
            let denied = clients.indices.filter { _ in world.random.chance(perMille: 300) }
            let source = ([web] + clients)[Int(world.random.next() % 6)]
            world.publish(epoch: epoch, denying: Set(denied.map { Base.name("client\($0)") }), at: source)
            world.run(for: .milliseconds(world.random.next() % 40_000))
        }
        world.partitioned = []
        world.run(for: .seconds(60))
        #expect(Self.epochs(world) == [4])
        #expect(world.violations.isEmpty)
    }
}
