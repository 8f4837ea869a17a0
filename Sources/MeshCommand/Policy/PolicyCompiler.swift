// From a policy file to a `PolicyDocument`, or to everything that is wrong with it.
//
// A policy belongs to a domain and to no namespace, so that every name in it has both of its parts.

import SidecarProtocol

/// A policy file's content: a document but for its domain, epoch and time of issue.
struct CompiledPolicyFile {
    var mode = PolicyDocument.Mode.enforce
    var unmatched = PolicyDocument.Unmatched.deny
    var rules: [PolicyRule] = []
    var revocations: [PolicyRevocation] = []
    var locks: [PolicyLock] = []
    var freshnessKeys: [SigningPublicKey] = []
    /// The lines of `rules` and of `locks`, one each.
    var ruleLines: [Int] = []
    var lockLines: [Int] = []

    /// Takes over what a file that doesn't name it must not end: revocations, and locks that still hold.
    ///
    /// - Returns: a line for each that was taken over.
    mutating func carryOver(from document: PolicyDocument, at now: WallTime) -> [String] {
        let revoked = Set(revocations.map(\.subject))
        let locked = Set(locks.map(\.pattern))
        let kept = document.revocations.filter { !revoked.contains($0.subject) }
        let held = document.locks.filter { $0.until > now && !locked.contains($0.pattern) }
        revocations += kept
        locks += held
        return kept.map { "still revoked: \($0.subject)" } + held.map { "still locked: \($0.pattern)" }
    }

    func document(of domain: TrustDomainID, epoch: UInt64, at now: WallTime) -> PolicyDocument {
        var document = PolicyDocument(
            trustDomain: domain, epoch: epoch, issuedAt: now, mode: mode, unmatched: unmatched)
        document.rules = rules
        document.revocations = revocations
        document.locks = locks
        document.freshnessKeys = freshnessKeys
        return document
    }
}

struct PolicyCompiler {
    static let keys = ["mesh-policy", "mode", "unmatched", "freshness", "rules", "revoke", "locks"]

    /// One's own trust domain, where it is known, and the key that `self` means in `freshness`.
    private let trustDomain: String?
    private let ownKey: SigningPublicKey?
    private let now: WallTime
    private var problems: [ConfigurationProblem] = []
    private var policy = CompiledPolicyFile()

    /// - Parameters:
    ///   - bytes: the file's content.
    ///   - file: its name, for the error's text.
    ///   - trustDomain: one's own; without it, a name of three parts is refused.
    ///   - ownKey: the policy key of this host, where it has one.
    ///   - now: where a lock's `ttl` begins.
    static func compile(
        _ bytes: [UInt8], file: String, trustDomain: String? = nil, ownKey: SigningPublicKey? = nil,
        at now: WallTime
    ) throws(ConfigurationFailure) -> CompiledPolicyFile {
        var compiler = PolicyCompiler(trustDomain: trustDomain, ownKey: ownKey, now: now)
        compiler.note { (compiler) throws(ConfigurationProblem) in try compiler.read(bytes) }
        compiler.checkMeaning()
        guard compiler.problems.isEmpty else {
            let sorted = compiler.problems.sorted { $0.line < $1.line }
            throw ConfigurationFailure(file: file, problems: Array(sorted.prefix(20)))
        }
        return compiler.policy
    }

    private init(trustDomain: String?, ownKey: SigningPublicKey?, now: WallTime) {
        self.trustDomain = trustDomain
        self.ownKey = ownKey
        self.now = now
    }

    /// Keeps what fails, so that all that is wrong is said in one run.
    private mutating func note(
        _ body: (inout PolicyCompiler) throws(ConfigurationProblem) -> Void
    ) {
        do throws(ConfigurationProblem) { try body(&self) } catch { problems.append(error) }
    }

    private mutating func read(_ bytes: [UInt8]) throws(ConfigurationProblem) {
        let root = try YAMLDocument.read(
            bytes, atMost: Limits.policyBytesMaximum, beginning: "mesh-policy: 1")
        guard case .mapping(let pairs) = root.content else {
            throw ConfigurationProblem(
                line: root.line, "the file holds \(root.isNull ? "no value" : root.spelling)",
                fix: "begin with \"mesh-policy: 1\", then a key a line")
        }
        guard let first = pairs.first, case .text("mesh-policy", _) = first.key.content else {
            throw ConfigurationProblem(
                line: root.line, "the file doesn't begin with its schema",
                fix: "make \"mesh-policy: 1\" its first key")
        }
        guard case .text("1", isPlain: true) = first.value.content else {
            throw ConfigurationProblem(
                line: first.value.line, "the schema mesh-policy: \(first.value.spelling) isn't known",
                fix: "write \"mesh-policy: 1\", or use a newer mesh")
        }
        for pair in pairs.dropFirst() {
            note { (compiler) throws(ConfigurationProblem) in
                let key = try ConfigurationCompiler.uniqueKeys(
                    [pair], known: PolicyCompiler.keys, what: "a policy")
                for (key, value) in key { try compiler.fill(key, value) }
            }
        }
    }

    private mutating func fill(_ key: String, _ value: YAMLValue) throws(ConfigurationProblem) {
        switch key {
        case "mode":
            policy.mode = try PolicyGrammar.choice(value, "mode", PolicyDocument.Mode.allCases, \.name)
        case "unmatched":
            policy.unmatched = try PolicyGrammar.choice(
                value, "unmatched", PolicyDocument.Unmatched.allCases, \.name)
        case "freshness": try fillFreshness(value)
        case "rules":
            let items = try PolicyGrammar.items(
                value, key, example: "{deny: {from: guest/*}}", atMost: Limits.policyRulesMaximum)
            for item in items {
                note { (compiler) throws(ConfigurationProblem) in
                    compiler.policy.rules.append(
                        try PolicyRuleReader(trustDomain: compiler.trustDomain).rule(
                            item, number: compiler.policy.rules.count))
                    compiler.policy.ruleLines.append(item.line)
                }
            }
        case "revoke":
            let items = try PolicyGrammar.items(
                value, key, example: "{identity: shop/web}", atMost: Limits.policyRevocationsMaximum)
            for item in items {
                note { (compiler) throws(ConfigurationProblem) in
                    compiler.policy.revocations.append(try compiler.revocation(item))
                }
            }
        case "locks":
            let items = try PolicyGrammar.items(
                value, key, example: "{identity: shop/web, ttl: 10m}", atMost: Limits.policyLocksMaximum)
            for item in items {
                note { (compiler) throws(ConfigurationProblem) in
                    compiler.policy.locks.append(try compiler.lock(item))
                    compiler.policy.lockLines.append(item.line)
                }
            }
        default:
            throw ConfigurationProblem(
                line: value.line, "the key \"\(key)\" stands more than once", fix: "keep one of them")
        }
    }

    /// What each value may be, and all of them together can't.
    private mutating func checkMeaning() {
        guard problems.isEmpty, let domain = TrustDomainID([UInt8](repeating: 0, count: 32)) else { return }
        for problem in policy.document(of: domain, epoch: 1, at: now).problems {
            let parts = problem.description.split(separator: "; ", maxSplits: 1).map(String.init)
            problems.append(
                ConfigurationProblem(
                    line: line(of: problem.place), parts[0],
                    fix: parts.count > 1 ? parts[1] : "correct it, or remove it"))
        }
    }

    /// - Parameter place: `deny[3] "name"` or `locks[0]`.
    private func line(of place: String) -> Int {
        let number = place.split(separator: "[").dropFirst().first.flatMap { Int($0.prefix { $0 != "]" }) }
        let lines = place.hasPrefix("locks") ? policy.lockLines : policy.ruleLines
        guard let number, lines.indices.contains(number) else { return 1 }
        return lines[number]
    }
}

// MARK: - Entries besides rules

extension PolicyCompiler {
    private mutating func fillFreshness(_ value: YAMLValue) throws(ConfigurationProblem) {
        let example = "{keys: [self]}"
        guard case .mapping(let pairs) = value.content else {
            throw ConfigurationProblem(
                line: value.line, "freshness holds \(value.spelling)", fix: "write \(example)")
        }
        let values = try ConfigurationCompiler.uniqueKeys(pairs, known: ["keys"], what: "freshness")
        guard let keys = values["keys"] else {
            throw ConfigurationProblem(
                line: value.line, "freshness names no keys", fix: "write \(example)")
        }
        let items = try PolicyGrammar.items(
            keys, "keys", example: "self", atMost: Limits.policyFreshnessKeysMaximum)
        for item in items {
            note { (compiler) throws(ConfigurationProblem) in
                compiler.policy.freshnessKeys.append(try compiler.freshnessKey(item))
            }
        }
    }

    private func freshnessKey(_ item: YAMLValue) throws(ConfigurationProblem) -> SigningPublicKey {
        let text = try ConfigurationCompiler.text(item, "keys")
        if text == "self" {
            guard let ownKey else {
                throw ConfigurationProblem(
                    line: item.line, "keys names \"self\", and this host has no policy key",
                    fix: "make one by mesh trust policy-key, or write the key itself")
            }
            return ownKey
        }
        guard let key = [UInt8](hex: text).flatMap(SigningPublicKey.init) else {
            throw ConfigurationProblem(
                line: item.line, "keys holds \(item.spelling), which isn't a key",
                fix: "write self, or the 64 digits of public_key in mesh trust policy-key --json")
        }
        return key
    }

    private func revocation(_ item: YAMLValue) throws(ConfigurationProblem) -> PolicyRevocation {
        let kinds = ["identity", "instance", "issuer", "serial"]
        let values = try PolicyGrammar.mapping(
            item, known: kinds + ["reason"], what: "an entry of revoke", example: "{identity: shop/web}")
        let given = kinds.compactMap { kind in values[kind].map { (kind, $0) } }
        guard given.count == 1, let (kind, value) = given.first else {
            throw ConfigurationProblem(
                line: item.line, "an entry of revoke names \(given.isEmpty ? "nothing" : "several things")",
                fix: "name one of identity, instance, issuer and serial")
        }
        let text = try ConfigurationCompiler.text(value, kind)
        return PolicyRevocation(
            try value.checked { () throws(ConfigurationError) in
                try PolicyGrammar.revoked(kind, text, trustDomain: trustDomain)
            }, reason: try reason(values["reason"]))
    }

    private func lock(_ item: YAMLValue) throws(ConfigurationProblem) -> PolicyLock {
        let example = "{identity: shop/web, ttl: 10m}"
        let values = try PolicyGrammar.mapping(
            item, known: ["identity", "until", "ttl", "reason"], what: "an entry of locks", example: example)
        guard let identity = values["identity"] else {
            throw ConfigurationProblem(
                line: item.line, "an entry of locks doesn't say whom", fix: "write \(example)")
        }
        let pattern = try PolicyGrammar.pattern(identity, "identity", trustDomain: trustDomain)
        let until: WallTime
        switch (values["until"], values["ttl"]) {
        case (let value?, nil): until = try PolicyGrammar.time(value, "until")
        case (nil, let value?):
            let text = try ConfigurationCompiler.text(value, "ttl")
            until =
                now + (try value.checked { () throws(ConfigurationError) in try PolicyGrammar.span(text) })
        default:
            throw ConfigurationProblem(
                line: item.line, "an entry of locks needs either until or ttl", fix: "write \(example)")
        }
        return PolicyLock(pattern, until: until, reason: try reason(values["reason"]))
    }

    private func reason(_ value: YAMLValue?) throws(ConfigurationProblem) -> String {
        guard let value else { return "" }
        let text = try ConfigurationCompiler.text(value, "reason")
        return try value.checked { () throws(ConfigurationError) in try PolicyGrammar.reason(text) }
    }
}
