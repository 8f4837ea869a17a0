import Foundation
import SidecarProtocol
import Testing

@Suite struct MutationTests {
    /// `make fuzz` sets other numbers; a failure is found again by its seed.
    static let rounds = number("MESH_FUZZ_ROUNDS") ?? 3000
    static let seed = number("MESH_FUZZ_SEED") ?? 2026

    private static func number(_ variable: String) -> Int? {
        ProcessInfo.processInfo.environment[variable].flatMap { Int($0) }
    }

    /// One of everything that the parsers read.
    static func seeds() throws -> [[UInt8]] {
        let fixture = try TrustFixture()
        let leaf = try fixture.leaf()
        let keys = TrustFixture.signing(1)
        let announcement = Announcement(
            topic: TopicID(name: "svc/default/web", key: fixture.discoveryKey), certificate: leaf,
            incarnation: 1, sequence: 300, timeToLive: .seconds(90),
            endpoints: [Endpoint(IPAddress(v4: 0x7F00_0001), 443)], versions: 1...1)
        var initiator = HandshakeStateTests.sides().0
        let request = try IssuerMessageTests().request()
        let policies = try PolicyFixture(trust: fixture)
        return [
            leaf.encoded, fixture.issuer.encoded, fixture.bundle.encoded,
            try announcement.signed(by: keys),
            Tombstone(certificate: leaf, incarnation: 1, sequence: 1).signed(by: keys),
            request.signed(by: keys), IssuerAnswer.issued(try IssuerMessageTests().issued()).encoded(),
            try initiator.writeMessage(payload: [1, 2, 3]), try policies.sign(policies.full()).encoded,
            policies.full().body(),
            FreshnessBeacon.signed(of: fixture.bundle.id, at: TrustFixture.now, by: keys),
            PolicyMessage.part(PolicyPart(head: PolicyFixture.head, offset: 1, total: 3, bytes: [1, 2])).item
                .encoded(),
            PolicyKeyRequest(domain: fixture.bundle.id, key: keys.publicKey).signed(by: keys),
            SavedPolicyHead(domain: fixture.bundle.id, head: PolicyFixture.head).encoded(),
        ] + NodeMessageTests.clientMessages.map { $0.encoded() }
            + NodeMessageTests.nodeMessages.map { $0.encoded() } + NodeSessionProperties.seeds
            + StorageProperties.seeds + StateProperties.seeds
    }

    static func mutated(_ seed: [UInt8], _ numbers: inout SeededNumbers) -> [UInt8] {
        var bytes = seed
        for _ in 0..<Int.random(in: 1...4, using: &numbers) {
            guard let at = bytes.indices.randomElement(using: &numbers) else { return [0] }
            switch Int.random(in: 0..<7, using: &numbers) {
            case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &numbers)
            case 1: bytes[at] = .random(in: 0...255, using: &numbers)
            case 2: bytes.removeSubrange(at...)
            case 3: bytes.remove(at: at)
            case 4: bytes.insert(.random(in: 0...255, using: &numbers), at: at)
            case 5:
                // A head that promises more than there is.
                bytes[at] = [0x5B, 0x7B, 0x9B, 0xBB, 0x9A, 0xBF, 0xFF].randomElement(using: &numbers)!
            default:
                let end = Int.random(in: at..<bytes.count, using: &numbers)
                bytes.insert(contentsOf: bytes[at...end], at: at)
            }
        }
        return bytes
    }

    @Test(
        "no mutation of a valid message breaks a property of any parser",
        arguments: ParserProperties.all.map(\.name))
    func mutations(name: String) throws {
        let check = try #require(ParserProperties.all.first { $0.name == name }).check
        let seeds = try Self.seeds()
        var numbers = SeededNumbers(state: UInt64(Self.seed))
        for seed in seeds { check(seed) }
        for _ in 0..<Self.rounds {
            check(Self.mutated(seeds.randomElement(using: &numbers)!, &numbers))
        }
        check([])
    }

    @Test("the seeds are what their parsers accept, so that mutations start from inside")
    func seedsAreValid() throws {
        let seeds = try Self.seeds()
        #expect(throws: Never.self) { try Certificate(canonical: seeds[0]) }
        #expect(throws: Never.self) { try TrustBundle(canonical: seeds[2]) }
        #expect(throws: Never.self) { try Announcement(canonical: seeds[3]) }
        #expect(throws: Never.self) { try Tombstone(canonical: seeds[4]) }
        #expect(throws: Never.self) { try IssuerRequest(canonical: seeds[5]) }
        #expect(throws: Never.self) { try IssuerAnswer(canonical: seeds[6]) }
        #expect(throws: Never.self) { try PolicyKeyRequest(canonical: seeds[12]) }
        #expect(throws: Never.self) { try SavedPolicyHead(canonical: seeds[13]) }
    }
}
