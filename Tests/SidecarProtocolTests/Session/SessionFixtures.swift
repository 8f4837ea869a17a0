@testable import SidecarProtocol

/// A trust domain with one root and one issuer that may name everything.
struct TestDomain {
    let bundle: TrustBundle
    let issuer: Certificate
    fileprivate let issuerKey: SigningKeyPair
    static let start = WallTime(seconds: 1_700_000_000)
    static let discoveryKey = DiscoveryKey([UInt8](repeating: 9, count: 32))!

    init(_ name: String = "mesh.test", seed: UInt8 = 1) throws {
        let rootKey = SigningKeyPair(seed: [UInt8](repeating: seed, count: 32))
        issuerKey = SigningKeyPair(seed: [UInt8](repeating: seed &+ 1, count: 32))
        let (begin, end) = (WallTime(seconds: 1_600_000_000), WallTime(seconds: 1_900_000_000))
        let root = try CertificateContents(
            kind: .root, trustDomain: name, subject: nil, signingKey: rootKey.publicKey,
            notBefore: begin, notAfter: end, serial: 1
        ).signed(by: rootKey)
        var contents = CertificateContents(
            kind: .issuer, trustDomain: name, subject: .host("one"), signingKey: issuerKey.publicKey,
            notBefore: begin, notAfter: end, serial: 2)
        contents.names = [IdentityPattern(namespace: .any, name: .any)]
        issuer = try contents.signed(by: rootKey)
        bundle = try TrustBundle(firstOf: name, roots: [root])
    }

    /// - Parameters:
    ///   - key: seeds the static key.
    ///   - named: the static key that the certificate names, where it's another.
    func credential(
        _ name: String, key: UInt8, serial: UInt64 = 10, validFor seconds: Int64 = 3_600,
        from start: WallTime = TestDomain.start, named: UInt8? = nil
    ) throws -> Credential {
        let pair = X25519KeyPair(secret: [UInt8](repeating: key, count: 32))
        let signing = SigningKeyPair(seed: [UInt8](repeating: key, count: 32))
        var contents = CertificateContents(
            kind: .leaf, trustDomain: bundle.trustDomain,
            subject: .workload(try WorkloadName(namespace: "default", name: name)),
            signingKey: signing.publicKey, notBefore: WallTime(seconds: start.seconds - 300),
            notAfter: WallTime(seconds: start.seconds + seconds), serial: serial)
        contents.instance = InstanceID([UInt8](repeating: key, count: 16))
        contents.staticKey =
            named.map { X25519KeyPair(secret: [UInt8](repeating: $0, count: 32)).publicKey }
            ?? pair.publicKey
        return Credential(
            certificate: try contents.signed(by: issuerKey), chain: [issuer], bundle: bundle,
            staticKey: pair, signingKey: signing,
            policyHead: PolicyHead(epoch: 0, hash: bundle.id.bytes)!,
            discoveryKey: TestDomain.discoveryKey)
    }
}

extension TestDomain {
    /// Of the one host that the issuer may name; keys are `credential`'s of the same `key`.
    func hostCertificate(key: UInt8, validFor seconds: Int64) throws -> Certificate {
        var contents = CertificateContents(
            kind: .host, trustDomain: bundle.trustDomain, subject: .host("one"),
            signingKey: SigningKeyPair(seed: [UInt8](repeating: key, count: 32)).publicKey,
            notBefore: WallTime(seconds: TestDomain.start.seconds - 300),
            notAfter: WallTime(seconds: TestDomain.start.seconds + seconds), serial: 12)
        contents.instance = InstanceID([UInt8](repeating: key, count: 16))
        contents.staticKey = X25519KeyPair(secret: [UInt8](repeating: key, count: 32)).publicKey
        return try contents.signed(by: issuerKey)
    }
}

/// Ephemeral keys that repeat in every run of a test.
final class TestEphemerals {
    private var count: UInt8
    init(_ seed: UInt8) { count = seed }
    func next() -> X25519KeyPair {
        count &+= 1
        return X25519KeyPair(secret: (0..<32).map { $0 &* 7 &+ count })
    }
}

func allowed(_ gate: DecisionGate = DecisionGate()) -> FlowPermit {
    let web = try! WorkloadName(namespace: "default", name: "web")
    return Authorizer(configuration: WorkloadConfiguration(workload: web), gate: gate)
        .permit(for: .allow("a test"))!
}

let webOpen = FlowOpen(port: ServicePort(80, .tcp), sourcePort: 40_000)
let dnsOpen = FlowOpen(port: ServicePort(53, .udp), sourcePort: 40_001)

/// Two sessions, and the wire between them, on a virtual clock.
final class SessionPair {
    final class End {
        var session: Session
        /// On its way to this end.
        var wire: [UInt8] = []
        var events: [SessionEvent] = []
        var payload: [UInt32: [UInt8]] = [:]
        var datagrams: [UInt32: [[UInt8]]] = [:]
        /// Pings of this end that the other has answered.
        var answered: [UInt64] = []
        var error: SessionError?
        /// Reports payload as taken at once.
        var consumes = true

        init(_ session: consuming Session) { self.session = session }

        var isEstablished: Bool { session.isEstablished }
        var streamCount: Int { session.streamCount }
        var peer: SessionPeer? { session.peer }
        var handshakes: UInt64 { session.counters.handshakes }
    }

    let ends: [End]
    var now: Now
    /// Changes what travels: receiver (0 dialler, 1 acceptor), bytes.
    var tamper: ((Int, inout [UInt8]) -> Void)?
    let source: CredentialSource

    init(
        caller: Credential, callee: Credential, name: String = "web",
        calleeKey: X25519PublicKey? = nil, announced: ClosedRange<UInt8> = 1...1,
        callerVersions: ClosedRange<UInt8> = 1...1, calleeVersions: ClosedRange<UInt8> = 1...1,
        source: CredentialSource? = nil, wall: WallTime = TestDomain.start
    ) throws {
        now = Now(monotonic: MonotonicTime(nanoseconds: 1_000_000_000), wall: wall)
        self.source = source ?? CredentialSource(callee)
        let target = DialTarget(
            endpoints: [], staticKey: calleeKey ?? callee.staticKey.publicKey,
            workload: try WorkloadName(namespace: "default", name: name),
            topic: TopicID([UInt8](repeating: 3, count: 16))!, versions: announced)
        let (one, two) = (TestEphemerals(10), TestEphemerals(100))
        ends = [
            End(
                try Session(
                    dialling: target, credential: caller, versions: callerVersions,
                    makeEphemeral: one.next, at: now)),
            End(
                Session(
                    accepting: self.source, versions: calleeVersions, makeEphemeral: two.next, at: now)),
        ]
    }

    /// Both established, with default credentials.
    static func established() throws -> SessionPair {
        let domain = try TestDomain()
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50), callee: domain.credential("web", key: 60))
        pair.pump()
        return pair
    }

    func advance(_ span: MonotonicTime.Span) {
        now.monotonic = now.monotonic + span
        now.wall = WallTime(milliseconds: now.wall.milliseconds + Int64(span.milliseconds))
    }

    /// Moves bytes to and fro until nothing moves any more.
    func pump(chunk: Int = .max) {
        while flush(0) || flush(1) || deliver(0, chunk) || deliver(1, chunk) {}
    }

    /// Moves bytes at the acceptor only; what it says reaches nobody.
    func pumpAcceptor() {
        while flush(1) || deliver(1, .max) {}
    }

    func flush(_ end: Int) -> Bool {
        guard ends[end].error == nil else { return false }
        var out = [UInt8](repeating: 0, count: ends[end].session.flushByteCount)
        guard !out.isEmpty else { return false }
        do {
            let written = try out.withUnsafeMutableBytes { try ends[end].session.flush(into: $0) }
            transmit(Array(out[..<written]), from: end)
        } catch { fail(end, error) }
        return true
    }

    func transmit(_ bytes: [UInt8], from end: Int) {
        var bytes = bytes
        tamper?(1 - end, &bytes)
        ends[1 - end].wire += bytes
    }

    @discardableResult
    func send(_ payload: [UInt8], on id: StreamID, from end: Int) -> SendOutcome {
        var out = [UInt8](repeating: 0, count: ends[end].session.room(forPayload: payload.count))
        do {
            let outcome = try out.withUnsafeMutableBytes { out in
                try payload.withUnsafeBytes { try ends[end].session.send($0, on: id, into: out) }
            }
            if case .sent(_, let written) = outcome, written > 0 {
                transmit(Array(out[..<written]), from: end)
            }
            return outcome
        } catch {
            fail(end, error)
            return .gone
        }
    }

    @discardableResult
    func sendDatagram(_ payload: [UInt8], on id: StreamID, from end: Int) -> SendOutcome {
        var out = [UInt8](repeating: 0, count: ends[end].session.room(forPayload: payload.count))
        do {
            let outcome = try out.withUnsafeMutableBytes { out in
                try payload.withUnsafeBytes {
                    try ends[end].session.sendDatagram($0, on: id, into: out)
                }
            }
            if case .sent(_, let written) = outcome, written > 0 {
                transmit(Array(out[..<written]), from: end)
            }
            return outcome
        } catch {
            fail(end, error)
            return .gone
        }
    }

    private func deliver(_ end: Int, _ chunk: Int) -> Bool {
        guard ends[end].error == nil, !ends[end].wire.isEmpty else { return false }
        do {
            let wire = ends[end].wire
            let count = try wire.withUnsafeBytes {
                try ends[end].session.unitByteCount(UnsafeRawBufferPointer(rebasing: $0.prefix(chunk)))
            }
            guard let count, wire.count >= count else { return false }
            ends[end].wire.removeFirst(count)
            var plain = [UInt8](repeating: 0, count: count)
            let length = try plain.withUnsafeMutableBytes { out in
                try wire.withUnsafeBytes {
                    try ends[end].session.receive(
                        UnsafeRawBufferPointer(rebasing: $0[..<count]), into: out, at: now)
                }
            }
            var cursor = 0
            while let event = try plain.withUnsafeBytes({
                try ends[end].session.nextEvent(
                    in: UnsafeRawBufferPointer(rebasing: $0[..<length]), cursor: &cursor, at: now)
            }) { note(event, plain, end) }
        } catch { fail(end, error) }
        return true
    }

    private func note(_ event: SessionEvent, _ plain: [UInt8], _ end: Int) {
        switch event {
        case .data(let id, let range):
            ends[end].payload[id.number, default: []] += plain[range]
            if ends[end].consumes {
                ends[end].session.consumed(range.count, on: id, at: now.monotonic)
            }
        case .datagram(let id, let range):
            ends[end].datagrams[id.number, default: []].append(Array(plain[range]))
        case .answered(let ping): ends[end].answered.append(ping)
        case .established, .renewed, .end, .credit, .cut, .control: ends[end].events.append(event)
        }
    }

    private func fail(_ end: Int, _ error: any Error) {
        ends[end].error = error as? SessionError
    }

    /// Opens a stream from the dialler, and attaches it at the acceptor.
    func openStream(_ open: FlowOpen = webOpen) -> StreamID {
        let id = ends[0].session.open(open, permit: allowed())!
        pump()
        _ = ends[1].session.attach(id, permit: allowed())
        return id
    }

    func controlFrames(_ end: Int) -> [ControlFrame] {
        ends[end].events.compactMap {
            if case .control(let frame) = $0 { return frame }
            return nil
        }
    }

    func streamEnds(_ end: Int) -> [StreamID] {
        ends[end].events.compactMap {
            if case .end(let id) = $0 { return id }
            return nil
        }
    }

    func renewals(_ end: Int) -> [SessionPeer] {
        ends[end].events.compactMap {
            if case .renewed(let peer) = $0 { return peer }
            return nil
        }
    }
}
