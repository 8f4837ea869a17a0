import SidecarProtocol

/// A trust domain whose root and issuer live in memory.
package struct SimulatedDomain {
    package let bundle: TrustBundle
    private let issuer: Certificate
    private let issuerKey: SigningKeyPair
    private let discoveryKey: DiscoveryKey
    private var lastSerial: UInt64 = 100

    package init(name: String, random: inout SeededRandom, at now: WallTime) {
        let rootKey = SigningKeyPair(seed: random.bytes(32))
        issuerKey = SigningKeyPair(seed: random.bytes(32))
        discoveryKey = DiscoveryKey(random.bytes(32))!
        let start = now - Limits.certificateBackdating
        let root = CertificateContents(
            kind: .root, trustDomain: name, subject: nil, signingKey: rootKey.publicKey, notBefore: start,
            notAfter: now + .seconds(10 * 365 * 86_400), serial: 1)
        var issuerContents = CertificateContents(
            kind: .issuer, trustDomain: name, subject: .host("simulated"),
            signingKey: issuerKey.publicKey, notBefore: start, notAfter: now + Limits.issuerLifetime,
            serial: 2)
        issuerContents.names = [IdentityPattern(namespace: .any, name: .any)]
        bundle = try! TrustBundle(firstOf: name, roots: [try! root.signed(by: rootKey)])
        issuer = try! issuerContents.signed(by: rootKey)
    }

    /// A fresh key and a leaf that names it.
    package mutating func credential(
        for workload: WorkloadName, instance: InstanceID, lifetime: MonotonicTime.Span,
        random: inout SeededRandom, at now: WallTime
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
        return Credential(
            certificate: try! contents.signed(by: issuerKey), chain: [issuer], bundle: bundle,
            staticKey: staticKey, signingKey: signingKey, policyHead: PolicyHead.initial(of: bundle.id),
            discoveryKey: discoveryKey)
    }
}
