// A session between the nodes of two hosts: announcements, their certificates and tombstones, and nothing
// else.
//
// Theory of operation
//
//   A seed is known by its address only, so the handshake is XX, and the tag of its first flight is made
//   with the domain's discovery key: who doesn't know it gets no answer, and costs one hash.
//
//   initiator                                    responder
//   preamble, e, tag             ─────────▶      pattern XX? domain ours? tag right? version in common?
//                                ◀─────────      e ee s es {versions, host's certificate, its issuer's}
//   a host's certificate, in order
//   s se {versions, certificate, issuer's} ──▶   a host's certificate, in order
//   established                                  established
//
//   After the first flight everything has two bytes of length before it: messages 2 and 3, and then
//   records. A record is one NodeMessage, sealed; an empty one says only that its sender lives.
//
//   The session does no I/O. Its owner hands it bytes as they come, takes `takeOutput` to the wire, and
//   calls `passTime` at `nextDeadline`. It ends by an error, always: after `Limits.rekeySpan`, or when
//   the peer's certificate ends, it ends too, and the dialling side dials anew under new keys.

package struct NodeSession {
    private enum Phase {
        case awaitingFirstFlight
        case awaitingMessage2(HandshakeState)
        case awaitingMessage3(HandshakeState)
        case established
        case failed
    }

    private var phase: Phase
    private let credential: Credential
    private let makeEphemeral: () -> X25519KeyPair
    private var transport: NoiseTransport?
    /// The other host's, once established.
    package private(set) var peer: Certificate?
    /// Less than one unit.
    private var input: [UInt8] = []
    private var output: [UInt8] = []

    // Clocks.
    private let start: MonotonicTime
    private var lastSent: MonotonicTime
    private var lastHeard: MonotonicTime
    private var end: MonotonicTime?
    private var allowance = RecordAllowance()

    /// The dialling side. The first flight waits in the output at once.
    ///
    /// - Parameter credential: a host's.
    package init(
        dialling credential: Credential, makeEphemeral: @escaping () -> X25519KeyPair, at now: Now
    ) throws(SessionError) {
        self.init(credential, makeEphemeral, at: now)
        let versions = Preamble.versions
        let preamble = Preamble(
            pattern: .xx, offered: versions, chosen: versions.upperBound, domain: credential.bundle.id,
            topic: NodeSession.topic(credential))
        var state = HandshakeState(
            pattern: .XX, initiator: true, prologue: preamble.encoded, s: credential.staticKey,
            e: makeEphemeral(), rs: nil)
        do {
            output = FirstFlight.encode(
                preamble, message: try state.writeMessage(payload: []), key: NodeSession.tagKey(credential))
        } catch { throw .handshake(error) }
        phase = .awaitingMessage2(state)
    }

    /// The accepting side.
    package init(
        accepting credential: Credential, makeEphemeral: @escaping () -> X25519KeyPair, at now: Now
    ) {
        self.init(credential, makeEphemeral, at: now)
    }

    private init(
        _ credential: Credential, _ makeEphemeral: @escaping () -> X25519KeyPair, at now: Now
    ) {
        (self.credential, self.makeEphemeral) = (credential, makeEphemeral)
        (start, lastSent, lastHeard) = (now.monotonic, now.monotonic, now.monotonic)
        phase = .awaitingFirstFlight
    }

    package var isEstablished: Bool {
        if case .established = phase { return true }
        return false
    }

    /// Whether the peer's first flight has come, with the right tag, and nothing after it.
    package var hasFirstFlight: Bool {
        if case .awaitingMessage3 = phase { return true }
        return false
    }

    /// What is to go on the wire now.
    package mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    // MARK: Receiving

    /// - Returns: what the peer says, in order.
    package mutating func receive(
        _ bytes: [UInt8], at now: Now
    ) throws(SessionError) -> [NodeMessage] {
        input += bytes
        var messages: [NodeMessage] = []
        do throws(SessionError) {
            var start = 0
            while let unit = try nextUnit(from: start) {
                start = unit.upperBound
                if let message = try take(Array(input[unit]), at: now) { messages.append(message) }
            }
            input.removeFirst(start)
        } catch {
            fail()
            throw error
        }
        return messages
    }

    /// Where the next whole unit lies, without its length; nil while some of it is missing.
    private func nextUnit(from start: Int) throws(SessionError) -> Range<Int>? {
        let lengths: ClosedRange<Int>
        switch phase {
        case .awaitingFirstFlight:
            let beginning = Array(input[start...].prefix(5))
            let count = try beginning.withBytes { (raw) throws(SessionError) in
                try FirstFlight.byteCount(raw)
            }
            guard let count, input.count - start >= count else { return nil }
            return start..<(start + count)
        case .awaitingMessage2, .awaitingMessage3: lengths = 1...Limits.handshakeMessageBytesMaximum
        case .established: lengths = ChaChaPoly.tagByteCount...Limits.nodeRecordBytesMaximum
        case .failed: return nil
        }
        guard input.count - start >= 2 else { return nil }
        let length = Int(input[start]) << 8 | Int(input[start + 1])
        guard lengths.contains(length) else { throw .recordLength(length) }
        guard input.count - start - 2 >= length else { return nil }
        return (start + 2)..<(start + 2 + length)
    }

    private mutating func take(_ unit: [UInt8], at now: Now) throws(SessionError) -> NodeMessage? {
        switch phase {
        case .awaitingFirstFlight: try answer(FirstFlight(parsing: unit))
        case .awaitingMessage2(var state):
            let proof = try read(unit, &state)
            let offered = Preamble.versions
            guard highestCommonVersion(offered, proof.versions) == offered.upperBound else {
                throw .version(chosen: offered.upperBound, peer: proof.versions)
            }
            let certificate = try verify(proof, state, at: now)
            appendUnit(try write(PeerProof(credential, versions: offered).encoded, &state))
            establish(state, certificate, at: now)
        case .awaitingMessage3(var state):
            let proof = try read(unit, &state)
            establish(state, try verify(proof, state, at: now), at: now)
        case .established: return try open(unit, at: now)
        case .failed: break
        }
        return nil
    }

    private mutating func open(_ record: [UInt8], at now: Now) throws(SessionError) -> NodeMessage? {
        guard allowance.take(at: now.monotonic) else { throw .tooManyRecords }
        guard var opened = transport else { return nil }
        let plaintext: [UInt8]
        do { plaintext = try opened.receive.decrypt(associatedData: [], ciphertext: record) } catch {
            throw .record(error)
        }
        transport = opened
        lastHeard = now.monotonic
        guard !plaintext.isEmpty else { return nil }
        do { return try NodeMessage(canonical: plaintext) } catch { throw .malformedMessage(error) }
    }

    // MARK: Sending

    /// Seals a message into the output. Nothing can be sent before the session is established.
    package mutating func send(_ message: NodeMessage, at now: Now) throws(SessionError) {
        try seal(message.encoded(), at: now)
    }

    private mutating func seal(_ plaintext: [UInt8], at now: Now) throws(SessionError) {
        guard isEstablished, var sealed = transport else { throw .handshake(.outOfTurn) }
        guard plaintext.count + ChaChaPoly.tagByteCount <= Limits.nodeRecordBytesMaximum else {
            throw .recordLength(plaintext.count + ChaChaPoly.tagByteCount)
        }
        do { appendUnit(try sealed.send.encrypt(associatedData: [], plaintext: plaintext)) } catch {
            throw .record(error)
        }
        transport = sealed
        lastSent = now.monotonic
    }

    /// With its length before it.
    private mutating func appendUnit(_ unit: [UInt8]) {
        output.appendBigEndian(UInt16(truncatingIfNeeded: unit.count))
        output += unit
    }

    // MARK: Time

    package var nextDeadline: MonotonicTime? {
        switch phase {
        case .awaitingFirstFlight, .awaitingMessage2, .awaitingMessage3: start + Limits.handshakeSpan
        case .established:
            min(lastSent + Limits.pingSpan, lastHeard + Limits.silenceSpan, end ?? lastHeard)
        case .failed: nil
        }
    }

    package mutating func passTime(at now: Now) throws(SessionError) {
        let time = now.monotonic
        do throws(SessionError) {
            switch phase {
            case .awaitingFirstFlight, .awaitingMessage2, .awaitingMessage3:
                if start + Limits.handshakeSpan <= time { throw SessionError.handshakeTimeout }
            case .established:
                if let end, end <= time { throw SessionError.over }
                if lastHeard + Limits.silenceSpan <= time { throw SessionError.silence }
                if lastSent + Limits.pingSpan <= time { try seal([], at: now) }
            case .failed: break
            }
        } catch {
            fail()
            throw error
        }
    }

    private mutating func fail() {
        phase = .failed
        (input, output, transport) = ([], [], nil)
    }
}

// MARK: - The handshake

extension NodeSession {
    private mutating func answer(_ flight: FirstFlight) throws(SessionError) {
        let preamble = flight.preamble
        guard preamble.pattern == .xx else { throw .malformedPreamble }
        guard preamble.domain == credential.bundle.id else { throw .otherDomain }
        guard flight.isTagged(with: NodeSession.tagKey(credential)) else { throw .wrongPreambleTag }
        guard highestCommonVersion(preamble.offered, Preamble.versions) == preamble.chosen else {
            throw .version(chosen: preamble.chosen, peer: preamble.offered)
        }
        var state = HandshakeState(
            pattern: .XX, initiator: false, prologue: preamble.encoded, s: credential.staticKey,
            e: makeEphemeral(), rs: nil)
        do { _ = try state.readMessage(flight.message) } catch { throw .handshake(error) }
        appendUnit(try write(PeerProof(credential, versions: Preamble.versions).encoded, &state))
        phase = .awaitingMessage3(state)
    }

    private func read(
        _ message: [UInt8], _ state: inout HandshakeState
    ) throws(SessionError) -> PeerProof {
        let payload: [UInt8]
        do { payload = try state.readMessage(message) } catch { throw .handshake(error) }
        return try PeerProof(parsing: payload)
    }

    private func write(
        _ payload: [UInt8], _ state: inout HandshakeState
    ) throws(SessionError) -> [UInt8] {
        do { return try state.writeMessage(payload: payload) } catch { throw .handshake(error) }
    }

    /// Who the peer is, if it is another host of our domain.
    private func verify(
        _ proof: PeerProof, _ state: HandshakeState, at now: Now
    ) throws(SessionError) -> VerifiedIdentity {
        guard let staticKey = state.remoteStaticKey else { throw .handshake(.missingKey(.s)) }
        let verified = try proof.verified(
            by: credential.bundle, staticKey: staticKey, expected: nil, at: now.wall)
        let found = "\(verified.identity)"
        guard verified.certificate.kind == .host else {
            throw .otherIdentity(expected: "a host of \(credential.bundle.trustDomain)", found: found)
        }
        guard staticKey != credential.staticKey.publicKey else {
            throw .otherIdentity(expected: "another host", found: "\(found), which is this node itself")
        }
        return verified
    }

    private mutating func establish(
        _ state: HandshakeState, _ verified: VerifiedIdentity, at now: Now
    ) {
        transport = state.split()
        peer = verified.certificate
        phase = .established
        lastHeard = now.monotonic
        // Its end may lie millennia ahead: the hour is shorter, and no number runs over.
        let last = verified.validUntil + Limits.peerClockSkew
        let hour = now.wall + Limits.rekeySpan
        let life = max(min(last, hour).milliseconds, now.wall.milliseconds) &- now.wall.milliseconds
        end = now.monotonic + .milliseconds(UInt64(life))
    }

    private static func tagKey(_ credential: Credential) -> [UInt8] {
        FirstFlight.tagKey(discoveryKey: credential.discoveryKey.bytes)
    }

    private static func topic(_ credential: Credential) -> TopicID {
        TopicID(name: "nodes", key: credential.discoveryKey)
    }
}

/// How many records a peer may still send: a store full of announcements at once, and then a steady few.
private struct RecordAllowance {
    private var left = Limits.nodeRecordsBurst
    private var filledAt: MonotonicTime?

    mutating func take(at now: MonotonicTime) -> Bool {
        let seconds = (now - (filledAt ?? now)).nanoseconds / 1_000_000_000
        if filledAt == nil || seconds > 0 {
            let more = min(seconds, 3_600) * Limits.nodeRecordsPerSecond
            left = min(Limits.nodeRecordsBurst, left + Int(more))
            filledAt = now
        }
        guard left > 0 else { return false }
        left -= 1
        return true
    }
}
