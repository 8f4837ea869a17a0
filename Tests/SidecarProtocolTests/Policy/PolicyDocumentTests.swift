import SidecarProtocol
import Testing

@Suite struct PolicyDocumentTests {
    let fixture: PolicyFixture
    let now = TrustFixture.now

    init() throws { fixture = try PolicyFixture() }

    @Test("a policy is read as what was written, and verified by its root")
    func roundTrip() throws {
        let document = fixture.full()
        let signed = try fixture.sign(document)
        let read = try SignedPolicy(canonical: signed.encoded)
        #expect(read.document == document)
        #expect(read.head == signed.head && read.head.epoch == 7)
        #expect(throws: Never.self) { try fixture.trust.bundle.verify(read, at: now) }
    }

    @Test("an unknown even field above 64 is kept, an odd one and one of a rule refuse the policy")
    func growth() throws {
        func changed(_ change: (inout CBORFields) -> Void) throws -> SignedPolicy {
            var fields = try CBORFields(CBOR(canonical: fixture.full().body()), of: "policy")
            change(&fields)
            let signed = SignedBytes(body: fields.item.encoded(), context: .policy, signedBy: fixture.keys)
            return try SignedPolicy(
                canonical: CBOR.array([.bytes(signed.encoded()), .bytes(fixture.certificate.encoded)])
                    .encoded())
        }
        let grown = try changed { $0[64] = .text("later") }
        #expect(grown.document.unknown.count == 1)
        #expect(throws: Never.self) { try fixture.trust.bundle.verify(grown, at: now) }
        #expect(throws: PolicyError.unknownCriticalField(65)) { try changed { $0[65] = .null } }
        #expect(throws: PolicyError.needsReader(version: 2)) { try changed { $0[1] = .unsigned(2) } }
        #expect(throws: PolicyError.unknownCriticalField(12)) {
            try changed {
                guard case .array(var rules)? = $0[7], case .bytes(let bytes) = rules[0],
                    var rule = try? CBORFields(CBOR(canonical: bytes), of: "rule")
                else { return }
                rule[12] = .bool(true)
                rules[0] = .bytes(rule.item.encoded())
                $0[7] = .array(rules)
            }
        }
        #expect(throws: PolicyError.invalid(field: "mode")) { try changed { $0[5] = nil } }
        #expect(throws: PolicyError.invalid(field: "unmatched")) { try changed { $0[6] = nil } }
        #expect(throws: PolicyError.invalid(field: "encoding")) { try changed { $0[8] = .array([]) } }
        #expect(throws: PolicyError.invalid(field: "epoch")) { try changed { $0[3] = .unsigned(0) } }
    }

    @Test("100,000 rules are read; one more is refused by who signs and by who reads")
    func ruleLimit() throws {
        let most = Limits.policyRulesMaximum
        var document = fixture.document()
        document.rules = (0..<most).map { PolicyFixture.rule(.deny, "r\($0)", from: "n\($0)/w", ports: [80]) }
        #expect(try fixture.sign(document).document.rules.count == most)
        document.rules.append(PolicyFixture.rule(.deny, "one-more", from: "more/w"))
        #expect(throws: PolicyError.invalid(field: "number of rules")) {
            try document.signed(by: fixture.keys, certificate: fixture.certificate)
        }
        #expect(throws: PolicyError.invalid(field: "number of rules")) { try fixture.sign(document) }
    }

    @Test("what isn't signed as the domain wants it is refused, each with its reason")
    func refusals() throws {
        let bundle = fixture.trust.bundle
        let document = fixture.document()
        let other = TrustFixture.signing(0x51)
        #expect(throws: PolicyError.badSignature) {
            try bundle.verify(try document.sealed(by: other, certificate: fixture.certificate), at: now)
        }
        var foreign = document
        foreign.trustDomain = TrustDomainID([UInt8](repeating: 1, count: 32))!
        #expect(throws: PolicyError.wrongDomain(foreign.trustDomain, expected: bundle.id)) {
            try bundle.verify(try fixture.sign(foreign), at: now)
        }
        #expect(throws: PolicyError.wrongCertificate) {
            try bundle.verify(
                try document.sealed(by: fixture.trust.issuerKeys, certificate: fixture.trust.issuer), at: now)
        }
        let contents = PolicyFixture.contents(of: bundle.trustDomain, key: fixture.keys.publicKey)
        let unknown = try contents.signed(by: other)
        #expect(throws: PolicyError.unknownRoot(keyID: other.publicKey.keyID)) {
            try bundle.verify(try document.sealed(by: fixture.keys, certificate: unknown), at: now)
        }
        var late = document
        late.issuedAt = contents.notAfter
        #expect(throws: PolicyError.signedOutsideCertificate) {
            try bundle.verify(try fixture.sign(late), at: late.issuedAt)
        }
        late.issuedAt = contents.notAfter - .milliseconds(1)
        #expect(throws: Never.self) { try bundle.verify(try fixture.sign(late), at: late.issuedAt) }
        #expect(throws: Never.self) { try bundle.verify(try fixture.sign(document), at: now - .seconds(30)) }
        #expect(throws: PolicyError.notYetIssued(milliseconds: 1)) {
            try bundle.verify(try fixture.sign(document), at: now - .milliseconds(30_001))
        }
    }

    @Test("a certificate whose root's signature was forged is refused")
    func forgedCertificate() throws {
        let contents = PolicyFixture.contents(
            of: fixture.trust.bundle.trustDomain, key: fixture.keys.publicKey)
        let forged = try TrustFixture(seed: 0xC0)
        // Signed by another key; then named as the real root's.
        var fields = try CBORFields(
            CBOR(canonical: SignedBytes(canonical: contents.signed(by: forged.rootKeys).encoded).body),
            of: "certificate")
        fields[15] = .bytes(fixture.trust.rootKeys.publicKey.keyID)
        let body = SignedBytes(body: fields.item.encoded(), context: .certificate, signedBy: forged.rootKeys)
        let certificate = try Certificate(canonical: body.encoded())
        #expect(throws: PolicyError.badCertificateSignature) {
            try fixture.trust.bundle.verify(
                try fixture.document().sealed(by: fixture.keys, certificate: certificate), at: now)
        }
    }

    @Test("a policy fits its limits at n, and is refused at n + 1")
    func limits() throws {
        func check(_ field: String, at count: Int, _ change: (inout PolicyDocument, Int) -> Void) throws {
            var document = fixture.document(epoch: 2)
            change(&document, count)
            let written = try fixture.sign(document)
            #expect(written.document == document)
            change(&document, count + 1)
            #expect(throws: PolicyError.invalid(field: field)) { try fixture.sign(document) }
            #expect(throws: PolicyError.invalid(field: field)) {
                try document.signed(by: fixture.keys, certificate: fixture.certificate)
            }
        }
        let rule = PolicyFixture.rule(.deny)
        try check("rule's name", at: Limits.policyNameBytesMaximum) { document, count in
            document.rules = [PolicyFixture.rule(.deny, String(repeating: "n", count: count))]
        }
        try check("rule's ports", at: Limits.policyPortsMaximum) { document, count in
            document.rules = [PolicyFixture.rule(.deny, ports: (0..<UInt16(count)).map { $0 })]
        }
        try check("rule's patterns", at: Limits.policyListMaximum) { document, count in
            document.rules = [rule]
            document.rules[0].from.patterns = (0..<count).map { PolicyFixture.pattern("w\($0)") }
        }
        try check("rule's versions", at: Limits.policyListMaximum) { document, count in
            document.rules = [rule]
            document.rules[0].to.versions = (0..<count).map { "\($0)" }
        }
        try check("rule's executables", at: Limits.policyListMaximum) { document, count in
            document.rules = [rule]
            document.rules[0].to.executables = (0..<count).map { [UInt8](repeating: UInt8($0), count: 32) }
        }
        try check("rule's topics", at: Limits.policyListMaximum) { document, count in
            document.rules = [rule]
            document.rules[0].topics = (0..<count).map { "t\($0)" }
        }
        try check("rule's labels", at: Limits.certificateListMaximum) { document, count in
            document.rules = [rule]
            document.rules[0].to.labels = Dictionary(uniqueKeysWithValues: (0..<count).map { ("l\($0)", "") })
        }
        try check("number of locks", at: Limits.policyLocksMaximum) { document, count in
            document.locks = (0..<count).map { _ in PolicyLock(rule.to.patterns[0], until: now, reason: "") }
        }
        try check("number of freshness keys", at: Limits.policyFreshnessKeysMaximum) { document, count in
            document.freshnessKeys = (0..<count).map { TrustFixture.signing(UInt8($0)).publicKey }
        }
        try check("number of settled heads", at: Limits.policySettlesMaximum) { document, count in
            document.settles = Array(repeating: .initial(of: fixture.trust.bundle.id), count: count)
        }
        try check("locks", at: Limits.policyReasonBytesMaximum) { document, count in
            document.locks = [
                PolicyLock(
                    rule.to.patterns[0], until: now, reason: String(repeating: "r", count: count))
            ]
        }
        try check("number of revocations", at: Limits.policyRevocationsMaximum) { document, count in
            document.revocations = (0..<count).map { PolicyRevocation(.serial(UInt64($0)), reason: "") }
        }
    }

    @Test("a policy of more bytes than the limit isn't read")
    func tooLarge() {
        let bytes = [UInt8](repeating: 0, count: Limits.policyBytesMaximum + 1)
        #expect(throws: PolicyError.tooLarge(bytes: bytes.count)) { try SignedPolicy(canonical: bytes) }
        #expect(throws: PolicyError.malformed(.trailingBytes(at: 1))) {
            try SignedPolicy(canonical: Array(bytes.dropLast()))
        }
    }

    @Test("a flipped bit anywhere refuses the policy")
    func bits() throws {
        let bytes = try fixture.sign(fixture.full()).encoded
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1 << UInt8(index % 8)
            guard let policy = try? SignedPolicy(canonical: changed) else { continue }
            #expect(throws: PolicyError.self) { try fixture.trust.bundle.verify(policy, at: now) }
        }
    }
}
