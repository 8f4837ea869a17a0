import Testing

@testable import SidecarProtocol

@Suite("Streams of a session")
struct SessionStreamTests {
    private let large = (0..<1_048_576).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }

    /// Sends all of `payload`, as credit allows.
    private func send(_ payload: [UInt8], on id: StreamID, from end: Int, in pair: SessionPair) {
        var rest = payload[...]
        var stalls = 0
        while !rest.isEmpty, stalls < 3 {
            guard case .sent(let taken, _) = pair.send(Array(rest.prefix(100_000)), on: id, from: end)
            else { return }
            rest = rest.dropFirst(taken)
            stalls = taken == 0 ? stalls + 1 : 0
            pair.pump()
        }
    }

    @Test("a mebibyte arrives in both directions, and ends in order")
    func bothWays() throws {
        let pair = try SessionPair.established()
        let id = pair.openStream()
        send(large, on: id, from: 0, in: pair)
        send(large.reversed(), on: id, from: 1, in: pair)
        pair.ends[0].session.finish(id)
        pair.pump()
        #expect(pair.streamEnds(1) == [id])
        #expect(pair.ends[1].session.streamCount == 1)
        pair.ends[1].session.finish(id)
        pair.pump()
        #expect(pair.streamEnds(0) == [id])
        #expect(pair.ends[1].payload[1] == large)
        #expect(pair.ends[0].payload[1] == large.reversed())
        #expect(pair.ends.map(\.streamCount) == [0, 0])
        #expect(pair.ends.allSatisfy { $0.error == nil })
    }

    @Test("after one half has ended the other goes on")
    func halfClose() throws {
        let pair = try SessionPair.established()
        let id = pair.openStream()
        pair.ends[0].session.finish(id)
        pair.pump()
        #expect(pair.send([1], on: id, from: 0) == .gone)
        #expect(pair.send([2, 3], on: id, from: 1) == .sent(taken: 2, written: 0))
        pair.pump()
        #expect(pair.ends[0].payload[1] == [2, 3])
    }

    @Test("a reset takes the stream away at both ends, with its reason")
    func reset() throws {
        let pair = try SessionPair.established()
        let id = pair.openStream()
        pair.ends[1].session.reset(id, .workloadReset)
        pair.pump()
        #expect(pair.controlFrames(0) == [.reset(id, .workloadReset)])
        #expect(pair.ends.map(\.streamCount) == [0, 0])
        #expect(pair.send([1], on: id, from: 0) == .gone)
    }

    @Test("frames of a stream that was just reset are ignored")
    func lateFrames() throws {
        let pair = try SessionPair.established()
        let id = pair.openStream()
        pair.send(Array(large[..<5_000]), on: id, from: 0)
        pair.ends[0].session.finish(id)
        pair.ends[1].session.reset(id, .policy)
        pair.pump()
        #expect(pair.ends.allSatisfy { $0.error == nil })
        #expect(pair.ends[1].payload[1] == nil)
    }

    @Test("a reader that takes nothing stops its sender at the window, and no other stream")
    func credit() throws {
        let pair = try SessionPair.established()
        let (slow, quick) = (pair.openStream(), pair.openStream())
        pair.ends[1].consumes = false
        let window = Limits.streamWindowInitialBytes
        #expect(
            pair.send([UInt8](repeating: 1, count: window + 1), on: slow, from: 0)
                == .sent(taken: window, written: window + 5 * 25 + 0))
        #expect(pair.send([1], on: slow, from: 0) == .sent(taken: 0, written: 0))
        pair.pump()
        #expect(pair.ends[1].session.waitingByteCount(on: slow) == window)
        #expect(pair.send([7], on: quick, from: 0) == .sent(taken: 1, written: 0))
        pair.pump()
        #expect(pair.ends[1].payload[quick.number] == [7])

        pair.ends[1].session.consumed(window / 2 - 1, on: slow, at: pair.now.monotonic)
        pair.pump()
        #expect(pair.ends[0].session.sendCredit(on: slow) == 0)
        pair.ends[1].session.consumed(1, on: slow, at: pair.now.monotonic)
        pair.pump()
        #expect(pair.ends[0].session.sendCredit(on: slow) == window / 2)
    }

    @Test("a peer that sends more than it may ends the session")
    func creditExceeded() throws {
        let pair = try SessionPair.established()
        let id = pair.openStream()
        pair.ends[1].consumes = false
        let window = Limits.streamWindowInitialBytes
        pair.send([UInt8](repeating: 1, count: window), on: id, from: 0)
        pair.pump()
        #expect(pair.ends[1].error == nil)
        pair.ends[0].session.streams[id.number]?.sendCredit = 1
        pair.send([1], on: id, from: 0)
        pair.pump()
        #expect(pair.ends[1].error == .creditExceeded(id))
    }

    @Test("a window doubles where a quick reader empties it, up to its limit")
    func growth() throws {
        let pair = try SessionPair.established()
        let id = pair.openStream()
        for _ in 0..<40 { send(large, on: id, from: 0, in: pair) }
        #expect(
            pair.ends[1].session.streams[id.number]?.window.byteCount == Limits.streamWindowMaximumBytes)
        #expect(pair.ends[0].session.sendCredit(on: id) <= Limits.streamWindowMaximumBytes)
    }

    @Test("a slow reader's window stays")
    func noGrowth() throws {
        let pair = try SessionPair.established()
        let id = pair.openStream()
        for _ in 0..<40 {
            send(Array(large[..<100_000]), on: id, from: 0, in: pair)
            pair.advance(.milliseconds(50))
        }
        #expect(
            pair.ends[1].session.streams[id.number]?.window.byteCount == Limits.streamWindowInitialBytes)
    }

    @Test("a window grows where it is emptied within two round trips, and not a moment later")
    func growthByRoundTrip() {
        let initial = Limits.streamWindowInitialBytes
        let begin = MonotonicTime(nanoseconds: 1_000)
        for (span, roundTrip, grant) in [
            (MonotonicTime.Span.milliseconds(20), MonotonicTime.Span.milliseconds(10), 2 * initial),
            (MonotonicTime.Span(nanoseconds: 20_000_001), .milliseconds(10), initial),
            (.milliseconds(0), nil, initial),
        ] {
            var window = ReceiveWindow()
            let isWithin = window.receive(initial, at: begin)
            #expect(isWithin)
            let given = window.take(
                initial, at: begin + span, roundTrip: roundTrip, growthRoom: .max)
            #expect(given == grant)
        }
    }

    @Test("windows of one session stop growing at the session's limit")
    func growthOfSession() throws {
        var window = ReceiveWindow()
        let now = MonotonicTime(nanoseconds: 1)
        func drain(room: Int) -> Int {
            let isWithin = window.receive(window.credit, at: now)
            #expect(isWithin)
            return window.take(
                window.waitingByteCount, at: now, roundTrip: .milliseconds(1), growthRoom: room)
        }
        let initial = Limits.streamWindowInitialBytes
        #expect(drain(room: initial - 1) == initial)
        #expect(drain(room: initial) == 2 * initial)
        #expect(window.growth == initial)
    }

    @Test("without a permit nothing is handed out, until the stream is attached")
    func held() throws {
        let pair = try SessionPair.established()
        let id = pair.ends[0].session.open(webOpen, permit: allowed())!
        pair.send([1, 2, 3], on: id, from: 0)
        pair.send(Array(large[..<10_000]), on: id, from: 0)
        pair.ends[0].session.finish(id)
        pair.pump()
        #expect(pair.controlFrames(1) == [.open(id, webOpen)])
        #expect(pair.ends[1].payload.isEmpty && pair.streamEnds(1).isEmpty)
        let permit = allowed()
        let attached = pair.ends[1].session.attach(id, permit: permit)
        let held = try #require(attached)
        #expect(held.bytes == [1, 2, 3] + large[..<10_000] && held.hasEnded)
        #expect(permit.bytesReceived == 10_003)
        #expect(pair.ends[1].session.heldByteCount == 0)
    }

    @Test("a session holds so much for streams without permit, and refuses the stream that goes beyond")
    func heldLimit() throws {
        let pair = try SessionPair.established()
        let window = Limits.streamWindowInitialBytes
        let count = Limits.sessionHeldBytesMaximum / window
        for _ in 0..<count {
            let id = pair.ends[0].session.open(webOpen, permit: allowed())!
            pair.send([UInt8](repeating: 0, count: window), on: id, from: 0)
        }
        pair.pump()
        #expect(pair.ends[1].session.heldByteCount == Limits.sessionHeldBytesMaximum)
        #expect(pair.ends[0].session.streamCount == count)
        let id = pair.ends[0].session.open(webOpen, permit: allowed())!
        pair.send([1], on: id, from: 0)
        pair.pump()
        #expect(pair.controlFrames(0) == [.reset(id, .limit)])
        #expect(pair.ends.map(\.streamCount) == [count, count])
    }

    @Test("after its permit is revoked a stream sends nothing, and both ends lose it")
    func revokedSending() throws {
        let pair = try SessionPair.established()
        let gate = DecisionGate()
        let permit = allowed(gate)
        let id = pair.ends[0].session.open(webOpen, permit: permit)!
        pair.pump()
        permit.revoke()
        #expect(pair.send([1], on: id, from: 0) == .notPermitted)
        pair.pump()
        #expect(permit.bytesSent == 0)
        #expect(pair.controlFrames(1).last == .reset(id, .policy))
        #expect(pair.ends.map(\.streamCount) == [0, 0])
    }

    @Test("after the decision epoch has moved on, received bytes are not handed out")
    func staleReceiving() throws {
        let pair = try SessionPair.established()
        let id = pair.ends[0].session.open(webOpen, permit: allowed())!
        pair.pump()
        let gate = DecisionGate()
        _ = pair.ends[1].session.attach(id, permit: allowed(gate))
        gate.raise()
        pair.send([1], on: id, from: 0)
        pair.pump()
        #expect(pair.ends[1].payload.isEmpty)
        guard case .cut(id, .policy)? = pair.ends[1].events.last else {
            Issue.record("the stream wasn't cut")
            return
        }
        #expect(pair.ends[0].session.streamCount == 0)
    }

    @Test("a permit that was revoked before the stream was attached hands nothing out")
    func revokedAttach() throws {
        let pair = try SessionPair.established()
        let id = pair.ends[0].session.open(webOpen, permit: allowed())!
        pair.send([1], on: id, from: 0)
        pair.pump()
        let permit = allowed()
        permit.revoke()
        let attached = pair.ends[1].session.attach(id, permit: permit)
        #expect(attached == nil)
        pair.pump()
        #expect(pair.controlFrames(0) == [.reset(id, .policy)])
    }

    @Test("as many streams as the limit says are opened, and one more is refused, by both sides")
    func streamLimit() throws {
        let pair = try SessionPair.established()
        for _ in 0..<Limits.sessionStreamsMaximum {
            guard pair.ends[0].session.open(webOpen, permit: allowed()) != nil else {
                Issue.record("refused within the limit")
                return
            }
        }
        let beyond = pair.ends[0].session.open(webOpen, permit: allowed())
        #expect(beyond == nil)
        pair.pump()
        #expect(pair.ends[1].session.streamCount == Limits.sessionStreamsMaximum)
        // A peer that counts otherwise is refused, not believed.
        pair.ends[0].session.remove(pair.ends[0].session.streams[1]!)
        let next = pair.ends[0].session.open(webOpen, permit: allowed())
        let id = try #require(next)
        pair.pump()
        #expect(pair.controlFrames(0) == [.reset(id, .limit)])
    }

    @Test("datagrams arrive whole, the largest too, and a larger one isn't sent")
    func datagrams() throws {
        let pair = try SessionPair.established()
        let id = pair.openStream(dnsOpen)
        let largest = [UInt8](repeating: 5, count: Limits.datagramBytesMaximum)
        pair.sendDatagram([1, 2], on: id, from: 0)
        pair.sendDatagram([], on: id, from: 0)
        pair.sendDatagram(largest, on: id, from: 0)
        #expect(pair.sendDatagram(largest + [1], on: id, from: 0) == .gone)
        pair.pump()
        #expect(pair.ends[1].datagrams[1] == [[1, 2], [], largest])
    }

    @Test("of datagrams that wait for a permit the oldest is dropped, and counted")
    func waitingDatagrams() throws {
        let pair = try SessionPair.established()
        let id = pair.ends[0].session.open(dnsOpen, permit: allowed())!
        for number in 0...Limits.waitingDatagramsMaximum {
            pair.sendDatagram([UInt8(number)], on: id, from: 0)
        }
        pair.pump()
        #expect(pair.ends[1].session.counters.datagramsDropped == 1)
        let attached = pair.ends[1].session.attach(id, permit: allowed())
        let held = try #require(attached)
        #expect(held.datagrams == (1...Limits.waitingDatagramsMaximum).map { [UInt8($0)] })
    }

    @Test("streams that nobody opened, or of the wrong parity, end the session")
    func unexpectedStreams() throws {
        for (id, frame) in [
            (2, ControlFrame.open(StreamID(number: 2), webOpen)), (1, .accepted(StreamID(number: 1))),
            (0, .reset(StreamID(number: 0), .policy)), (9, .reset(StreamID(number: 9), .policy)),
        ] as [(UInt32, ControlFrame)] {
            let pair = try SessionPair.established()
            frame.encode(into: &pair.ends[0].session.pending)
            pair.pump()
            #expect(pair.ends[1].error == .unexpectedStream(StreamID(number: id)))
        }
    }

    @Test("small frames of many streams leave in one record")
    func coalescing() throws {
        let pair = try SessionPair.established()
        let streams = (0..<20).map { _ in pair.openStream() }
        let before = pair.ends[0].session.counters.recordsSent
        for id in streams { pair.send([UInt8](repeating: 1, count: 100), on: id, from: 0) }
        pair.pump()
        #expect(pair.ends[0].session.counters.recordsSent == before + 1)
        #expect(pair.ends[1].payload.count == 20)
    }

    @Test("every control frame arrives as it was sent")
    func controlFrames() throws {
        let pair = try SessionPair.established()
        let head = PolicyHead(epoch: 7, hash: [UInt8](repeating: 4, count: 32))!
        let ports = (0..<Limits.statedPortsMaximum).map {
            Verdicts.Port(
                port: ServicePort(UInt16($0), $0 % 2 == 0 ? .tcp : .udp), verdict: .down,
                rule: String(repeating: "r", count: Limits.ruleTextBytesMaximum))
        }
        let frames: [ControlFrame] = [
            .calls(.anyPort), .calls(.ports([80, 443])), .head(head), .bundle(7), .goodbye(.shutdown),
            .verdicts(Verdicts(head: head, decisionEpoch: 3, ports: ports)),
            .policy(.head(head)), .policy(.request(head, offset: 9)), .policy(.beacon([1, 2])),
            .policy(
                .part(
                    PolicyPart(
                        head: head, offset: 5, total: UInt32(Limits.policyBytesMaximum),
                        bytes: [UInt8](repeating: 1, count: Limits.policyPartBytesMaximum)))),
        ]
        for frame in frames { pair.ends[0].session.send(frame) }
        pair.pump()
        #expect(pair.controlFrames(1) == frames)
        #expect(pair.ends[1].error == nil)
    }

    @Test("more ports than the limit aren't stated, and a longer rule is cut")
    func statedPorts() throws {
        let pair = try SessionPair.established()
        pair.ends[0].session.send(
            .calls(.ports((0...UInt16(Limits.statedPortsMaximum)).map { $0 })))
        pair.ends[0].session.send(
            .verdicts(
                Verdicts(
                    head: PolicyHead(epoch: 1, hash: [UInt8](repeating: 0, count: 32))!, decisionEpoch: 1,
                    ports: [
                        Verdicts.Port(
                            port: ServicePort(1, .tcp), verdict: .allow,
                            rule: String(repeating: "é", count: Limits.ruleTextBytesMaximum))
                    ])))
        pair.pump()
        guard case .calls(.ports(let ports))? = pair.controlFrames(1).first,
            case .verdicts(let verdicts)? = pair.controlFrames(1).last
        else {
            Issue.record("frames are missing")
            return
        }
        #expect(ports.count == Limits.statedPortsMaximum)
        #expect(verdicts.ports[0].rule.utf8.count == Limits.ruleTextBytesMaximum)
    }
}
