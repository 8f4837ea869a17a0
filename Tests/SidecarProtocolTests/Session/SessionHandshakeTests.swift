import Testing

@testable import SidecarProtocol

@Suite("Handshake of a session")
struct SessionHandshakeTests {
    @Test("both sides come to know each other's certificate, and the same hash")
    func succeeds() throws {
        let pair = try SessionPair.established()
        let (caller, callee) = (
            try #require(pair.ends[0].peer), try #require(pair.ends[1].peer)
        )
        #expect(caller.certificate.identity?.description == "spiffe://mesh.test/ns/default/w/web")
        #expect(callee.certificate.identity?.description == "spiffe://mesh.test/ns/default/w/client")
        #expect(caller.handshakeHash == callee.handshakeHash)
        #expect(caller.isInitiator && !callee.isInitiator)
        let stream = StreamID(number: 1)
        #expect(
            FlowID(handshakeHash: caller.handshakeHash, stream: stream)
                == FlowID(handshakeHash: callee.handshakeHash, stream: stream))
    }

    @Test("a tag made for another static key is refused before any Diffie-Hellman")
    func wrongTag() throws {
        let domain = try TestDomain()
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50), callee: domain.credential("web", key: 60),
            calleeKey: X25519KeyPair(secret: [UInt8](repeating: 61, count: 32)).publicKey)
        var madeKeys = 0
        pair.ends[1].session = Session(
            accepting: pair.source,
            makeEphemeral: {
                madeKeys += 1
                return X25519KeyPair(secret: [UInt8](repeating: 1, count: 32))
            }, at: pair.now)
        pair.pump()
        #expect(pair.ends[1].error == .wrongPreambleTag)
        // Message 2 needs an ephemeral key, and so would the first Diffie-Hellman that follows.
        #expect(madeKeys == 0)
        #expect(pair.ends[0].wire.isEmpty)
    }

    @Test("a recorded first flight is refused before any Diffie-Hellman, however often it comes")
    func replayed() throws {
        let domain = try TestDomain()
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50), callee: domain.credential("web", key: 60))
        _ = pair.flush(0)
        let flight = pair.ends[1].wire
        pair.pump()
        #expect(pair.ends[1].isEstablished)
        var madeKeys = 0
        for _ in 0..<3 {
            var session = Session(
                accepting: pair.source,
                makeEphemeral: {
                    madeKeys += 1
                    return X25519KeyPair(secret: [UInt8](repeating: 1, count: 32))
                }, at: pair.now)
            var out = [UInt8](repeating: 0, count: flight.count)
            let error = #expect(throws: SessionError.self) {
                try flight.withUnsafeBytes { flight in
                    try out.withUnsafeMutableBytes { _ = try session.receive(flight, into: $0, at: pair.now) }
                }
            }
            #expect(error == .repeatedFirstFlight)
        }
        #expect(madeKeys == 0)
    }

    @Test("so many first flights are known again, and of one more the oldest half is forgotten")
    func replayLimit() throws {
        func flight(_ number: Int) throws -> FirstFlight {
            let preamble = Preamble(
                pattern: .xk, offered: 1...1, chosen: 1,
                domain: TrustDomainID([UInt8](repeating: 1, count: 32))!,
                topic: TopicID([UInt8](repeating: 2, count: 16))!)
            var message = [UInt8](repeating: 0, count: 48)
            (message[0], message[1]) = (UInt8(number & 0xFF), UInt8(number >> 8))
            return try FirstFlight(parsing: FirstFlight.encode(preamble, message: message, key: [1, 2, 3]))
        }
        var answered = AnsweredFlights()
        let most = Limits.answeredFlightsMaximum
        for number in 0..<most { #expect(answered.insert(try flight(number))) }
        for number in 0..<most { #expect(!answered.insert(try flight(number))) }
        #expect(answered.insert(try flight(most)))
        #expect(!answered.insert(try flight(most / 2)))
        #expect(answered.insert(try flight(0)), "it was of the oldest half")
    }

    @Test("a caller of another domain is refused")
    func otherDomain() throws {
        let (ours, theirs) = (try TestDomain(), try TestDomain("other.test", seed: 77))
        let pair = try SessionPair(
            caller: theirs.credential("client", key: 50), callee: ours.credential("web", key: 60))
        pair.pump()
        #expect(pair.ends[1].error == .otherDomain)
    }

    @Test("an expired certificate is refused, after thirty seconds of skew", arguments: [3_629, 3_630])
    func expired(age: Int64) throws {
        let domain = try TestDomain()
        let wall = WallTime(seconds: TestDomain.start.seconds + age)
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50),
            callee: domain.credential("web", key: 60, validFor: 9_000), wall: wall)
        pair.pump()
        guard case .untrusted? = pair.ends[1].error else {
            #expect(age < 3_630 && pair.ends[1].isEstablished)
            return
        }
        #expect(age == 3_630)
    }

    @Test("a certificate that names another static key is refused, by either side", arguments: [0, 1])
    func otherStaticKey(end: Int) throws {
        let domain = try TestDomain()
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50, named: end == 0 ? 51 : nil),
            callee: domain.credential("web", key: 60, named: end == 1 ? 61 : nil))
        pair.pump()
        guard case .untrusted? = pair.ends[1 - end].error else {
            Issue.record("established with a foreign certificate")
            return
        }
    }

    @Test("a callee that isn't the dialled workload is refused")
    func otherWorkload() throws {
        let domain = try TestDomain()
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50), callee: domain.credential("web", key: 60),
            name: "db")
        pair.pump()
        #expect(
            pair.ends[0].error
                == .otherIdentity(
                    expected: "spiffe://mesh.test/ns/default/w/db",
                    found: "spiffe://mesh.test/ns/default/w/web"))
        #expect(!pair.ends[1].isEstablished)
    }

    @Test("a replaced static key goes on answering, and the session moves to the new one at once")
    func replacedKey() throws {
        let domain = try TestDomain()
        let old = try domain.credential("web", key: 60)
        let new = try domain.credential("web", key: 70, serial: 11, validFor: 7_200)
        let source = CredentialSource(old)
        source.renew(new, at: TestDomain.start)
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50), callee: old, source: source)
        pair.pump()
        #expect(pair.ends[0].peer?.staticKey == new.staticKey.publicKey)
        #expect(pair.renewals(0).map(\.certificate.serial) == [11])
    }

    @Test("so many replaced keys answer, and the oldest of one more doesn't")
    func replacedKeyLimit() throws {
        let domain = try TestDomain()
        let first = try domain.credential("web", key: 60)
        for (renewals, isAnswered) in [
            (Limits.replacedCredentialsMaximum, true), (Limits.replacedCredentialsMaximum + 1, false),
        ] {
            let source = CredentialSource(first)
            for number in 0..<renewals {
                source.renew(
                    try domain.credential("web", key: 70 + UInt8(number)), at: TestDomain.start)
            }
            let pair = try SessionPair(
                caller: domain.credential("client", key: 50), callee: first, source: source)
            pair.pump()
            #expect(pair.ends[0].isEstablished == isAnswered)
        }
    }

    @Test("a replaced static key is forgotten when its leaf ends")
    func replacedKeyEnds() throws {
        let domain = try TestDomain()
        let old = try domain.credential("web", key: 60)
        let source = CredentialSource(old)
        source.renew(
            try domain.credential("web", key: 70, validFor: 7_200), at: TestDomain.start)
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50, validFor: 7_200), callee: old, source: source,
            wall: WallTime(seconds: TestDomain.start.seconds + 3_600))
        pair.pump()
        #expect(pair.ends[1].error == .wrongPreambleTag)
    }

    @Test("the highest version in common is chosen")
    func versions() throws {
        let domain = try TestDomain()
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50), callee: domain.credential("web", key: 60),
            announced: 1...3, callerVersions: 1...2, calleeVersions: 1...3)
        pair.pump()
        #expect(pair.ends[0].isEstablished && pair.ends[1].isEstablished)
    }

    @Test("a version that was stripped from the announcement fails the handshake")
    func strippedAnnouncement() throws {
        let domain = try TestDomain()
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50), callee: domain.credential("web", key: 60),
            announced: 1...1, callerVersions: 1...2, calleeVersions: 1...2)
        pair.pump()
        #expect(pair.ends[1].error == .version(chosen: 1, peer: 1...2))
        #expect(!pair.ends[0].isEstablished)
    }

    @Test("a version that somebody strips from the preamble, tag and all, fails the handshake")
    func strippedPreamble() throws {
        let domain = try TestDomain()
        let callee = try domain.credential("web", key: 60)
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50), callee: callee,
            announced: 1...2, callerVersions: 1...2, calleeVersions: 1...2)
        pair.tamper = { receiver, bytes in
            guard receiver == 1, bytes.starts(with: Preamble.magic) else { return }
            let preamble = Preamble(
                pattern: .xk, offered: 1...1, chosen: 1, domain: domain.bundle.id,
                topic: TopicID([UInt8](repeating: 3, count: 16))!)
            bytes = FirstFlight.encode(
                preamble, message: Array(bytes[56..<104]),
                key: FirstFlight.tagKey(staticKey: callee.staticKey.publicKey))
        }
        pair.pump()
        #expect(!pair.ends[0].isEstablished && !pair.ends[1].isEstablished)
        #expect(pair.ends[1].error == .handshake(.authenticationFailed))
    }

    @Test("a flipped bit anywhere in the handshake closes it", arguments: 0..<3)
    func flippedBit(message: Int) throws {
        let domain = try TestDomain()
        let (caller, callee) = (
            try domain.credential("client", key: 50), try domain.credential("web", key: 60)
        )
        for step in stride(from: 0, to: 8 * 700, by: 37) {
            let pair = try SessionPair(caller: caller, callee: callee)
            var sent = 0
            var flipped = false
            pair.tamper = { _, bytes in
                if sent == message, step / 8 < bytes.count {
                    bytes[step / 8] ^= 1 << UInt8(step % 8)
                    flipped = true
                }
                sent += 1
            }
            pair.pump()
            // A changed length may also leave the receiver waiting for bytes that never come.
            #expect(
                !flipped || !(pair.ends[0].isEstablished && pair.ends[1].isEstablished),
                "bit \(step) of message \(message + 1)")
        }
    }

    @Test("a handshake that isn't over in time ends the session")
    func timeout() throws {
        let domain = try TestDomain()
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50), callee: domain.credential("web", key: 60))
        #expect(pair.ends[1].session.nextDeadline == pair.now.monotonic + Limits.handshakeSpan)
        pair.advance(.milliseconds(Limits.handshakeSpan.milliseconds - 1))
        try pair.ends[1].session.passTime(at: pair.now)
        pair.advance(.milliseconds(1))
        #expect(throws: SessionError.handshakeTimeout) {
            try pair.ends[1].session.passTime(at: pair.now)
        }
    }

    @Test("bytes that aren't a preamble are refused at the fourth")
    func garbage() throws {
        for bytes in [Array("GET / HTTP/1.1".utf8), [0], Array("MESX".utf8), Array("MESH".utf8) + [7]] {
            #expect(throws: SessionError.malformedPreamble) {
                try bytes.withUnsafeBytes { _ = try FirstFlight.byteCount($0) }
            }
        }
        let count = try Array("MES".utf8).withUnsafeBytes { try FirstFlight.byteCount($0) }
        #expect(count == nil)
    }

    @Test("a handshake message of the largest size is read, and one byte more refused")
    func messageSize() throws {
        let domain = try TestDomain()
        let pair = try SessionPair(
            caller: domain.credential("client", key: 50), callee: domain.credential("web", key: 60))
        for (length, isAllowed) in [
            (Limits.handshakeMessageBytesMaximum, true), (Limits.handshakeMessageBytesMaximum + 1, false),
            (16, true), (15, false),
        ] {
            let start: [UInt8] = [UInt8(length >> 8), UInt8(length & 255)]
            let count = try? start.withUnsafeBytes { try pair.ends[0].session.unitByteCount($0) }
            #expect((count == length + 2) == isAllowed)
        }
    }
}
