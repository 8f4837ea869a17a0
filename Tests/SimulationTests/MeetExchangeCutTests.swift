import SidecarProtocol
import Simulator
import Testing

/// Two sidecars' cores that meet, exchange and cut, on virtual time.
@Suite struct MeetExchangeCutTests {
    static func name(_ text: String) -> WorkloadName { try! WorkloadName(namespace: "default", name: text) }
    static let port = ServicePort(8080, .tcp)

    static func server(accepts: [String] = ["client"]) -> WorkloadConfiguration {
        var configuration = WorkloadConfiguration(workload: name("web"))
        configuration.serves = [port]
        configuration.accepts = accepts.map {
            .init(from: try! IdentityPattern(parsing: $0, namespace: "default", trustDomain: nil), ports: [])
        }
        return configuration
    }

    static func client(_ text: String = "client", port: UInt16? = nil) -> WorkloadConfiguration {
        var configuration = WorkloadConfiguration(workload: name(text))
        configuration.calls = [.init(target: name("web"), port: port)]
        return configuration
    }

    /// Asks for web.mesh and connects to what was answered.
    static func dial(_ world: World, _ client: Int) throws -> FlowHandle? {
        let query = world.ask(client, "web.mesh")
        world.run(for: .milliseconds(100))
        guard case .address(let address)? = world.sidecars[client].answers[query] else { return nil }
        return world.connect(client, to: Endpoint(address, 8080))
    }

    @Test("an allowed caller's bytes arrive, and both ends record one flow", arguments: 1...20)
    func meet(seed: UInt64) throws {
        let world = World(seed: seed)
        let web = world.launch(Self.server())
        let client = world.launch(Self.client())
        try #require(try Self.dial(world, client) != nil)
        world.run(for: .seconds(1))
        #expect(world.sidecars[web].bytesReceived > 100_000)
        let opens = world.sidecars.map { $0.records.filter { $0.event == .open } }
        #expect(opens.map(\.count) == [1, 1])
        #expect(opens[web][0].flow != nil && opens[web][0].flow == opens[client][0].flow)
        #expect(world.violations.isEmpty)
    }

    @Test("a stranger gets no listener, and one record of it at each end", arguments: 1...20)
    func stranger(seed: UInt64) throws {
        let world = World(seed: seed)
        let web = world.launch(Self.server())
        let stranger = world.launch(Self.client("stranger"))
        #expect(try Self.dial(world, stranger) == nil)
        world.run(for: .seconds(1))
        #expect(world.sidecars[web].bytesReceived == 0)
        for index in [web, stranger] {
            let denied = world.sidecars[index].records.filter { $0.event == .denied }
            #expect(denied.count == 1)
            #expect(denied.first?.rule == "no rule in accepts")
        }
    }

    @Test("a withdrawn permission cuts the flow at both ends, and no byte follows", arguments: 1...20)
    func cut(seed: UInt64) throws {
        let world = World(seed: seed)
        let web = world.launch(Self.server())
        let client = world.launch(Self.client())
        try #require(try Self.dial(world, client) != nil)
        world.run(for: .milliseconds(500))
        #expect(world.sidecars[web].bytesReceived > 0)
        world.hand(.configuration(Self.server(accepts: [])), to: web)
        let received = world.sidecars[web].bytesReceived
        world.run(for: .seconds(5))
        #expect(world.sidecars[web].bytesReceived == received)
        for index in [web, client] {
            #expect(world.sidecars[index].flows.isEmpty)
            let close = world.sidecars[index].records.last { $0.event == .close }
            #expect(close?.reason == .policy)
        }
        #expect(world.sidecars[client].listeners.isEmpty)
        #expect(world.violations.isEmpty)
    }

    @Test("permission that comes back opens the listener again")
    func allowedAgain() throws {
        let world = World(seed: 3)
        let web = world.launch(Self.server(accepts: []))
        let client = world.launch(Self.client())
        #expect(try Self.dial(world, client) == nil)
        world.hand(.configuration(Self.server()), to: web)
        world.run(for: .milliseconds(50))
        #expect(try Self.dial(world, client) != nil)
    }

    @Test("a peer that falls silent loses its flows within the lease")
    func lease() throws {
        let world = World(seed: 4)
        let web = world.launch(Self.server())
        let client = world.launch(Self.client())
        try #require(try Self.dial(world, client) != nil)
        world.run(for: .seconds(1))
        world.partitioned = [[web, client]]
        world.run(for: Limits.lease)
        for index in [web, client] {
            #expect(world.sidecars[index].flows.isEmpty)
            #expect(world.sidecars[index].records.last { $0.event == .close }?.reason == .lease)
        }
    }

    @Test("flows outlive renewed certificates, and end with one that isn't renewed")
    func renewal() throws {
        let world = World(seed: 5)
        let web = world.launch(Self.server(), lifetime: .seconds(20))
        let client = world.launch(Self.client(), lifetime: .seconds(20))
        try #require(try Self.dial(world, client) != nil)
        world.run(for: .seconds(200))
        #expect(world.sidecars[web].flows.count == 1 && world.sidecars[client].flows.count == 1)
        #expect(world.violations.isEmpty)
    }

    @Test("a clock that jumps past a certificate's end cuts at once")
    func clockStep() throws {
        let world = World(seed: 6)
        let web = world.launch(Self.server())
        let client = world.launch(Self.client())
        try #require(try Self.dial(world, client) != nil)
        world.run(for: .seconds(1))
        world.stepWallClock(by: 2 * 3_600_000)
        #expect(world.sidecars[web].flows.isEmpty && world.sidecars[client].flows.isEmpty)
        #expect(world.violations.isEmpty)
    }

    @Test("a named port waits for its callee, and is refused while its callee's port is down")
    func waits() throws {
        let world = World(seed: 7)
        let client = world.launch(Self.client(port: 8080))
        let address = try #require(world.sidecars[client].listeners.first)
        try #require(world.connect(client, to: address) != nil)
        world.run(for: .seconds(2))
        let web = world.launch(Self.server())
        world.run(for: .seconds(2))
        #expect(world.sidecars[web].bytesReceived > 0)
    }

    @Test("a port that refused is down until a probe finds it up")
    func downPort() throws {
        let world = World(seed: 8)
        let web = world.launch(Self.server())
        let client = world.launch(Self.client())
        world.close(port: Self.port, of: web)
        try #require(try Self.dial(world, client) != nil)
        world.run(for: .milliseconds(500))
        #expect(world.sidecars[client].listeners.isEmpty)
        world.open(port: Self.port, of: web)
        world.run(for: .seconds(2))
        #expect(!world.sidecars[client].listeners.isEmpty)
    }

    @Test("a lost session is dialled again, and new flows pass")
    func redial() throws {
        let world = World(seed: 9)
        let web = world.launch(Self.server())
        let client = world.launch(Self.client())
        try #require(try Self.dial(world, client) != nil)
        world.run(for: .seconds(1))
        world.breakLinks(between: web, and: client)
        #expect(world.sidecars[client].flows.isEmpty)
        world.run(for: .seconds(3))
        let before = world.sidecars[web].bytesReceived
        try #require(try Self.dial(world, client) != nil)
        world.run(for: .seconds(1))
        #expect(world.sidecars[web].bytesReceived > before)
    }

    @Test("the same seed gives the same trace, another seed another")
    func deterministic() throws {
        func run(_ seed: UInt64) throws -> String {
            let world = World(seed: seed)
            let web = world.launch(Self.server())
            let client = world.launch(Self.client())
            _ = try Self.dial(world, client)
            world.run(for: .seconds(2))
            world.hand(.configuration(Self.server(accepts: [])), to: web)
            world.run(for: .seconds(1))
            return world.trace.hash
        }
        #expect(try run(11) == run(11))
        #expect(try run(11) != run(12))
    }
}
