import Testing

@testable import SidecarProtocol

/// What a policy does to a sidecar's core, with the two of `PermitState`.
@Suite struct MeshNodePolicyTests {
    /// Delivers all frames.
    static func settle(_ state: PermitState) -> PermitState {
        var state = state
        while let next = state.after(.toCallee) ?? state.after(.toCaller) { state = next }
        return state
    }

    /// A session and an open flow, and then a policy at the callee.
    static func open(
        _ change: (inout PolicyDocument, PermitScript) -> Void
    ) throws -> (before: PermitState, after: PermitState) {
        let script = try PermitScript("test", actions: [])
        let before = try #require(script.open())
        var document = script.fixture.document(epoch: 4)
        change(&document, script)
        var state = before
        state.hand(.policy(try script.fixture.sign(document).encoded), to: 1)
        return (before, settle(state))
    }

    static func rules(_ state: PermitState, _ end: Int) -> [String] {
        state.ends[end].node.liveFlows(at: state.now(end)).map(\.rule)
    }

    @Test("audit mode cuts nothing, and records what it would have done")
    func audit() throws {
        let (before, after) = try Self.open { document, _ in
            document.mode = .audit
            document.rules = [PolicyFixture.rule(.deny, "stop")]
            document.revocations = [
                PolicyRevocation(.identity(PolicyFixture.subject("web").workload), reason: "")
            ]
        }
        #expect(Self.rules(before, 1) == ["accepts[0] default/client"])
        #expect(
            Self.rules(after, 1)
                == ["accepts[0] default/client (audit: policy 4 revocations[0] identity default/web)"])
        #expect(
            Self.rules(after, 0)
                == ["calls[0] default/web (audit: policy 4 revocations[0] identity default/web)"])
        #expect(after.isMoving && after.ends.allSatisfy { $0.node.status.policy?.mode == .audit })
    }

    @Test("an allow rule is named beside the configuration's, and is needed where nothing else is allowed")
    func allow() throws {
        let allowed = try Self.open { document, _ in
            document.unmatched = .deny
            document.rules = [PolicyFixture.rule(.allow, "web", to: "web", ports: [8080])]
        }
        #expect(Self.rules(allowed.after, 1) == [#"accepts[0] default/client, policy 4 allow[0] "web""#])
        let denied = try Self.open { document, _ in document.unmatched = .deny }
        #expect(Self.rules(denied.after, 1).isEmpty && Self.rules(denied.after, 0).isEmpty)
        #expect(
            denied.after.ends[0].node.status.calls[0].verdicts.map(\.rule)
                == ["policy 4 no rule allows it"])
    }

    @Test("a revoked peer loses its session and gets none anew, and so does one's own revocation")
    func revoked() throws {
        for end in 0...1 {
            let name = PolicyFixture.subject(PermitScript.names[end]).workload
            let (_, after) = try Self.open { document, _ in
                document.revocations = [PolicyRevocation(.identity(name), reason: "left")]
            }
            #expect(after.ends.allSatisfy { $0.node.links.isEmpty && $0.node.flows.isEmpty })
            // The one that the policy reached refuses; whichever it is, nobody has a session.
            let again = Self.settle(try #require(after.after(.connect)))
            #expect(again.ends[1].node.links.isEmpty)
            #expect(after.ends[1].node.status.policy?.isOwnRevoked == (end == 1))
        }
    }

    @Test("a policy of many rules is in force, and stated, once it was read aside")
    func readAside() throws {
        let script = try PermitScript("test", actions: [])
        let policy = try script.fixture.large(epoch: 4)
        var state = try #require(script.open())
        var now = state.now(1)
        func hand(_ input: MeshInput) -> [MeshEffect] {
            var effects: [MeshEffect] = []
            state.ends[1].node.handle(input, at: now, effects: &effects)
            return effects
        }
        _ = hand(.nodeConnected)
        _ = hand(.nodePolicy(.head(policy.head)))
        var read: [UInt8] = []
        var offset = 0
        while offset < policy.encoded.count {
            let end = min(offset + 16_384, policy.encoded.count)
            let part = PolicyPart(
                head: policy.head, offset: UInt32(offset), total: UInt32(policy.encoded.count),
                bytes: Array(policy.encoded[offset..<end]))
            for case .readPolicy(let bytes, policy.head) in hand(.nodePolicy(.part(part))) { read = bytes }
            offset = end
        }
        #expect(read == policy.encoded)
        #expect(state.ends[1].node.status.policy?.head != policy.head && state.isMoving)
        // A certificate that names it meanwhile waits for it, longer than for one that hasn't come.
        var credential = script.credential(of: 1, 1)
        credential.policyHead = policy.head
        _ = hand(.credential(credential))
        now.monotonic = now.monotonic + Limits.policyArrivalSpan
        _ = hand(.deadline)
        #expect(state.ends[1].node.status.policy?.isBehind == false && state.isMoving)
        let effects = hand(.policyRead(.success(try ReadPolicy(canonical: read)), as: policy.head))
        #expect(state.ends[1].node.status.policy?.head == policy.head)
        #expect(
            effects.contains { if case .persistPolicy(policy.encoded) = $0 { true } else { false } })
        #expect(effects.contains { if case .send(_, .head(policy.head)) = $0 { true } else { false } })
    }

    @Test("one's own revocation ends what left the mesh, also behind ended grants, until it is taken back")
    func revokedEgress() throws {
        let script = try PermitScript("test", actions: [])
        let (literal, named) = (
            Endpoint(IPAddress(v4: 0x0808_0808), 443), Endpoint(IPAddress(v4: 0x0909_0909), 80)
        )
        var configuration = script.configuration(of: 0)
        configuration.egress = [.init(host: "8.8.8.8", port: 443), .init(host: "example.org", port: 80)]
        func at(_ seconds: UInt64) -> Now {
            Now(
                monotonic: MonotonicTime(nanoseconds: 1) + .seconds(seconds),
                wall: script.start + .seconds(seconds))
        }
        var node = MeshNode(
            configuration: configuration, instance: TrustFixture.instance(1), incarnation: 1, addresses: nil,
            now: at(0))
        func egress(_ input: MeshInput, _ seconds: UInt64) -> [String] {
            var effects: [MeshEffect] = []
            node.handle(input, at: at(seconds), effects: &effects)
            return effects.compactMap {
                switch $0 {
                case .allowEgress(let endpoint, _): "allow \(endpoint)"
                case .revokeEgress(let endpoint): "revoke \(endpoint)"
                default: nil
                }
            }
        }
        func policy(_ epoch: UInt64, revoking: Bool) throws -> MeshInput {
            var document = script.fixture.document(epoch: epoch)
            if revoking {
                document.revocations = [PolicyRevocation(.instance(TrustFixture.instance(1)), reason: "")]
            }
            return .policy(try script.fixture.sign(document).encoded)
        }
        func resolved(_ host: String) -> MeshInput {
            .resolved(QueryID(number: 1), host: host, [named.address], timeToLive: .seconds(1))
        }
        #expect(egress(.credential(script.credential(of: 0, 0)), 0) == ["allow \(literal)"])
        #expect(egress(resolved("example.org"), 0) == ["allow \(named)"])
        let source = Endpoint(IPAddress(v4: 0xC612_0001), 40_000)
        #expect(
            egress(.egressAttempted(source: source, destination: named, .tcp, isAllowed: true), 0).isEmpty)
        // By then the name's grant has ended, and its flow goes on.
        let late: UInt64 = 1_000
        _ = egress(resolved("other.org"), late)
        #expect(node.egress.grants[named] == nil)
        #expect(try egress(policy(4, revoking: true), late) == ["revoke \(literal)", "revoke \(named)"])
        #expect(egress(resolved("example.org"), late).isEmpty)
        #expect(try egress(policy(5, revoking: true), late).isEmpty)
        #expect(
            try egress(policy(6, revoking: false), late) == ["allow \(literal)", "allow \(named)"])
    }

    @Test("a lock cuts for its time, and its end lets the workload in again")
    func lock() throws {
        let (_, after) = try Self.open { document, script in
            document.locks = [
                PolicyLock(PolicyFixture.pattern("web"), until: script.start + .seconds(40), reason: "drill")
            ]
        }
        let verdicts = { (state: PermitState) in
            state.ends[0].node.status.calls[0].verdicts.map { "\($0.verdict) \($0.rule)" }
        }
        #expect(!after.isMoving && after.ends.allSatisfy { $0.link != nil })
        #expect(verdicts(after) == ["deny policy 4 locks[0] default/web: drill"])
        var state = after
        for _ in 0..<4 { state = Self.settle(try #require(state.after(.wait10))) }
        #expect(verdicts(state) == ["allow accepts[0] default/client"])
    }

    @Test("a first certificate that names a newer policy keeps everything closed until it has come")
    func behind() throws {
        let script = try PermitScript("test", actions: [])
        let policy = try script.fixture.sign(script.fixture.document(epoch: 2))
        var node = script.initial().ends[1].node
        var credential = script.credential(of: 1, 0)
        node = MeshNode(
            configuration: script.configuration(of: 1), instance: TrustFixture.instance(2), incarnation: 1,
            addresses: nil, now: Now(monotonic: MonotonicTime(nanoseconds: 0), wall: script.start))
        credential.policyHead = policy.head
        var effects: [MeshEffect] = []
        let now = Now(monotonic: MonotonicTime(nanoseconds: 1), wall: script.start)
        node.handle(.nodeConnected, at: now, effects: &effects)
        node.handle(.credential(credential), at: now, effects: &effects)
        #expect(effects.contains { if case .tellNode(.request(policy.head, 0)) = $0 { true } else { false } })
        #expect(node.status.policy?.isBehind == true)
        let peer = Authorizer.Peer(
            subject: PolicyFixture.subject("client"), notAfter: script.start + .seconds(9),
            head: script.initialHead, hasAgreed: true, leaseEnd: now.monotonic + .seconds(30))
        #expect(
            node.authorizer.mayAccept(peer, port: PermitScript.port, at: now).rule
                == "policy 2 hasn't come yet")
        let bytes = policy.encoded
        node.handle(
            .nodePolicy(
                .part(
                    PolicyPart(head: policy.head, offset: 0, total: UInt32(bytes.count), bytes: bytes))),
            at: now, effects: &effects)
        #expect(node.status.policy?.isBehind == false)
        #expect(node.authorizer.mayAccept(peer, port: PermitScript.port, at: now).isAllowed)
        // Nothing older counts any more, whoever brings it.
        node.handle(
            .policy(try script.fixture.sign(script.fixture.document(epoch: 1)).encoded), at: now,
            effects: &effects)
        #expect(node.status.policy?.head == policy.head)
    }

    @Test("a renewed certificate's newer policy has two seconds to come, and then all is closed")
    func lateFloor() throws {
        let script = try PermitScript("test", actions: [])
        var state = try #require(script.open())
        var credential = script.credential(of: 0, 0)
        credential.policyHead = PolicyFixture.head
        state.hand(.credential(credential), to: 0)
        #expect(state.isMoving && state.ends[0].node.flows.count == 1)
        state = try #require(state.after(.wait10))
        #expect(state.ends[0].node.flows.isEmpty)
        #expect(state.ends[0].node.status.policy?.isBehind == true)
    }

    @Test(
        "two policies of one epoch: alarm, both stated, the stricter holds, and only what settles both ends it"
    )
    func conflict() throws {
        let (_, first) = try Self.open { _, _ in }
        var state = first
        let fixture = state.script.fixture
        var document = fixture.document(epoch: 4, [PolicyFixture.rule(.deny, "stop")])
        let rival = try fixture.sign(document)
        #expect(state.isMoving)
        state.hand(.policy(rival.encoded), to: 0)
        state = Self.settle(state)
        #expect(!state.isMoving)
        for end in state.ends {
            #expect(end.node.status.policy?.isFrozen == true && end.node.policyHeads.count == 2)
        }
        document = fixture.document(epoch: 5)
        state.hand(.policy(try fixture.sign(document).encoded), to: 0)
        #expect(state.ends[0].node.status.policy?.isFrozen == true)
        document.settles = state.ends[0].node.policyHeads
        state.hand(.policy(try fixture.sign(document).encoded), to: 0)
        state = Self.settle(state)
        #expect(state.ends.allSatisfy { $0.node.status.policy?.head.epoch == 5 })
        #expect(state.ends.allSatisfy { $0.node.status.policy?.isFrozen == false })
    }
}
