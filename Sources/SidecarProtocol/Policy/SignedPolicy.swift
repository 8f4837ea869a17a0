// A policy with its signature and the certificate of the key that made it.
//
//     [ [body, signature], certificate ]     both parts as byte strings
//
// The certificate is of the kind `policy`: a root has signed it, it names no subject, and all it allows is
// to sign policies of its domain.

/// To have one means only that it is well formed: `TrustBundle.verify` says whether to believe it.
package struct SignedPolicy: Sendable, Hashable {
    package let document: PolicyDocument
    package let certificate: Certificate
    /// Canonical; at most `Limits.policyBytesMaximum`.
    package let encoded: [UInt8]
    /// The epoch, and the SHA-256 of body and signature. The certificate may be replaced by a renewed one.
    package let head: PolicyHead

    package init(canonical bytes: [UInt8]) throws(PolicyError) {
        guard bytes.count <= Limits.policyBytesMaximum else { throw .tooLarge(bytes: bytes.count) }
        let certificateBytes: [UInt8]
        let signedBytes: [UInt8]
        let signed: SignedBytes
        do throws(CBORError) {
            guard case .array(let parts) = try CBOR(canonical: bytes), parts.count == 2,
                case .bytes(let first) = parts[0], case .bytes(let second) = parts[1]
            else { throw .unexpected(field: "signed policy") }
            (signedBytes, certificateBytes) = (first, second)
            signed = try SignedBytes(canonical: signedBytes)
        } catch { throw PolicyError(error) }
        do { certificate = try Certificate(canonical: certificateBytes) } catch {
            throw .badCertificate(error)
        }
        document = try PolicyDocument(body: signed.body)
        guard let head = PolicyHead(epoch: document.epoch, hash: SHA256.hash(signedBytes)) else {
            throw .invalid(field: "head")
        }
        self.head = head
        encoded = bytes
    }

    /// Whether the certificate's key has signed it.
    fileprivate var isSigned: Bool {
        guard case .array(let parts)? = try? CBOR(canonical: encoded), case .bytes(let bytes)? = parts.first,
            let signed = try? SignedBytes(canonical: bytes)
        else { return false }
        return signed.isValid(context: .policy, signedBy: certificate.signingKey)
    }

    package static func == (left: SignedPolicy, right: SignedPolicy) -> Bool {
        left.encoded == right.encoded
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(head) }
}

extension PolicyDocument {
    /// Signs the policy. Refuses one whose rules can't be meant, and one that no reader would take.
    ///
    /// - Parameter certificate: the policy key's.
    package func signed(
        by key: SigningKeyPair, certificate: Certificate
    ) throws(PolicyError) -> SignedPolicy {
        if let field = impossibleField { throw .invalid(field: field) }
        let problems = self.problems
        if let first = problems.first { throw .problems(first: first, count: problems.count) }
        return try sealed(by: key, certificate: certificate)
    }

    /// Signs without a look at the rules; for tests of those who read.
    package func sealed(
        by key: SigningKeyPair, certificate: Certificate
    ) throws(PolicyError) -> SignedPolicy {
        let signed = SignedBytes(body: body(), context: .policy, signedBy: key)
        return try SignedPolicy(
            canonical: CBOR.array([.bytes(signed.encoded()), .bytes(certificate.encoded)]).encoded())
    }
}

// MARK: - Verifying

extension TrustBundle {
    /// Whether the domain stands by this policy.
    ///
    /// The key's certificate must have been valid when the policy was issued: what was in force stays so
    /// after the certificate has ended, since a revocation mustn't end with it.
    /// Nor is one refused for coming from the future: a clock that was set back must not keep a revocation
    /// out.
    package func verify(_ policy: SignedPolicy) throws(PolicyError) {
        let (document, certificate) = (policy.document, policy.certificate)
        guard document.trustDomain == id else { throw .wrongDomain(document.trustDomain, expected: id) }
        guard certificate.kind == .policy, certificate.trustDomain == trustDomain else {
            throw .wrongCertificate
        }
        guard let root = roots.first(where: { $0.signingKey.keyID == certificate.issuerKeyID }) else {
            throw .unknownRoot(keyID: certificate.issuerKeyID)
        }
        guard certificate.isSigned(by: root.signingKey) else { throw .badCertificateSignature }
        guard policy.isSigned else { throw .badSignature }
        for certificate in [root, certificate] {
            guard document.issuedAt >= certificate.notBefore, document.issuedAt < certificate.notAfter else {
                throw .signedOutsideCertificate
            }
        }
    }

    /// The same for whoever publishes it, whose clock is checked too.
    package func verify(_ policy: SignedPolicy, at now: WallTime) throws(PolicyError) {
        try verify(policy)
        let issuedAt = policy.document.issuedAt
        guard issuedAt <= now + Limits.peerClockSkew else {
            throw .notYetIssued(
                milliseconds: issuedAt.milliseconds &- (now + Limits.peerClockSkew).milliseconds)
        }
    }
}
