import SidecarProtocol
import Testing

@Suite("Policies on their way through nodes") struct TopicTablePolicyTests {
    let policies: PolicyFixture
    var here: TopicTableFixture
    var there: TopicTableFixture
    let neighbour = TopicTable.Neighbour(number: 1)

    init() throws {
        policies = try PolicyFixture()
        here = try TopicTableFixture()
        there = try TopicTableFixture()
    }

    static func told(_ effects: [TopicTable.Effect]) -> [NodeMessage] {
        effects.compactMap { if case .tell(_, let message) = $0 { message } else { nil } }
    }

    static func sent(_ effects: [TopicTable.Effect], to client: TopicTable.Client) -> [NodeMessage] {
        effects.compactMap { if case .send(client, let message) = $0 { message } else { nil } }
    }

    /// Carries what the two nodes say to each other, until nothing is said; returns all effects at `there`.
    mutating func converse(_ first: [TopicTable.Effect]) -> [TopicTable.Effect] {
        var all: [TopicTable.Effect] = []
        var waiting = Self.told(first)
        while !waiting.isEmpty {
            let effects = there.handle(.neighbourSaid(neighbour, waiting.removeFirst()))
            all += effects
            for message in Self.told(effects) {
                waiting += Self.told(here.handle(.neighbourSaid(neighbour, message)))
            }
        }
        return all
    }

    /// As `mesh policy apply` does it: states the head, and answers what is asked.
    static func apply(
        _ policy: SignedPolicy, to fixture: inout TopicTableFixture, from client: TopicTable.Client
    ) -> [TopicTable.Effect] {
        var effects = fixture.send(.policy(.head(policy.head)), from: client)
        guard sent(effects, to: client) == [.policy(.request(policy.head, offset: 0))] else { return effects }
        let bytes = policy.encoded
        for start in stride(from: 0, to: bytes.count, by: Limits.policyPartBytesMaximum) {
            let end = min(start + Limits.policyPartBytesMaximum, bytes.count)
            effects = fixture.send(
                .policy(
                    .part(
                        PolicyPart(
                            head: policy.head, offset: UInt32(start), total: UInt32(bytes.count),
                            bytes: Array(bytes[start..<end])))), from: client)
        }
        return effects
    }

    @Test("a policy that a client brings is kept, told to those who registered, and carried to other hosts")
    mutating func spreads() throws {
        let policy = try policies.large(rules: 600)
        let (operatorClient, sidecar, silent) = (here.connect(1), here.connect(2), here.connect(3))
        here.send(.register(try here.registration()), from: sidecar)
        here.handle(.neighbourCame(neighbour))
        there.handle(.neighbourCame(neighbour))
        let far = there.connect(1)
        there.send(.register(try there.registration("db", seed: 2)), from: far)

        let effects = Self.apply(policy, to: &here, from: operatorClient)
        #expect(effects.contains(.persistPolicy(policy.encoded)))
        for client in [operatorClient, sidecar] {
            #expect(Self.sent(effects, to: client) == [.policy(.head(policy.head))])
        }
        #expect(Self.sent(effects, to: silent).isEmpty)
        #expect(Self.told(effects) == [.policy(.head(policy.head))])

        let later = converse(effects)
        #expect(there.table.signedPolicy == policy)
        #expect(later.contains(.persistPolicy(policy.encoded)))
        #expect(Self.sent(later, to: far) == [.policy(.head(policy.head))])
    }

    @Test("who comes later is told of the policy, and a node that starts again has it")
    mutating func latecomers() throws {
        let policy = try policies.sign(policies.document())
        #expect(here.handle(.savedPolicy(policy.encoded)).contains(.persistPolicy(policy.encoded)))
        let sidecar = here.connect(1)
        let effects = here.send(.register(try here.registration()), from: sidecar)
        #expect(Self.sent(effects, to: sidecar) == [.policy(.head(policy.head))])
        let again = here.send(.renew(try here.registration(sequence: 2)), from: sidecar)
        #expect(Self.sent(again, to: sidecar).isEmpty)
        #expect(Self.told(here.handle(.neighbourCame(neighbour))).first == .policy(.head(policy.head)))
        let asked = here.send(.policy(.request(policy.head, offset: 0)), from: sidecar)
        #expect(Self.sent(asked, to: sidecar).count == 1)
    }

    @Test("a policy that isn't the domain's is refused, and its client told why")
    mutating func refused() throws {
        let forged = try policies.document().sealed(
            by: TrustFixture.signing(0x51), certificate: policies.certificate)
        let client = here.connect(1)
        let effects = Self.apply(forged, to: &here, from: client)
        #expect(
            Self.sent(effects, to: client)
                == [.refused("policy refused: \(PolicyError.badSignature)")])
        #expect(here.table.signedPolicy == nil)
        #expect(!effects.contains { if case .persistPolicy = $0 { true } else { false } })
    }

    @Test("two policies of one epoch are both kept, and stated to everyone")
    mutating func conflict() throws {
        let first = try policies.sign(policies.document())
        let second = try policies.sign(policies.document(mode: .audit))
        here.handle(.savedPolicy(first.encoded))
        let client = here.connect(1)
        let effects = Self.apply(second, to: &here, from: client)
        #expect(here.table.rivalPolicy == second)
        #expect(
            Self.sent(effects, to: client) == [.policy(.head(first.head)), .policy(.head(second.head))])
        #expect(effects.contains { if case .log(.error, _) = $0 { true } else { false } })
    }

    @Test("beacons are handed on once")
    mutating func beacons() throws {
        var document = policies.document()
        document.freshnessKeys = [TrustFixture.signing(0x60).publicKey]
        here.handle(.savedPolicy(try policies.sign(document).encoded))
        here.handle(.neighbourCame(neighbour))
        let (source, sidecar) = (here.connect(1), here.connect(2))
        here.send(.register(try here.registration()), from: sidecar)
        let beacon = FreshnessBeacon.signed(
            of: policies.trust.bundle.id, at: here.now.wall, by: TrustFixture.signing(0x60))
        let effects = here.send(.policy(.beacon(beacon)), from: source)
        #expect(Self.sent(effects, to: sidecar) == [.policy(.beacon(beacon))])
        #expect(Self.told(effects) == [.policy(.beacon(beacon))])
        #expect(here.send(.policy(.beacon(beacon)), from: source).isEmpty)
    }

    @Test("a client that leaves in the middle of a policy is forgotten, and another is asked")
    mutating func leaves() throws {
        let policy = try policies.large()
        let (first, second) = (here.connect(1), here.connect(2))
        here.send(.policy(.head(policy.head)), from: first)
        #expect(here.send(.policy(.head(policy.head)), from: second).isEmpty)
        let effects = here.handle(.disconnected(first))
        #expect(Self.sent(effects, to: second) == [.policy(.request(policy.head, offset: 0))])
        #expect(
            Self.sent(here.advance(Limits.policyRequestSpan), to: second).isEmpty
                && here.table.nextDeadline == nil)
    }
}
