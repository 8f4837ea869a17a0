import Testing

@testable import SidecarProtocol

@Suite("A session and bytes that nobody should send")
struct SessionMutationTests {
    @Test("a flipped bit anywhere in a record closes the session")
    func flippedBits() throws {
        // Length, header, four bytes, tag.
        for bit in 0..<(8 * 29) {
            let pair = try SessionPair.established()
            let id = pair.openStream()
            pair.pump()
            pair.tamper = { _, bytes in
                if bit / 8 < bytes.count { bytes[bit / 8] ^= 1 << UInt8(bit % 8) }
            }
            pair.send([1, 2, 3, 4], on: id, from: 0)
            pair.pump()
            // A longer length leaves the receiver waiting; what follows then fails.
            pair.tamper = nil
            for _ in 0..<3 {
                pair.send([UInt8](repeating: 0, count: 40_000), on: id, from: 0)
                pair.pump()
            }
            let isClosed = pair.ends[1].error != nil && pair.ends[1].payload.isEmpty
            #expect(isClosed, "bit \(bit)")
        }
    }

    @Test("repeated, left out and exchanged records close the session", arguments: 0..<3)
    func reordered(kind: Int) throws {
        let pair = try SessionPair.established()
        let id = pair.openStream()
        pair.pump()
        var records: [[UInt8]] = []
        for number: UInt8 in 0..<3 {
            pair.send([number], on: id, from: 0)
            _ = pair.flush(0)
            records.append(pair.ends[1].wire)
            pair.ends[1].wire = []
        }
        let order = [[0, 0], [0, 2], [1, 0]][kind]
        for index in order { pair.ends[1].wire += records[index] }
        pair.pump()
        #expect(pair.ends[1].error == .record(.authenticationFailed))
    }

    /// Plaintext that an authentic, but mad, peer sends.
    private func inject(_ plaintext: [UInt8], into pair: SessionPair) {
        var cursor = 0
        do {
            while try plaintext.withUnsafeBytes({
                try pair.ends[1].session.nextEvent(in: $0, cursor: &cursor, at: pair.now)
            }) != nil {}
        } catch { pair.ends[1].error = error as? SessionError }
    }

    @Test("frames of random bytes, and real ones with changes, are read or refused", arguments: 0..<20)
    func randomFrames(seed: UInt64) throws {
        var numbers = SeededNumbers(state: seed)
        var frames = PendingFrames()
        let head = PolicyHead(epoch: 7, hash: [UInt8](repeating: 4, count: 32))!
        let samples: [ControlFrame] = [
            .open(StreamID(number: 3), webOpen), .calls(.ports([1, 2])), .head(head),
            .verdicts(
                Verdicts(
                    head: head, decisionEpoch: 1,
                    ports: [
                        Verdicts.Port(port: ServicePort(80, .tcp), verdict: .allow, rule: "accepts[0]")
                    ])),
            .policy(.request(head, offset: 3)), .policy(.beacon([1, 2, 3])),
            .policy(.part(PolicyPart(head: head, offset: 0, total: 4, bytes: [1, 2, 3, 4]))),
            .reset(StreamID(number: 1), .policy), .goodbye(.shutdown),
        ]
        for sample in samples { sample.encode(into: &frames) }
        frames.append(.data, StreamID(number: 1), [1, 2, 3])
        frames.append(.credit, StreamID(number: 1), [0, 0, 1, 0])
        frames.append(.ping, StreamID(number: 0), [UInt8](repeating: 1, count: 8))
        frames.append(.rekey1, StreamID(number: 0), [UInt8](repeating: 1, count: 48))
        for _ in 0..<200 {
            var bytes = frames.bytes
            for _ in 0..<Int.random(in: 1...6, using: &numbers) {
                bytes[Int.random(in: 0..<bytes.count, using: &numbers)] = UInt8.random(
                    in: 0...255, using: &numbers)
            }
            if Bool.random(using: &numbers) {
                bytes.removeLast(Int.random(in: 0..<bytes.count, using: &numbers))
            }
            SessionProperties.frames(bytes)
            SessionProperties.frames((0..<64).map { _ in UInt8.random(in: 0...255, using: &numbers) })
        }
    }

    @Test(
        "no mutation of what a peer sends breaks a property of the session's parsers",
        arguments: SessionProperties.all.map(\.name))
    func properties(name: String) throws {
        let check = try #require(SessionProperties.all.first { $0.name == name }).check
        let credential = try TestDomain().credential("web", key: 60)
        let pair = try SessionPair(
            caller: TestDomain().credential("client", key: 50), callee: credential)
        _ = pair.flush(0)
        var frames = PendingFrames()
        for id in [1, 3, 5] as [UInt32] {
            frames.append(.data, StreamID(number: id), [1, 2, 3])
            frames.append(.datagram, StreamID(number: id), [1, 2, 3])
            frames.append(.credit, StreamID(number: id), [0, 1, 0, 0])
            frames.append(.end, StreamID(number: id))
        }
        ControlFrame.open(StreamID(number: 7), webOpen).encode(into: &frames)
        let flight = pair.ends[1].wire
        let seeds: [[UInt8]] = [
            flight, PeerProof(credential, versions: 1...1).encoded, frames.bytes, Array(flight[..<60]),
        ]
        var numbers = SeededNumbers(state: 77)
        for seed in seeds { check(seed) }
        for _ in 0..<2_000 {
            check(MutationTests.mutated(seeds.randomElement(using: &numbers)!, &numbers))
        }
        check([])
    }

    @Test("first flights of random bytes are refused", arguments: 0..<20)
    func randomFlights(seed: UInt64) throws {
        var numbers = SeededNumbers(state: seed)
        let domain = try TestDomain()
        let (caller, callee) = (
            try domain.credential("client", key: 50), try domain.credential("web", key: 60)
        )
        let pair = try SessionPair(caller: caller, callee: callee)
        _ = pair.flush(0)
        let flight = pair.ends[1].wire
        for _ in 0..<50 {
            var bytes = flight
            bytes[Int.random(in: 0..<bytes.count, using: &numbers)] ^= UInt8.random(
                in: 1...255, using: &numbers)
            #expect(throws: SessionError.self) {
                let parsed = try FirstFlight(parsing: bytes)
                guard
                    parsed.isTagged(
                        with: FirstFlight.tagKey(staticKey: callee.staticKey.publicKey))
                else { throw SessionError.wrongPreambleTag }
            }
            #expect(throws: SessionError.self) {
                try FirstFlight(parsing: Array(bytes.dropLast(1 + Int(numbers.next() % 100))))
            }
        }
    }

    @Test("an unknown frame that may be skipped is skipped, another ends the session")
    func unknownFrames() throws {
        let pair = try SessionPair.established()
        inject([0xFF, 0, 0, 0, 0, 0, 2, 1, 2], into: pair)
        #expect(pair.ends[1].error == nil)
        inject([0x7F, 0, 0, 0, 0, 0, 2, 1, 2], into: pair)
        #expect(pair.ends[1].error == .unknownFrame(type: 0x7F))
    }

    @Test("a frame that doesn't fit its record ends the session")
    func truncatedFrames() throws {
        for bytes in [[0x11], [0x11, 0, 0, 0, 0, 0], [0x11, 0, 0, 0, 0, 0, 3, 1, 2]] as [[UInt8]] {
            let pair = try SessionPair.established()
            inject(bytes, into: pair)
            #expect(pair.ends[1].error == .truncatedFrame)
        }
    }

    @Test("a record of the largest size is read, and one byte more or less than possible refused")
    func recordSizes() throws {
        let pair = try SessionPair.established()
        for (length, isAllowed) in [(65_533, true), (65_534, false), (16, true), (15, false)] {
            let start: [UInt8] = [UInt8(length >> 8), UInt8(length & 255)]
            let count = try? start.withUnsafeBytes { try pair.ends[1].session.unitByteCount($0) }
            #expect((count == length + 2) == isAllowed)
        }
        #expect(FrameHeader.bodyBytesMaximum == 65_510)
    }
}
