// The Noise handshake (specification, revision 34, §5.3).
//
// Theory of operation
//
//   A pattern is a list of messages, and a message a list of tokens. Both sides walk the same list: the
//   writer of a message appends what a token stands for, the reader takes it off, and both mix it into
//   the symmetric state. So nothing here knows XK from XX, and the code that the product runs on two
//   patterns and one hash is proven by the public vectors of all of them.
//
//   `writeMessage` and `readMessage` work on a copy and keep it only when all went well. A message that
//   is refused leaves the state as it was; whether to wait for a better one or to close is the
//   caller's choice (over TCP: close).

package struct HandshakeState {
    private let pattern: HandshakePattern
    private let isInitiator: Bool
    private var symmetricState: SymmetricState
    private let s: X25519KeyPair?
    private let e: X25519KeyPair?
    private var rs: X25519PublicKey?
    private var re: X25519PublicKey?
    private var presharedKeys: ArraySlice<SecretBytes>
    private var nextMessage = 0

    /// Initialize.
    ///
    /// - Parameters:
    ///   - hash: SHA-256 in every suite of the mesh; others are for the public test vectors.
    ///   - s: one's own static key pair, where the pattern uses one.
    ///   - e: one's own ephemeral key pair, fresh, of 32 random bytes, used for this handshake alone.
    ///   - rs: the peer's static key, where the pattern wants it beforehand. A pattern's pre-message
    ///     key that is missing is a programmer's error.
    package init(
        pattern: HandshakePattern, hash: any NoiseHash.Type = SHA256.self, initiator: Bool,
        prologue: [UInt8], s: X25519KeyPair?, e: X25519KeyPair?, rs: X25519PublicKey?,
        presharedKeys: [SecretBytes] = []
    ) {
        self.pattern = pattern
        isInitiator = initiator
        self.s = s
        self.e = e
        self.rs = rs
        self.presharedKeys = presharedKeys[...]
        symmetricState = SymmetricState(
            protocolName: "Noise_\(pattern.name)_25519_ChaChaPoly_\(hash.noiseName)", hash: hash)
        symmetricState.mixHash(prologue)
        for (tokens, isOurs) in [
            (pattern.initiatorPreMessage, initiator), (pattern.responderPreMessage, !initiator),
        ] {
            for token in tokens {
                precondition(token == .s, "pre-messages of static keys only")
                guard let key = isOurs ? s?.publicKey : rs else {
                    preconditionFailure("\(pattern.name) needs a static key beforehand")
                }
                symmetricState.mixHash(key.bytes)
            }
        }
    }

    package var isComplete: Bool { nextMessage == pattern.messages.count }

    /// Whether the next call is `writeMessage`.
    package var isOurTurn: Bool { !isComplete && (nextMessage % 2 == 0) == isInitiator }

    /// The peer's static key: given, or learnt from a message that was authentic.
    package var remoteStaticKey: X25519PublicKey? { rs }

    /// `h` so far: once complete, a name of this session that both sides have, and nobody can choose.
    package var handshakeHash: [UInt8] { symmetricState.handshakeHash }

    // MARK: Messages

    /// WriteMessage: the next message, with `payload` in it.
    package mutating func writeMessage(payload: [UInt8]) throws(NoiseError) -> [UInt8] {
        guard isOurTurn else { throw .outOfTurn }
        var next = self
        var message: [UInt8] = []
        for token in pattern.messages[nextMessage] { try next.write(token, into: &message) }
        message += try next.symmetricState.encryptAndHash(payload)
        guard message.count <= Limits.noiseMessageBytesMaximum else {
            throw .messageTooLong(message.count)
        }
        next.nextMessage += 1
        self = next
        return message
    }

    /// ReadMessage: the payload of the peer's next message.
    package mutating func readMessage(_ message: [UInt8]) throws(NoiseError) -> [UInt8] {
        guard !isComplete, !isOurTurn else { throw .outOfTurn }
        guard message.count <= Limits.noiseMessageBytesMaximum else {
            throw .messageTooLong(message.count)
        }
        var next = self
        var rest = message[...]
        for token in pattern.messages[nextMessage] { try next.read(token, from: &rest) }
        let payload = try next.symmetricState.decryptAndHash(Array(rest))
        next.nextMessage += 1
        self = next
        return payload
    }

    /// Split. To ask for it before the handshake is complete is a programmer's error.
    package consuming func split() -> NoiseTransport {
        precondition(isComplete, "the handshake isn't complete")
        let (initiators, responders) = symmetricState.split()
        return NoiseTransport(
            send: isInitiator ? initiators : responders, receive: isInitiator ? responders : initiators,
            handshakeHash: symmetricState.handshakeHash)
    }
}

/// What a handshake leaves: a key for each direction, and the hash that names the session.
package struct NoiseTransport {
    package var send: CipherState
    package var receive: CipherState
    package let handshakeHash: [UInt8]

    package init(send: CipherState, receive: CipherState, handshakeHash: [UInt8]) {
        self.send = send
        self.receive = receive
        self.handshakeHash = handshakeHash
    }
}

// MARK: - Tokens

extension HandshakeState {
    private mutating func write(
        _ token: HandshakePattern.Token, into message: inout [UInt8]
    ) throws(NoiseError) {
        switch token {
        case .e:
            guard let e else { throw .missingKey(.e) }
            message += e.publicKey.bytes
            mixEphemeral(e.publicKey)
        case .s:
            guard let s else { throw .missingKey(.s) }
            message += try symmetricState.encryptAndHash(s.publicKey.bytes)
        case .ee, .es, .se, .ss, .psk: try mix(token)
        }
    }

    private mutating func read(
        _ token: HandshakePattern.Token, from rest: inout ArraySlice<UInt8>
    ) throws(NoiseError) {
        switch token {
        case .e:
            guard let key = X25519PublicKey(Array(rest.prefix(32))) else { throw .truncated }
            rest = rest.dropFirst(32)
            re = key
            mixEphemeral(key)
        case .s:
            let count = symmetricState.hasKey ? 32 + ChaChaPoly.tagByteCount : 32
            guard rest.count >= count else { throw .truncated }
            rs = X25519PublicKey(try symmetricState.decryptAndHash(Array(rest.prefix(count))))
            rest = rest.dropFirst(count)
        case .ee, .es, .se, .ss, .psk: try mix(token)
        }
    }

    private mutating func mixEphemeral(_ key: X25519PublicKey) {
        symmetricState.mixHash(key.bytes)
        // With pre-shared keys the ephemeral also makes each key unique (§9.2).
        if pattern.usesPresharedKeys { key.bytes.withUnsafeBytes { symmetricState.mixKey($0) } }
    }

    /// Tokens that both sides treat alike.
    private mutating func mix(_ token: HandshakePattern.Token) throws(NoiseError) {
        switch token {
        case .ee: try mixAgreement(e, re, token)
        case .es: try isInitiator ? mixAgreement(e, rs, token) : mixAgreement(s, re, token)
        case .se: try isInitiator ? mixAgreement(s, re, token) : mixAgreement(e, rs, token)
        case .ss: try mixAgreement(s, rs, token)
        case .psk:
            guard let key = presharedKeys.popFirst() else { throw .missingKey(.psk) }
            symmetricState.mixKeyAndHash(key)
        case .e, .s: preconditionFailure("keys are written and read, not mixed")
        }
    }

    private mutating func mixAgreement(
        _ own: X25519KeyPair?, _ theirs: X25519PublicKey?, _ token: HandshakePattern.Token
    ) throws(NoiseError) {
        guard let own, let theirs else { throw .missingKey(token) }
        do { symmetricState.mixKey(try own.agree(with: theirs)) } catch { throw NoiseError(error) }
    }
}
