/// Why a chain of certificates isn't believed.
package enum TrustError: Error, Equatable, Sendable, CustomStringConvertible {
    case wrongKind(CertificateContents.Kind)
    case wrongDomain(String, expected: String)
    case unknownRoot(keyID: [UInt8])
    /// The leaf names another issuer than the one beside it.
    case wrongIssuer
    case badSignature(CertificateContents.Kind)
    /// By how much the clock stands before not-before, skew taken off.
    case notYetValid(CertificateContents.Kind, milliseconds: Int64)
    /// By how much the clock stands past not-after.
    case expired(CertificateContents.Kind, milliseconds: Int64)
    case issuerMayNotName(SPIFFEIdentity)
    case issuerMayNotGrant(topic: String)
    case wrongStaticKey(SPIFFEIdentity)

    package var description: String {
        switch self {
        case .wrongKind(let kind): "a \(kind) certificate can't stand here"
        case .wrongDomain(let found, let expected):
            "the certificate is of the trust domain \(found), not of \(expected)"
        case .unknownRoot(let keyID):
            "the issuer is signed by the root \(keyID.hex), which the trust bundle doesn't hold:"
                + " install the domain's newest bundle"
        case .wrongIssuer: "the certificate was signed by another issuer than the one sent with it"
        case .badSignature(let kind): "the \(kind) certificate's signature is wrong"
        case .notYetValid(let kind, let milliseconds):
            "the \(kind) certificate is valid only in \(TrustError.span(milliseconds)): check the clocks"
        case .expired(let kind, let milliseconds):
            "the \(kind) certificate expired \(TrustError.span(milliseconds)) ago:"
                + (kind == .leaf || kind == .host
                    ? " its sidecar couldn't renew it, or the clocks differ"
                    : " renew it with `mesh trust request` and `mesh trust sign`")
        case .issuerMayNotName(let identity): "the issuer has no right to name \(identity)"
        case .issuerMayNotGrant(let topic): "the issuer has no right to grant the topic \(topic)"
        case .wrongStaticKey(let identity):
            "the certificate of \(identity) doesn't name the handshake's static key"
        }
    }

    private static func span(_ milliseconds: Int64) -> String {
        milliseconds < 10_000 ? "\(milliseconds) ms" : "\(milliseconds / 1000) s"
    }
}
