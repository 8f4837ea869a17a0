import SidecarProtocol

/// A small trust domain with fixed keys: one root, one host's issuer, and leaves on demand.
struct TrustFixture {
    static let now = WallTime(seconds: 1_800_000_000)

    let rootKeys: SigningKeyPair
    let issuerKeys: SigningKeyPair
    let root: Certificate
    let issuer: Certificate
    let bundle: TrustBundle
    let discoveryKey = DiscoveryKey([UInt8](repeating: 0xD1, count: 32))!

    static func signing(_ byte: UInt8) -> SigningKeyPair {
        SigningKeyPair(seed: [UInt8](repeating: byte, count: 32))
    }

    static func exchange(_ byte: UInt8) -> X25519KeyPair {
        X25519KeyPair(secret: [UInt8](repeating: byte, count: 32))
    }

    static func instance(_ byte: UInt8) -> InstanceID {
        InstanceID([UInt8](repeating: byte, count: 16))!
    }

    /// - Parameters:
    ///   - seed: another one makes another domain's keys.
    ///   - names: what the issuer may name.
    init(domain: String = "local-00c0ffee", seed: UInt8 = 0xA0, names: [String] = ["*/*"]) throws {
        rootKeys = TrustFixture.signing(seed)
        issuerKeys = TrustFixture.signing(seed + 1)
        root = try TrustFixture.rootContents(domain, rootKeys).signed(by: rootKeys)
        issuer = try TrustFixture.issuerContents(domain, issuerKeys, names: names).signed(by: rootKeys)
        bundle = try TrustBundle(firstOf: domain, roots: [root])
    }

    static func rootContents(_ domain: String, _ keys: SigningKeyPair) -> CertificateContents {
        CertificateContents(
            kind: .root, trustDomain: domain, subject: nil, signingKey: keys.publicKey,
            notBefore: now - .seconds(86_400), notAfter: now + .seconds(3650 * 86_400), serial: 1)
    }

    static func issuerContents(
        _ domain: String, _ keys: SigningKeyPair, names: [String]
    ) throws -> CertificateContents {
        var contents = CertificateContents(
            kind: .issuer, trustDomain: domain, subject: .host("host-a"), signingKey: keys.publicKey,
            notBefore: now - .seconds(86_400), notAfter: now + Limits.issuerLifetime,
            serial: 2)
        contents.names = try names.map {
            try IdentityPattern(parsing: $0, namespace: "default", trustDomain: nil)
        }
        return contents
    }

    /// What the issuer would sign for `name`; its keys come from `seed`.
    func leafContents(_ name: String = "web", namespace: String = "default", seed: UInt8 = 1) throws
        -> CertificateContents
    {
        let workload = try WorkloadName(namespace: namespace, name: name)
        var contents = CertificateContents(
            kind: .leaf, trustDomain: bundle.trustDomain, subject: .workload(workload),
            signingKey: TrustFixture.signing(seed).publicKey,
            notBefore: TrustFixture.now - Limits.certificateBackdating,
            notAfter: TrustFixture.now + Limits.leafLifetime, serial: 3)
        contents.instance = TrustFixture.instance(seed)
        contents.staticKey = TrustFixture.exchange(seed).publicKey
        contents.topics = [TopicName.service(workload)]
        return contents
    }

    func leaf(_ name: String = "web", namespace: String = "default", seed: UInt8 = 1) throws -> Certificate {
        try leafContents(name, namespace: namespace, seed: seed).signed(by: issuerKeys)
    }

    func chain(_ name: String = "web", namespace: String = "default", seed: UInt8 = 1) throws
        -> CertificateChain
    {
        CertificateChain(leaf: try leaf(name, namespace: namespace, seed: seed), issuer: issuer)
    }
}
