import SidecarProtocol

/// Policies of the fixture's domain.
struct PolicyFixture {
    let trust: TrustFixture
    let keys = TrustFixture.signing(0x50)
    let certificate: Certificate

    init(trust: TrustFixture? = nil) throws {
        self.trust = try trust ?? TrustFixture()
        certificate = try PolicyFixture.contents(
            of: self.trust.bundle.trustDomain, key: TrustFixture.signing(0x50).publicKey
        ).signed(by: self.trust.rootKeys)
    }

    static func contents(of domain: String, key: SigningPublicKey) -> CertificateContents {
        CertificateContents(
            kind: .policy, trustDomain: domain, subject: nil, signingKey: key,
            notBefore: TrustFixture.now - .seconds(3600), notAfter: TrustFixture.now + .seconds(86_400),
            serial: 5)
    }

    func document(
        epoch: UInt64 = 1, _ rules: [PolicyRule] = [], mode: PolicyDocument.Mode = .enforce,
        unmatched: PolicyDocument.Unmatched = .configs
    ) -> PolicyDocument {
        var document = PolicyDocument(
            trustDomain: trust.bundle.id, epoch: epoch, issuedAt: TrustFixture.now, mode: mode,
            unmatched: unmatched)
        document.rules = rules
        return document
    }

    func sign(_ document: PolicyDocument) throws -> SignedPolicy {
        try document.sealed(by: keys, certificate: certificate)
    }

    static let head = PolicyHead(epoch: 3, hash: [UInt8](repeating: 8, count: 32))!

    /// One whose bytes take several requests.
    func large(epoch: UInt64 = 1, rules: Int = 5_000) throws -> SignedPolicy {
        try sign(
            document(
                epoch: epoch,
                (0..<rules).map { PolicyFixture.rule(.deny, "r\($0)", from: "n\($0)/*", ports: [80]) }))
    }

    static func pattern(_ text: String) -> IdentityPattern {
        try! IdentityPattern(parsing: text, namespace: "default", trustDomain: nil)
    }

    static func rule(
        _ action: PolicyRule.Action, _ name: String = "r", from: String = "*/*", to: String = "*/*",
        ports: [UInt16]? = nil
    ) -> PolicyRule {
        var rule = PolicyRule(
            action, name: name, from: PolicyRule.Party([pattern(from)]),
            to: PolicyRule.Party([pattern(to)]))
        rule.ports = ports
        return rule
    }

    static func subject(_ name: String, namespace: String = "default") -> PolicySubject {
        PolicySubject(try! WorkloadName(namespace: namespace, name: name))
    }

    static func question(_ from: String, _ to: String, _ port: UInt16) -> PolicyQuestion {
        PolicyQuestion(from: subject(from), to: subject(to), port: ServicePort(port, .tcp))
    }

    /// One with every field that there is.
    func full() -> PolicyDocument {
        var document = document(epoch: 7, mode: .audit, unmatched: .deny)
        var rule = PolicyFixture.rule(.deny, "no-batch", from: "batch/*", ports: [80, 443])
        rule.from.labels = ["team": "blue", "tier": ""]
        rule.to.versions = ["1.0", "2.0"]
        rule.to.executables = [[UInt8](repeating: 9, count: 32)]
        rule.to.believesOwnWord = true
        rule.protocol = .udp
        rule.topics = ["svc/default/web"]
        rule.window = PolicyRule.Window(
            notBefore: TrustFixture.now, notAfter: TrustFixture.now + .seconds(60),
            daily: .init(start: 1320, end: 360))
        document.rules = [rule, PolicyFixture.rule(.allow, "web", to: "web")]
        document.revocations = [
            PolicyRevocation(.identity(PolicyFixture.subject("old").workload), reason: "left"),
            PolicyRevocation(.instance(TrustFixture.instance(4)), reason: ""),
            PolicyRevocation(.issuer(keyID: [UInt8](repeating: 3, count: 16)), reason: "stolen"),
            PolicyRevocation(.serial(12), reason: "x"),
        ]
        document.locks = [
            PolicyLock(PolicyFixture.pattern("db"), until: TrustFixture.now + .seconds(600), reason: "drill")
        ]
        document.freshnessKeys = [TrustFixture.signing(0x60).publicKey]
        document.settles = [PolicyHead(epoch: 6, hash: [UInt8](repeating: 1, count: 32))!]
        return document
    }
}
