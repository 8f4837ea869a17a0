import SidecarProtocol
import Simulator
import Testing

/// What `records: required` refuses while records can't be kept.
@Suite struct RecordsRequiredTests {
    private static func launch(
        _ world: World, required: Set<String>
    ) -> (web: Int, client: Int) {
        var server = MeetExchangeCutTests.server()
        var caller = MeetExchangeCutTests.client()
        if required.contains("web") { server.records = .required }
        if required.contains("client") { caller.records = .required }
        return (world.launch(server), world.launch(caller))
    }

    private static func opens(_ world: World, _ index: Int) -> Int {
        world.sidecars[index].records.count { $0.event == .open }
    }

    @Test(
        "a pressed end that requires records opens no flow, says why, and leaves open ones alone",
        arguments: ["web", "client"])
    func refused(_ pressed: String) throws {
        let world = World(seed: 3)
        let (web, client) = Self.launch(world, required: [pressed])
        let first = try #require(try MeetExchangeCutTests.dial(world, client))
        world.run(for: .seconds(1))
        #expect(Self.opens(world, client) == 1)
        let end = pressed == "web" ? web : client
        world.hand(.recordsPressed(true), to: end)
        let refused = try #require(try MeetExchangeCutTests.dial(world, client))
        world.run(for: .seconds(1))
        #expect(Self.opens(world, client) == 1 && Self.opens(world, web) == 1)
        #expect(world.sidecars[client].flows[refused] == nil)
        #expect(world.sidecars[client].flows[first] != nil)
        #expect(world.sidecars[client].records.last?.reason == .unrecorded)
        let before = world.sidecars[web].bytesReceived
        world.run(for: .seconds(1))
        #expect(world.sidecars[web].bytesReceived > before)
        world.hand(.recordsPressed(false), to: end)
        _ = try #require(try MeetExchangeCutTests.dial(world, client))
        world.run(for: .seconds(1))
        #expect(Self.opens(world, client) == 2 && Self.opens(world, web) == 2)
        #expect(world.violations.isEmpty)
    }

    @Test("where records are optional flows open all the same")
    func optional() throws {
        let world = World(seed: 4)
        let (web, client) = Self.launch(world, required: [])
        for index in [web, client] { world.hand(.recordsPressed(true), to: index) }
        _ = try #require(try MeetExchangeCutTests.dial(world, client))
        world.run(for: .seconds(1))
        #expect(Self.opens(world, client) == 1 && Self.opens(world, web) == 1)
    }

    @Test("no flow leaves the mesh meanwhile: each permission ends, and comes back with its own end")
    func egress() throws {
        var configuration = MeetExchangeCutTests.client()
        configuration.records = .required
        configuration.egress = [.init(host: "192.0.2.7", port: 443), .init(host: "example.com", port: 443)]
        let world = World(seed: 5)
        let client = world.launch(configuration)
        var node = world.sidecars[client].node
        var effects: [MeshEffect] = []
        func hand(_ input: MeshInput) -> [String: MonotonicTime?] {
            effects = []
            node.handle(input, at: world.now, effects: &effects)
            var allowed: [String: MonotonicTime?] = [:]
            for case .allowEgress(let endpoint, let until) in effects {
                allowed["\(endpoint)"] = .some(until)
            }
            return allowed
        }
        let name = IPAddress(v4: 0xC633_6401)
        let query = QueryID(number: 900)
        let granted = hand(.resolved(query, host: "example.com", [name], timeToLive: .seconds(60)))
        let end = try #require(granted["198.51.100.1:443"])
        let pressed = hand(.recordsPressed(true))
        #expect(pressed == ["198.51.100.1:443": world.now.monotonic, "192.0.2.7:443": world.now.monotonic])
        #expect(hand(.resolved(query, host: "example.com", [name], timeToLive: .seconds(60))).isEmpty)
        let again = hand(.recordsPressed(false))
        #expect(again["192.0.2.7:443"] == .some(nil))
        #expect(again["198.51.100.1:443"] == .some(end))
    }
}
