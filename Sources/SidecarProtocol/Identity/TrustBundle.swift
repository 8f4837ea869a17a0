// Whom a trust domain believes: its roots, and the way from a root to a leaf.
//
// Theory of operation
//
//   A bundle names the domain and holds the self-signed certificates of its roots, several at once so
//   that one can follow another. The hash of the first bundle that a domain ever had is the domain's
//   id. Later bundles carry that id as a field, and so go on being the same domain.
//
//   A chain has two certificates: the leaf (or a node's own), and its host's issuer, which a root has
//   signed. An issuer may name only the workloads that its certificate's patterns match, its own host,
//   and the service topics of those workloads. All three must be valid at the time of the question, and
//   the identity ends when the first of the three does.
//
//   A bundle isn't signed: it is trusted because of where it was found (the operator's folder, or the
//   issuer's socket on one's own host), never because of who sent it.

package struct TrustBundle: Hashable, Sendable {
    package let trustDomain: String
    /// 1 for the first, one more for each that follows.
    package let sequence: UInt64
    package let id: TrustDomainID
    package let roots: [Certificate]
    package let encoded: [UInt8]

    /// The first bundle of a domain: its hash becomes the domain's id.
    package init(firstOf trustDomain: String, roots: [Certificate]) throws(CertificateError) {
        try self.init(trustDomain: trustDomain, sequence: 1, firstID: nil, roots: roots)
    }

    /// The bundle that follows this one, with other roots.
    package func following(roots: [Certificate]) throws(CertificateError) -> TrustBundle {
        try TrustBundle(
            trustDomain: trustDomain, sequence: sequence + 1, firstID: id, roots: roots)
    }

    private init(
        trustDomain: String, sequence: UInt64, firstID: TrustDomainID?, roots: [Certificate]
    ) throws(CertificateError) {
        var written = VersionedFields()
        written.known[Key.trustDomain] = .text(trustDomain)
        written.known[Key.sequence] = .unsigned(sequence)
        written.known[Key.roots] = .array(roots.map { .bytes($0.encoded) })
        written.known[Key.firstID] = firstID.map { .bytes($0.bytes) }
        try self.init(canonical: written.encoded())
    }
}

// MARK: - Encoding

extension TrustBundle {
    private enum Key {
        static let trustDomain: UInt64 = 2
        static let sequence: UInt64 = 3
        static let roots: UInt64 = 4
        /// Absent from the first bundle, which can't contain its own hash.
        static let firstID: UInt64 = 5
    }

    package init(canonical bytes: [UInt8]) throws(CertificateError) {
        guard bytes.count <= Limits.trustBundleBytesMaximum else { throw .tooLong(bytes.count) }
        let read: VersionedFields
        do {
            read = try VersionedFields(
                canonical: bytes, of: "trust bundle", keys: Key.trustDomain...Key.firstID)
        } catch { throw CertificateError(error) }
        let rootBytes: [[UInt8]]
        do {
            trustDomain = try read.known.text(Key.trustDomain, "trust domain")
            sequence = try read.known.unsigned(Key.sequence, "sequence")
            rootBytes = try read.known.byteStrings(Key.roots, "roots")
            id = try TrustBundle.id(sequence: sequence, firstID: read.known[Key.firstID], of: bytes)
        } catch { throw CertificateError(error) }
        guard TrustDomain.isName(trustDomain) else { throw .invalid(field: "trust domain") }
        roots = try TrustBundle.roots(rootBytes, of: trustDomain)
        encoded = bytes
    }

    private static func id(
        sequence: UInt64, firstID: CBOR?, of bytes: [UInt8]
    ) throws(CBORError) -> TrustDomainID {
        switch (sequence, firstID) {
        case (1, nil):
            if let id = TrustDomainID(SHA256.hash(bytes)) { return id }
        case (2..<UInt64.max, .bytes(let first)):
            if let id = TrustDomainID(first) { return id }
        default: break
        }
        throw .unexpected(field: "sequence or first id")
    }

    private static func roots(
        _ encoded: [[UInt8]], of trustDomain: String
    ) throws(CertificateError) -> [Certificate] {
        guard (1...Limits.trustBundleRootsMaximum).contains(encoded.count) else {
            throw .invalid(field: "number of roots")
        }
        var roots: [Certificate] = []
        for bytes in encoded {
            let root = try Certificate(canonical: bytes)
            guard root.kind == .root, root.trustDomain == trustDomain,
                root.isSigned(by: root.signingKey),
                !roots.contains(where: { $0.signingKey == root.signingKey })
            else { throw .invalid(field: "root") }
            roots.append(root)
        }
        return roots
    }
}

// MARK: - Verifying

/// A leaf, or a node's own certificate, and the issuer that signed it.
package struct CertificateChain: Hashable, Sendable {
    package let leaf: Certificate
    package let issuer: Certificate

    package init(leaf: Certificate, issuer: Certificate) {
        self.leaf = leaf
        self.issuer = issuer
    }
}

/// Who a chain proves somebody to be, and until when.
package struct VerifiedIdentity: Hashable, Sendable {
    package let identity: SPIFFEIdentity
    package let chain: CertificateChain
    /// The first of the not-afters of leaf, issuer and root, without skew: to be cut at, for oneself.
    package let validUntil: WallTime

    package var certificate: Certificate { chain.leaf }
    package var instance: InstanceID { chain.leaf.instance! }
    package var staticKey: X25519PublicKey { chain.leaf.staticKey! }
    package var signingKey: SigningPublicKey { chain.leaf.signingKey }
}

extension TrustBundle {
    /// Whether the domain stands by this chain now.
    ///
    /// - Parameters:
    ///   - skew: what the clocks may differ by; zero for one's own chain.
    ///   - staticKey: the one that the Noise handshake proved; nil where there was none.
    package func verify(
        _ chain: CertificateChain, at now: WallTime,
        skew: MonotonicTime.Span = Limits.peerClockSkew, staticKey: X25519PublicKey? = nil
    ) throws(TrustError) -> VerifiedIdentity {
        let (leaf, issuer) = (chain.leaf, chain.issuer)
        for (certificate, isRightKind) in [
            (leaf, leaf.kind == .leaf || leaf.kind == .host), (issuer, issuer.kind == .issuer),
        ] {
            guard isRightKind else { throw .wrongKind(certificate.kind) }
            guard certificate.trustDomain == trustDomain else {
                throw .wrongDomain(certificate.trustDomain, expected: trustDomain)
            }
        }
        guard let root = roots.first(where: { $0.signingKey.keyID == issuer.issuerKeyID }) else {
            throw .unknownRoot(keyID: issuer.issuerKeyID)
        }
        guard issuer.isSigned(by: root.signingKey) else { throw .badSignature(.issuer) }
        guard leaf.issuerKeyID == issuer.signingKey.keyID else { throw .wrongIssuer }
        guard leaf.isSigned(by: issuer.signingKey) else { throw .badSignature(leaf.kind) }
        for certificate in [root, issuer, leaf] { try certificate.checkTime(now, skew) }
        let identity = try issuer.checkRight(toIssue: leaf)
        if let staticKey, leaf.staticKey != staticKey { throw .wrongStaticKey(identity) }
        return VerifiedIdentity(
            identity: identity, chain: chain,
            validUntil: min(root.notAfter, issuer.notAfter, leaf.notAfter))
    }
}

extension Certificate {
    fileprivate func checkTime(
        _ now: WallTime, _ skew: MonotonicTime.Span
    ) throws(TrustError) {
        if now + skew < contents.notBefore {
            throw .notYetValid(
                contents.kind, milliseconds: contents.notBefore.milliseconds &- (now + skew).milliseconds)
        }
        let end = contents.notAfter + skew
        if now >= end {
            throw .expired(contents.kind, milliseconds: now.milliseconds &- contents.notAfter.milliseconds)
        }
    }

    /// Whether this issuer may say what `leaf` says.
    fileprivate func checkRight(toIssue leaf: Certificate) throws(TrustError) -> SPIFFEIdentity {
        guard let identity = leaf.identity else { throw .wrongKind(leaf.kind) }
        switch identity.subject {
        case .workload(let name):
            guard contents.names.contains(where: { $0.matches(name) }) else {
                throw .issuerMayNotName(identity)
            }
        case .host:
            guard contents.subject == identity.subject else { throw .issuerMayNotName(identity) }
        }
        for topic in leaf.topics {
            guard let name = TopicName.owner(of: topic) else { continue }
            guard contents.names.contains(where: { $0.matches(name) }) else {
                throw .issuerMayNotGrant(topic: topic)
            }
        }
        return identity
    }
}
