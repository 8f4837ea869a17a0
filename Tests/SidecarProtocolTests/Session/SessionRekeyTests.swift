import Testing

@testable import SidecarProtocol

@Suite("Re-handshake inside a session")
struct SessionRekeyTests {
    @Test("keys change under load, in both directions, and no byte is lost", arguments: [0, 1])
    func underLoad(beginner: Int) throws {
        let pair = try SessionPair.established()
        let id = pair.openStream()
        let hash = pair.ends[0].peer?.handshakeHash
        var sent: [[UInt8]] = [[], []]
        for round in 0..<60 {
            if round % 20 == 10 { pair.ends[beginner].session.beginRekey(at: pair.now.monotonic) }
            for end in 0...1 {
                let payload = [UInt8](repeating: UInt8(round), count: round % 2 == 0 ? 300 : 9_000)
                guard case .sent(payload.count, _) = pair.send(payload, on: id, from: end) else {
                    Issue.record("round \(round) stalled")
                    return
                }
                sent[end] += payload
                // One step at a time, so that records of both keys are on the wire together.
                _ = pair.flush(end)
            }
            if round % 3 == 0 { pair.pump() }
        }
        pair.pump()
        #expect(pair.ends.allSatisfy { $0.error == nil })
        #expect(pair.ends[1].payload[1] == sent[0] && pair.ends[0].payload[1] == sent[1])
        #expect(pair.ends.map(\.handshakes) == [4, 4])
        #expect(pair.ends[0].peer?.handshakeHash == hash)
        #expect(pair.ends[1].peer?.handshakeHash == hash)
    }

    @Test("a renewed certificate and key reach the peer, from either side", arguments: [0, 1])
    func renewal(end: Int) throws {
        let domain = try TestDomain()
        let pair = try SessionPair.established()
        let name = end == 0 ? "client" : "web"
        let renewed = try domain.credential(name, key: 90, serial: 99)
        pair.ends[end].session.renew(renewed, at: pair.now)
        pair.pump()
        let peer = try #require(pair.renewals(1 - end).last)
        #expect(peer.certificate.serial == 99)
        #expect(peer.staticKey == renewed.staticKey.publicKey)
        #expect(pair.ends[end].session.own?.certificate.serial == 99)
        let id = pair.openStream()
        #expect(pair.send([1], on: id, from: 0) == .sent(taken: 1, written: 0))
        pair.pump()
        #expect(pair.ends[1].payload[id.number] == [1])
    }

    @Test("a certificate of another workload can't be slipped in by a re-handshake")
    func otherIdentity() throws {
        let pair = try SessionPair.established()
        let other = try TestDomain().credential("other", key: 91)
        pair.ends[0].session.renew(other, at: pair.now)
        pair.pump()
        guard case .otherIdentity? = pair.ends[1].error else {
            Issue.record("the identity changed")
            return
        }
    }

    @Test(
        "of two re-handshakes that cross, the one begun by the lower static key stays; both certificates arrive"
    )
    func crossing() throws {
        let domain = try TestDomain()
        let pair = try SessionPair.established()
        pair.ends[0].session.renew(try domain.credential("client", key: 90, serial: 98), at: pair.now)
        pair.ends[1].session.renew(try domain.credential("web", key: 91, serial: 99), at: pair.now)
        pair.pump()
        #expect(pair.ends.allSatisfy { $0.error == nil })
        #expect(pair.ends[0].peer?.certificate.serial == 99)
        #expect(pair.ends[1].peer?.certificate.serial == 98)
        // The lower key's first, then the other's, which begins again.
        let lower = precedes(
            X25519KeyPair(secret: [UInt8](repeating: 50, count: 32)).publicKey,
            X25519KeyPair(secret: [UInt8](repeating: 60, count: 32)).publicKey)
        #expect(pair.renewals(lower ? 1 : 0).count == 2)
        #expect(pair.ends.map(\.handshakes) == [3, 3])
    }

    @Test("an hour after the last handshake there is another")
    func hourly() throws {
        let pair = try SessionPair.established()
        while pair.now.monotonic < MonotonicTime(nanoseconds: 1_000_000_000) + Limits.rekeySpan {
            #expect(pair.ends.map(\.handshakes) == [1, 1])
            pair.advance(.seconds(10))
            for end in 0...1 { try pair.ends[end].session.passTime(at: pair.now) }
            // Within the skew that a peer's certificate is allowed.
            pair.now.wall = TestDomain.start
            pair.pump()
        }
        #expect(pair.ends.map(\.handshakes) == [2, 2])
    }

    @Test("so many records bring about a new handshake")
    func records() throws {
        let pair = try SessionPair.established()
        let id = pair.openStream()
        pair.ends[0].session.rekeyRecordsMaximum = 50
        for _ in 0..<60 {
            pair.send([1], on: id, from: 0)
            pair.pump()
            try pair.ends[0].session.passTime(at: pair.now)
        }
        pair.pump()
        #expect(pair.ends.map(\.handshakes) == [2, 2])
    }

    @Test("a re-handshake that the peer doesn't go on with ends the session")
    func timeout() throws {
        let pair = try SessionPair.established()
        pair.ends[0].session.beginRekey(at: pair.now.monotonic)
        pair.advance(Limits.silenceSpan)
        #expect(throws: SessionError.handshakeTimeout) {
            try pair.ends[0].session.passTime(at: pair.now)
        }
    }

    @Test("a peer that begins a re-handshake and leaves it there is given up")
    func abandoned() throws {
        let pair = try SessionPair.established()
        pair.ends[0].session.beginRekey(at: pair.now.monotonic)
        _ = pair.flush(0)
        // Its answer is lost, so that the one that began goes on no further.
        pair.tamper = { receiver, bytes in if receiver == 0 { bytes = [] } }
        pair.pump()
        pair.advance(Limits.silenceSpan)
        #expect(throws: SessionError.handshakeTimeout) {
            try pair.ends[1].session.passTime(at: pair.now)
        }
    }

    @Test("frames of a re-handshake that nothing led to end the session")
    func unexpected() throws {
        for type in [FrameType.rekey2, .rekey3, .rekeyed] {
            let pair = try SessionPair.established()
            pair.ends[0].session.pending.append(type, StreamID(number: 0), [1, 2, 3])
            pair.pump()
            #expect(pair.ends[1].error == .unexpectedRekey)
        }
    }

    @Test("a silent peer is asked, and given up after its time")
    func silence() throws {
        let pair = try SessionPair.established()
        pair.advance(Limits.pingSpan)
        try pair.ends[0].session.passTime(at: pair.now)
        #expect(pair.ends[0].session.flushByteCount > 0)
        pair.advance(.milliseconds(5))
        pair.pump()
        #expect(pair.ends[0].session.roundTrip == .milliseconds(5))
        pair.advance(.milliseconds(Limits.silenceSpan.milliseconds - 1))
        try pair.ends[0].session.passTime(at: pair.now)
        pair.advance(.milliseconds(1))
        #expect(throws: SessionError.silence) { try pair.ends[0].session.passTime(at: pair.now) }
    }
}
