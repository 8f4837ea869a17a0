// How a second host joins a domain whose root is kept offline (DESIGN.md, section 5, Issuing):
//
//     host          mesh trust request  ──▶  TrustRequest: the issuer's public key, signed with it
//     root's place  mesh trust sign     ──▶  TrustGrant: bundle, discovery key, issuer's certificate
//     host          mesh trust install
//
// The private keys stay where they were made. The grant holds the discovery key, which is the domain's
// to know and nobody else's; without a certificate it opens nothing.

/// A host's wish for an issuer's certificate.
package struct TrustRequest: Hashable, Sendable {
    /// One DNS label.
    package let host: String
    package let issuerKey: SigningPublicKey

    package init(host: String, issuerKey: SigningPublicKey) {
        self.host = host
        self.issuerKey = issuerKey
    }

    private enum Key {
        static let host: UInt64 = 2
        static let issuerKey: UInt64 = 3
    }

    /// Signed with the issuer's key, which proves that the host holds it.
    package func signed(by key: SigningKeyPair) -> [UInt8] {
        var written = VersionedFields()
        written.known[Key.host] = .text(host)
        written.known[Key.issuerKey] = .bytes(issuerKey.bytes)
        return SignedBytes(body: written.encoded(), context: .trustRequest, signedBy: key).encoded()
    }

    package init(canonical bytes: [UInt8]) throws(CertificateError) {
        guard bytes.count <= Limits.certificateBytesMaximum else { throw .tooLong(bytes.count) }
        do throws(CBORError) {
            let signed = try SignedBytes(canonical: bytes)
            let fields = try CBORFields(try CBOR(canonical: signed.body), of: "trust request")
            host = try fields.text(Key.host, "host")
            guard WorkloadName.isLabel(host),
                let key = SigningPublicKey(try fields.bytes(Key.issuerKey, "issuer key", count: 32)),
                signed.isValid(context: .trustRequest, signedBy: key)
            else { throw .unexpected(field: "host, issuer key or signature") }
            issuerKey = key
        } catch { throw CertificateError(error) }
    }
}

/// What the root's keeper gives back.
package struct TrustGrant: Hashable, Sendable {
    package let bundle: TrustBundle
    package let discoveryKey: DiscoveryKey
    package let issuer: Certificate

    package init(bundle: TrustBundle, discoveryKey: DiscoveryKey, issuer: Certificate) {
        self.bundle = bundle
        self.discoveryKey = discoveryKey
        self.issuer = issuer
    }

    package func encoded() -> [UInt8] {
        CBOR.array([
            .unsigned(1), .bytes(bundle.encoded), .bytes(discoveryKey.bytes), .bytes(issuer.encoded),
        ]).encoded()
    }

    package init(canonical bytes: [UInt8]) throws(CertificateError) {
        guard bytes.count <= Limits.trustGrantBytesMaximum else { throw .tooLong(bytes.count) }
        let item: CBOR
        do { item = try CBOR(canonical: bytes) } catch { throw CertificateError(error) }
        guard case .array(let parts) = item, parts.count == 4, parts[0] == .unsigned(1),
            case .bytes(let bundle) = parts[1], case .bytes(let key) = parts[2],
            case .bytes(let issuer) = parts[3], let discoveryKey = DiscoveryKey(key)
        else { throw .invalid(field: "trust grant") }
        self.bundle = try TrustBundle(canonical: bundle)
        self.discoveryKey = discoveryKey
        self.issuer = try Certificate(canonical: issuer)
    }

    /// Nil where one of the bundle's roots stands by the issuer, whose key is `key`, at `now`; otherwise
    /// what is wrong.
    package func objection(to key: SigningPublicKey, at now: WallTime) -> String? {
        if issuer.kind != .issuer { return "it holds no issuer's certificate" }
        if issuer.signingKey != key { return "it was made for another request" }
        if issuer.trustDomain != bundle.trustDomain { return "its certificate is of another domain" }
        guard let root = bundle.roots.first(where: { issuer.isSigned(by: $0.signingKey) }) else {
            return "no root of its bundle signed its certificate"
        }
        if now >= issuer.notAfter || now >= root.notAfter { return "its certificate has ended" }
        return nil
    }
}

extension Limits {
    package static let trustGrantBytesMaximum = 12_288
}
