import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct PolicyCompilerTests {
    static let now = WallTime(seconds: 1_800_000_000)
    static let key = SigningKeyPair(seed: [UInt8](repeating: 3, count: 32)).publicKey

    private func compile(_ text: String, _ ownKey: SigningPublicKey? = key) throws -> CompiledPolicyFile {
        try PolicyCompiler.compile(
            Array(text.utf8), file: "p.yaml", trustDomain: "example.org", ownKey: ownKey,
            at: PolicyCompilerTests.now)
    }

    static let everything = """
        mesh-policy: 1
        mode: audit
        unmatched: configs
        freshness: {keys: [self]}
        rules:
          - name: no-guests
            deny: {from: guest/*, to: [shop/web, "*/db"], ports: [80, 443], protocol: tcp}
          - name: gold
            allow:
              from: {name: shop/*, labels: {tier: gold}, version: "1.10", digest: \(digest), self: true}
              to: {name: "*/*", version: [a, b]}
              topics: [svc/shop/web]
              window: {from: "2027-01-01T00:00:00Z", until: "2027-02-01T00:00:00Z", daily: "22:00-06:00"}
          - deny: {from: shop/batch, labels: {tier: tin}}
        revoke:
          - {identity: shop/old, reason: stolen}
          - instance: "00112233445566778899aabbccddeeff"
          - issuer: "ffeeddccbbaa99887766554433221100"
          - serial: 18446744073709551615
        locks:
          - {identity: shop/*, until: "2027-03-01T00:00:00Z"}
          - {identity: other/w, ttl: 10m, reason: under repair}

        """
    private static let digest = String(repeating: "ab", count: 32)

    @Test("a file with every key says what it says")
    func everything() throws {
        let policy = try compile(PolicyCompilerTests.everything)
        #expect(policy.mode == .audit && policy.unmatched == .configs)
        #expect(policy.freshnessKeys == [PolicyCompilerTests.key])
        try #require(policy.rules.count == 3 && policy.revocations.count == 4 && policy.locks.count == 2)
        let (first, second, third) = (policy.rules[0], policy.rules[1], policy.rules[2])
        #expect(first.action == .deny && first.ports == [80, 443] && first.protocol == .tcp)
        #expect(first.to.patterns.map(\.description) == ["shop/web", "*/db"])
        #expect(second.from.labels == ["tier": "gold"] && second.from.versions == ["1.10"])
        #expect(second.from.executables?.first?.count == 32 && second.from.believesOwnWord)
        #expect(second.to.versions == ["a", "b"] && second.topics == ["svc/shop/web"])
        #expect(second.window.daily == .init(start: 22 * 60, end: 6 * 60))
        #expect(third.name == "rule-3" && third.from.labels == ["tier": "tin"])
        #expect(policy.revocations.last?.subject == .serial(.max))
        #expect(policy.locks[1].until == PolicyCompilerTests.now + .seconds(600))
    }

    @Test("a policy in words compiles to the same policy")
    func roundTrip() throws {
        let domain = try #require(TrustDomainID([UInt8](repeating: 1, count: 32)))
        let document = try compile(PolicyCompilerTests.everything)
            .document(of: domain, epoch: 7, at: PolicyCompilerTests.now)
        let again = try compile(PolicyText.file(document))
            .document(of: domain, epoch: 7, at: PolicyCompilerTests.now)
        #expect(again == document)
    }

    @Test(
        "every complaint has its line, the value and what to do",
        arguments: [
            ("mode: enforce\n", "p.yaml:1: the file doesn't begin with its schema; make"),
            ("mesh-policy: 2\n", "p.yaml:1: the schema mesh-policy: \"2\" isn't known; write"),
            ("mesh-policy: 1\nmod: audit\n", "p.yaml:2: a policy has no key \"mod\"; did you mean \"mode\"?"),
            (
                "mesh-policy: 1\nmode: enforced\n",
                "p.yaml:2: mode \"enforced\" isn't known; did you mean \"enforce\"?"
            ),
            (
                "mesh-policy: 1\nrules:\n  - {deny: {form: a/b}}\n",
                "p.yaml:3: deny has no key \"form\"; did you mean \"from\"?"
            ),
            ("mesh-policy: 1\nrules:\n  - {name: x}\n", "p.yaml:3: a rule neither allows nor denies"),
            (
                "mesh-policy: 1\nrules:\n  - {deny: {from: web}}\n",
                "p.yaml:3: \"web\" has no namespace, and a policy is of all of them; write default/web"
            ),
            (
                "mesh-policy: 1\nrules:\n  - deny:\n      from: other.org/a/b\n",
                "p.yaml:4: \"other.org/a/b\" names the trust domain"
            ),
            ("mesh-policy: 1\nrules:\n  - {deny: {ports: [70000]}}\n", "p.yaml:3: \"70000\" is not a port"),
            (
                "mesh-policy: 1\nrules:\n  - {deny: {digest: abc}}\n",
                "p.yaml:3: digest holds \"abc\", which isn't a SHA-256"
            ),
            ("mesh-policy: 1\nrules:\n  - {deny: {self: true}}\n", "p.yaml:3: self stands without a digest"),
            ("mesh-policy: 1\nrules:\n  - {deny: {window: {daily: 25:00-26:00}}}\n", "p.yaml:3: daily holds"),
            (
                "mesh-policy: 1\nrules:\n  - {deny: {window: {until: \"2001-01-01T00:00:00Z\"}}}\n",
                "p.yaml:3: deny[0] \"rule-1\" can never match"
            ),
            (
                "mesh-policy: 1\nrules:\n  - {deny: {from: a/*}}\n  - {allow: {from: a/b}}\n",
                "p.yaml:4: allow[1] \"rule-2\" can never allow anything"
            ),
            (
                "mesh-policy: 1\nlocks:\n  - {identity: a/b}\n",
                "p.yaml:3: an entry of locks needs either until or ttl"
            ),
            (
                "mesh-policy: 1\nlocks:\n  - {identity: a/b, ttl: 10}\n",
                "p.yaml:3: \"10\" is not a length of time"
            ),
            (
                "mesh-policy: 1\nrevoke:\n  - {identity: a/*}\n",
                "p.yaml:3: \"a/*\" is a pattern, and a revocation is for ever"
            ),
            (
                "mesh-policy: 1\nrevoke:\n  - {identity: a/b, serial: 1}\n",
                "p.yaml:3: an entry of revoke names several things"
            ),
            ("mesh-policy: 1\nfreshness: {keys: [abc]}\n", "p.yaml:2: keys holds \"abc\", which isn't a key"),
            ("mesh-policy: 1\nmode: audit\nmode: audit\n", "stands more than once"),
        ])
    func complains(_ text: String, _ said: String) {
        let failure = #expect(throws: ConfigurationFailure.self) { try compile(text) }
        #expect(failure?.description.contains(said) == true, "\(failure.map { "\($0)" } ?? "no complaint")")
    }

    @Test("all that is wrong is said in one run, and self needs a key")
    func several() {
        let failure = #expect(throws: ConfigurationFailure.self) {
            try compile(
                "mesh-policy: 1\nmode: x\nfreshness: {keys: [self]}\nrules: [{deny: {from: x}}, {allow: 1}]\n",
                nil)
        }
        #expect(failure?.problems.map(\.line) == [2, 3, 4, 4])
    }

    @Test("names and reasons at their limits are taken, beyond them refused")
    func limits() throws {
        func text(_ name: Int, _ reason: Int) -> String {
            "mesh-policy: 1\nrules: [{name: \(String(repeating: "n", count: name)), deny: {}}]\n"
                + "revoke: [{serial: 1, reason: \(String(repeating: "r", count: reason))}]\n"
        }
        _ = try compile(text(Limits.policyNameBytesMaximum, Limits.policyReasonBytesMaximum))
        #expect(throws: ConfigurationFailure.self) {
            try compile(text(Limits.policyNameBytesMaximum + 1, 1))
        }
        #expect(throws: ConfigurationFailure.self) {
            try compile(text(1, Limits.policyReasonBytesMaximum + 1))
        }
        func keys(_ count: Int) -> String {
            let keys = (0..<count).map { String(repeating: String($0 % 10), count: 64) }
            return
                "mesh-policy: 1\nfreshness: {keys: [\(keys.map { "\"\($0)\"" }.joined(separator: ", "))]}\n"
        }
        #expect(try compile(keys(Limits.policyFreshnessKeysMaximum)).freshnessKeys.count == 8)
        #expect(throws: ConfigurationFailure.self) {
            try compile(keys(Limits.policyFreshnessKeysMaximum + 1))
        }
    }

    @Test("spans are read in their units, up to a year")
    func spans() throws {
        for (text, seconds) in [
            ("90s", 90), ("10m", 600), ("2h", 7200), ("7d", 604_800), ("365d", 31_536_000),
        ] {
            #expect(try PolicyGrammar.span(text) == .seconds(UInt64(seconds)))
        }
        for text in ["", "s", "0s", "-1s", "1w", "366d", "1.5h", "1h30m", "٣s"] {
            #expect(throws: ConfigurationError.self) { try PolicyGrammar.span(text) }
        }
    }
}
