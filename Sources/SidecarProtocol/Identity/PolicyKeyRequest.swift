// How an operator's policy key is certified by a root that is kept offline: as a host's issuer is
// (TrustExchange), but what comes back is the certificate alone.

/// A wish for the certificate of a policy key, signed with that key: proof that the asker holds it.
package struct PolicyKeyRequest: Hashable, Sendable {
    /// A root signs for its own domain only.
    package let domain: TrustDomainID
    package let key: SigningPublicKey

    package init(domain: TrustDomainID, key: SigningPublicKey) {
        self.domain = domain
        self.key = key
    }

    private enum Key {
        static let domain: UInt64 = 2
        static let key: UInt64 = 3
    }

    /// - Parameter key: the pair of `self.key`.
    package func signed(by key: SigningKeyPair) -> [UInt8] {
        var written = VersionedFields()
        written.known[Key.domain] = .bytes(domain.bytes)
        written.known[Key.key] = .bytes(self.key.bytes)
        return SignedBytes(body: written.encoded(), context: .policyKeyRequest, signedBy: key).encoded()
    }

    package init(canonical bytes: [UInt8]) throws(CertificateError) {
        guard bytes.count <= Limits.certificateBytesMaximum else { throw .tooLong(bytes.count) }
        do throws(CBORError) {
            let signed = try SignedBytes(canonical: bytes)
            let fields = try CBORFields(try CBOR(canonical: signed.body), of: "policy key request")
            guard let domain = TrustDomainID(try fields.bytes(Key.domain, "domain id", count: 32)),
                let key = SigningPublicKey(try fields.bytes(Key.key, "policy key", count: 32)),
                signed.isValid(context: .policyKeyRequest, signedBy: key)
            else { throw .unexpected(field: "domain id, policy key or signature") }
            self.init(domain: domain, key: key)
        } catch { throw CertificateError(error) }
    }
}
