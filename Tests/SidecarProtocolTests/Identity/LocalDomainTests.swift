import SidecarProtocol
import Testing

@Suite("Local domain")
struct LocalDomainTests {
    let rootKey = TrustFixture.signing(0xC0)
    let issuerKey = TrustFixture.signing(0xC1)

    func domain(at now: WallTime = TrustFixture.now) throws -> IssuerDomain {
        let bundle = try IssuerDomain.localBundle(rootKey: rootKey, at: now)
        return IssuerDomain(
            bundle: bundle, discoveryKey: try #require(DiscoveryKey([UInt8](repeating: 1, count: 32))),
            issuerKey: issuerKey,
            issuerCertificate: try IssuerDomain.issuerCertificate(
                of: bundle.trustDomain, host: "host-a", key: issuerKey.publicKey, rootKey: rootKey, at: now,
                serial: 5), rootKey: rootKey)
    }

    @Test("it is named after its root, and its issuer may name every workload")
    func makes() throws {
        let domain = try domain()
        let name = domain.bundle.trustDomain
        #expect(name == "local-" + rootKey.publicKey.keyID.prefix(4).hex)
        #expect(domain.inconsistency == nil)
        var policy = IssuerPolicy(ownUserID: 1, isSystem: false)
        let answer = policy.answer(
            try IssuerPolicyTests().request("any", seed: 9), from: .init(number: 1), userID: 1,
            domain: domain, at: TrustFixture.now, serial: 1)
        guard case .issued(let issued) = answer else {
            Issue.record("refused")
            return
        }
        #expect(throws: Never.self) { try domain.bundle.verify(issued.chain, at: TrustFixture.now) }
    }

    @Test("the issuer is renewed after two thirds of its life, or where the clock was set back")
    func renews() throws {
        let domain = try domain()
        let due = TrustFixture.now + Limits.issuerLifetime / 2
        #expect(!domain.needsRenewal(at: TrustFixture.now))
        #expect(!domain.needsRenewal(at: due - .milliseconds(1)))
        #expect(domain.needsRenewal(at: due))
        let before = TrustFixture.now - .seconds(86_400)
        #expect(domain.needsRenewal(at: before))
        let renewed = try #require(try domain.renewed(at: before, serial: 6))
        #expect(!renewed.needsRenewal(at: before))
        #expect(renewed.inconsistency == nil)
        #expect(renewed.issuerKey.publicKey == domain.issuerKey.publicKey)
    }

    @Test("only a root on this disk renews")
    func needsRoot() throws {
        var domain = try domain()
        domain.rootKey = nil
        #expect(try domain.renewed(at: TrustFixture.now, serial: 6) == nil)
    }

    @Test("keys and certificates that don't belong together are named")
    func inconsistencies() throws {
        var other = try domain()
        other.issuerKey = TrustFixture.signing(0xC9)
        #expect(other.inconsistency?.part == .issuerKey)
        other = try domain()
        other.issuerCertificate = try TrustFixture().issuer
        #expect(other.inconsistency?.part == .issuerCertificate)
        other = try domain()
        other.rootKey = TrustFixture.signing(0xC9)
        #expect(other.inconsistency?.part == .rootKey)
    }

    @Test(
        "a host's name becomes a label",
        arguments: [
            ("build-7.example.org", "build-7"), ("Big_Box", "big-box"), ("-x-", "x"), ("", "host"),
            ("...", "host"), ("ünder", "nder"),
            (String(repeating: "a", count: 80), String(repeating: "a", count: 63)),
        ])
    func hostLabels(name: String, label: String) {
        #expect(WorkloadName.hostLabel(name) == label)
    }
}
