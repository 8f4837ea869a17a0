// From a `PolicyDocument` to a policy file that compiles to it again.

import SidecarProtocol

enum PolicyText {
    static func file(_ document: PolicyDocument) -> String {
        let keys = document.freshnessKeys.map(\.bytes.hex)
        return """
            mesh-policy: 1
            mode: \(document.mode.name)
            unmatched: \(document.unmatched.name)

            """ + (keys.isEmpty ? "" : "freshness: {keys: [\(keys.joined(separator: ", "))]}\n")
                + list("rules", document.rules.map(rule))
                + list("revoke", document.revocations.map(revocation))
                + list("locks", document.locks.map(lock))
    }

    private static func list(_ key: String, _ entries: [String]) -> String {
        entries.isEmpty ? "" : "\(key):\n" + entries.map { "  - \($0)\n" }.joined()
    }

    static func rule(_ rule: PolicyRule) -> String {
        var conditions: [String] = []
        if rule.from != .anyone { conditions.append("from: \(party(rule.from))") }
        if rule.to != .anyone { conditions.append("to: \(party(rule.to))") }
        if let ports = rule.ports {
            conditions.append("ports: [\(ports.map(String.init).joined(separator: ", "))]")
        }
        if let named = rule.protocol { conditions.append("protocol: \(named)") }
        if let topics = rule.topics { conditions.append("topics: \(texts(topics))") }
        if !rule.window.isAlways { conditions.append("window: \(window(rule.window))") }
        return "{name: \(YAMLText.scalar(rule.name)), \(rule.action.name): "
            + "{\(conditions.joined(separator: ", "))}}"
    }

    private static func party(_ party: PolicyRule.Party) -> String {
        let names = texts(party.patterns.map(\.description))
        var conditions: [String] = []
        if !party.labels.isEmpty {
            let labels = party.labels.sorted { $0.key < $1.key }
                .map { "\(YAMLText.scalar($0.key)): \(YAMLText.scalar($0.value))" }
            conditions.append("labels: {\(labels.joined(separator: ", "))}")
        }
        if let versions = party.versions { conditions.append("version: \(texts(versions))") }
        if let digests = party.executables { conditions.append("digest: \(texts(digests.map(\.hex)))") }
        if party.believesOwnWord { conditions.append("self: true") }
        guard !conditions.isEmpty else { return names }
        return "{name: \(names), \(conditions.joined(separator: ", "))}"
    }

    private static func texts(_ texts: [String]) -> String {
        texts.count == 1
            ? YAMLText.scalar(texts[0]) : "[\(texts.map(YAMLText.scalar).joined(separator: ", "))]"
    }

    private static func window(_ window: PolicyRule.Window) -> String {
        var parts: [String] = []
        if let start = window.notBefore { parts.append("from: \(time(start))") }
        if let end = window.notAfter { parts.append("until: \(time(end))") }
        if let daily = window.daily {
            parts.append("daily: \"\(minute(daily.start))-\(minute(daily.end))\"")
        }
        return "{\(parts.joined(separator: ", "))}"
    }

    private static func minute(_ minute: UInt16) -> String {
        func two(_ value: UInt16) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(two(minute / 60)):\(two(minute % 60))"
    }

    private static func revocation(_ revocation: PolicyRevocation) -> String {
        let subject =
            switch revocation.subject {
            case .identity(let name): "identity: \(name)"
            case .instance(let id): "instance: \(YAMLText.scalar(id.description))"
            case .issuer(let keyID): "issuer: \(YAMLText.scalar(keyID.hex))"
            case .serial(let serial): "serial: \(serial)"
            }
        return "{\(subject)\(reason(revocation.reason))}"
    }

    private static func lock(_ lock: PolicyLock) -> String {
        "{identity: \(YAMLText.scalar(lock.pattern.description)), until: \(time(lock.until))"
            + "\(reason(lock.reason))}"
    }

    private static func reason(_ text: String) -> String {
        text.isEmpty ? "" : ", reason: \(YAMLText.scalar(text))"
    }

    /// In quotes: another reader of YAML would take it for a time of its own.
    static func time(_ time: WallTime) -> String { "\"\(WallClock.rfc3339(Int(time.seconds)))\"" }
}
