// The first handshake of a session, before there are records.
//
//   initiator                                    responder
//   preamble, e es, tag          ─────────▶      tag right? domain ours? version in common?
//                                ◀─────────      e ee {versions, leaf, chain}
//   certificate in order, its name the dialled one, no higher version in common
//   s se {leaf, chain}           ─────────▶      certificate in order
//   established                                  established
//
// After the first flight each message has two bytes of length before it. Nothing else is sent before the
// initiator's last message, and the responder sends nothing at all to who can't make the tag.

/// What both sides have when it is over.
struct HandshakeResult {
    var transport: NoiseTransport
    var peer: VerifiedIdentity
    /// Number of the trust bundle that stands by the peer.
    var bundle: UInt64
    /// What we proved ourselves with.
    var own: Credential
}

struct InitiatorHandshake {
    private var state: HandshakeState
    private let credential: Credential
    private let offered: ClosedRange<UInt8>
    private let chosen: UInt8
    private let target: DialTarget

    /// - Parameters:
    ///   - versions: those that we speak.
    ///   - output: takes the first flight.
    init(
        target: DialTarget, credential: Credential, versions: ClosedRange<UInt8>,
        ephemeral: X25519KeyPair, output: inout [UInt8]
    ) throws(SessionError) {
        guard let chosen = highestCommonVersion(versions, target.versions) else {
            throw .noCommonVersion(peer: target.versions)
        }
        let preamble = Preamble(
            pattern: .xk, offered: versions, chosen: chosen, domain: credential.bundle.id,
            topic: target.topic)
        (self.target, self.credential, offered, self.chosen) = (target, credential, versions, chosen)
        state = HandshakeState(
            pattern: .XK, initiator: true, prologue: preamble.encoded, s: credential.staticKey,
            e: ephemeral, rs: target.staticKey)
        do {
            output += FirstFlight.encode(
                preamble, message: try state.writeMessage(payload: []),
                key: FirstFlight.tagKey(staticKey: target.staticKey))
        } catch { throw .handshake(error) }
    }

    /// Reads message 2 and writes message 3.
    mutating func receive(
        _ message: [UInt8], at now: WallTime, output: inout [UInt8]
    ) throws(SessionError) -> HandshakeResult {
        let proof = try PeerProof(parsing: try readMessage(message))
        guard highestCommonVersion(offered, proof.versions) == chosen else {
            throw .version(chosen: chosen, peer: proof.versions)
        }
        let peer = try proof.verified(
            by: credential.bundle, staticKey: target.staticKey, expected: .workload(target.workload),
            at: now)
        appendMessage(try writeMessage(PeerProof(credential, versions: offered).encoded), to: &output)
        return HandshakeResult(
            transport: state.split(), peer: peer, bundle: credential.bundle.sequence, own: credential)
    }

    private mutating func readMessage(_ message: [UInt8]) throws(SessionError) -> [UInt8] {
        do { return try state.readMessage(message) } catch { throw .handshake(error) }
    }

    private mutating func writeMessage(_ payload: [UInt8]) throws(SessionError) -> [UInt8] {
        do { return try state.writeMessage(payload: payload) } catch { throw .handshake(error) }
    }
}

struct ResponderHandshake {
    private var state: HandshakeState
    private let credential: Credential
    /// The newest one: that of a credential that has been replaced may not know the peer's root yet.
    private let bundle: TrustBundle

    /// Reads the first flight and writes message 2.
    init(
        _ flight: FirstFlight, credentials: CredentialSource, versions: ClosedRange<UInt8>,
        ephemeral: () -> X25519KeyPair, at now: WallTime, output: inout [UInt8]
    ) throws(SessionError) {
        guard flight.preamble.pattern == .xk else { throw .malformedPreamble }
        guard flight.preamble.domain == credentials.current.bundle.id else { throw .otherDomain }
        guard let credential = credentials.credential(for: flight, at: now) else {
            throw .wrongPreambleTag
        }
        let preamble = flight.preamble
        guard highestCommonVersion(preamble.offered, versions) == preamble.chosen else {
            throw .version(chosen: preamble.chosen, peer: preamble.offered)
        }
        guard credentials.isFirst(flight) else { throw .repeatedFirstFlight }
        self.credential = credential
        bundle = credentials.current.bundle
        state = HandshakeState(
            pattern: .XK, initiator: false, prologue: preamble.encoded, s: credential.staticKey,
            e: ephemeral(), rs: nil)
        do {
            _ = try state.readMessage(flight.message)
            appendMessage(
                try state.writeMessage(payload: PeerProof(credential, versions: versions).encoded),
                to: &output)
        } catch { throw .handshake(error) }
    }

    /// Reads message 3.
    mutating func receive(
        _ message: [UInt8], at now: WallTime
    ) throws(SessionError) -> HandshakeResult {
        let payload: [UInt8]
        do { payload = try state.readMessage(message) } catch { throw .handshake(error) }
        guard let staticKey = state.remoteStaticKey else { throw .handshake(.missingKey(.s)) }
        let peer = try PeerProof(parsing: payload).verified(
            by: bundle, staticKey: staticKey, expected: nil, at: now)
        return HandshakeResult(
            transport: state.split(), peer: peer, bundle: bundle.sequence, own: credential)
    }
}

func highestCommonVersion(_ one: ClosedRange<UInt8>, _ other: ClosedRange<UInt8>) -> UInt8? {
    one.overlaps(other) ? min(one.upperBound, other.upperBound) : nil
}

/// With its length before it.
private func appendMessage(_ message: [UInt8], to output: inout [UInt8]) {
    output.appendBigEndian(UInt16(truncatingIfNeeded: message.count))
    output += message
}
