// The hash functions of Noise (§4.3), as libsodium gives them.

import CSodium

/// A hash function that Noise can run on.
package protocol NoiseHash {
    /// As protocol names spell it: `SHA256`.
    static var noiseName: String { get }
    /// HASHLEN: 32 or 64.
    static var hashByteCount: Int { get }
    /// BLOCKLEN, of the inner block that HMAC pads its key to: at most 128.
    static var blockByteCount: Int { get }
    /// Writes the hash of the two pieces, joined: `hashByteCount` bytes.
    static func hash(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer)
}

extension SHA256: NoiseHash {
    package static var noiseName: String { "SHA256" }
    package static var hashByteCount: Int { 32 }
    package static var blockByteCount: Int { 64 }

    package static func hash(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) {
        _ = sodium
        var state = crypto_hash_sha256_state()
        crypto_hash_sha256_init(&state)
        for piece in [first, second] where piece.count > 0 {
            crypto_hash_sha256_update(
                &state, piece.baseAddress!.assumingMemoryBound(to: UInt8.self), UInt64(piece.count))
        }
        crypto_hash_sha256_final(&state, out.baseAddress!.assumingMemoryBound(to: UInt8.self))
        sodium_memzero(&state, MemoryLayout<crypto_hash_sha256_state>.size)
    }
}

extension NoiseHash {
    package static func hash(_ first: [UInt8], _ second: [UInt8] = []) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: hashByteCount) { out, count in
            first.withUnsafeBytes { first in
                second.withUnsafeBytes { hash(first, $0, into: UnsafeMutableRawBufferPointer(out)) }
            }
            count = hashByteCount
        }
    }

    /// HMAC-HASH (RFC 2104) of the two pieces, joined; the key is no longer than a block.
    ///
    /// What it keeps on the way is overwritten.
    static func authenticationCode(
        key: UnsafeRawBufferPointer, _ first: UnsafeRawBufferPointer, _ last: UInt8?,
        into out: UnsafeMutableRawBufferPointer
    ) {
        precondition(key.count <= blockByteCount && first.count <= 64)
        // The padded key, and behind it what the inner hash reads.
        withScratch(count: blockByteCount + 65) { scratch in
            let pad = UnsafeMutableRawBufferPointer(rebasing: scratch[..<blockByteCount])
            let text = UnsafeMutableRawBufferPointer(rebasing: scratch[blockByteCount...])
            pad.copyMemory(from: key)
            for index in 0..<blockByteCount { pad[index] ^= 0x36 }
            var textCount = first.count
            if textCount > 0 { text.copyMemory(from: first) }
            if let last {
                text[textCount] = last
                textCount += 1
            }
            let inner = UnsafeMutableRawBufferPointer(rebasing: text[..<hashByteCount])
            let joined = UnsafeRawBufferPointer(rebasing: text[..<textCount])
            withScratch(count: hashByteCount) {
                hash(UnsafeRawBufferPointer(pad), joined, into: $0)
                inner.copyMemory(from: UnsafeRawBufferPointer($0))
            }
            for index in 0..<blockByteCount { pad[index] ^= 0x36 ^ 0x5C }
            hash(UnsafeRawBufferPointer(pad), UnsafeRawBufferPointer(inner), into: out)
        }
    }

    /// HKDF (§4.3): `outputCount` values of `hashByteCount` bytes, 2 or 3.
    ///
    /// - Parameter input: 0, 32 or `hashByteCount` bytes.
    package static func hkdf(
        chainingKey: SecretBytes, input: UnsafeRawBufferPointer, outputCount: UInt8
    ) -> [SecretBytes] {
        withScratch(count: hashByteCount) { temporaryKey in
            chainingKey.withUnsafeBytes {
                authenticationCode(key: $0, input, nil, into: temporaryKey)
            }
            var outputs: [SecretBytes] = []
            for number in 1...outputCount {
                let previous = outputs.last
                outputs.append(
                    SecretBytes(count: hashByteCount) { out in
                        let key = UnsafeRawBufferPointer(temporaryKey)
                        guard let previous else {
                            return authenticationCode(key: key, .empty, number, into: out)
                        }
                        previous.withUnsafeBytes {
                            authenticationCode(key: key, $0, number, into: out)
                        }
                    })
            }
            return outputs
        }
    }
}

/// Zeroed bytes on the stack, overwritten with zeros afterwards.
private func withScratch<Result>(
    count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Result
) -> Result {
    withUnsafeTemporaryAllocation(byteCount: count, alignment: 16) { scratch in
        scratch.initializeMemory(as: UInt8.self, repeating: 0)
        defer { sodium_memzero(scratch.baseAddress!, count) }
        return body(scratch)
    }
}
