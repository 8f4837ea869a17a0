// Hash functions. All are libsodium's.

import CSodium

package enum CryptoError: Error, Equatable, Sendable {
    /// A Diffie-Hellman with this public key gives zeros: it is a point of small order.
    case weakPublicKey
    /// Wrong key, nonce or associated data, or the bytes were changed.
    case authenticationFailed
    /// A message shorter than its tag.
    case truncated
}

/// libsodium picks its implementations for this processor at the first use of a key or hash.
let sodium: Void = {
    precondition(sodium_init() >= 0, "libsodium can't be initialised")
}()

/// SHA-256 (FIPS 180-4): 32 bytes.
package enum SHA256 {
    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        _ = sodium
        return [UInt8](unsafeUninitializedCapacity: 32) { out, count in
            crypto_hash_sha256(out.baseAddress!, bytes, UInt64(bytes.count))
            count = 32
        }
    }

    /// A hash of bytes that come in pieces.
    package struct Incremental: Sendable {
        private var state = crypto_hash_sha256_state()

        package init() {
            _ = sodium
            crypto_hash_sha256_init(&state)
        }

        package mutating func update(_ bytes: UnsafeRawBufferPointer) {
            crypto_hash_sha256_update(
                &state, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt64(bytes.count))
        }

        package mutating func update(_ bytes: [UInt8]) {
            crypto_hash_sha256_update(&state, bytes, UInt64(bytes.count))
        }

        package consuming func finalize() -> [UInt8] {
            var state = state
            return [UInt8](unsafeUninitializedCapacity: 32) { out, count in
                crypto_hash_sha256_final(&state, out.baseAddress!)
                count = 32
            }
        }
    }
}

/// BLAKE2b (RFC 7693).
package enum BLAKE2b {
    /// - Parameters:
    ///   - key: at most 64 bytes; empty for a plain hash.
    ///   - count: bytes of the hash, 16 to 64.
    package static func hash(_ bytes: [UInt8], key: [UInt8] = [], count: Int = 32) -> [UInt8] {
        _ = sodium
        precondition((16...64).contains(count) && key.count <= 64)
        return [UInt8](unsafeUninitializedCapacity: count) { out, written in
            crypto_generichash_blake2b(
                out.baseAddress!, count, bytes, UInt64(bytes.count), key, key.count)
            written = count
        }
    }

    /// - Parameter key: at most 64 bytes.
    /// - Returns: 32 bytes.
    package static func hash(_ bytes: UnsafeRawBufferPointer, key: [UInt8]) -> [UInt8] {
        _ = sodium
        precondition(key.count <= 64)
        return [UInt8](unsafeUninitializedCapacity: 32) { out, written in
            crypto_generichash_blake2b(
                out.baseAddress!, 32, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                UInt64(bytes.count), key, key.count)
            written = 32
        }
    }
}

package enum HMACSHA256 {
    /// HMAC-SHA256 (RFC 2104): 32 bytes, for a key of any length.
    package static func authenticationCode(of bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        _ = sodium
        var state = crypto_auth_hmacsha256_state()
        crypto_auth_hmacsha256_init(&state, key, key.count)
        crypto_auth_hmacsha256_update(&state, bytes, UInt64(bytes.count))
        return [UInt8](unsafeUninitializedCapacity: 32) { out, count in
            crypto_auth_hmacsha256_final(&state, out.baseAddress!)
            count = 32
        }
    }
}
