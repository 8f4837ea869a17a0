// Key pairs. Their secrets come in as arguments: the core has no randomness of its own.

import CSodium

/// A Diffie-Hellman public key (RFC 7748): 32 bytes.
package struct X25519PublicKey: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// Nil unless `bytes` are 32.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    package var description: String { bytes.hex }
}

package struct X25519KeyPair: Sendable {
    package let publicKey: X25519PublicKey
    private let secret: SecretBytes

    /// - Parameter seed: 32 random bytes; another length is a programmer's error.
    package init(secret seed: [UInt8]) { self.init(secret: SecretBytes(copying: seed)) }

    package init(secret: SecretBytes) {
        _ = sodium
        precondition(secret.count == 32, "an X25519 secret has 32 bytes")
        self.secret = secret
        let point = [UInt8](unsafeUninitializedCapacity: 32) { out, count in
            _ = secret.withUnsafeBytes {
                crypto_scalarmult_base(out.baseAddress!, $0.baseAddress!.assumingMemoryBound(to: UInt8.self))
            }
            count = 32
        }
        publicKey = X25519PublicKey(point)!
    }

    /// The shared secret, 32 bytes. A result of zeros is refused: it doesn't depend on our key.
    package func agree(with other: X25519PublicKey) throws(CryptoError) -> SecretBytes {
        try SecretBytes(count: 32) { (out) throws(CryptoError) in
            let status = secret.withUnsafeBytes {
                crypto_scalarmult(
                    out.baseAddress!.assumingMemoryBound(to: UInt8.self),
                    $0.baseAddress!.assumingMemoryBound(to: UInt8.self), other.bytes)
            }
            guard status == 0 else { throw .weakPublicKey }
        }
    }
}

/// An Ed25519 public key (RFC 8032): 32 bytes.
package struct SigningPublicKey: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// Nil unless `bytes` are 32.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// False for a signature of another length, too.
    package func isValid(signature: [UInt8], over message: [UInt8]) -> Bool {
        _ = sodium
        return signature.count == 64
            && crypto_sign_verify_detached(signature, message, UInt64(message.count), bytes) == 0
    }

    package var description: String { bytes.hex }
}

package struct SigningKeyPair: Sendable {
    package let publicKey: SigningPublicKey
    private let seed: SecretBytes

    /// - Parameter seed: 32 random bytes; another length is a programmer's error.
    package init(seed: [UInt8]) { self.init(seed: SecretBytes(copying: seed)) }

    package init(seed: SecretBytes) {
        _ = sodium
        precondition(seed.count == 32, "an Ed25519 seed has 32 bytes")
        self.seed = seed
        var point = [UInt8](repeating: 0, count: 32)
        _ = SecretBytes(count: 64) { out in
            _ = seed.withUnsafeBytes {
                crypto_sign_seed_keypair(
                    &point, out.baseAddress!.assumingMemoryBound(to: UInt8.self),
                    $0.baseAddress!.assumingMemoryBound(to: UInt8.self))
            }
        }
        publicKey = SigningPublicKey(point)!
    }

    /// The signature, 64 bytes; the same one for the same message.
    package func sign(_ message: [UInt8]) -> [UInt8] {
        // As libsodium wants it: the seed, and the public key behind it.
        let secret = SecretBytes(count: 64) { out in
            seed.withUnsafeBytes { out.copyMemory(from: $0) }
            UnsafeMutableRawBufferPointer(rebasing: out[32...]).copyBytes(from: publicKey.bytes)
        }
        return [UInt8](unsafeUninitializedCapacity: 64) { out, count in
            _ = secret.withUnsafeBytes {
                crypto_sign_detached(
                    out.baseAddress!, nil, message, UInt64(message.count),
                    $0.baseAddress!.assumingMemoryBound(to: UInt8.self))
            }
            count = 64
        }
    }
}
