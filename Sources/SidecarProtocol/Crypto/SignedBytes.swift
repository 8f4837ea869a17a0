/// A canonical structure and the Ed25519 signature over it: a CBOR array of two byte strings.
///
/// The structure travels as the bytes that were signed, so that whoever relays or stores it never has to
/// write it anew. The signature covers a context too: what is signed as one structure is never valid
/// as another.
package struct SignedBytes: Hashable, Sendable {
    package enum Context: String, Sendable {
        case certificate = "mesh/1 certificate"
        case announcement = "mesh/1 announcement"
        case tombstone = "mesh/1 tombstone"
        case certificateRequest = "mesh/1 certificate request"
        case records = "mesh/1 records"
        case trustRequest = "mesh/1 trust request"
        case policyKeyRequest = "mesh/1 policy key request"
        case policy = "mesh/1 policy"
        case beacon = "mesh/1 beacon"
    }

    package let body: [UInt8]
    /// 64 bytes.
    package let signature: [UInt8]

    package init(body: [UInt8], context: Context, signedBy key: SigningKeyPair) {
        self.body = body
        signature = key.sign(SignedBytes.message(body, context))
    }

    package init(canonical bytes: [UInt8]) throws(CBORError) {
        guard case .array(let parts) = try CBOR(canonical: bytes), parts.count == 2,
            case .bytes(let body) = parts[0], case .bytes(let signature) = parts[1],
            signature.count == 64
        else { throw .unexpected(field: "signed structure") }
        self.body = body
        self.signature = signature
    }

    package func encoded() -> [UInt8] { CBOR.array([.bytes(body), .bytes(signature)]).encoded() }

    package func isValid(context: Context, signedBy key: SigningPublicKey) -> Bool {
        key.isValid(signature: signature, over: SignedBytes.message(body, context))
    }

    private static func message(_ body: [UInt8], _ context: Context) -> [UInt8] {
        Array(context.rawValue.utf8) + [0] + body
    }
}

extension SigningPublicKey {
    /// The name of this key in the certificates that it has signed: 16 bytes of its SHA-256.
    package var keyID: [UInt8] { Array(SHA256.hash(bytes).prefix(16)) }
}
