import Testing

@testable import SidecarProtocol

/// A trust domain whose root changes, in the three stages of a rotation.
private struct RotatingDomain {
    private(set) var bundle: TrustBundle
    private var issuer: Certificate
    private var roots: [SigningKeyPair]
    private let issuerKey = TrustFixture.signing(0x77)
    private var serial: UInt64 = 10
    var random: SeededNumbers

    init(seed: UInt64) throws {
        random = SeededNumbers(state: seed)
        let key = SigningKeyPair(seed: random.bytes(32))
        roots = [key]
        bundle = try TrustBundle(firstOf: "mesh.test", roots: [RotatingDomain.root(key, serial: 1)])
        issuer = try RotatingDomain.issuer(issuerKey, by: key, serial: 2)
    }

    private static func root(_ key: SigningKeyPair, serial: UInt64) throws -> Certificate {
        try CertificateContents(
            kind: .root, trustDomain: "mesh.test", subject: nil, signingKey: key.publicKey,
            notBefore: WallTime(seconds: 0), notAfter: WallTime(seconds: 3_000_000_000), serial: serial
        ).signed(by: key)
    }

    private static func issuer(
        _ key: SigningKeyPair, by root: SigningKeyPair, serial: UInt64
    ) throws -> Certificate {
        var contents = CertificateContents(
            kind: .issuer, trustDomain: "mesh.test", subject: .host("one"), signingKey: key.publicKey,
            notBefore: WallTime(seconds: 0), notAfter: WallTime(seconds: 3_000_000_000), serial: serial)
        contents.names = [IdentityPattern(namespace: .any, name: .any)]
        return try contents.signed(by: root)
    }

    /// - Parameter stage: 1 a second root, 2 the issuer signed by it, 3 it alone.
    mutating func rotate(stage: Int) throws {
        serial += 1
        switch stage {
        case 1:
            roots.append(SigningKeyPair(seed: random.bytes(32)))
            bundle = try bundle.following(
                roots: bundle.roots + [RotatingDomain.root(roots[1], serial: serial)])
        case 2: issuer = try RotatingDomain.issuer(issuerKey, by: roots[1], serial: serial)
        default:
            roots.removeFirst()
            bundle = try bundle.following(roots: [bundle.roots[1]])
        }
    }

    /// A leaf with new keys.
    mutating func credential(_ name: String) throws -> Credential {
        serial += 1
        let staticKey = X25519KeyPair(secret: random.bytes(32))
        let signing = SigningKeyPair(seed: random.bytes(32))
        var contents = CertificateContents(
            kind: .leaf, trustDomain: "mesh.test",
            subject: .workload(try WorkloadName(namespace: "default", name: name)),
            signingKey: signing.publicKey, notBefore: TestDomain.start - .seconds(300),
            notAfter: TestDomain.start + .seconds(3_600), serial: serial)
        contents.instance = InstanceID([UInt8](repeating: UInt8(name.utf8.count), count: 16))
        contents.staticKey = staticKey.publicKey
        return Credential(
            certificate: try contents.signed(by: issuerKey), chain: [issuer], bundle: bundle,
            staticKey: staticKey, signingKey: signing, policyHead: .initial(of: bundle.id),
            discoveryKey: TestDomain.discoveryKey)
    }
}

@Suite("Rotation inside a session")
struct SessionRotationTests {
    private static let names = ["client", "web"]

    /// Renews one end or the other, or does a part of the wire's work, with payload all the while.
    private func work(
        _ pair: SessionPair, _ domain: inout RotatingDomain, on id: StreamID, sent: inout [[UInt8]],
        renewing end: Int
    ) throws {
        let credential = try domain.credential(Self.names[end])
        if end == 1 { pair.source.renew(credential, at: pair.now.wall) }
        pair.ends[end].session.renew(credential, at: pair.now)
        for sender in 0...1 {
            let payload = domain.random.bytes(Int(domain.random.next() % 2_000) + 1)
            guard case .sent(payload.count, _) = pair.send(payload, on: id, from: sender) else {
                Issue.record("stalled")
                return
            }
            sent[sender] += payload
            // Sometimes records of several keys are on the wire together.
            if domain.random.next() % 2 == 0 { _ = pair.flush(sender) }
        }
        if domain.random.next() % 3 != 0 { pair.pump() }
    }

    @Test("1,000 renewals and 10 rotations of the root lose no byte of a flow", arguments: [1, 2])
    func many(seed: UInt64) throws {
        var domain = try RotatingDomain(seed: seed)
        let pair = try SessionPair(
            caller: domain.credential("client"), callee: domain.credential("web"))
        pair.pump()
        let id = pair.openStream()
        var sent: [[UInt8]] = [[], []]
        for round in 0..<1_000 {
            try work(pair, &domain, on: id, sent: &sent, renewing: Int(domain.random.next() % 2))
            // Thirty stages; between two of them both ends have renewed, as the rehearsal asks for.
            if round % 33 == 32, round / 33 < 30 {
                try domain.rotate(stage: round / 33 % 3 + 1)
                for end in [round % 2, 1 - round % 2] {
                    try work(pair, &domain, on: id, sent: &sent, renewing: end)
                }
                pair.pump()
            }
        }
        pair.pump()
        #expect(pair.ends.allSatisfy { $0.error == nil })
        #expect(pair.ends[1].payload[id.number] == sent[0])
        #expect(pair.ends[0].payload[id.number] == sent[1])
        #expect(pair.ends[0].peer?.certificate == pair.ends[1].session.own?.certificate)
        #expect(pair.ends[1].peer?.certificate == pair.ends[0].session.own?.certificate)
        #expect(domain.bundle.sequence == 21)
    }

    @Test("an end that missed the first stage refuses the new root at the second")
    func missed() throws {
        var domain = try RotatingDomain(seed: 3)
        let pair = try SessionPair(
            caller: domain.credential("client"), callee: domain.credential("web"))
        pair.pump()
        try domain.rotate(stage: 1)
        try domain.rotate(stage: 2)
        pair.ends[0].session.renew(try domain.credential("client"), at: pair.now)
        pair.pump()
        guard case .untrusted? = pair.ends[1].error else {
            Issue.record("an unknown root was believed")
            return
        }
    }

    @Test("who dials a replaced key is judged by the newest bundle, and shown the new key")
    func replacedKey() throws {
        var domain = try RotatingDomain(seed: 4)
        let old = try domain.credential("web")
        let source = CredentialSource(old)
        try domain.rotate(stage: 1)
        source.renew(try domain.credential("web"), at: TestDomain.start)
        try domain.rotate(stage: 2)
        let newest = try domain.credential("web")
        source.renew(newest, at: TestDomain.start)
        let pair = try SessionPair(
            caller: domain.credential("client"), callee: newest, calleeKey: old.staticKey.publicKey,
            source: source)
        pair.pump()
        #expect(pair.ends.allSatisfy { $0.error == nil && $0.isEstablished })
        #expect(pair.ends[0].peer?.certificate == newest.certificate)
    }
}
