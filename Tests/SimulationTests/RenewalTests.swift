import SidecarProtocol
import Simulator
import Testing

/// Certificates that are renewed, rotated and missed, on virtual time.
@Suite struct RenewalTests {
    private typealias Meet = MeetExchangeCutTests

    /// A world with a flow from `client` (1) to `web` (0).
    private static func world(
        seed: UInt64, lifetime: MonotonicTime.Span
    ) throws -> World {
        let world = World(seed: seed)
        _ = world.launch(Meet.server(), lifetime: lifetime)
        let client = world.launch(Meet.client(), lifetime: lifetime)
        try #require(try Meet.dial(world, client) != nil)
        world.run(for: .milliseconds(100))
        return world
    }

    private static func closes(_ world: World) -> [FlowRecord] {
        world.sidecars.flatMap(\.records).filter { $0.event == .close }
    }

    @Test(
        "one flow outlives 1,000 renewals and 10 rotations of the root, without a byte lost", arguments: 1...3
    )
    func manyRenewals(seed: UInt64) throws {
        let world = try Self.world(seed: seed, lifetime: .milliseconds(400))
        for _ in 0..<10 {
            world.domain.addRoot(random: &world.random, at: world.now.wall)
            world.run(for: .seconds(3))
            world.domain.signIssuer(at: world.now.wall)
            world.run(for: .seconds(4))
            world.domain.removeRoot()
            world.run(for: .seconds(4))
        }
        #expect(world.renewalCount > 1_000)
        #expect(world.domain.bundle.sequence == 21)
        #expect(Self.closes(world).isEmpty)
        #expect(world.sidecars.allSatisfy { $0.flows.count == 1 })
        // A chunk every 7 ms for 110 s, give or take those under way.
        let expected = 110_000 / 7 * World.chunkBytes
        #expect(abs(world.sidecars[0].bytesReceived - expected) < 100 * World.chunkBytes)
        #expect(world.sidecars.allSatisfy { $0.warnings.isEmpty })
        #expect(world.violations.isEmpty)
    }

    @Test(
        "a leaf that isn't renewed alarms at 66 % of its life, and at its end all is cut, to the millisecond",
        arguments: 1...10)
    func missed(seed: UInt64) throws {
        let world = try Self.world(seed: seed, lifetime: .seconds(100))
        world.isIssuerDown = true
        let end = try #require(world.sidecars[1].credential?.certificate.notAfter)
        func left() -> MonotonicTime.Span { world.now.wall.span(until: end) }
        world.run(for: left() - .seconds(35))
        #expect(!world.sidecars[1].warnings.contains { $0.contains("66 % of its life") })
        world.run(for: .seconds(2))
        let alarm = world.sidecars[1].warnings.first { $0.contains("66 % of its life") }
        #expect(alarm?.contains("the issuer is down") == true)
        world.run(for: left() - .milliseconds(5))
        #expect(world.sidecars[1].flows.count == 1)
        world.run(for: .milliseconds(6))
        #expect(world.sidecars[1].flows.isEmpty)
        world.run(for: .seconds(1))
        #expect(world.sidecars[0].flows.isEmpty)
        #expect(Self.closes(world).map(\.reason) == [.expiry, .expiry])
        #expect(world.violations.isEmpty)
    }

    @Test("once the issuer answers again, new flows are possible", arguments: 1...10)
    func recovery(seed: UInt64) throws {
        let world = try Self.world(seed: seed, lifetime: .seconds(10))
        world.isIssuerDown = true
        world.run(for: .seconds(20))
        #expect(world.sidecars[1].flows.isEmpty)
        world.isIssuerDown = false
        world.run(for: .seconds(5))
        try #require(try Meet.dial(world, 1) != nil)
        world.run(for: .seconds(1))
        #expect(world.sidecars[1].flows.count == 1)
        #expect(world.violations.isEmpty)
    }

    @Test("no step of the clock within a leaf's life breaks a flow", arguments: 1...10)
    func steps(seed: UInt64) throws {
        let world = try Self.world(seed: seed, lifetime: .seconds(60))
        for _ in 0..<40 {
            world.stepWallClock(by: Int64(world.random.next() % 50_000) - 25_000)
            world.run(for: .milliseconds(10 + world.random.next() % 20_000))
        }
        #expect(Self.closes(world).isEmpty)
        #expect(world.sidecars[1].flows.count == 1)
        #expect(world.violations.isEmpty)
    }

    @Test("a step over the leaf's end cuts at once, and the renewal follows", arguments: 1...10)
    func stepOver(seed: UInt64) throws {
        let world = try Self.world(seed: seed, lifetime: .seconds(60))
        world.stepWallClock(by: 86_400_000)
        #expect(world.sidecars.allSatisfy { $0.flows.isEmpty })
        world.run(for: .seconds(5))
        try #require(try Meet.dial(world, 1) != nil)
        world.run(for: .seconds(1))
        #expect(world.sidecars[1].flows.count == 1)
        #expect(world.violations.isEmpty)
    }

    @Test("a root that is taken away takes the sessions with it that still rest on it", arguments: 1...10)
    func removed(seed: UInt64) throws {
        let world = try Self.world(seed: seed, lifetime: .seconds(1000))
        world.domain.addRoot(random: &world.random, at: world.now.wall)
        for index in 0...1 { world.renew(index) }
        world.run(for: .seconds(1))
        world.domain.signIssuer(at: world.now.wall)
        world.renew(0)
        world.run(for: .seconds(1))
        #expect(Self.closes(world).isEmpty)
        // The client's leaf is still the old root's.
        world.domain.removeRoot()
        world.renew(0)
        #expect(world.sidecars[0].flows.isEmpty)
        #expect(world.sidecars[0].warnings.contains { $0.contains("trust bundle") })
        world.run(for: .seconds(5))
        #expect(world.sidecars[1].flows.isEmpty)
        #expect(world.violations.isEmpty)
    }
}

private func - (one: MonotonicTime.Span, other: MonotonicTime.Span) -> MonotonicTime.Span {
    MonotonicTime.Span(nanoseconds: one.nanoseconds - min(one.nanoseconds, other.nanoseconds))
}
