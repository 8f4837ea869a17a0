/// Why a handshake or a record is refused. Whichever it is, the state is as it was before the call.
package enum NoiseError: Error, Equatable, Sendable {
    /// It is the other side's turn to write, or the handshake is complete.
    case outOfTurn
    /// The message would have, or has, this many bytes: more than `Limits.noiseMessageBytesMaximum`.
    case messageTooLong(Int)
    case truncated
    case authenticationFailed
    /// The peer's public key is a point of small order.
    case weakPublicKey
    /// The pattern needs a key for this token that wasn't given.
    case missingKey(HandshakePattern.Token)
    /// 2^64 − 1 messages have been sent or received under this key.
    case nonceExhausted

    init(_ error: CryptoError) {
        switch error {
        case .weakPublicKey: self = .weakPublicKey
        case .authenticationFailed: self = .authenticationFailed
        case .truncated: self = .truncated
        }
    }
}

/// A key and the counter of its next nonce (§5.1).
///
/// A copy shares the key's schedules with its original; the two must stay on one thread.
package struct CipherState {
    private var cipher: ChaChaPoly?
    /// `n`: the nonce of the next message.
    package private(set) var nonce: UInt64 = 0

    /// InitializeKey; nil for no key yet.
    package init(key: SecretBytes? = nil) { cipher = key.map { ChaChaPoly(key: $0) } }

    package var hasKey: Bool { cipher != nil }

    /// SetNonce, for a transport whose messages may be lost or overtake each other.
    package mutating func setNonce(_ nonce: UInt64) { self.nonce = nonce }

    /// EncryptWithAd. Without a key it is the plaintext itself.
    package mutating func encrypt(associatedData: [UInt8], plaintext: [UInt8]) throws(NoiseError) -> [UInt8] {
        guard let cipher else { return plaintext }
        guard nonce < .max else { throw .nonceExhausted }
        defer { nonce += 1 }
        return cipher.seal(nonce: nonce, associatedData: associatedData, plaintext: plaintext)
    }

    /// DecryptWithAd. Without a key it is the ciphertext itself. A failure doesn't use up the nonce.
    package mutating func decrypt(associatedData: [UInt8], ciphertext: [UInt8]) throws(NoiseError) -> [UInt8]
    {
        guard let cipher else { return ciphertext }
        guard nonce < .max else { throw .nonceExhausted }
        do {
            let plaintext = try cipher.open(
                nonce: nonce, associatedData: associatedData, ciphertext: ciphertext)
            nonce += 1
            return plaintext
        } catch { throw NoiseError(error) }
    }

    /// REKEY (§4.2): a new key that doesn't tell the old one. The nonce goes on.
    package mutating func rekey() {
        guard let cipher else { return }
        var sealed = cipher.seal(nonce: .max, associatedData: [], plaintext: [UInt8](repeating: 0, count: 32))
        self.cipher = ChaChaPoly(
            key: SecretBytes(count: ChaChaPoly.keyByteCount) { out in
                sealed.withUnsafeBytes { out.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<32])) }
            })
        SecretMemory.wipe(&sealed)
    }
}

// MARK: - The data path

extension CipherState {
    /// EncryptWithAd of `header` and `payload`, joined, without copying either: see `ChaChaPoly.seal`.
    ///
    /// - Parameter out: at least `header.count + payload.count + 16` bytes.
    package mutating func seal(
        associatedData: UnsafeRawBufferPointer = .empty, header: UnsafeRawBufferPointer = .empty,
        payload: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
    ) throws(NoiseError) {
        guard let cipher else { throw .outOfTurn }
        guard nonce < .max else { throw .nonceExhausted }
        cipher.seal(
            nonce: nonce, associatedData: associatedData, header: header, payload: payload, into: out)
        nonce += 1
    }

    /// DecryptWithAd: writes `ciphertext.count - 16` bytes, in place where `out` begins as `ciphertext`
    /// does. See `ChaChaPoly.open`.
    package mutating func open(
        associatedData: UnsafeRawBufferPointer = .empty, ciphertext: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) throws(NoiseError) {
        guard let cipher else { throw .outOfTurn }
        guard nonce < .max else { throw .nonceExhausted }
        do {
            try cipher.open(
                nonce: nonce, associatedData: associatedData, ciphertext: ciphertext, into: out)
        } catch { throw NoiseError(error) }
        nonce += 1
    }
}
