// A policy as canonical CBOR.

extension PolicyDocument {
    private enum Key {
        static let trustDomain: UInt64 = 2
        static let epoch: UInt64 = 3
        static let issuedAt: UInt64 = 4
        static let mode: UInt64 = 5
        static let unmatched: UInt64 = 6
        static let rules: UInt64 = 7
        static let revocations: UInt64 = 8
        static let locks: UInt64 = 9
        static let freshnessKeys: UInt64 = 10
        static let settles: UInt64 = 11
    }

    /// The canonical form that is signed. An empty list is left out.
    package func body() -> [UInt8] {
        var written = VersionedFields(version: version, unknown: unknown)
        written.known[Key.trustDomain] = .bytes(trustDomain.bytes)
        written.known[Key.epoch] = .unsigned(epoch)
        written.known[Key.issuedAt] = issuedAt.item
        written.known[Key.mode] = .unsigned(mode.rawValue)
        written.known[Key.unmatched] = .unsigned(unmatched.rawValue)
        func write(_ key: UInt64, _ items: [CBOR]) {
            written.known[key] = items.isEmpty ? nil : .array(items)
        }
        write(Key.rules, rules.map { .bytes($0.encoded()) })
        write(Key.revocations, revocations.map(\.item))
        write(Key.locks, locks.map(\.item))
        write(Key.freshnessKeys, freshnessKeys.map { .bytes($0.bytes) })
        write(Key.settles, settles.map(\.item))
        return written.encoded()
    }

    init(body: [UInt8]) throws(PolicyError) {
        let read: VersionedFields
        do {
            read = try VersionedFields(
                canonical: body, of: "policy", keys: Key.trustDomain...Key.settles)
        } catch { throw PolicyError(error) }
        try self.init(fields: read.known)
        (version, unknown) = (read.version, read.unknown)
        let encodedRules = try PolicyDocument.rules(read.known)
        // Before the work, not after it.
        guard encodedRules.count <= Limits.policyRulesMaximum else {
            throw .invalid(field: "number of rules")
        }
        for bytes in encodedRules {
            rules.append(try PolicyRule(canonical: bytes))
        }
        do { try readLists(read.known) } catch { throw PolicyError(error) }
        if let field = impossibleField { throw .invalid(field: field) }
        // One encoding per value: an empty list that was written, for one, isn't ours.
        guard self.body() == body else { throw .invalid(field: "encoding") }
    }

    private init(fields: CBORFields) throws(PolicyError) {
        do throws(CBORError) {
            guard let domain = TrustDomainID(try fields.bytes(Key.trustDomain, "trust domain")),
                let issuedAt = try fields.time(Key.issuedAt, "issue time"),
                let mode = Mode(rawValue: try fields.unsigned(Key.mode, "mode")),
                let unmatched = Unmatched(rawValue: try fields.unsigned(Key.unmatched, "unmatched"))
            else { throw .unexpected(field: "trust domain, issue time, mode or unmatched") }
            self.init(
                trustDomain: domain, epoch: try fields.unsigned(Key.epoch, "epoch"), issuedAt: issuedAt,
                mode: mode, unmatched: unmatched)
        } catch { throw PolicyError(error) }
    }

    private static func rules(_ fields: CBORFields) throws(PolicyError) -> [[UInt8]] {
        guard fields[Key.rules] != nil else { return [] }
        do { return try fields.byteStrings(Key.rules, "rules") } catch { throw PolicyError(error) }
    }

    private mutating func readLists(_ fields: CBORFields) throws(CBORError) {
        func items(_ key: UInt64, _ name: String) throws(CBORError) -> [CBOR] {
            fields[key] == nil ? [] : try fields.array(key, name)
        }
        for item in try items(Key.revocations, "revocations") {
            revocations.append(try PolicyRevocation(item))
        }
        for item in try items(Key.locks, "locks") { locks.append(try PolicyLock(item)) }
        for item in try items(Key.freshnessKeys, "freshness keys") {
            guard case .bytes(let bytes) = item, let key = SigningPublicKey(bytes) else {
                throw .unexpected(field: "freshness keys")
            }
            freshnessKeys.append(key)
        }
        for item in try items(Key.settles, "settled heads") {
            settles.append(try PolicyHead(frame: item))
        }
    }

    /// The first field that is impossible, or past its limit.
    var impossibleField: String? {
        if epoch == 0 || epoch == .max { return "epoch" }
        if !(0...Int64(Limits.wallTimeMaximum)).contains(issuedAt.milliseconds) { return "issue time" }
        if rules.count > Limits.policyRulesMaximum { return "number of rules" }
        if revocations.count > Limits.policyRevocationsMaximum { return "number of revocations" }
        if locks.count > Limits.policyLocksMaximum { return "number of locks" }
        if freshnessKeys.count > Limits.policyFreshnessKeysMaximum { return "number of freshness keys" }
        if settles.count > Limits.policySettlesMaximum { return "number of settled heads" }
        if settles.contains(where: { $0.epoch >= epoch }) { return "settled heads" }
        if let field = rules.lazy.compactMap(\.impossibleField).first { return "rule's \(field)" }
        if !revocations.allSatisfy(\.isPossible) { return "revocations" }
        if !locks.allSatisfy(\.isPossible) { return "locks" }
        if indexEntries > Limits.policyIndexEntriesMaximum { return "number of patterns and ports" }
        return nil
    }

    /// What the index of the rules holds at most.
    private var indexEntries: Int {
        rules.reduce(0) { sum, rule in
            sum + rule.from.patterns.count * rule.to.patterns.count * max(1, rule.ports?.count ?? 1)
        }
    }
}

// MARK: - Revocations, locks, heads

extension PolicyRevocation {
    fileprivate var item: CBOR {
        let (kind, value): (UInt64, CBOR) =
            switch subject {
            case .identity(let name): (0, .text(name.description))
            case .instance(let id): (1, .bytes(id.bytes))
            case .issuer(let keyID): (2, .bytes(keyID))
            case .serial(let number): (3, .unsigned(number))
            }
        return .array([.unsigned(kind), value, .text(reason)])
    }

    fileprivate init(_ item: CBOR) throws(CBORError) {
        guard case .array(let parts) = item, parts.count == 3, case .unsigned(let kind) = parts[0],
            case .text(let reason) = parts[2], let subject = Subject(kind: kind, parts[1])
        else { throw .unexpected(field: "revocations") }
        self.init(subject, reason: reason)
    }

    fileprivate var isPossible: Bool {
        if case .issuer(let keyID) = subject, keyID.count != 16 { return false }
        return reason.utf8.count <= Limits.policyReasonBytesMaximum
    }
}

extension PolicyRevocation.Subject {
    fileprivate init?(kind: UInt64, _ value: CBOR) {
        switch (kind, value) {
        case (0, .text(let text)):
            guard let pattern = IdentityPattern(written: text),
                case .exactly(let namespace) = pattern.namespace,
                case .exactly(let name) = pattern.name,
                let workload = try? WorkloadName(namespace: namespace, name: name)
            else { return nil }
            self = .identity(workload)
        case (1, .bytes(let bytes)):
            guard let id = InstanceID(bytes) else { return nil }
            self = .instance(id)
        case (2, .bytes(let keyID)): self = .issuer(keyID: keyID)
        case (3, .unsigned(let number)): self = .serial(number)
        default: return nil
        }
    }
}

extension PolicyLock {
    fileprivate var item: CBOR { .array([.text(pattern.description), until.item, .text(reason)]) }

    fileprivate init(_ item: CBOR) throws(CBORError) {
        guard case .array(let parts) = item, parts.count == 3, case .text(let text) = parts[0],
            case .unsigned(let until) = parts[1], until <= Limits.wallTimeMaximum,
            case .text(let reason) = parts[2], let pattern = IdentityPattern(written: text)
        else { throw .unexpected(field: "locks") }
        self.init(pattern, until: WallTime(milliseconds: Int64(until)), reason: reason)
    }

    fileprivate var isPossible: Bool {
        reason.utf8.count <= Limits.policyReasonBytesMaximum
            && (0...Int64(Limits.wallTimeMaximum)).contains(until.milliseconds)
    }
}
