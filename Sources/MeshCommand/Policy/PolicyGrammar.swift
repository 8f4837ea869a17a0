// The plain values of a policy file and of the commands that change a policy.

import SidecarProtocol

enum PolicyGrammar {
    /// `90s`, `10m`, `2h` or `7d`.
    static func span(_ text: String) throws(ConfigurationError) -> MonotonicTime.Span {
        let units: [Character: UInt64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let count = UInt64(text.dropLast()),
            (1...31_536_000 / unit).contains(count), text.dropLast().allSatisfy(\.isNumber)
        else {
            throw ConfigurationError(
                "\"\(text)\" is not a length of time", fix: "write 90s, 10m, 2h or 7d, of a year at most")
        }
        return .seconds(count * unit)
    }

    static func reason(_ text: String) throws(ConfigurationError) -> String {
        guard text.utf8.count <= Limits.policyReasonBytesMaximum else {
            throw ConfigurationError(
                "the reason has \(text.utf8.count) bytes",
                fix: "keep it within \(Limits.policyReasonBytesMaximum)")
        }
        return text
    }

    /// Both parts of a name, each possibly `*`.
    static func pattern(
        _ text: String, trustDomain: String?
    ) throws(ConfigurationError) -> IdentityPattern {
        guard text.contains("/") else {
            let spelled = text == "*" ? "*/*, or default/*" : "default/\(text)"
            throw ConfigurationError(
                "\"\(text)\" has no namespace, and a policy is of all of them", fix: "write \(spelled)")
        }
        return try ConfigurationGrammar.pattern(text, namespace: "", trustDomain: trustDomain)
    }

    static func pattern(
        _ value: YAMLValue, _ key: String, trustDomain: String?
    ) throws(ConfigurationProblem) -> IdentityPattern {
        let text = try ConfigurationCompiler.text(value, key)
        return try value.checked { () throws(ConfigurationError) in
            try pattern(text, trustDomain: trustDomain)
        }
    }

    /// What a revocation of a kind names: `identity`, `instance`, `issuer` or `serial`.
    static func revoked(
        _ kind: String, _ text: String, trustDomain: String?
    ) throws(ConfigurationError) -> PolicyRevocation.Subject {
        switch kind {
        case "identity":
            let pattern = try pattern(text, trustDomain: trustDomain)
            guard case .exactly(let space) = pattern.namespace, case .exactly(let name) = pattern.name else {
                throw ConfigurationError(
                    "\"\(text)\" is a pattern, and a revocation is for ever",
                    fix: "name each identity, or lock the pattern")
            }
            return .identity(try ConfigurationGrammar.workload(namespace: space, name: name))
        case "instance":
            guard let instance = [UInt8](hex: text).flatMap(InstanceID.init) else {
                throw ConfigurationError(
                    "\"\(text)\" is not an instance's id", fix: "write its 32 digits, from mesh status NAME")
            }
            return .instance(instance)
        case "issuer":
            guard let keyID = [UInt8](hex: text), keyID.count == 16 else {
                throw ConfigurationError(
                    "\"\(text)\" is not the id of a key", fix: "write its 32 digits, from mesh trust show")
            }
            return .issuer(keyID: keyID)
        default:
            guard let serial = UInt64(text) else {
                throw ConfigurationError(
                    "\"\(text)\" is not a serial number", fix: "write the number, from mesh status --json")
            }
            return .serial(serial)
        }
    }
}

// MARK: - Values of a file

extension PolicyGrammar {
    /// One of the names of an enumeration.
    static func choice<Choice>(
        _ value: YAMLValue, _ key: String, _ choices: [Choice], _ name: KeyPath<Choice, String>
    ) throws(ConfigurationProblem) -> Choice {
        let text = try ConfigurationCompiler.text(value, key)
        guard let choice = choices.first(where: { $0[keyPath: name] == text }) else {
            let names = choices.map { $0[keyPath: name] }
            let near = Spelling.nearest(to: text, among: names)
            throw ConfigurationProblem(
                line: value.line, "\(key) \"\(text.prefix(80))\" isn't known",
                fix: near.map { "did you mean \"\($0)\"?" } ?? "use \(names.joined(separator: " or "))")
        }
        return choice
    }

    static func items(
        _ value: YAMLValue, _ key: String, example: String, atMost maximum: Int
    ) throws(ConfigurationProblem) -> [YAMLValue] {
        guard case .list(let items) = value.content else {
            throw ConfigurationProblem(
                line: value.line, "\(key) is \(value.spelling), not a list",
                fix: "write \(key): [\(example)], or \(key): [] for none")
        }
        guard items.count <= maximum else {
            throw ConfigurationProblem(
                line: value.line, "\(key) has \(items.count) entries",
                fix: "keep it within \(maximum)")
        }
        return items
    }

    /// A list, or a single value instead of one with one entry.
    static func oneOrMore(
        _ value: YAMLValue, _ key: String, atMost maximum: Int
    ) throws(ConfigurationProblem) -> [YAMLValue] {
        guard case .list(let items) = value.content else { return [value] }
        guard (1...maximum).contains(items.count) else {
            throw ConfigurationProblem(
                line: value.line, "\(key) has \(items.count) entries",
                fix: items.isEmpty ? "add one, or remove \(key)" : "keep it within \(maximum)")
        }
        return items
    }

    static func mapping(
        _ value: YAMLValue, known: [String], what: String, example: String
    ) throws(ConfigurationProblem) -> [String: YAMLValue] {
        guard case .mapping(let pairs) = value.content else {
            throw ConfigurationProblem(
                line: value.line, "\(what) is \(value.spelling)", fix: "write \(example)")
        }
        return try ConfigurationCompiler.uniqueKeys(pairs, known: known, what: what)
    }

    /// `2026-01-31T12:00:00Z`, of whole seconds.
    static func time(_ value: YAMLValue, _ key: String) throws(ConfigurationProblem) -> WallTime {
        let text = try ConfigurationCompiler.text(value, key)
        guard let seconds = WallClock.seconds(rfc3339: text), seconds >= 0 else {
            throw ConfigurationProblem(
                line: value.line, "\(key) holds \(value.spelling), which isn't a time",
                fix: "write it in UTC, such as 2026-01-31T12:00:00Z")
        }
        return WallTime(seconds: Int64(seconds))
    }
}
