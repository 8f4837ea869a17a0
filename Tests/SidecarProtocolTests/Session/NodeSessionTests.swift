import Testing

@testable import SidecarProtocol

/// Two nodes' sessions and the wire between them, on a virtual clock.
private final class NodePair {
    var sessions: [NodeSession]
    var errors: [SessionError?] = [nil, nil]
    var said: [[NodeMessage]] = [[], []]
    var now = Now(monotonic: MonotonicTime(nanoseconds: 1_000_000_000), wall: TestDomain.start)
    /// Changes what travels to an end (0 the dialling one).
    var tamper: ((Int, inout [UInt8]) -> Void)?
    private(set) var keysMade = 0

    init(_ dialling: Credential, _ accepting: Credential) throws {
        let (one, two) = (TestEphemerals(10), TestEphemerals(100))
        sessions = [try NodeSession(dialling: dialling, makeEphemeral: one.next, at: now)]
        sessions.append(
            NodeSession(
                accepting: accepting,
                makeEphemeral: { [unowned self] in
                    keysMade += 1
                    return two.next()
                }, at: now))
    }

    /// Of two hosts of one domain, established.
    static func established() throws -> NodePair {
        let domain = try TestDomain()
        let pair = try NodePair(try domain.host(50), try domain.host(60))
        pair.pump()
        return pair
    }

    func pump(chunk: Int = .max) {
        var moved = true
        while moved {
            moved = false
            for end in 0...1 {
                var bytes = sessions[end].takeOutput()
                guard !bytes.isEmpty else { continue }
                moved = true
                tamper?(1 - end, &bytes)
                deliver(bytes, to: 1 - end, chunk: chunk)
            }
        }
    }

    func deliver(_ bytes: [UInt8], to end: Int, chunk: Int = .max) {
        var rest = bytes[...]
        while !rest.isEmpty, errors[end] == nil {
            let part = Array(rest.prefix(chunk))
            rest = rest.dropFirst(part.count)
            do throws(SessionError) { said[end] += try sessions[end].receive(part, at: now) } catch {
                errors[end] = error
            }
        }
    }

    func advance(_ span: MonotonicTime.Span) {
        now.monotonic = now.monotonic + span
        now.wall = now.wall + span
    }

    func passTime(_ end: Int) -> SessionError? {
        do throws(SessionError) { try sessions[end].passTime(at: now) } catch { return error }
        return nil
    }
}

extension TestDomain {
    /// A credential of the host that the issuer may name.
    fileprivate func host(_ key: UInt8, discovery: UInt8 = 9, validFor seconds: Int64 = 86_400) throws
        -> Credential
    {
        var credential = try credential("web", key: key)
        credential.certificate = try hostCertificate(key: key, validFor: seconds)
        credential.discoveryKey = DiscoveryKey([UInt8](repeating: discovery, count: 32))!
        return credential
    }
}

@Suite("Session of two nodes")
struct NodeSessionTests {
    private let message = NodeMessage.announcement([UInt8](repeating: 7, count: 300))

    @Test(
        "both sides come to know each other's host, and messages pass both ways", arguments: [1, 7, 100_000])
    func succeeds(chunk: Int) throws {
        let domain = try TestDomain()
        let pair = try NodePair(try domain.host(50), try domain.host(60))
        pair.pump(chunk: chunk)
        #expect(pair.sessions.allSatisfy { $0.isEstablished })
        #expect(pair.sessions[0].peer?.identity?.description == "spiffe://mesh.test/host/one")
        #expect(pair.sessions[1].peer?.contents.instance?.bytes.first == 50)
        try pair.sessions[0].send(message, at: pair.now)
        try pair.sessions[1].send(.tombstone([1]), at: pair.now)
        try pair.sessions[1].send(.tombstone([2]), at: pair.now)
        pair.pump(chunk: chunk)
        #expect(pair.said[1] == [message])
        #expect(pair.said[0] == [.tombstone([1]), .tombstone([2])])
    }

    @Test("who doesn't know the discovery key is refused before any Diffie-Hellman, without an answer")
    func wrongTag() throws {
        let domain = try TestDomain()
        let pair = try NodePair(try domain.host(50, discovery: 8), try domain.host(60))
        pair.pump()
        #expect(pair.errors[1] == .wrongPreambleTag)
        #expect(pair.keysMade == 0)
        #expect(pair.sessions[1].takeOutput().isEmpty)
    }

    @Test("a node of another domain is refused")
    func otherDomain() throws {
        let pair = try NodePair(
            try TestDomain("other.test", seed: 77).host(50), try TestDomain().host(60))
        pair.pump()
        #expect(pair.errors[1] == .otherDomain)
        #expect(pair.keysMade == 0)
    }

    @Test("a workload is no node, on either side", arguments: [0, 1])
    func workload(end: Int) throws {
        let domain = try TestDomain()
        let sidecar = try domain.credential("web", key: 70)
        let pair =
            end == 0
            ? try NodePair(sidecar, try domain.host(60)) : try NodePair(try domain.host(60), sidecar)
        pair.pump()
        guard case .otherIdentity? = pair.errors[1 - end] else {
            Issue.record("\(String(describing: pair.errors))")
            return
        }
        #expect(!pair.sessions[1 - end].isEstablished)
    }

    @Test("a node that reaches itself notices it")
    func itself() throws {
        let own = try TestDomain().host(50)
        let pair = try NodePair(own, own)
        pair.pump()
        guard case .otherIdentity(expected: "another host", _)? = pair.errors[0] else {
            Issue.record("\(String(describing: pair.errors))")
            return
        }
    }

    @Test("an XK first flight, as a sidecar sends it, is refused")
    func otherPattern() throws {
        let domain = try TestDomain()
        let pair = try NodePair(try domain.host(50), try domain.host(60))
        var bytes = pair.sessions[0].takeOutput()
        bytes[4] = Preamble.Pattern.xk.rawValue
        pair.deliver(bytes + [UInt8](repeating: 0, count: 16), to: 1)
        #expect(pair.errors[1] == .malformedPreamble)
    }

    @Test("a flipped bit in any byte of the handshake ends it, on one side at least", arguments: [0, 1])
    func flippedBits(receiver: Int) throws {
        let domain = try TestDomain()
        let (one, two) = (try domain.host(50), try domain.host(60))
        var lengths: [Int] = []
        let whole = try NodePair(one, two)
        whole.tamper = { if $0 == receiver { lengths.append($1.count) } }
        whole.pump()
        for index in 0..<lengths.reduce(0, +) {
            let pair = try NodePair(one, two)
            var passed = 0
            pair.tamper = { end, bytes in
                guard end == receiver else { return }
                if bytes.indices.contains(index - passed) { bytes[index - passed] ^= 1 << UInt8(index % 8) }
                passed += bytes.count
            }
            pair.pump()
            // A length that grew is waited for, until the handshake's time is over.
            pair.advance(Limits.handshakeSpan)
            #expect(
                pair.errors != [nil, nil] || pair.passTime(0) != nil || pair.passTime(1) != nil,
                "byte \(index)")
        }
    }

    @Test("a flipped bit in a record ends the session")
    func flippedRecord() throws {
        let pair = try NodePair.established()
        pair.tamper = { _, bytes in bytes[bytes.count - 1] ^= 1 }
        try pair.sessions[0].send(message, at: pair.now)
        pair.pump()
        #expect(pair.errors[1] == .record(.authenticationFailed))
        #expect(pair.said[1].isEmpty)
    }

    @Test("a record is taken at its limit, and refused one byte past it")
    func recordLimit() throws {
        let limit = Limits.nodeRecordBytesMaximum
        for (length, isTaken) in [(limit, true), (limit + 1, false), (15, false), (16, true)] {
            let pair = try NodePair.established()
            pair.deliver([UInt8(length >> 8), UInt8(length & 0xFF)], to: 1)
            #expect(pair.errors[1] == (isTaken ? nil : .recordLength(length)))
        }
        // The longest message that there is fits.
        let pair = try NodePair.established()
        let certificate = [UInt8](repeating: 1, count: Limits.certificateBytesMaximum)
        try pair.sessions[0].send(.certificate(leaf: certificate, issuer: certificate), at: pair.now)
    }

    @Test("a message of the handshake is refused past its limit")
    func handshakeLimit() throws {
        let domain = try TestDomain()
        for (length, isTaken) in [
            (Limits.handshakeMessageBytesMaximum, true), (Limits.handshakeMessageBytesMaximum + 1, false),
        ] {
            let pair = try NodePair(try domain.host(50), try domain.host(60))
            pair.deliver([UInt8(length >> 8), UInt8(length & 0xFF)], to: 0)
            #expect(pair.errors[0] == (isTaken ? nil : .recordLength(length)))
        }
    }

    @Test("a node that sends more than it may is cut off; each second allows some more")
    func rateLimit() throws {
        let pair = try NodePair.established()
        func send(_ count: Int) throws {
            for _ in 0..<count { try pair.sessions[0].send(.tombstone([1]), at: pair.now) }
            pair.pump()
        }
        try send(Limits.nodeRecordsBurst)
        #expect(pair.errors[1] == nil)
        pair.advance(.seconds(1))
        try send(Int(Limits.nodeRecordsPerSecond))
        #expect(pair.errors[1] == nil)
        try send(1)
        #expect(pair.errors[1] == .tooManyRecords)
    }

    @Test("a handshake that takes too long is over, on both sides")
    func handshakeTimeout() throws {
        let domain = try TestDomain()
        let pair = try NodePair(try domain.host(50), try domain.host(60))
        #expect(pair.sessions[1].nextDeadline == pair.now.monotonic + Limits.handshakeSpan)
        pair.advance(Limits.handshakeSpan - .milliseconds(1))
        #expect(pair.passTime(0) == nil && pair.passTime(1) == nil)
        pair.advance(.milliseconds(1))
        #expect(pair.passTime(0) == .handshakeTimeout && pair.passTime(1) == .handshakeTimeout)
    }

    @Test("sessions without news stay, while both ends are heard; silence ends one")
    func silence() throws {
        let pair = try NodePair.established()
        for _ in 0..<10 {
            pair.advance(Limits.pingSpan)
            #expect(pair.passTime(0) == nil && pair.passTime(1) == nil)
            pair.pump()
        }
        #expect(pair.errors == [nil, nil])
        pair.advance(Limits.silenceSpan)
        #expect(pair.passTime(0) == .silence)
    }

    @Test("a session ends within the hour, and with the peer's certificate", arguments: [86_400, 600])
    func end(life: Int64) throws {
        let domain = try TestDomain()
        let pair = try NodePair(try domain.host(50, validFor: life), try domain.host(60))
        pair.pump()
        var seconds: Int64 = 0
        var error: SessionError?
        while error == nil, seconds < 10_000 {
            pair.advance(.seconds(10))
            seconds += 10
            error = pair.passTime(1)
            _ = pair.passTime(0)
            pair.pump()
        }
        #expect(error == .over)
        #expect(seconds == min(life + 30, 3_600))
    }
}

extension MonotonicTime.Span {
    fileprivate static func - (span: MonotonicTime.Span, other: MonotonicTime.Span) -> MonotonicTime.Span {
        MonotonicTime.Span(nanoseconds: span.nanoseconds - other.nanoseconds)
    }
}
