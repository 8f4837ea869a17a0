// ChaCha20-Poly1305 (RFC 8439) with the nonces of Noise: 4 zero bytes, then the counter, little-endian.
//
// Theory of operation
//
//   Two libraries give the same bytes. libsodium is quicker to call; libcrypto is about 2.5 times
//   faster over a large record, but costs 2 MB and a few milliseconds to load. So what is smaller than
//   `bulkByteCountMinimum` goes to libsodium, what isn't goes to libcrypto, which is loaded when the
//   first such record comes. Where it can't be loaded, libsodium does all.
//
//   The forms on arrays serve handshakes and small control messages. They never load libcrypto, so that
//   a sidecar that only holds sessions stays small.

import CCrypto
import CSodium

/// A key, and its schedules in libcrypto once it has met a large record. For one thread at a time.
package final class ChaChaPoly {
    package static let keyByteCount = 32
    package static let tagByteCount = 16
    /// What libcrypto does, where it is present; below it, calling it costs more than it saves.
    package static let bulkByteCountMinimum = 1024

    private let key: SecretBytes
    private let usesBulkCipher: Bool
    private var sealing = BulkCipher.untried
    private var opening = BulkCipher.untried

    private enum BulkCipher {
        case untried
        case unavailable
        case ready(OpaquePointer)
    }

    /// - Parameters:
    ///   - key: 32 bytes; another length is a programmer's error.
    ///   - usesBulkCipher: false keeps to libsodium, for tests and for keys that never see much.
    package init(key: SecretBytes, usesBulkCipher: Bool = true) {
        _ = sodium
        precondition(key.count == ChaChaPoly.keyByteCount, "a ChaCha20-Poly1305 key has 32 bytes")
        self.key = key
        self.usesBulkCipher = usesBulkCipher
    }

    deinit {
        for case .ready(let cipher) in [sealing, opening] { mesh_bulk_free(cipher) }
    }

    // MARK: The data path

    /// Writes the ciphertext of `header` and `payload`, joined, and then the tag. No byte is copied on
    /// the way. The payload may lie in `out` already, at `header.count`; nothing else may overlap.
    ///
    /// - Parameter out: at least `header.count + payload.count + 16` bytes.
    package func seal(
        nonce: UInt64, associatedData: UnsafeRawBufferPointer = .empty, header: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
    ) {
        let count = header.count + payload.count
        precondition(out.count >= count + ChaChaPoly.tagByteCount, "no room for the sealed bytes")
        if count >= ChaChaPoly.bulkByteCountMinimum, let cipher = sealingCipher() {
            let sealed = withNonce(nonce) {
                mesh_bulk_seal(
                    cipher, $0, associatedData.baseAddress, associatedData.count, header.baseAddress,
                    header.count, payload.baseAddress, payload.count, out.baseAddress)
            }
            precondition(sealed == 1, "libcrypto can't encrypt")
            return
        }
        // libsodium takes one piece: the two are joined where the ciphertext will stand.
        let body = UnsafeMutableRawBufferPointer(rebasing: out[header.count...])
        if payload.count > 0, payload.baseAddress != UnsafeRawPointer(body.baseAddress) {
            body.copyMemory(from: payload)
        }
        out.copyMemory(from: header)
        sealWithSodium(nonce, associatedData, UnsafeRawBufferPointer(rebasing: out[..<count]), out)
    }

    /// Writes the ciphertext of `plaintext`, which may lie at the start of `out`, and then the tag.
    package func seal(
        nonce: UInt64, associatedData: UnsafeRawBufferPointer = .empty, plaintext: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) {
        seal(
            nonce: nonce, associatedData: associatedData, header: .empty, payload: plaintext, into: out)
    }

    /// Checks the tag at the end of `ciphertext` and writes the plaintext, `ciphertext.count - 16`
    /// bytes. `out` may begin where `ciphertext` begins, and mustn't overlap it otherwise.
    ///
    /// On an error what was written is zeros: no byte of an unauthenticated plaintext is left.
    package func open(
        nonce: UInt64, associatedData: UnsafeRawBufferPointer = .empty,
        ciphertext: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        let count = ciphertext.count - ChaChaPoly.tagByteCount
        guard count >= 0 else { throw .truncated }
        precondition(out.count >= count, "no room for the opened bytes")
        let opened: Bool
        if count >= ChaChaPoly.bulkByteCountMinimum, let cipher = openingCipher() {
            opened = withNonce(nonce) {
                mesh_bulk_open(
                    cipher, $0, associatedData.baseAddress, associatedData.count, ciphertext.baseAddress,
                    ciphertext.count, out.baseAddress) == 1
            }
        } else {
            opened = openWithSodium(nonce, associatedData, ciphertext, out)
        }
        guard opened else {
            if count > 0 { sodium_memzero(out.baseAddress!, count) }
            throw .authenticationFailed
        }
    }

    // MARK: Small messages

    /// The ciphertext and tag of a small message; libcrypto isn't used.
    package func seal(nonce: UInt64, associatedData: [UInt8], plaintext: [UInt8]) -> [UInt8] {
        let count = plaintext.count + ChaChaPoly.tagByteCount
        return [UInt8](unsafeUninitializedCapacity: count) { out, written in
            associatedData.withUnsafeBytes { associatedData in
                plaintext.withUnsafeBytes {
                    sealWithSodium(nonce, associatedData, $0, UnsafeMutableRawBufferPointer(out))
                }
            }
            written = count
        }
    }

    /// The plaintext of a small message; libcrypto isn't used.
    package func open(
        nonce: UInt64, associatedData: [UInt8], ciphertext: [UInt8]
    ) throws(CryptoError) -> [UInt8] {
        let count = ciphertext.count - ChaChaPoly.tagByteCount
        guard count >= 0 else { throw .truncated }
        var opened = false
        let plaintext = [UInt8](unsafeUninitializedCapacity: count) { out, written in
            associatedData.withUnsafeBytes { associatedData in
                ciphertext.withUnsafeBytes {
                    opened = openWithSodium(nonce, associatedData, $0, UnsafeMutableRawBufferPointer(out))
                }
            }
            written = opened ? count : 0
        }
        guard opened else { throw .authenticationFailed }
        return plaintext
    }
}

extension UnsafeRawBufferPointer {
    package static var empty: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}

/// Loads libcrypto now, rather than while the first large record waits. False where it is missing;
/// libsodium then does its work, at about 40 % of its speed.
@discardableResult
package func prepareBulkCipher() -> Bool { mesh_bulk_load() == 1 }

// MARK: - Which library

extension ChaChaPoly {
    private func sealingCipher() -> OpaquePointer? {
        if case .untried = sealing { sealing = makeBulkCipher(encrypts: 1) }
        guard case .ready(let cipher) = sealing else { return nil }
        return cipher
    }

    private func openingCipher() -> OpaquePointer? {
        if case .untried = opening { opening = makeBulkCipher(encrypts: 0) }
        guard case .ready(let cipher) = opening else { return nil }
        return cipher
    }

    private func makeBulkCipher(encrypts: Int32) -> BulkCipher {
        guard usesBulkCipher, let cipher = key.withUnsafeBytes({ mesh_bulk_new($0.octets!, encrypts) })
        else { return .unavailable }
        return .ready(cipher)
    }

    private func sealWithSodium(
        _ nonce: UInt64, _ associatedData: UnsafeRawBufferPointer, _ plaintext: UnsafeRawBufferPointer,
        _ out: UnsafeMutableRawBufferPointer
    ) {
        key.withUnsafeBytes { key in
            withNonce(nonce) {
                _ = crypto_aead_chacha20poly1305_ietf_encrypt(
                    out.octets!, nil, plaintext.octets, UInt64(plaintext.count), associatedData.octets,
                    UInt64(associatedData.count), nil, $0, key.octets!)
            }
        }
    }

    private func openWithSodium(
        _ nonce: UInt64, _ associatedData: UnsafeRawBufferPointer, _ ciphertext: UnsafeRawBufferPointer,
        _ out: UnsafeMutableRawBufferPointer
    ) -> Bool {
        key.withUnsafeBytes { key in
            withNonce(nonce) {
                crypto_aead_chacha20poly1305_ietf_decrypt(
                    out.octets, nil, nil, ciphertext.octets!, UInt64(ciphertext.count),
                    associatedData.octets, UInt64(associatedData.count), $0, key.octets!) == 0
            }
        }
    }

    private func withNonce<Result>(_ counter: UInt64, _ body: (UnsafePointer<UInt8>) -> Result) -> Result {
        // 4 zero bytes, then the counter, little-endian (Noise §12.3).
        var nonce = (
            UInt32(0), UInt32(truncatingIfNeeded: counter).littleEndian,
            UInt32(truncatingIfNeeded: counter >> 32).littleEndian
        )
        return withUnsafeBytes(of: &nonce) { body($0.octets!) }
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var octets: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}

extension UnsafeMutableRawBufferPointer {
    fileprivate var octets: UnsafeMutablePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
