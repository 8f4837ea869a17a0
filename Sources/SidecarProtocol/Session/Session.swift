// A session between two sidecars: one handshake, then records that carry the flows of both.
//
// Theory of operation
//
//   The session does no I/O. Its owner (PeerLink; a test's pump) gathers bytes from the connection until
//   `unitByteCount` of them are there, hands each unit to `receive`, which opens it into memory of the
//   owner's, and then asks `nextEvent` for what is in it until it says nil. In the other direction small
//   frames of all streams gather in `pending`, and `flush` seals them into the owner's memory once a
//   turn; a large payload is sealed there directly from where the workload's bytes were read to, header
//   and payload in two pieces, so that no byte of it is copied.
//
//        awaiting first flight ──▶ awaiting message 3 ──┐
//                                                       ├──▶ established (re-handshakes) ──▶ failed
//        awaiting message 2 ────────────────────────────┘
//
//   Any error ends the session: a record that can't be opened means that the connection isn't the peer's
//   any more, and a frame that makes no sense that the peer isn't a mesh sidecar. The owner then closes
//   the connection; nothing of an unauthenticated record has been looked at.
//
//   A stream's bytes move only through its `FlowPermit`, in both directions; what arrives for a stream
//   that has none yet is held, bounded, and handed out when it is attached.
//
//   Limits: see `Limits`, Sessions. It refuses to split datagrams, to send data before the last
//   handshake message, and to go on under keys older than `Limits.rekeySpan` plus one handshake.

/// Not copyable: a copy would use the same nonces again. And no query costs a copy of it.
package struct Session: ~Copyable {
    enum Phase {
        case awaitingFirstFlight(CredentialSource)
        case awaitingMessage2(InitiatorHandshake)
        case awaitingMessage3(ResponderHandshake)
        case established
        case failed
    }

    var phase: Phase
    let isInitiator: Bool
    let versions: ClosedRange<UInt8>
    /// A fresh ephemeral key pair for each handshake; used once.
    let makeEphemeral: () -> X25519KeyPair
    /// What we prove ourselves with in the next handshake.
    var credential: Credential
    let credentials: CredentialSource?

    // Once established.
    package internal(set) var peer: SessionPeer?
    var transport: NoiseTransport?
    /// What we proved ourselves with in the newest handshake.
    var own: Credential?
    var nextSend: CipherState?
    var rekey = RekeyState.idle
    /// A change of the receiving key that the current record's last frame brought about.
    var nextReceive: CipherState?
    var rekeyRecordsMaximum = Limits.rekeyRecordsMaximum

    var streams: [UInt32: SessionStream] = [:]
    var nextLocalStream: UInt32
    var lastRemoteStream: UInt32 = 0
    var heldByteCount = 0
    var windowGrowth = 0

    /// Handshake messages, as they go on the wire.
    var rawOutput: [UInt8] = []
    var pending = PendingFrames()
    var events: [SessionEvent] = []

    var clocks: SessionClocks
    package internal(set) var counters = SessionCounters()

    /// The dialling side. The first flight waits in the output at once.
    package init(
        dialling target: DialTarget, credential: Credential,
        versions: ClosedRange<UInt8> = Preamble.versions, makeEphemeral: @escaping () -> X25519KeyPair,
        at now: Now
    ) throws(SessionError) {
        let handshake = try InitiatorHandshake(
            target: target, credential: credential, versions: versions, ephemeral: makeEphemeral(),
            output: &rawOutput)
        phase = .awaitingMessage2(handshake)
        isInitiator = true
        nextLocalStream = 1
        credentials = nil
        (self.credential, self.versions, self.makeEphemeral) = (credential, versions, makeEphemeral)
        clocks = SessionClocks(start: now.monotonic, isInitiator: true)
    }

    /// The accepting side.
    package init(
        accepting credentials: CredentialSource, versions: ClosedRange<UInt8> = Preamble.versions,
        makeEphemeral: @escaping () -> X25519KeyPair, at now: Now
    ) {
        phase = .awaitingFirstFlight(credentials)
        isInitiator = false
        nextLocalStream = 2
        self.credentials = credentials
        credential = credentials.current
        (self.versions, self.makeEphemeral) = (versions, makeEphemeral)
        clocks = SessionClocks(start: now.monotonic, isInitiator: false)
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

    package var streamCount: Int { streams.count }

    /// Whether a stream carries datagrams; nil where there is no such stream, or no longer.
    package func isDatagram(_ id: StreamID) -> Bool? { streams[id.number]?.isDatagram }

    /// The newest measurement, nil before the first.
    package var roundTrip: MonotonicTime.Span? { clocks.roundTrip }

    // MARK: Streams

    /// Opens a stream; data may follow at once. Nil where the limit is reached, or numbers have run out.
    package mutating func open(_ open: FlowOpen, permit: FlowPermit) -> StreamID? {
        guard isEstablished, streams.count < Limits.sessionStreamsMaximum, nextLocalStream < .max - 1
        else { return nil }
        let id = StreamID(number: nextLocalStream)
        nextLocalStream += 2
        streams[id.number] = SessionStream(
            id: id, isDatagram: open.port.protocol == .udp, permit: permit)
        ControlFrame.open(id, open).encode(into: &pending)
        return id
    }

    /// Gives an inbound stream its permit. What it holds comes out, if the permit admits it; nil where the
    /// stream is gone by now, or just went.
    package mutating func attach(_ id: StreamID, permit: FlowPermit) -> HeldPayload? {
        guard let stream = streams[id.number], stream.permit == nil else { return nil }
        let held = stream.held ?? HeldPayload()
        release(stream)
        guard permit.admitReceived(held.byteCount) else {
            reset(id, .policy)
            return nil
        }
        stream.permit = permit
        if stream.hasEnded { remove(stream) }
        return held
    }

    /// Ends our half, after everything sent so far.
    package mutating func finish(_ id: StreamID) {
        guard let stream = streams[id.number], !stream.hasSentEnd else { return }
        stream.hasSentEnd = true
        pending.append(.end, id)
        if stream.hasEnded, stream.held == nil { remove(stream) }
    }

    /// Ends the stream at once, and tells the peer why. One that is gone stays gone.
    package mutating func reset(_ id: StreamID, _ reason: CloseReason) {
        guard let stream = streams[id.number] else { return }
        remove(stream)
        ControlFrame.reset(id, reason).encode(into: &pending)
    }

    /// The workload took `count` bytes of the stream's payload.
    package mutating func consumed(_ count: Int, on id: StreamID, at now: MonotonicTime) {
        guard let stream = streams[id.number], !stream.isDatagram, !stream.hasReceivedEnd else { return }
        let growth = stream.window.growth
        let grant = stream.window.take(
            count, at: now, roundTrip: clocks.shortestRoundTrip,
            growthRoom: Limits.sessionWindowGrowthBytesMaximum - windowGrowth)
        guard grant > 0 else { return }
        windowGrowth += stream.window.growth - growth
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: grant).bigEndian) {
            pending.append(.credit, id, $0)
        }
    }

    /// What the workload has yet to take of what arrived, in bytes.
    package func waitingByteCount(on id: StreamID) -> Int {
        streams[id.number]?.window.waitingByteCount ?? 0
    }

    func isLocal(_ id: StreamID) -> Bool { (id.number & 1 == 1) == isInitiator }

    mutating func remove(_ stream: SessionStream) {
        release(stream)
        windowGrowth -= stream.window.growth
        streams[stream.id.number] = nil
    }

    private mutating func release(_ stream: SessionStream) {
        guard let held = stream.held else { return }
        heldByteCount -= held.byteCount
        stream.held = nil
    }
}
