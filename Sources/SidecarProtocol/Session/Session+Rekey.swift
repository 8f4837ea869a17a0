extension Session {
    /// Takes a new certificate and key, and shows them to the peer in a new handshake.
    package mutating func renew(_ credential: Credential, at now: Now) {
        self.credential = credential
        beginRekey(at: now.monotonic)
    }

    /// Begins a new handshake, unless one is on its way.
    mutating func beginRekey(at now: MonotonicTime) {
        guard isEstablished, case .idle = rekey, let peer, let transport else { return }
        var state = HandshakeState(
            pattern: .XK, initiator: true,
            prologue: RekeyState.prologue(
                firstHash: peer.handshakeHash, currentHash: transport.handshakeHash),
            s: credential.staticKey, e: makeEphemeral(), rs: peer.staticKey)
        // Only a static key of small order fails here, and with such a one we wouldn't be established.
        guard let message = try? state.writeMessage(payload: []) else { return }
        rekey = .sentFirst(state, credential)
        clocks.rekeyBegan(at: now)
        pending.append(.rekey1, StreamID(number: 0), message)
    }

    mutating func establish(_ result: HandshakeResult, at now: Now) {
        phase = .established
        transport = result.transport
        own = result.own
        if let credentials { credential = credentials.current }
        let peer = SessionPeer(
            result.peer.chain, validUntil: result.peer.validUntil, bundle: result.bundle,
            handshakeHash: result.transport.handshakeHash, isInitiator: isInitiator)
        self.peer = peer
        counters.handshakes &+= 1
        clocks.established(at: now.monotonic)
        appendPing(at: now.monotonic)
        events.append(.established(peer))
        showNewCredential(at: now.monotonic)
    }

    /// The peer dialled a key that has been replaced, or ours was replaced during a handshake.
    private mutating func showNewCredential(at now: MonotonicTime) {
        guard let own, own.certificate.encoded != credential.certificate.encoded else { return }
        beginRekey(at: now)
    }

    // MARK: Frames

    mutating func readRekey1(
        _ body: UnsafeRawBufferPointer, at now: MonotonicTime
    ) throws(SessionError) {
        guard let own, let peer, let transport else { throw .unexpectedRekey }
        switch rekey {
        case .idle: break
        case .sentFirst:
            // Both began. The peer decides in the same way.
            if precedes(own.staticKey.publicKey, peer.staticKey) { return }
        case .sentSecond, .sentThird: throw .unexpectedRekey
        }
        var state = HandshakeState(
            pattern: .XK, initiator: false,
            prologue: RekeyState.prologue(
                firstHash: peer.handshakeHash, currentHash: transport.handshakeHash),
            s: own.staticKey, e: makeEphemeral(), rs: nil)
        do {
            _ = try state.readMessage(Array(body))
            let proof = PeerProof(own, versions: versions).encoded
            pending.append(.rekey2, StreamID(number: 0), try state.writeMessage(payload: proof))
        } catch { throw .handshake(error) }
        rekey = .sentSecond(state)
        clocks.rekeyBegan(at: now)
    }

    mutating func readRekey2(_ body: UnsafeRawBufferPointer, at now: Now) throws(SessionError) {
        guard case .sentFirst(var state, let credential) = rekey, let peer else {
            throw .unexpectedRekey
        }
        rekey = .idle
        let payload: [UInt8]
        let message: [UInt8]
        do {
            payload = try state.readMessage(Array(body))
            message = try state.writeMessage(payload: PeerProof(credential, versions: versions).encoded)
        } catch { throw .handshake(error) }
        // By the newest bundle, which may have come since the first message.
        let bundle = self.credential.bundle
        let verified = try PeerProof(parsing: payload).verified(
            by: bundle, staticKey: peer.staticKey, expected: peer.certificate.subject, at: now.wall)
        pending.append(.rekey3, StreamID(number: 0), message)
        pending.endKey()
        let result = HandshakeResult(
            transport: state.split(), peer: verified, bundle: bundle.sequence, own: credential)
        nextSend = result.transport.send
        rekey = .sentThird(result)
    }

    mutating func readRekey3(
        _ body: UnsafeRawBufferPointer, isLast: Bool, at now: Now
    ) throws(SessionError) {
        guard case .sentSecond(var state) = rekey, isLast, let peer, let own else {
            throw .unexpectedRekey
        }
        rekey = .idle
        let payload: [UInt8]
        do { payload = try state.readMessage(Array(body)) } catch { throw .handshake(error) }
        guard let staticKey = state.remoteStaticKey else { throw .handshake(.missingKey(.s)) }
        let verified = try PeerProof(parsing: payload).verified(
            by: credential.bundle, staticKey: staticKey, expected: peer.certificate.subject,
            at: now.wall)
        let result = HandshakeResult(
            transport: state.split(), peer: verified, bundle: credential.bundle.sequence, own: own)
        pending.append(.rekeyed)
        pending.endKey()
        nextSend = result.transport.send
        renewed(result, at: now)
    }

    mutating func readRekeyed(isLast: Bool, at now: Now) throws(SessionError) {
        guard case .sentThird(let result) = rekey, isLast else { throw .unexpectedRekey }
        rekey = .idle
        renewed(result, at: now)
    }

    /// The receiving key changes with the next record; the sending key does where `pending` says.
    private mutating func renewed(_ result: HandshakeResult, at now: Now) {
        guard let peer, let transport else { return }
        nextReceive = result.transport.receive
        self.transport = NoiseTransport(
            send: transport.send, receive: transport.receive,
            handshakeHash: result.transport.handshakeHash)
        own = result.own
        let renewed = SessionPeer(
            result.peer.chain, validUntil: result.peer.validUntil, bundle: result.bundle,
            handshakeHash: peer.handshakeHash, isInitiator: isInitiator)
        self.peer = renewed
        counters.handshakes &+= 1
        clocks.rekeyed(at: now.monotonic)
        events.append(.renewed(renewed))
        showNewCredential(at: now.monotonic)
    }
}
