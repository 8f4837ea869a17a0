package enum CertificateError: VersionedFieldsError, Equatable, Sendable, CustomStringConvertible {
    /// More than `Limits.certificateBytesMaximum`.
    case tooLong(Int)
    case malformed(CBORError)
    /// A field that is missing, of a wrong type, impossible, or not a certificate of this kind's.
    case invalid(field: String)
    case unknownCriticalField(UInt64)
    case needsReader(version: UInt64)

    package var description: String {
        switch self {
        case .tooLong(let count):
            "the certificate has \(count) bytes, the limit is \(Limits.certificateBytesMaximum):"
                + " use fewer or shorter labels"
        case .malformed(let error): "the certificate isn't canonical CBOR: \(error)"
        case .invalid(let field): "the certificate's \(field) is missing or impossible"
        case .unknownCriticalField(let key):
            "the certificate has the critical field \(key), which this version doesn't know: update mesh"
        case .needsReader(let version):
            "the certificate needs a reader of version \(version), this is \(StructureVersion.current):"
                + " update mesh"
        }
    }
}

/// A signed certificate (DESIGN.md, section 4), as its bytes and what they say.
///
/// To have one means only that it is well formed: `TrustBundle.verify` says whom to believe.
@dynamicMemberLookup
package struct Certificate: Hashable, Sendable {
    package let contents: CertificateContents
    /// Canonical; at most `Limits.certificateBytesMaximum`.
    package let encoded: [UInt8]
    /// SHA-256 of `encoded`: the name by which announcements refer to it.
    package let hash: [UInt8]
    private let signed: SignedBytes

    package init(canonical bytes: [UInt8]) throws(CertificateError) {
        guard bytes.count <= Limits.certificateBytesMaximum else { throw .tooLong(bytes.count) }
        do { signed = try SignedBytes(canonical: bytes) } catch { throw CertificateError(error) }
        contents = try CertificateContents(body: signed.body)
        encoded = bytes
        hash = SHA256.hash(bytes)
    }

    package subscript<Value>(dynamicMember field: KeyPath<CertificateContents, Value>) -> Value {
        contents[keyPath: field]
    }

    package func isSigned(by key: SigningPublicKey) -> Bool {
        contents.issuerKeyID == key.keyID && signed.isValid(context: .certificate, signedBy: key)
    }

    package static func == (left: Certificate, right: Certificate) -> Bool {
        left.encoded == right.encoded
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}
