// What each side shows of itself in a handshake: message 2 (the responder's) and message 3.

/// Canonical CBOR: 0 and 1 the range of versions, 2 the leaf, 3 its chain (one issuer).
struct PeerProof {
    var versions: ClosedRange<UInt8>
    var certificate: [UInt8]
    /// Its issuer's.
    var issuer: [UInt8]

    init(_ credential: Credential, versions: ClosedRange<UInt8>) {
        self.versions = versions
        certificate = credential.certificate.encoded
        issuer = credential.chain.first?.encoded ?? []
    }

    var encoded: [UInt8] {
        var fields = CBORFields()
        fields[0] = .unsigned(UInt64(versions.lowerBound))
        fields[1] = .unsigned(UInt64(versions.upperBound))
        fields[2] = .bytes(certificate)
        fields[3] = .array([.bytes(issuer)])
        return fields.item.encoded()
    }

    init(parsing payload: [UInt8]) throws(SessionError) {
        do throws(CBORError) {
            let fields = try CBORFields(CBOR(canonical: payload), of: "handshake payload")
            let lowest: UInt8 = try fields.integer(0, "lowest version")
            let highest: UInt8 = try fields.integer(1, "highest version")
            guard lowest <= highest else { throw CBORError.unexpected(field: "versions") }
            versions = lowest...highest
            certificate = try fields.bytes(2, "certificate")
            // The root is known to the reader, and there is one issuer between.
            let issuers = try fields.byteStrings(3, "chain")
            guard issuers.count == 1 else { throw CBORError.unexpected(field: "chain") }
            issuer = issuers[0]
        } catch { throw .handshakePayload(error) }
    }

    /// Who the peer is, once its certificate is known to be of our domain, in force, and the handshake's own.
    ///
    /// - Parameters:
    ///   - staticKey: the key that the handshake proved.
    ///   - expected: who the peer must be, where that is known.
    func verified(
        by bundle: TrustBundle, staticKey: X25519PublicKey, expected: SPIFFEIdentity.Subject?,
        at now: WallTime
    ) throws(SessionError) -> VerifiedIdentity {
        let leaf: Certificate
        let signer: Certificate
        do {
            leaf = try Certificate(canonical: certificate)
            signer = try Certificate(canonical: issuer)
        } catch { throw .untrusted("\(error)") }
        let verified: VerifiedIdentity
        do {
            verified = try bundle.verify(
                CertificateChain(leaf: leaf, issuer: signer), at: now, staticKey: staticKey)
        } catch { throw .untrusted("\(error)") }
        if let expected, verified.identity.subject != expected {
            let wanted = SPIFFEIdentity(trustDomain: bundle.trustDomain, subject: expected)
            throw .otherIdentity(expected: "\(wanted)", found: "\(verified.identity)")
        }
        return verified
    }
}
