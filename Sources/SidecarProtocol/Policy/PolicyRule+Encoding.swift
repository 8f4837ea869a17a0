// A rule as canonical CBOR: a map with unsigned keys, of which none may be unknown.

extension PolicyRule {
    private enum Key {
        static let action: UInt64 = 0
        static let name: UInt64 = 1
        static let from: UInt64 = 2
        static let to: UInt64 = 3
        static let ports: UInt64 = 4
        static let `protocol`: UInt64 = 5
        static let topics: UInt64 = 6
        static let notBefore: UInt64 = 7
        static let notAfter: UInt64 = 8
        static let daily: UInt64 = 9
    }

    func encoded() -> [UInt8] {
        var fields = conditions
        fields[Key.name] = .text(name)
        return fields.item.encoded()
    }

    /// All but the name: two rules that agree in it say the same.
    var conditions: CBORFields {
        var fields = CBORFields()
        fields[Key.action] = .unsigned(action.rawValue)
        fields[Key.from] = from.item
        fields[Key.to] = to.item
        fields[Key.ports] = ports.map { .array($0.map { .unsigned(UInt64($0)) }) }
        fields[Key.protocol] = self.protocol.map { .unsigned(UInt64($0.rawValue)) }
        fields[Key.topics] = topics.map { .array($0.map { .text($0) }) }
        fields[Key.notBefore] = window.notBefore.map(\.item)
        fields[Key.notAfter] = window.notAfter.map(\.item)
        fields[Key.daily] = window.daily.map {
            .array([.unsigned(UInt64($0.start)), .unsigned(UInt64($0.end))])
        }
        return fields
    }

    init(canonical bytes: [UInt8]) throws(PolicyError) {
        let fields = try CBORFields(policy: bytes, of: "rule", keys: Key.action...Key.daily)
        do throws(CBORError) {
            guard let action = Action(rawValue: try fields.unsigned(Key.action, "rule's action")) else {
                throw .unexpected(field: "rule's action")
            }
            self.init(
                action, name: try fields.text(Key.name, "rule's name"),
                from: try Party(fields[Key.from], "from"), to: try Party(fields[Key.to], "to"))
            try readConditions(fields)
            guard encoded() == bytes else { throw .unexpected(field: "rule's encoding") }
        } catch { throw PolicyError(error) }
        if let field = impossibleField { throw .invalid(field: "rule's \(field)") }
    }

    private mutating func readConditions(_ fields: CBORFields) throws(CBORError) {
        if fields[Key.ports] != nil {
            var ports: [UInt16] = []
            for item in try fields.array(Key.ports, "rule's ports") {
                guard case .unsigned(let number) = item, let port = UInt16(exactly: number) else {
                    throw .unexpected(field: "rule's ports")
                }
                ports.append(port)
            }
            self.ports = ports
        }
        if fields[Key.protocol] != nil {
            let number: UInt8 = try fields.integer(Key.protocol, "rule's protocol")
            guard let known = FlowProtocol(rawValue: number) else {
                throw .unexpected(field: "rule's protocol")
            }
            self.protocol = known
        }
        if fields[Key.topics] != nil { topics = try fields.texts(Key.topics, "rule's topics") }
        window.notBefore = try fields.time(Key.notBefore, "rule's not-before")
        window.notAfter = try fields.time(Key.notAfter, "rule's not-after")
        guard let item = fields[Key.daily] else { return }
        guard case .array(let parts) = item, parts.count == 2, case .unsigned(let start) = parts[0],
            case .unsigned(let end) = parts[1], start < 1440, end <= 1440
        else { throw .unexpected(field: "rule's daily window") }
        window.daily = Window.Daily(start: UInt16(start), end: UInt16(end))
    }

    /// The first field past its limit.
    var impossibleField: String? {
        if !(1...Limits.policyNameBytesMaximum).contains(name.utf8.count) { return "name" }
        if (ports?.count ?? 0) > Limits.policyPortsMaximum { return "ports" }
        if let topics, topics.count > Limits.policyListMaximum || !topics.allSatisfy(TopicName.isName) {
            return "topics"
        }
        if let daily = window.daily, daily.start >= 1440 || daily.end > 1440 { return "daily window" }
        for time in [window.notBefore, window.notAfter] {
            if let time, !(0...Int64(Limits.wallTimeMaximum)).contains(time.milliseconds) {
                return "window"
            }
        }
        return from.impossibleField ?? to.impossibleField
    }
}

extension PolicyRule.Party {
    private enum Key {
        static let patterns: UInt64 = 0
        static let labels: UInt64 = 1
        static let versions: UInt64 = 2
        static let executables: UInt64 = 3
        static let believesOwnWord: UInt64 = 4
    }

    fileprivate var item: CBOR {
        var fields = CBORFields()
        fields[Key.patterns] = .array(patterns.map { .text($0.description) })
        fields[Key.labels] =
            labels.isEmpty ? nil : .map(labels.map { CBOR.Pair(.text($0.key), .text($0.value)) })
        fields[Key.versions] = versions.map { .array($0.map { .text($0) }) }
        fields[Key.executables] = executables.map { .array($0.map { .bytes($0) }) }
        fields[Key.believesOwnWord] = believesOwnWord ? .bool(true) : nil
        return fields.item
    }

    fileprivate init(_ item: CBOR?, _ end: String) throws(CBORError) {
        guard let item else { throw .unexpected(field: "rule's \(end)") }
        let fields = try CBORFields(item, of: "rule's \(end)")
        guard fields.hasOnly(Key.patterns...Key.believesOwnWord) else {
            throw .unexpected(field: "rule's \(end): unknown condition")
        }
        var patterns: [IdentityPattern] = []
        for text in try fields.texts(Key.patterns, "rule's \(end)") {
            guard let pattern = IdentityPattern(written: text) else {
                throw .unexpected(field: "rule's \(end)")
            }
            patterns.append(pattern)
        }
        self.init(patterns)
        if let item = fields[Key.labels] { labels = try CertificateContents.labels(item) }
        if fields[Key.versions] != nil { versions = try fields.texts(Key.versions, "rule's versions") }
        if fields[Key.executables] != nil {
            executables = try fields.byteStrings(Key.executables, "rule's executables")
        }
        if fields[Key.believesOwnWord] != nil {
            believesOwnWord = try fields.bool(Key.believesOwnWord, "rule's own word")
        }
    }

    fileprivate var impossibleField: String? {
        if patterns.count > Limits.policyListMaximum { return "patterns" }
        if labels.count > Limits.certificateListMaximum
            || !labels.allSatisfy({ CertificateContents.isLabel($0.key, $0.value) })
        {
            return "labels"
        }
        if let versions,
            versions.count > Limits.policyListMaximum
                || versions.contains(where: { $0.utf8.count > Limits.versionBytesMaximum })
        {
            return "versions"
        }
        if let executables,
            executables.count > Limits.policyListMaximum || executables.contains(where: { $0.count != 32 })
        {
            return "executables"
        }
        return nil
    }
}

// MARK: - Reading what policies share

extension CBORFields {
    /// A map of which every key is known.
    init(policy bytes: [UInt8], of structure: String, keys: ClosedRange<UInt64>) throws(PolicyError) {
        do { try self.init(try CBOR(canonical: bytes), of: structure) } catch { throw PolicyError(error) }
        for pair in pairs {
            guard case .unsigned(let key) = pair.key else { throw .invalid(field: "key of a \(structure)") }
            guard keys.contains(key) else { throw .unknownCriticalField(key) }
        }
    }

    func hasOnly(_ keys: ClosedRange<UInt64>) -> Bool {
        pairs.allSatisfy { pair in
            if case .unsigned(let key) = pair.key { keys.contains(key) } else { false }
        }
    }

    /// Nil where the field is absent.
    func time(_ key: UInt64, _ name: String) throws(CBORError) -> WallTime? {
        guard self[key] != nil else { return nil }
        let milliseconds = try unsigned(key, name)
        guard milliseconds <= Limits.wallTimeMaximum else { throw .unexpected(field: name) }
        return WallTime(milliseconds: Int64(milliseconds))
    }
}

extension WallTime {
    var item: CBOR { .unsigned(UInt64(clamping: milliseconds)) }
}

extension IdentityPattern {
    /// As `description` writes it: `namespace/name`, each perhaps `*`.
    init?(written text: String) {
        guard let pattern = try? IdentityPattern(parsing: text, namespace: "", trustDomain: nil),
            pattern.description == text
        else { return nil }
        self = pattern
    }
}
