// What a certificate says (DESIGN.md, section 4).

package struct CertificateContents: Hashable, Sendable {
    package enum Kind: UInt64, Hashable, Sendable {
        /// A root of the trust domain; it signs itself, and lies in the trust bundle.
        case root = 0
        /// A host's issuer, signed by a root.
        case issuer = 1
        /// A workload's, signed by its host's issuer.
        case leaf = 2
        /// A node's own, signed by its host's issuer.
        case host = 3
        /// A policy key's, signed by a root; it signs policies and nothing else.
        case policy = 4
    }

    /// The digest of the executable, and whose word it is.
    package struct Executable: Hashable, Sendable {
        package enum Attestation: UInt64, Hashable, Sendable {
            /// The sidecar said so.
            case own = 0
            /// The issuer has read the file itself.
            case issuer = 1
        }

        /// SHA-256; of a script, the script's own.
        package var digest: [UInt8]
        package var attested: Attestation
        /// What runs it, where it is a script.
        package var interpreter: ScriptInterpreter?

        package init(digest: [UInt8], attested: Attestation, interpreter: ScriptInterpreter? = nil) {
            self.digest = digest
            self.attested = attested
            self.interpreter = interpreter
        }
    }

    /// The right to hold a replica of the identity's state.
    package struct Replica: Hashable, Sendable {
        /// 16 bytes, the same in every replica of a group.
        package var group: [UInt8]
        package var slot: UInt32

        package init(group: [UInt8], slot: UInt32) {
            self.group = group
            self.slot = slot
        }
    }

    package var kind: Kind
    package var trustDomain: String
    /// Nil for a root and a policy key; the host for an issuer.
    package var subject: SPIFFEIdentity.Subject?
    /// Leaf and host only.
    package var instance: InstanceID?
    /// The static key of its Noise handshakes. Leaf and host only.
    package var staticKey: X25519PublicKey?
    /// Signs announcements and records (leaf, host) or certificates (root, issuer).
    package var signingKey: SigningPublicKey
    /// To the millisecond, both.
    package var notBefore: WallTime
    package var notAfter: WallTime
    package var serial: UInt64
    /// Of the workload; empty for every other kind.
    package var workloadVersion: String = ""
    package var labels: [String: String] = [:]
    /// Names of the topics that it may announce itself on.
    package var topics: [String] = []
    package var replica: Replica?
    package var executable: Executable?
    /// The workloads that an issuer may name. It may name its own host besides.
    package var names: [IdentityPattern] = []

    /// `keyID` of the key that signed it; set by signing.
    package internal(set) var issuerKeyID: [UInt8] = []
    package internal(set) var version = StructureVersion()
    /// Fields of a later version, kept as they came.
    package internal(set) var unknown: [CBOR.Pair] = []

    package init(
        kind: Kind, trustDomain: String, subject: SPIFFEIdentity.Subject?, signingKey: SigningPublicKey,
        notBefore: WallTime, notAfter: WallTime, serial: UInt64
    ) {
        self.kind = kind
        self.trustDomain = trustDomain
        self.subject = subject
        self.signingKey = signingKey
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.serial = serial
    }

    /// Nil for a root.
    package var identity: SPIFFEIdentity? {
        subject.map { SPIFFEIdentity(trustDomain: trustDomain, subject: $0) }
    }

    /// Signs what it says. Refuses contents that no reader would accept.
    package func signed(by issuer: SigningKeyPair) throws(CertificateError) -> Certificate {
        var contents = self
        contents.issuerKeyID = issuer.publicKey.keyID
        let signed = SignedBytes(body: contents.body(), context: .certificate, signedBy: issuer)
        return try Certificate(canonical: signed.encoded())
    }
}

// MARK: - Encoding

extension CertificateContents {
    private enum Key {
        static let kind: UInt64 = 2
        static let subject: UInt64 = 3
        static let instance: UInt64 = 4
        static let staticKey: UInt64 = 5
        static let signingKey: UInt64 = 6
        static let notBefore: UInt64 = 7
        static let notAfter: UInt64 = 8
        static let serial: UInt64 = 9
        static let workloadVersion: UInt64 = 10
        static let labels: UInt64 = 11
        static let topics: UInt64 = 12
        static let replica: UInt64 = 13
        static let executable: UInt64 = 14
        static let issuerKeyID: UInt64 = 15
        static let names: UInt64 = 16
        /// Not critical: a reader that doesn't know it still has the script's own digest.
        static let interpreter: UInt64 = 70
    }

    /// The canonical form that is signed. An empty or absent value is left out.
    func body() -> [UInt8] {
        var written = VersionedFields(version: version, unknown: unknown)
        written.known[Key.kind] = .unsigned(kind.rawValue)
        written.known[Key.subject] = .text(identity?.description ?? "spiffe://\(trustDomain)")
        written.known[Key.instance] = instance.map { .bytes($0.bytes) }
        written.known[Key.staticKey] = staticKey.map { .bytes($0.bytes) }
        written.known[Key.signingKey] = .bytes(signingKey.bytes)
        written.known[Key.notBefore] = .unsigned(UInt64(clamping: notBefore.milliseconds))
        written.known[Key.notAfter] = .unsigned(UInt64(clamping: notAfter.milliseconds))
        written.known[Key.serial] = .unsigned(serial)
        written.known[Key.issuerKeyID] = .bytes(issuerKeyID)
        writeRights(&written.known)
        return written.encoded()
    }

    private func writeRights(_ fields: inout CBORFields) {
        fields[Key.workloadVersion] = workloadVersion.isEmpty ? nil : .text(workloadVersion)
        fields[Key.labels] =
            labels.isEmpty ? nil : .map(labels.map { CBOR.Pair(.text($0.key), .text($0.value)) })
        fields[Key.topics] = topics.isEmpty ? nil : .array(topics.map { .text($0) })
        fields[Key.replica] = replica.map { .array([.bytes($0.group), .unsigned(UInt64($0.slot))]) }
        fields[Key.executable] = executable.map {
            .array([.bytes($0.digest), .unsigned($0.attested.rawValue)])
        }
        fields[Key.interpreter] = executable?.interpreter?.item
        fields[Key.names] = names.isEmpty ? nil : .array(names.map { .text($0.description) })
    }

    init(body: [UInt8]) throws(CertificateError) {
        let read: VersionedFields
        do {
            read = try VersionedFields(
                canonical: body, of: "certificate", keys: Key.kind...Key.names, later: [Key.interpreter])
        } catch { throw CertificateError(error) }
        do {
            try self.init(fields: read.known)
            try readKeys(read.known)
            try readRights(read.known)
        } catch { throw CertificateError(error) }
        (version, unknown) = (read.version, read.unknown)
        if let field = impossibleField { throw .invalid(field: field) }
        // One encoding per value: an empty list that was written, for one, isn't ours.
        guard self.body() == body else { throw .invalid(field: "encoding") }
    }

    /// The fields that every certificate has.
    private init(fields: CBORFields) throws(CBORError) {
        let (trustDomain, subject) = try CertificateContents.subject(
            try fields.text(Key.subject, "subject"))
        guard let kind = Kind(rawValue: try fields.unsigned(Key.kind, "kind")) else {
            throw .unexpected(field: "kind")
        }
        guard let key = SigningPublicKey(try fields.bytes(Key.signingKey, "signing key")) else {
            throw .unexpected(field: "signing key")
        }
        self.init(
            kind: kind, trustDomain: trustDomain, subject: subject, signingKey: key,
            notBefore: try CertificateContents.time(fields, Key.notBefore, "not-before"),
            notAfter: try CertificateContents.time(fields, Key.notAfter, "not-after"),
            serial: try fields.unsigned(Key.serial, "serial"))
        issuerKeyID = try fields.bytes(Key.issuerKeyID, "issuer key id", count: 16)
    }
}

// MARK: - Reading the fields

extension CertificateContents {
    /// `spiffe://<trust domain>` for a root, or an identity.
    private static func subject(
        _ text: String
    ) throws(CBORError) -> (trustDomain: String, subject: SPIFFEIdentity.Subject?) {
        let scheme = "spiffe://"
        if text.hasPrefix(scheme), TrustDomain.isName(String(text.dropFirst(scheme.count))) {
            return (String(text.dropFirst(scheme.count)), nil)
        }
        guard let identity = try? SPIFFEIdentity(parsing: text) else { throw .unexpected(field: "subject") }
        return (identity.trustDomain, identity.subject)
    }

    private static func time(
        _ fields: CBORFields, _ key: UInt64, _ name: String
    ) throws(CBORError) -> WallTime {
        let milliseconds = try fields.unsigned(key, name)
        guard milliseconds <= Limits.wallTimeMaximum else { throw .unexpected(field: name) }
        return WallTime(milliseconds: Int64(milliseconds))
    }

    private mutating func readKeys(_ fields: CBORFields) throws(CBORError) {
        if fields[Key.instance] != nil {
            instance = InstanceID(try fields.bytes(Key.instance, "instance", count: 16))
        }
        if fields[Key.staticKey] != nil {
            staticKey = X25519PublicKey(try fields.bytes(Key.staticKey, "static key", count: 32))
        }
    }

    private mutating func readRights(_ fields: CBORFields) throws(CBORError) {
        if fields[Key.workloadVersion] != nil {
            workloadVersion = try fields.text(Key.workloadVersion, "workload version")
        }
        if let item = fields[Key.labels] { labels = try CertificateContents.labels(item) }
        if fields[Key.topics] != nil { topics = try fields.texts(Key.topics, "topics") }
        if fields[Key.names] != nil {
            names = []
            for text in try fields.texts(Key.names, "names") {
                guard let pattern = try? IdentityPattern(parsing: text, namespace: "", trustDomain: nil)
                else { throw .unexpected(field: "names") }
                names.append(pattern)
            }
        }
        if let item = fields[Key.replica] {
            guard case .array(let parts) = item, parts.count == 2, case .bytes(let group) = parts[0],
                group.count == 16, case .unsigned(let value) = parts[1],
                let slot = UInt32(exactly: value)
            else { throw .unexpected(field: "replica") }
            replica = Replica(group: group, slot: slot)
        }
        if let item = fields[Key.executable] {
            guard case .array(let parts) = item, parts.count == 2, case .bytes(let digest) = parts[0],
                digest.count == 32, case .unsigned(let value) = parts[1],
                let attested = Executable.Attestation(rawValue: value)
            else { throw .unexpected(field: "executable") }
            executable = Executable(digest: digest, attested: attested)
        }
        if let item = fields[Key.interpreter] {
            guard executable != nil else { throw .unexpected(field: "interpreter") }
            executable?.interpreter = try ScriptInterpreter(item)
        }
    }

    static func labels(_ item: CBOR) throws(CBORError) -> [String: String] {
        guard case .map(let pairs) = item else { throw .unexpected(field: "labels") }
        var labels: [String: String] = [:]
        for pair in pairs {
            guard case .text(let name) = pair.key, case .text(let value) = pair.value else {
                throw .unexpected(field: "labels")
            }
            labels[name] = value
        }
        return labels
    }
}

// MARK: - What may stand together

extension CertificateContents {
    /// The first field that can't be so, whatever signed it.
    private var impossibleField: String? {
        if notBefore >= notAfter { return "not-after" }
        if workloadVersion.utf8.count > Limits.versionBytesMaximum { return "workload version" }
        if labels.count > Limits.certificateListMaximum
            || !labels.allSatisfy({ CertificateContents.isLabel($0.key, $0.value) })
        {
            return "labels"
        }
        if topics.count > Limits.certificateListMaximum || !topics.allSatisfy(TopicName.isName) {
            return "topics"
        }
        if names.count > Limits.certificateListMaximum { return "names" }
        return fieldOfAnotherKind
    }

    static func isLabel(_ name: String, _ value: String) -> Bool {
        (1...Limits.labelBytesMaximum).contains(name.utf8.count)
            && value.utf8.count <= Limits.labelBytesMaximum
    }

    private var fieldOfAnotherKind: String? {
        switch (kind, subject) {
        case (.root, nil), (.policy, nil), (.issuer, .host), (.leaf, .workload), (.host, .host): break
        default: return "subject"
        }
        let identifies = kind == .leaf || kind == .host
        if (instance != nil) != identifies { return "instance" }
        if (staticKey != nil) != identifies { return "static key" }
        if !identifies && !topics.isEmpty { return "topics" }
        if kind != .leaf {
            if !workloadVersion.isEmpty { return "workload version" }
            if replica != nil { return "replica" }
            if executable != nil { return "executable" }
        }
        if kind != .issuer && !names.isEmpty { return "names" }
        return nil
    }
}
