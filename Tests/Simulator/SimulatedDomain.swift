import SidecarProtocol

/// A trust domain whose roots and issuer live in memory.
package struct SimulatedDomain {
    package private(set) var bundle: TrustBundle
    private var rootKey: SigningKeyPair
    private var nextRootKey: SigningKeyPair?
    private var issuer: Certificate
    private let issuerKey: SigningKeyPair
    private let discoveryKey: DiscoveryKey
    private var lastSerial: UInt64 = 100

    package init(name: String, random: inout SeededRandom, at now: WallTime) {
        rootKey = SigningKeyPair(seed: random.bytes(32))
        issuerKey = SigningKeyPair(seed: random.bytes(32))
        discoveryKey = DiscoveryKey(random.bytes(32))!
        let root = SimulatedDomain.root(name, rootKey, serial: 1, at: now)
        bundle = try! TrustBundle(firstOf: name, roots: [root])
        issuer = SimulatedDomain.issuer(name, issuerKey, serial: 2, by: rootKey, at: now)
    }

    private static func root(
        _ name: String, _ key: SigningKeyPair, serial: UInt64, at now: WallTime
    ) -> Certificate {
        let contents = CertificateContents(
            kind: .root, trustDomain: name, subject: nil, signingKey: key.publicKey,
            notBefore: now - Limits.certificateBackdating, notAfter: now + .seconds(10 * 365 * 86_400),
            serial: serial)
        return try! contents.signed(by: key)
    }

    private static func issuer(
        _ name: String, _ key: SigningKeyPair, serial: UInt64, by root: SigningKeyPair, at now: WallTime
    ) -> Certificate {
        var contents = CertificateContents(
            kind: .issuer, trustDomain: name, subject: .host("simulated"), signingKey: key.publicKey,
            notBefore: now - Limits.certificateBackdating, notAfter: now + Limits.issuerLifetime,
            serial: serial)
        contents.names = [IdentityPattern(namespace: .any, name: .any)]
        return try! contents.signed(by: root)
    }

    // MARK: Rotation

    /// Stage 1: a new root beside the old one.
    package mutating func addRoot(random: inout SeededRandom, at now: WallTime) {
        let key = SigningKeyPair(seed: random.bytes(32))
        lastSerial += 1
        let root = SimulatedDomain.root(bundle.trustDomain, key, serial: lastSerial, at: now)
        nextRootKey = key
        bundle = try! bundle.following(roots: bundle.roots + [root])
    }

    /// Stage 2: the issuer's certificate by the new root.
    package mutating func signIssuer(at now: WallTime) {
        guard let nextRootKey else { return }
        lastSerial += 1
        issuer = SimulatedDomain.issuer(
            bundle.trustDomain, issuerKey, serial: lastSerial, by: nextRootKey, at: now)
    }

    /// Stage 3: the new root alone.
    package mutating func removeRoot() {
        guard let key = nextRootKey else { return }
        bundle = try! bundle.following(roots: bundle.roots.filter { $0.signingKey == key.publicKey })
        (rootKey, nextRootKey) = (key, nil)
    }

    /// A policy, signed with a key that the root certifies.
    package func sign(_ document: PolicyDocument, at now: WallTime) -> SignedPolicy {
        let key = SigningKeyPair(seed: [UInt8](repeating: 0x77, count: 32))
        let certificate = CertificateContents(
            kind: .policy, trustDomain: bundle.trustDomain, subject: nil, signingKey: key.publicKey,
            notBefore: now - .seconds(60), notAfter: now + .seconds(86_400), serial: 9)
        return try! document.sealed(by: key, certificate: try! certificate.signed(by: rootKey))
    }

    /// A fresh key and a leaf that names it.
    package mutating func credential(
        for workload: WorkloadName, instance: InstanceID, lifetime: MonotonicTime.Span,
        replicates: Bool = false, random: inout SeededRandom, at now: WallTime
    ) -> Credential {
        let staticKey = X25519KeyPair(secret: random.bytes(32))
        let signingKey = SigningKeyPair(seed: random.bytes(32))
        lastSerial += 1
        var contents = CertificateContents(
            kind: .leaf, trustDomain: bundle.trustDomain, subject: .workload(workload),
            signingKey: signingKey.publicKey, notBefore: now - Limits.certificateBackdating,
            notAfter: now + lifetime, serial: lastSerial)
        contents.instance = instance
        contents.staticKey = staticKey.publicKey
        contents.topics = [TopicName.service(workload)]
        if replicates {
            contents.topics.append(TopicName.state(workload))
            contents.replica = .init(group: ReplicaGroup.eventual(of: workload, in: bundle.id), slot: 0)
        }
        return Credential(
            certificate: try! contents.signed(by: issuerKey), chain: [issuer], bundle: bundle,
            staticKey: staticKey, signingKey: signingKey, policyHead: PolicyHead.initial(of: bundle.id),
            discoveryKey: discoveryKey)
    }
}
