import SidecarProtocol
import Testing

/// Driven through the core's inputs, as the name service and the userland stack do.
@Suite struct EgressPolicyTests {
    static let now = Now(monotonic: MonotonicTime(nanoseconds: 1), wall: WallTime(seconds: 1_800_000_000))

    static func node(_ egress: [(String, UInt16)]) -> MeshNode {
        var configuration = WorkloadConfiguration(
            workload: try! WorkloadName(namespace: "default", name: "app"))
        configuration.egress = egress.map { .init(host: $0.0, port: $0.1) }
        return MeshNode(
            configuration: configuration, instance: InstanceID([UInt8](repeating: 1, count: 16))!,
            incarnation: 1, addresses: nil, now: now)
    }

    static func effects(_ node: inout MeshNode, _ inputs: [MeshInput]) -> [MeshEffect] {
        var all: [MeshEffect] = []
        for input in inputs {
            var effects: [MeshEffect] = []
            node.handle(input, at: now, effects: &effects)
            all += effects
        }
        return all
    }

    static func answers(_ effects: [MeshEffect]) -> [NameAnswer] {
        effects.compactMap { if case .answer(_, let answer) = $0 { answer } else { nil } }
    }

    static func allowed(_ effects: [MeshEffect]) -> [Endpoint] {
        effects.compactMap { if case .allowEgress(let endpoint, _) = $0 { endpoint } else { nil } }
    }

    static func query(_ name: String) -> MeshInput {
        .nameQuery(QueryID(number: 1), NameQuestion(kind: .a, name: name))
    }

    @Test("a listed name is resolved, any other doesn't exist")
    func listed() {
        var node = Self.node([("example.org", 443)])
        #expect(Self.answers(Self.effects(&node, [Self.query("example.org")])) == [.resolve("example.org")])
        #expect(Self.answers(Self.effects(&node, [Self.query("example.com")])) == [.nameError])
        #expect(Self.answers(Self.effects(&node, [Self.query("sub.example.org")])) == [.nameError])
    }

    @Test("what the resolver answers is allowed on the listed port, before the workload learns it")
    func grants() throws {
        var node = Self.node([("example.org", 443)])
        let address = IPAddress(v4: 0x5DB8_D822)
        let effects = Self.effects(
            &node,
            [.resolved(QueryID(number: 1), host: "example.org", [address], timeToLive: .seconds(60))])
        #expect(Self.allowed(effects) == [Endpoint(address, 443)])
        let allow = try #require(effects.firstIndex { if case .allowEgress = $0 { true } else { false } })
        let answer = try #require(effects.firstIndex { if case .answer = $0 { true } else { false } })
        #expect(allow < answer)
    }

    @Test(
        "an answer that points inward is dropped",
        arguments: [
            "127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "172.16.0.1", "0.0.0.0",
            "224.0.0.1", "255.255.255.255", "100.64.0.1", "198.18.0.53",
        ])
    func inward(text: String) throws {
        var node = Self.node([("example.org", 443)])
        let inward = try #require(IPAddress(parsing: text))
        let outward = IPAddress(v4: 0x0808_0808)
        let effects = Self.effects(
            &node,
            [
                .resolved(
                    QueryID(number: 1), host: "example.org", [inward, outward], timeToLive: .seconds(60))
            ])
        #expect(Self.allowed(effects) == [Endpoint(outward, 443)])
        #expect(Self.answers(effects) == [.addresses([outward])])
    }

    @Test("a private address that is listed literally may be answered too")
    func literal() throws {
        var node = Self.node([("example.org", 443), ("10.1.2.3", 443)])
        let inward = try #require(IPAddress(parsing: "10.1.2.3"))
        let effects = Self.effects(
            &node,
            [.resolved(QueryID(number: 1), host: "example.org", [inward], timeToLive: .seconds(60))])
        #expect(Self.answers(effects) == [.addresses([inward])])
    }

    @Test("a name that is no longer listed loses its addresses")
    func revoked() {
        var node = Self.node([("example.org", 443), ("kept.org", 80)])
        let address = IPAddress(v4: 0x5DB8_D822)
        let kept = IPAddress(v4: 0x5DB8_D823)
        _ = Self.effects(
            &node,
            [
                .resolved(QueryID(number: 1), host: "example.org", [address], timeToLive: .seconds(60)),
                .resolved(QueryID(number: 2), host: "kept.org", [kept], timeToLive: .seconds(60)),
            ])
        var changed = node.configuration
        changed.egress = [.init(host: "kept.org", port: 80)]
        let effects = Self.effects(&node, [.configuration(changed)])
        let revoked = effects.compactMap { effect in
            if case .revokeEgress(let endpoint) = effect { endpoint } else { nil }
        }
        #expect(revoked == [Endpoint(address, 443)])
    }
}
