// What must hold of a session's parsers on every input; see `ParserProperties`.

package enum SessionProperties {
    package static let all: [(name: String, check: @Sendable ([UInt8]) -> Void)] = [
        ("first-flight", firstFlight), ("handshake-payload", handshakePayload),
        ("session-frames", frames), ("session-record", record), ("session-first-unit", firstUnit),
    ]

    /// Whatever is read is written as the same bytes, less the tag.
    @Sendable package static func firstFlight(_ bytes: [UInt8]) {
        guard let flight = try? FirstFlight(parsing: bytes) else { return }
        precondition(flight.preamble.offered.contains(flight.preamble.chosen))
        precondition(bytes.starts(with: flight.preamble.encoded + flight.message))
        let key = [UInt8](repeating: 1, count: 32)
        let again = FirstFlight.encode(flight.preamble, message: flight.message, key: key)
        precondition((try? FirstFlight(parsing: again))?.isTagged(with: key) == true)
    }

    @Sendable package static func handshakePayload(_ bytes: [UInt8]) {
        guard let proof = try? PeerProof(parsing: bytes) else { return }
        precondition(proof.versions.lowerBound <= proof.versions.upperBound)
    }

    /// An authentic peer may send any frames: no limit is passed, and what is held is counted.
    @Sendable package static func frames(_ plaintext: [UInt8]) {
        var session = established()
        let now = Now(monotonic: MonotonicTime(nanoseconds: 1), wall: WallTime(seconds: 0))
        var cursor = 0
        do {
            while let event = try plaintext.withBytes({ (bytes) throws(SessionError) in
                try session.nextEvent(in: bytes, cursor: &cursor, at: now)
            }) {
                if case .data(_, let range) = event { precondition(range.upperBound <= plaintext.count) }
            }
            precondition(cursor == plaintext.count)
        } catch { precondition(!session.isEstablished) }
        var held = 0
        for stream in session.streams.values {
            let window = stream.window
            precondition((0...window.byteCount).contains(window.credit) && window.waitingByteCount >= 0)
            held += stream.held?.byteCount ?? 0
        }
        precondition(held == session.heldByteCount && held <= Limits.sessionHeldBytesMaximum)
        precondition(session.streams.count <= Limits.sessionStreamsMaximum)
        flush(&session)
    }

    /// Nobody without the keys gets a byte through.
    @Sendable package static func record(_ bytes: [UInt8]) {
        var session = established()
        precondition(!receives(bytes, &session))
    }

    /// Nobody without the responder's public key gets an answer.
    @Sendable package static func firstUnit(_ bytes: [UInt8]) {
        var session = Session(
            accepting: CredentialSource(credential), makeEphemeral: { key(5) },
            at: Now(monotonic: MonotonicTime(nanoseconds: 1), wall: WallTime(seconds: 0)))
        if !receives(bytes, &session) { precondition(session.flushByteCount == 0) }
    }

    /// Whether the bytes, as one unit, were taken.
    private static func receives(_ bytes: [UInt8], _ session: inout Session) -> Bool {
        let now = Now(monotonic: MonotonicTime(nanoseconds: 2), wall: WallTime(seconds: 0))
        let out = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { out.deallocate() }
        let count = try? bytes.withBytes { (bytes) throws(SessionError) -> Int? in
            guard let count = try session.unitByteCount(bytes), count <= bytes.count else { return nil }
            return try session.receive(bytes.slice(0..<count), into: out, at: now)
        }
        return count != nil
    }

    private static func flush(_ session: inout Session) {
        var out = [UInt8](repeating: 0, count: session.flushByteCount)
        let written = out.withUnsafeMutableBytes { try? session.flush(into: $0) }
        precondition(written == out.count)
    }

    // MARK: A session without its handshake

    private static func key(_ byte: UInt8) -> X25519KeyPair {
        X25519KeyPair(secret: [UInt8](repeating: byte, count: 32))
    }

    /// With one stream of each kind that is attached, and one that isn't.
    private static func established() -> Session {
        let now = Now(monotonic: MonotonicTime(nanoseconds: 1), wall: WallTime(seconds: 0))
        var session = Session(
            accepting: CredentialSource(credential), makeEphemeral: { key(5) }, at: now)
        let send = CipherState(key: SecretBytes(copying: [UInt8](repeating: 1, count: 32)))
        let receive = CipherState(key: SecretBytes(copying: [UInt8](repeating: 2, count: 32)))
        session.phase = .established
        session.transport = NoiseTransport(
            send: send, receive: receive, handshakeHash: [UInt8](repeating: 3, count: 32))
        session.own = credential
        session.peer = SessionPeer(
            CertificateChain(leaf: credential.certificate, issuer: credential.chain[0]),
            validUntil: credential.certificate.notAfter, bundle: 1,
            handshakeHash: [UInt8](repeating: 3, count: 32), isInitiator: false)
        let permit = Authorizer(
            configuration: WorkloadConfiguration(workload: workload), gate: DecisionGate()
        ).permit(for: .allow("a property"))
        for (number, isDatagram, permit) in [(1, false, permit), (3, true, permit), (5, false, nil)] {
            session.streams[UInt32(number)] = SessionStream(
                id: StreamID(number: UInt32(number)), isDatagram: isDatagram, permit: permit)
        }
        session.lastRemoteStream = 5
        return session
    }

    private static let workload: WorkloadName = {
        guard let name = try? WorkloadName(namespace: "default", name: "web") else { preconditionFailure() }
        return name
    }()

    private static let credential: Credential = {
        let signing = SigningKeyPair(seed: [UInt8](repeating: 7, count: 32))
        var root = CertificateContents(
            kind: .root, trustDomain: "mesh.test", subject: nil, signingKey: signing.publicKey,
            notBefore: WallTime(seconds: 0), notAfter: WallTime(seconds: 1 << 32), serial: 1)
        var leaf = root
        leaf.kind = .leaf
        leaf.subject = .workload(workload)
        leaf.instance = InstanceID([UInt8](repeating: 1, count: 16))
        leaf.staticKey = key(4).publicKey
        guard let root = try? root.signed(by: signing), let leaf = try? leaf.signed(by: signing),
            let bundle = try? TrustBundle(firstOf: "mesh.test", roots: [root]),
            let discoveryKey = DiscoveryKey([UInt8](repeating: 9, count: 32))
        else { preconditionFailure() }
        return Credential(
            certificate: leaf, chain: [root], bundle: bundle, staticKey: key(4), signingKey: signing,
            policyHead: .initial(of: bundle.id), discoveryKey: discoveryKey)
    }()
}
