// One entry of a policy file's rules.

import SidecarProtocol

struct PolicyRuleReader {
    let trustDomain: String?

    private static let example = "{deny: {from: guest/*, to: shop/*, ports: [8080]}}"
    private static let conditions = [
        "from", "to", "ports", "protocol", "topics", "labels", "version", "digest", "self", "window",
    ]

    /// - Parameter number: of the rule in its file, from 0; names one that gives no name.
    func rule(_ item: YAMLValue, number: Int) throws(ConfigurationProblem) -> PolicyRule {
        let values = try PolicyGrammar.mapping(
            item, known: ["name", "allow", "deny"], what: "a rule", example: PolicyRuleReader.example)
        let action: PolicyRule.Action
        let body: YAMLValue
        switch (values["allow"], values["deny"]) {
        case (let value?, nil): (action, body) = (.allow, value)
        case (nil, let value?): (action, body) = (.deny, value)
        default:
            throw ConfigurationProblem(
                line: item.line, "a rule neither allows nor denies, or does both",
                fix: "write \(PolicyRuleReader.example)")
        }
        let name = try values["name"].map { (value) throws(ConfigurationProblem) in
            try PolicyRuleReader.name(value)
        }
        var rule = PolicyRule(
            action, name: name ?? "rule-\(number + 1)", from: .anyone, to: .anyone)
        try fill(&rule, body)
        return rule
    }

    private static func name(_ value: YAMLValue) throws(ConfigurationProblem) -> String {
        let text = try ConfigurationCompiler.text(value, "name")
        guard text.utf8.count <= Limits.policyNameBytesMaximum else {
            throw ConfigurationProblem(
                line: value.line, "the name of a rule has \(text.utf8.count) bytes",
                fix: "keep it within \(Limits.policyNameBytesMaximum)")
        }
        return text
    }

    private func fill(_ rule: inout PolicyRule, _ body: YAMLValue) throws(ConfigurationProblem) {
        // `allow: {}` is everybody; so is `allow: "*/*"`'s absence of conditions.
        let values = try PolicyGrammar.mapping(
            body, known: PolicyRuleReader.conditions, what: rule.action.name,
            example: "{from: guest/*, to: shop/*, ports: [8080]}")
        if let value = values["from"] { rule.from = try party(value, "from") }
        if let value = values["to"] { rule.to = try party(value, "to") }
        // Without `from: {…}`, what the certificates say is asked of the caller.
        try fill(&rule.from, values)
        if let value = values["ports"] { rule.ports = try PolicyRuleReader.ports(value) }
        if let value = values["protocol"] {
            let text = try ConfigurationCompiler.text(value, "protocol")
            rule.protocol = try value.checked { () throws(ConfigurationError) in
                try ConfigurationGrammar.flowProtocol(text)
            }
        }
        if let value = values["topics"] { rule.topics = try PolicyRuleReader.texts(value, "topics") }
        if let value = values["window"] { rule.window = try PolicyRuleReader.window(value) }
    }

    // MARK: Ends

    /// A pattern, several, or patterns with what the certificate must say besides.
    private func party(_ value: YAMLValue, _ key: String) throws(ConfigurationProblem) -> PolicyRule.Party {
        guard case .mapping(let pairs) = value.content else {
            return PolicyRule.Party(try patterns(value, key))
        }
        let values = try ConfigurationCompiler.uniqueKeys(
            pairs, known: ["name", "labels", "version", "digest", "self"], what: key)
        var party = PolicyRule.Party.anyone
        if let value = values["name"] { party.patterns = try patterns(value, "name") }
        try fill(&party, values)
        return party
    }

    private func patterns(
        _ value: YAMLValue, _ key: String
    ) throws(ConfigurationProblem) -> [IdentityPattern] {
        var patterns: [IdentityPattern] = []
        for item in try PolicyGrammar.oneOrMore(value, key, atMost: Limits.policyListMaximum) {
            patterns.append(try PolicyGrammar.pattern(item, key, trustDomain: trustDomain))
        }
        return patterns
    }

    /// What a certificate must say. Each is taken over only where it is given.
    private func fill(
        _ party: inout PolicyRule.Party, _ values: [String: YAMLValue]
    ) throws(ConfigurationProblem) {
        if let value = values["labels"] {
            let pairs = try PolicyGrammar.pairs(value, "labels")
            party.labels.merge(pairs) { _, new in new }
        }
        if let value = values["version"] { party.versions = try PolicyRuleReader.texts(value, "version") }
        if let value = values["digest"] {
            var digests: [[UInt8]] = []
            for item in try PolicyGrammar.oneOrMore(value, "digest", atMost: Limits.policyListMaximum) {
                digests.append(try PolicyRuleReader.digest(item))
            }
            party.executables = digests
        }
        if let value = values["self"] {
            guard case .text("true", isPlain: true) = value.content, party.executables != nil else {
                throw ConfigurationProblem(
                    line: value.line,
                    party.executables == nil
                        ? "self stands without a digest" : "self is \(value.spelling)",
                    fix: "write self: true beside digest, or leave it out")
            }
            party.believesOwnWord = true
        }
    }

    private static func digest(_ item: YAMLValue) throws(ConfigurationProblem) -> [UInt8] {
        let text = try ConfigurationCompiler.text(item, "digest")
        guard let digest = [UInt8](hex: text), digest.count == 32 else {
            throw ConfigurationProblem(
                line: item.line, "digest holds \(item.spelling), which isn't a SHA-256",
                fix: "write its 64 digits, as sha256sum prints them")
        }
        return digest
    }

    // MARK: Flows and times

    private static func texts(
        _ value: YAMLValue, _ key: String
    ) throws(ConfigurationProblem) -> [String] {
        var texts: [String] = []
        for item in try PolicyGrammar.oneOrMore(value, key, atMost: Limits.policyListMaximum) {
            texts.append(try ConfigurationCompiler.text(item, key))
        }
        return texts
    }

    private static func ports(_ value: YAMLValue) throws(ConfigurationProblem) -> [UInt16] {
        if case .list = value.content { return try ConfigurationCompiler.ports(value) }
        return [try ConfigurationCompiler.number(value)]
    }

    private static func window(_ value: YAMLValue) throws(ConfigurationProblem) -> PolicyRule.Window {
        let values = try PolicyGrammar.mapping(
            value, known: ["from", "until", "daily"], what: "window", example: "{daily: 22:00-06:00}")
        var window = PolicyRule.Window()
        if let value = values["from"] { window.notBefore = try PolicyGrammar.time(value, "from") }
        if let value = values["until"] { window.notAfter = try PolicyGrammar.time(value, "until") }
        if let value = values["daily"] { window.daily = try daily(value) }
        guard !window.isAlways else {
            throw ConfigurationProblem(
                line: value.line, "window says nothing", fix: "add from, until or daily, or remove it")
        }
        return window
    }

    /// `22:00-06:00`, by UTC.
    private static func daily(_ value: YAMLValue) throws(ConfigurationProblem) -> PolicyRule.Window.Daily {
        let ends = try ConfigurationCompiler.text(value, "daily")
            .split(separator: "-", omittingEmptySubsequences: false).map(minute)
        guard ends.count == 2, let start = ends[0], let end = ends[1], start != end, start < 1440 else {
            throw ConfigurationProblem(
                line: value.line, "daily holds \(value.spelling)",
                fix: "write two times of day in UTC, such as 22:00-06:00")
        }
        return PolicyRule.Window.Daily(start: start, end: end)
    }

    /// Minutes after midnight; 24:00 too.
    private static func minute(_ text: Substring) -> UInt16? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.count == 2 && $0.allSatisfy(\.isNumber) }),
            let hours = UInt16(parts[0]), let minutes = UInt16(parts[1]), minutes < 60,
            hours < 24 || hours == 24 && minutes == 0
        else { return nil }
        return hours * 60 + minutes
    }
}

extension PolicyGrammar {
    /// A mapping of texts to texts.
    static func pairs(
        _ value: YAMLValue, _ key: String
    ) throws(ConfigurationProblem) -> [String: String] {
        guard case .mapping(let pairs) = value.content, !pairs.isEmpty else {
            throw ConfigurationProblem(
                line: value.line, "\(key) is \(value.spelling)", fix: "write {tier: gold}")
        }
        var texts: [String: String] = [:]
        for pair in pairs {
            let name = try ConfigurationCompiler.text(pair.key, key)
            texts[name] = try ConfigurationCompiler.text(pair.value, name)
        }
        guard texts.count <= Limits.policyListMaximum else {
            throw ConfigurationProblem(
                line: value.line, "\(key) has \(texts.count) entries",
                fix: "keep it within \(Limits.policyListMaximum)")
        }
        return texts
    }
}
