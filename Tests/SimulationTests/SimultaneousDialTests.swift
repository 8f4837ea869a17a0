import SidecarProtocol
import Simulator
import Testing

/// Two workloads that call each other, and begin at the same moment.
@Suite struct SimultaneousDialTests {
    private static func configuration(_ text: String, calls other: String) -> WorkloadConfiguration {
        var configuration = WorkloadConfiguration(workload: MeetExchangeCutTests.name(text))
        configuration.serves = [MeetExchangeCutTests.port]
        configuration.accepts = [
            .init(from: try! IdentityPattern(parsing: "*", namespace: "default", trustDomain: nil), ports: [])
        ]
        configuration.calls = [.init(target: MeetExchangeCutTests.name(other), port: nil)]
        return configuration
    }

    private static func pair(seed: UInt64) -> (world: World, sidecars: [Int]) {
        let world = World(seed: seed)
        let left = world.launch(configuration("left", calls: "right"))
        let right = world.launch(configuration("right", calls: "left"))
        return (world, [left, right])
    }

    @Test("two that dial each other at once end with one session", arguments: 1...30)
    func oneSession(seed: UInt64) throws {
        let (world, sidecars) = Self.pair(seed: seed)
        let queries = [world.ask(sidecars[0], "right.mesh"), world.ask(sidecars[1], "left.mesh")]
        world.run(for: .seconds(8))
        for (index, query) in zip(sidecars, queries) {
            let sidecar = world.sidecars[index]
            #expect(sidecar.answers[query] != nil)
            #expect(sidecar.node.status.peers.filter { $0.state == "connected" }.count == 1)
            #expect(sidecar.node.status.calls.map(\.state) == ["connected"])
        }
    }

    /// Each workload connects at the very moment its question is answered, while the other end may still
    /// be choosing between the sessions.
    @Test("flows between two that dial each other at once all live on", arguments: 1...40)
    func flowsLive(seed: UInt64) throws {
        let (world, sidecars) = Self.pair(seed: seed)
        let queries = [world.ask(sidecars[0], "right.mesh"), world.ask(sidecars[1], "left.mesh")]
        var flows: [Int: FlowHandle] = [:]
        for _ in 0..<2_000 where flows.count < 2 {
            world.run(for: MonotonicTime.Span(nanoseconds: 50_000))
            for (index, query) in zip(sidecars, queries) where flows[index] == nil {
                guard case .address(let address)? = world.sidecars[index].answers[query] else { continue }
                let flow: FlowHandle = try #require(world.connect(index, to: Endpoint(address, 8080)))
                flows[index] = flow
            }
        }
        try #require(flows.count == 2)
        world.run(for: .seconds(8))
        for index in sidecars {
            let sidecar = world.sidecars[index]
            #expect(sidecar.flows.count == 2 && sidecar.bytesReceived > 500_000)
            #expect(sidecar.records.allSatisfy { [.open, .minute].contains($0.event) })
        }
        #expect(world.violations.isEmpty)
    }

    @Test("the listeners of a callee stay open while one of two sessions gives way", arguments: 1...40)
    func listenersStay(seed: UInt64) throws {
        let (world, sidecars) = Self.pair(seed: seed)
        _ = [world.ask(sidecars[0], "right.mesh"), world.ask(sidecars[1], "left.mesh")]
        world.run(for: .seconds(8))
        #expect(!world.trace.lines.contains { $0.contains("unlisten") })
    }
}
