// Deadlines of a session, and the round trip.

struct SessionClocks {
    private let isInitiator: Bool
    /// The handshake, first or repeated, must be over by then.
    private(set) var handshakeDeadline: MonotonicTime?
    private(set) var rekeyDue: MonotonicTime?
    private(set) var lastHeard: MonotonicTime
    private(set) var pingDue: MonotonicTime?
    /// The ping that waits for its answer.
    private var pinged: (number: UInt64, at: MonotonicTime)?
    private var pingCount: UInt64 = 0
    private(set) var roundTrip: MonotonicTime.Span?
    /// The shortest one: what the path takes when nothing waits in its queues.
    private(set) var shortestRoundTrip: MonotonicTime.Span?

    init(start: MonotonicTime, isInitiator: Bool) {
        self.isInitiator = isInitiator
        lastHeard = start
        handshakeDeadline = start + Limits.handshakeSpan
    }

    mutating func established(at now: MonotonicTime) {
        lastHeard = now
        rekeyed(at: now)
    }

    /// By either side.
    mutating func rekeyBegan(at now: MonotonicTime) {
        handshakeDeadline = now + Limits.silenceSpan
        rekeyDue = nil
    }

    /// The responder waits a little longer, so that the two don't begin together.
    mutating func rekeyed(at now: MonotonicTime) {
        // A path may change in an hour; only this hour's measurements count.
        shortestRoundTrip = nil
        handshakeDeadline = nil
        rekeyDue = now + Limits.rekeySpan + (isInitiator ? .seconds(0) : .seconds(60))
    }

    mutating func heard(at now: MonotonicTime) { lastHeard = now }

    mutating func nextPing(at now: MonotonicTime) -> UInt64 {
        pingDue = now + Limits.pingSpan
        pingCount &+= 1
        if pinged == nil { pinged = (pingCount, now) }
        return pingCount
    }

    /// - Returns: whether it was the first, which waited for the peer's share of the handshake.
    mutating func answered(_ number: UInt64, at now: MonotonicTime) -> Bool {
        guard let ping = pinged, ping.number == number else { return false }
        pinged = nil
        let span = now - ping.at
        roundTrip = span
        shortestRoundTrip = min(shortestRoundTrip ?? span, span)
        return number == 1
    }

    var next: MonotonicTime? {
        var next = handshakeDeadline
        for deadline in [rekeyDue, pingDue] {
            if let deadline { next = min(next ?? deadline, deadline) }
        }
        return next
    }
}

extension Session {
    /// When `passTime` wants to be called next.
    package var nextDeadline: MonotonicTime? { clocks.next }

    /// Does what is due. Throws where the peer was given its time and didn't use it.
    package mutating func passTime(at now: Now) throws(SessionError) {
        let time = now.monotonic
        if let deadline = clocks.handshakeDeadline, deadline <= time {
            phase = .failed
            throw .handshakeTimeout
        }
        guard isEstablished else { return }
        guard time - clocks.lastHeard < Limits.silenceSpan else {
            phase = .failed
            throw .silence
        }
        if let due = clocks.pingDue, due <= time { appendPing(at: time) }
        if let due = clocks.rekeyDue, due <= time { beginRekey(at: time) }
        if let transport,
            max(transport.send.nonce, transport.receive.nonce) >= rekeyRecordsMaximum
        {
            beginRekey(at: time)
        }
    }

    /// Asks the peer for an answer with the same number, `SessionEvent.answered`. Nil before the session
    /// is established.
    package mutating func ping(at now: MonotonicTime) -> UInt64? {
        isEstablished ? appendPing(at: now) : nil
    }

    @discardableResult
    mutating func appendPing(at now: MonotonicTime) -> UInt64 {
        let number = clocks.nextPing(at: now)
        withUnsafeBytes(of: number.bigEndian) { pending.append(.ping, StreamID(number: 0), $0) }
        return number
    }

    mutating func readPing(_ body: UnsafeRawBufferPointer) throws(SessionError) {
        guard body.count == 8 else { throw .malformedFrame(type: FrameType.ping.rawValue) }
        pending.append(.pong, StreamID(number: 0), body)
    }

    mutating func readPong(
        _ body: UnsafeRawBufferPointer, at now: MonotonicTime
    ) throws(SessionError) -> SessionEvent {
        guard body.count == 8 else { throw .malformedFrame(type: FrameType.pong.rawValue) }
        let number = body.bigEndian(at: 0, as: UInt64.self)
        if clocks.answered(number, at: now) { appendPing(at: now) }
        return .answered(ping: number)
    }
}
