import SidecarProtocol
import Testing

@Suite struct TrustBundleTests {
    let fixture: TrustFixture
    let now = TrustFixture.now

    init() throws { fixture = try TrustFixture() }

    func verify(
        _ contents: CertificateContents, at time: WallTime? = nil, skew: MonotonicTime.Span = .seconds(30),
        staticKey: X25519PublicKey? = nil
    ) throws -> VerifiedIdentity {
        let leaf = try contents.signed(by: fixture.issuerKeys)
        return try fixture.bundle.verify(
            CertificateChain(leaf: leaf, issuer: fixture.issuer), at: time ?? now, skew: skew,
            staticKey: staticKey)
    }

    @Test("a chain from a root proves its identity until the first of its ends")
    func verifies() throws {
        let chain = try fixture.chain()
        let verified = try fixture.bundle.verify(chain, at: now)
        #expect(verified.identity.description == "spiffe://local-00c0ffee/ns/default/w/web")
        #expect(verified.validUntil == now + Limits.leafLifetime)
        #expect(verified.instance == TrustFixture.instance(1))
        #expect(verified.staticKey == TrustFixture.exchange(1).publicKey)
        #expect(verified.certificate == chain.leaf)
        var late = try fixture.leafContents()
        late.notAfter = now + .seconds(200 * 86_400)
        #expect(try verify(late).validUntil == now + Limits.issuerLifetime)
    }

    @Test("one's own leaf ends at not-after exactly, a peer's 30 seconds later")
    func expiry() throws {
        let contents = try fixture.leafContents()
        let end = contents.notAfter
        let zero = MonotonicTime.Span.seconds(0)
        #expect(throws: Never.self) { try verify(contents, at: end - .milliseconds(1), skew: zero) }
        #expect(throws: TrustError.expired(.leaf, milliseconds: 0)) {
            try verify(contents, at: end, skew: zero)
        }
        #expect(throws: Never.self) { try verify(contents, at: end + .milliseconds(29_999)) }
        #expect(throws: TrustError.expired(.leaf, milliseconds: 30_000)) {
            try verify(contents, at: end + .seconds(30))
        }
    }

    @Test("a leaf of the future isn't valid yet")
    func future() throws {
        let contents = try fixture.leafContents()
        let start = contents.notBefore
        let zero = MonotonicTime.Span.seconds(0)
        #expect(throws: Never.self) { try verify(contents, at: start, skew: zero) }
        #expect(throws: TrustError.notYetValid(.leaf, milliseconds: 1)) {
            try verify(contents, at: start - .milliseconds(1), skew: zero)
        }
        #expect(throws: TrustError.notYetValid(.leaf, milliseconds: 5)) {
            try verify(contents, at: start - .milliseconds(30_005))
        }
    }

    @Test("an issuer's end is its leaves' end")
    func issuerExpiry() throws {
        var contents = try fixture.leafContents()
        contents.notAfter = now + .seconds(365 * 86_400)
        #expect(throws: TrustError.expired(.issuer, milliseconds: 86_400_000)) {
            try verify(contents, at: now + .seconds(91 * 86_400))
        }
    }

    @Test("another domain's leaf is refused, of whatever name it says it is")
    func foreignDomain() throws {
        let other = try TrustFixture(domain: "other.example", seed: 0xB0)
        #expect(throws: TrustError.wrongDomain("other.example", expected: "local-00c0ffee")) {
            try fixture.bundle.verify(other.chain(), at: now)
        }
        let impostor = try TrustFixture(seed: 0xB0)
        #expect(throws: TrustError.unknownRoot(keyID: impostor.rootKeys.publicKey.keyID)) {
            try fixture.bundle.verify(impostor.chain(), at: now)
        }
    }

    @Test("a leaf of another issuer, and a forged signature, are refused")
    func wrongSigner() throws {
        let stranger = TrustFixture.signing(0x77)
        let leaf = try fixture.leafContents().signed(by: stranger)
        #expect(throws: TrustError.wrongIssuer) {
            try fixture.bundle.verify(CertificateChain(leaf: leaf, issuer: fixture.issuer), at: now)
        }
        // The stranger's signature under the issuer's name.
        var bytes = try fixture.leaf().encoded
        bytes[bytes.count - 5] ^= 1
        let forged = try Certificate(canonical: bytes)
        #expect(throws: TrustError.badSignature(.leaf)) {
            try fixture.bundle.verify(CertificateChain(leaf: forged, issuer: fixture.issuer), at: now)
        }
        var issuer = fixture.issuer.encoded
        issuer[issuer.count - 5] ^= 1
        let forgedIssuer = try Certificate(canonical: issuer)
        #expect(throws: TrustError.badSignature(.issuer)) {
            try fixture.bundle.verify(
                CertificateChain(leaf: fixture.leaf(), issuer: forgedIssuer), at: now)
        }
    }

    @Test("a certificate that doesn't name the handshake's static key is refused")
    func staticKey() throws {
        let contents = try fixture.leafContents()
        let own = TrustFixture.exchange(1).publicKey
        #expect(throws: Never.self) { try verify(contents, staticKey: own) }
        let identity = try #require(contents.identity)
        #expect(throws: TrustError.wrongStaticKey(identity)) {
            try verify(contents, staticKey: TrustFixture.exchange(2).publicKey)
        }
    }

    @Test("an issuer names what its patterns match, and nothing else")
    func issuerRights() throws {
        let narrow = try TrustFixture(names: ["dev/*"])
        #expect(throws: Never.self) {
            try narrow.bundle.verify(narrow.chain("web", namespace: "dev"), at: now)
        }
        let identity = try SPIFFEIdentity(parsing: "spiffe://local-00c0ffee/ns/prod/w/web")
        #expect(throws: TrustError.issuerMayNotName(identity)) {
            try narrow.bundle.verify(narrow.chain("web", namespace: "prod"), at: now)
        }
        var contents = try narrow.leafContents("web", namespace: "dev")
        contents.topics.append("svc/prod/db")
        let greedy = try contents.signed(by: narrow.issuerKeys)
        #expect(throws: TrustError.issuerMayNotGrant(topic: "svc/prod/db")) {
            try narrow.bundle.verify(CertificateChain(leaf: greedy, issuer: narrow.issuer), at: now)
        }
    }

    @Test("an issuer names its own host's node, and no other host's")
    func hosts() throws {
        var contents = try fixture.leafContents()
        contents.kind = .host
        contents.topics = []
        contents.subject = .host("host-a")
        #expect(try verify(contents).identity.subject == .host("host-a"))
        contents.subject = .host("host-b")
        #expect(throws: TrustError.self) { try verify(contents) }
    }

    @Test("no certificate stands in another kind's place")
    func kinds() throws {
        let leaf = try fixture.leaf()
        for (first, second) in [
            (fixture.issuer, fixture.issuer), (leaf, leaf), (fixture.root, fixture.issuer),
            (leaf, fixture.root),
        ] {
            #expect(throws: TrustError.self) {
                try fixture.bundle.verify(CertificateChain(leaf: first, issuer: second), at: now)
            }
        }
    }

    @Test("several roots are trusted at once, and the domain stays the same domain")
    func rotation() throws {
        let newKeys = TrustFixture.signing(0xC0)
        let newRoot = try TrustFixture.rootContents("local-00c0ffee", newKeys).signed(by: newKeys)
        let newIssuer = try TrustFixture.issuerContents(
            "local-00c0ffee", fixture.issuerKeys, names: ["*/*"]
        ).signed(by: newKeys)
        let both = try fixture.bundle.following(roots: [fixture.root, newRoot])
        let chain = CertificateChain(leaf: try fixture.leaf(), issuer: newIssuer)
        #expect(throws: TrustError.self) { try fixture.bundle.verify(chain, at: now) }
        #expect(throws: Never.self) { try both.verify(chain, at: now) }
        #expect(throws: Never.self) { try both.verify(fixture.chain(), at: now) }
        let last = try both.following(roots: [newRoot])
        #expect(throws: TrustError.self) { try last.verify(fixture.chain(), at: now) }
        for bundle in [both, last] {
            #expect(bundle.id == fixture.bundle.id)
            #expect(try TrustBundle(canonical: bundle.encoded) == bundle)
        }
        #expect(fixture.bundle.id.bytes == SHA256.hash(fixture.bundle.encoded))
        #expect(last.sequence == 3)
    }

    @Test("a bundle holds 1 to 8 roots of its own domain, each once, each signed by itself")
    func bundleLimits() throws {
        func root(_ seed: UInt8, _ domain: String = "local-00c0ffee") throws -> Certificate {
            let keys = TrustFixture.signing(seed)
            return try TrustFixture.rootContents(domain, keys).signed(by: keys)
        }
        let most = try (1...UInt8(Limits.trustBundleRootsMaximum)).map { try root($0) }
        #expect(throws: Never.self) { try TrustBundle(firstOf: "local-00c0ffee", roots: most) }
        let borrowed = try TrustFixture.rootContents("local-00c0ffee", TrustFixture.signing(1)).signed(
            by: TrustFixture.signing(2))
        let bad = try [
            [], most + [root(0x99)], [most[0], most[0]], [root(1, "other.example")], [fixture.issuer],
            [borrowed],
        ]
        for roots in bad {
            #expect(throws: CertificateError.self) {
                try TrustBundle(firstOf: "local-00c0ffee", roots: roots)
            }
        }
    }
}
