// What must hold of the session between nodes on every input; see `ParserProperties`.

package enum NodeSessionProperties {
    package static let all: [(name: String, check: @Sendable ([UInt8]) -> Void)] = [
        ("node-first-unit", firstUnit), ("node-answer", answer), ("node-proof", proof),
        ("node-records", records),
    ]

    /// What one session really says to the other, so that mutations start from inside.
    package static var seeds: [[UInt8]] {
        [transcript.flight, transcript.answer, transcript.proof, transcript.record]
    }

    /// Nobody without the discovery key gets an answer.
    @Sendable package static func firstUnit(_ bytes: [UInt8]) {
        var session = transcript.unstarted
        _ = feed(bytes, to: &session)
        precondition(session.hasFirstFlight == !session.takeOutput().isEmpty)
        precondition(!session.isEstablished && session.peer == nil)
    }

    /// Only the answer itself establishes the dialling side.
    @Sendable package static func answer(_ bytes: [UInt8]) {
        var session = transcript.dialling
        _ = feed(bytes, to: &session)
        // What follows may have ended it again; who it was stays known, for the log.
        precondition(session.peer == nil || bytes.starts(with: transcript.answer))
        precondition(!session.isEstablished || session.peer != nil)
    }

    /// Only the dialling side's own proof establishes the accepting one.
    @Sendable package static func proof(_ bytes: [UInt8]) {
        var session = transcript.accepting
        _ = feed(bytes, to: &session)
        // What follows may have ended it again; who it was stays known, for the log.
        precondition(session.peer == nil || bytes.starts(with: transcript.proof))
        precondition(!session.isEstablished || session.peer != nil)
    }

    /// Nobody without the keys gets a message through.
    @Sendable package static func records(_ bytes: [UInt8]) {
        var session = transcript.established
        var said: [NodeMessage] = []
        let error = feed(bytes, to: &session, said: &said)
        precondition(said.isEmpty || bytes.starts(with: transcript.record))
        precondition(error == nil || !session.isEstablished)
    }

    private static func feed(_ bytes: [UInt8], to session: inout NodeSession) -> SessionError? {
        var said: [NodeMessage] = []
        let error = feed(bytes, to: &session, said: &said)
        precondition(said.isEmpty)
        return error
    }

    private static func feed(
        _ bytes: [UInt8], to session: inout NodeSession, said: inout [NodeMessage]
    ) -> SessionError? {
        do throws(SessionError) {
            said = try session.receive(bytes, at: now)
            return nil
        } catch {
            precondition(!session.isEstablished && session.nextDeadline == nil)
            return error
        }
    }

    // MARK: Two sessions that meet

    private struct Transcript: @unchecked Sendable {
        /// The accepting side before anything has come.
        var unstarted: NodeSession
        /// The dialling side, and the accepting one, before they are answered.
        var dialling: NodeSession
        var accepting: NodeSession
        var established: NodeSession
        var flight: [UInt8]
        var answer: [UInt8]
        var proof: [UInt8]
        var record: [UInt8]
    }

    private static let now = Now(
        monotonic: MonotonicTime(nanoseconds: 1 << 40), wall: WallTime(seconds: 1_000))

    private static let transcript: Transcript = {
        do {
            let (one, two) = (try credential(1), try credential(2))
            var dialling = try NodeSession(dialling: one, makeEphemeral: { key(11) }, at: now)
            var accepting = NodeSession(accepting: two, makeEphemeral: { key(12) }, at: now)
            let unstarted = accepting
            let flight = dialling.takeOutput()
            let waiting = dialling
            _ = try accepting.receive(flight, at: now)
            let answer = accepting.takeOutput()
            let answered = accepting
            _ = try dialling.receive(answer, at: now)
            let proof = dialling.takeOutput()
            _ = try accepting.receive(proof, at: now)
            try dialling.send(.tombstone([1, 2, 3]), at: now)
            return Transcript(
                unstarted: unstarted, dialling: waiting, accepting: answered, established: accepting,
                flight: flight, answer: answer, proof: proof, record: dialling.takeOutput())
        } catch { preconditionFailure("\(error)") }
    }()

    private static func key(_ byte: UInt8) -> X25519KeyPair {
        X25519KeyPair(secret: [UInt8](repeating: byte, count: 32))
    }

    private static func signing(_ byte: UInt8) -> SigningKeyPair {
        SigningKeyPair(seed: [UInt8](repeating: byte, count: 32))
    }

    private static func contents(
        _ kind: CertificateContents.Kind, _ subject: SPIFFEIdentity.Subject?, _ keys: SigningKeyPair,
        serial: UInt64
    ) -> CertificateContents {
        CertificateContents(
            kind: kind, trustDomain: "mesh.test", subject: subject, signingKey: keys.publicKey,
            notBefore: WallTime(seconds: 0), notAfter: WallTime(seconds: 1 << 32), serial: serial)
    }

    /// Of one host each, all of one domain.
    private static func credential(_ number: UInt8) throws -> Credential {
        let root = try contents(.root, nil, signing(7), serial: 1).signed(by: signing(7))
        let host = SPIFFEIdentity.Subject.host("host-\(number)")
        var issuer = contents(.issuer, host, signing(20 + number), serial: 2)
        issuer.names = [try IdentityPattern(parsing: "*/*", namespace: "default", trustDomain: nil)]
        var leaf = contents(.host, host, signing(30 + number), serial: 3)
        leaf.instance = InstanceID([UInt8](repeating: number, count: 16))
        leaf.staticKey = key(number).publicKey
        let bundle = try TrustBundle(firstOf: "mesh.test", roots: [root])
        guard let discoveryKey = DiscoveryKey([UInt8](repeating: 9, count: 32)) else {
            preconditionFailure()
        }
        return Credential(
            certificate: try leaf.signed(by: signing(20 + number)),
            chain: [try issuer.signed(by: signing(7))], bundle: bundle, staticKey: key(number),
            signingKey: signing(30 + number), policyHead: .initial(of: bundle.id),
            discoveryKey: discoveryKey)
    }
}
