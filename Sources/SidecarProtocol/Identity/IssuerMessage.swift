// What a sidecar (or a node) asks its host's issuer, and the answer: over the issuer's unix socket, each
// behind a length of 4 bytes, big-endian. The issuer knows the asker's uid from the socket.

package enum IssuerMessageError: Error, Equatable, Sendable, CustomStringConvertible {
    case malformed(CertificateError)
    /// The request isn't signed by the signing key that it names.
    case unproven

    package var description: String {
        switch self {
        case .malformed(let error): "the issuer's message can't be read: \(error)"
        case .unproven: "the request isn't signed by the key that it names"
        }
    }
}

/// A request for a certificate, signed by the signing key that it names: proof of possession.
package struct IssuerRequest: Hashable, Sendable {
    /// A workload's name, or the host's for a node's own certificate.
    package var subject: SPIFFEIdentity.Subject
    /// False where the launcher made the name up: such a workload may not serve.
    package var isNamed: Bool
    package var instance: InstanceID
    package var staticKey: X25519PublicKey
    package var signingKey: SigningPublicKey
    package var workloadVersion: String
    /// SHA-256 of the configuration's canonical form: a second instance of a name needs the same one.
    package var configurationHash: [UInt8]
    /// `--join`: run beside other instances of the name even with another configuration.
    package var joins: Bool
    /// Asks for the right to announce itself on its service topic.
    package var serves: Bool
    /// SHA-256.
    package var executableDigest: [UInt8]?
    /// What runs it, where it is a script.
    package var interpreter: ScriptInterpreter?
    package var labels: [String: String]
    /// The slot of the state folder that the asker holds locked; nil for a workload without state.
    package var replicaSlot: UInt32?

    package init(
        subject: SPIFFEIdentity.Subject, isNamed: Bool, instance: InstanceID, staticKey: X25519PublicKey,
        signingKey: SigningPublicKey, workloadVersion: String, configurationHash: [UInt8], joins: Bool,
        serves: Bool, executableDigest: [UInt8]?, interpreter: ScriptInterpreter? = nil,
        labels: [String: String] = [:], replicaSlot: UInt32? = nil
    ) {
        self.subject = subject
        self.isNamed = isNamed
        self.instance = instance
        self.staticKey = staticKey
        self.signingKey = signingKey
        self.workloadVersion = workloadVersion
        self.configurationHash = configurationHash
        self.joins = joins
        self.serves = serves
        self.executableDigest = executableDigest
        self.interpreter = interpreter
        self.labels = labels
        self.replicaSlot = replicaSlot
    }
}

/// What the issuer answers.
package enum IssuerAnswer: Hashable, Sendable {
    case issued(IssuedCertificate)
    /// The reason, for the log and the launcher's message.
    case refused(String)
}

package struct IssuedCertificate: Hashable, Sendable {
    package var chain: CertificateChain
    package var bundle: TrustBundle
    package var policyHead: PolicyHead
    package var discoveryKey: DiscoveryKey

    package init(
        chain: CertificateChain, bundle: TrustBundle, policyHead: PolicyHead, discoveryKey: DiscoveryKey
    ) {
        self.chain = chain
        self.bundle = bundle
        self.policyHead = policyHead
        self.discoveryKey = discoveryKey
    }
}

// MARK: - The request's encoding

extension IssuerRequest {
    private enum Key {
        static let host: UInt64 = 2
        static let namespace: UInt64 = 3
        static let name: UInt64 = 4
        static let isNamed: UInt64 = 5
        static let instance: UInt64 = 6
        static let staticKey: UInt64 = 7
        static let signingKey: UInt64 = 8
        static let workloadVersion: UInt64 = 9
        static let configurationHash: UInt64 = 10
        static let joins: UInt64 = 11
        static let serves: UInt64 = 12
        static let executableDigest: UInt64 = 13
        static let labels: UInt64 = 14
        static let replicaSlot: UInt64 = 15
        static let interpreter: UInt64 = 64
    }

    /// - Parameter key: the pair of `signingKey`.
    package func signed(by key: SigningKeyPair) -> [UInt8] {
        SignedBytes(body: body(), context: .certificateRequest, signedBy: key).encoded()
    }

    private func body() -> [UInt8] {
        var written = VersionedFields()
        switch subject {
        case .host(let host): written.known[Key.host] = .text(host)
        case .workload(let workload):
            written.known[Key.namespace] = .text(workload.namespace)
            written.known[Key.name] = .text(workload.name)
        }
        written.known[Key.isNamed] = .bool(isNamed)
        written.known[Key.instance] = .bytes(instance.bytes)
        written.known[Key.staticKey] = .bytes(staticKey.bytes)
        written.known[Key.signingKey] = .bytes(signingKey.bytes)
        written.known[Key.workloadVersion] = .text(workloadVersion)
        written.known[Key.configurationHash] = .bytes(configurationHash)
        written.known[Key.joins] = .bool(joins)
        written.known[Key.serves] = .bool(serves)
        written.known[Key.executableDigest] = executableDigest.map { .bytes($0) }
        written.known[Key.interpreter] = interpreter?.item
        written.known[Key.labels] = .map(labels.map { CBOR.Pair(.text($0.key), .text($0.value)) })
        written.known[Key.replicaSlot] = replicaSlot.map { .unsigned(UInt64($0)) }
        return written.encoded()
    }

    /// Reads a request and checks its proof of possession.
    package init(canonical bytes: [UInt8]) throws(IssuerMessageError) {
        let signed: SignedBytes
        do {
            signed = try SignedBytes(canonical: bytes)
        } catch { throw .malformed(CertificateError(error)) }
        let read: VersionedFields
        do {
            read = try VersionedFields(
                canonical: signed.body, of: "certificate request", keys: Key.host...Key.replicaSlot,
                later: [Key.interpreter])
        } catch { throw .malformed(CertificateError(error)) }
        do { try self.init(fields: read.known) } catch { throw .malformed(CertificateError(error)) }
        guard signed.isValid(context: .certificateRequest, signedBy: signingKey) else { throw .unproven }
    }

    private init(fields: CBORFields) throws(CBORError) {
        subject = try IssuerRequest.subject(fields)
        isNamed = try fields.bool(Key.isNamed, "is named")
        guard let instance = InstanceID(try fields.bytes(Key.instance, "instance")),
            let staticKey = X25519PublicKey(try fields.bytes(Key.staticKey, "static key")),
            let signingKey = SigningPublicKey(try fields.bytes(Key.signingKey, "signing key"))
        else { throw .unexpected(field: "instance or keys") }
        self.instance = instance
        self.staticKey = staticKey
        self.signingKey = signingKey
        workloadVersion = try fields.text(Key.workloadVersion, "workload version")
        guard workloadVersion.utf8.count <= Limits.versionBytesMaximum else {
            throw .unexpected(field: "workload version")
        }
        configurationHash = try fields.bytes(Key.configurationHash, "configuration hash", count: 32)
        joins = try fields.bool(Key.joins, "joins")
        serves = try fields.bool(Key.serves, "serves")
        executableDigest =
            fields[Key.executableDigest] == nil
            ? nil : try fields.bytes(Key.executableDigest, "executable digest", count: 32)
        if let item = fields[Key.interpreter] { interpreter = try ScriptInterpreter(item) }
        guard let item = fields[Key.labels] else { throw .unexpected(field: "labels") }
        labels = try CertificateContents.labels(item)
        guard labels.count <= Limits.certificateListMaximum,
            labels.allSatisfy({ CertificateContents.isLabel($0.key, $0.value) })
        else { throw .unexpected(field: "labels") }
        replicaSlot =
            fields[Key.replicaSlot] == nil ? nil : try fields.integer(Key.replicaSlot, "replica slot")
    }

    private static func subject(_ fields: CBORFields) throws(CBORError) -> SPIFFEIdentity.Subject {
        if fields[Key.host] != nil {
            let host = try fields.text(Key.host, "host")
            guard WorkloadName.isLabel(host), fields[Key.namespace] == nil, fields[Key.name] == nil
            else { throw .unexpected(field: "host") }
            return .host(host)
        }
        let namespace = try fields.text(Key.namespace, "namespace")
        guard let workload = try? WorkloadName(namespace: namespace, name: try fields.text(Key.name, "name"))
        else { throw .unexpected(field: "name") }
        return .workload(workload)
    }
}

// MARK: - The answer's encoding

extension IssuerAnswer {
    private enum Key {
        static let refusal: UInt64 = 2
        static let leaf: UInt64 = 3
        static let issuer: UInt64 = 4
        static let bundle: UInt64 = 5
        static let policyEpoch: UInt64 = 6
        static let policyHash: UInt64 = 7
        static let discoveryKey: UInt64 = 8
    }

    package func encoded() -> [UInt8] {
        var written = VersionedFields()
        switch self {
        case .refused(let reason): written.known[Key.refusal] = .text(reason)
        case .issued(let issued):
            written.known[Key.leaf] = .bytes(issued.chain.leaf.encoded)
            written.known[Key.issuer] = .bytes(issued.chain.issuer.encoded)
            written.known[Key.bundle] = .bytes(issued.bundle.encoded)
            written.known[Key.policyEpoch] = .unsigned(issued.policyHead.epoch)
            written.known[Key.policyHash] = .bytes(issued.policyHead.hash)
            written.known[Key.discoveryKey] = .bytes(issued.discoveryKey.bytes)
        }
        return written.encoded()
    }

    /// Reads an answer; who is named in it, and by whom, is `TrustBundle.verify`'s to say.
    package init(canonical bytes: [UInt8]) throws(IssuerMessageError) {
        do throws(CertificateError) {
            let read: VersionedFields
            do {
                read = try VersionedFields(
                    canonical: bytes, of: "issuer's answer", keys: Key.refusal...Key.discoveryKey)
            } catch { throw CertificateError(error) }
            if case .text(let reason)? = read.known[Key.refusal] {
                self = .refused(reason)
            } else {
                self = .issued(try IssuerAnswer.issued(read.known))
            }
        } catch { throw .malformed(error) }
    }

    private static func issued(_ fields: CBORFields) throws(CertificateError) -> IssuedCertificate {
        let leaf: [UInt8]
        let issuer: [UInt8]
        let bundle: [UInt8]
        let head: PolicyHead?
        let key: DiscoveryKey?
        do {
            leaf = try fields.bytes(Key.leaf, "leaf")
            issuer = try fields.bytes(Key.issuer, "issuer")
            bundle = try fields.bytes(Key.bundle, "trust bundle")
            head = PolicyHead(
                epoch: try fields.unsigned(Key.policyEpoch, "policy epoch"),
                hash: try fields.bytes(Key.policyHash, "policy hash"))
            key = DiscoveryKey(try fields.bytes(Key.discoveryKey, "discovery key"))
        } catch { throw CertificateError(error) }
        guard let head else { throw .invalid(field: "policy hash") }
        guard let key else { throw .invalid(field: "discovery key") }
        let chain = CertificateChain(
            leaf: try Certificate(canonical: leaf), issuer: try Certificate(canonical: issuer))
        guard chain.leaf.kind == .leaf || chain.leaf.kind == .host else { throw .invalid(field: "leaf") }
        guard chain.issuer.kind == .issuer else { throw .invalid(field: "issuer") }
        return IssuedCertificate(
            chain: chain, bundle: try TrustBundle(canonical: bundle), policyHead: head, discoveryKey: key)
    }
}
