// The TCP connection to a peer's sidecar, with the session on it.
//
// Theory of operation
//
//   dialling ──▶ handshaking ──▶ established ──▶ closed
//      ▲──────────────┘ (next endpoint)
//
//   A link lives on one event loop. Reading: whatever a read brought is cut into records, all of them
//   are opened into one buffer, and then the frames are handed out; payload goes on as slices of that
//   buffer, without a copy. Writing: the frames of a turn of the event loop gather in the session; large
//   payloads are sealed from the buffer that they were read into, straight into `output`. At the end of
//   the turn all of it leaves in one write.
//
//   Back-pressure and fairness. No more than `outputBytesMaximum` waits here and in the channel; beyond
//   that, `write` keeps the bytes in the stream and says false. Small payloads (those that share a
//   record) are never kept waiting by large ones: they go into the next record, whatever waits. Streams
//   with large payloads take turns of `turnBytes` each. TCP_NOTSENT_LOWAT keeps the kernel from queueing
//   more than it can send soon, so that a small request waits behind a bulk stream's next few records
//   only.
//
//   A buffer that grew is given back one second after the traffic that needed it.

import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol

package protocol PeerLinkDelegate: AnyObject {
    /// Who connected knows this sidecar's key: its first flight is there. Needn't be implemented.
    func linkGreeted(_ link: PeerLink)
    func linkEstablished(_ link: PeerLink, _ peer: SessionPeer)
    /// The peer has proved itself anew, with a new certificate or just new keys.
    func linkRenewed(_ link: PeerLink, _ peer: SessionPeer)
    /// The peer wants a flow. Its bytes are held until `attach`.
    func link(_ link: PeerLink, opened stream: StreamID, _ open: FlowOpen)
    /// Every other control frame. A `reset` comes before the stream's end hears of it; it comes also
    /// where this side had to cut a stream (its permit was stale, or a limit is reached).
    func link(_ link: PeerLink, received frame: ControlFrame)
    /// Once a link, and the last call: the link is gone, or couldn't be had. Never from inside a call to
    /// the link. All streams' ends have been reset before.
    func linkClosed(_ link: PeerLink, _ reason: CloseReason, detail: String)
}

extension PeerLinkDelegate {
    package func linkGreeted(_ link: PeerLink) {}
}

/// The workload's side of a stream: a local socket.
package protocol StreamEnd: AnyObject {
    /// Permitted payload. Report `PeerLink.consumed` as the local socket takes it.
    func receive(_ bytes: ByteBuffer)
    /// The bytes of this read were all handed over: the time to flush. Needn't be implemented by who
    /// flushes in `receive`.
    func receiveComplete()
    func receiveDatagram(_ bytes: ByteBuffer)
    /// The peer's half has ended.
    func receiveEnd()
    /// The stream is gone.
    func receiveReset(_ reason: CloseReason)
    /// `PeerLink.write` has room again after it said false.
    func becameSendable()
}

extension StreamEnd {
    package func receiveComplete() {}
}

package final class PeerLink {
    package let id: LinkID
    /// Once established.
    package internal(set) var peer: SessionPeer?
    package var counters: LinkCounters {
        var counters = tally
        if let live = session?.counters { counters.session = live }
        return counters
    }
    var tally = LinkCounters()

    weak var delegate: (any PeerLinkDelegate)?
    let eventLoop: any EventLoop
    var session: Session?
    var context: ChannelHandlerContext?
    var phase = Phase.connecting

    // Dialling.
    var target: DialTarget?
    var credential: Credential?
    var nextEndpoint = 0

    // Accepting.
    var credentials: CredentialSource?

    /// Bytes of a record that isn't complete.
    var partial = ByteBuffer()
    /// Opened records of the read at hand.
    var plaintext = ByteBuffer()
    /// What the frames of the read at hand mean, and where in `plaintext` their record begins.
    var events: [(event: SessionEvent, base: Int)] = []
    /// Ends that got payload in the read at hand.
    var touched: [LinkStream] = []

    /// Sealed records of this turn.
    var output = ByteBuffer()
    var isFlushScheduled = false
    var streams: [StreamID: LinkStream] = [:]
    /// Streams that have something to send, and credit, but no room in the output.
    var waiting = CircularBuffer<LinkStream>()
    var isServingWaiting = false

    /// By number, until they are answered.
    var pings: [UInt64: LinkPing] = [:]

    var timer: Scheduled<Void>?
    var timerDeadline: MonotonicTime?
    var isTrimScheduled = false
    var hadTraffic = false

    enum Phase {
        case connecting
        case handshaking
        case established
        /// `close` was called, or the peer said goodbye: what is sealed still leaves.
        case closing
        case closed
    }

    /// What ended it first.
    var ending: (reason: CloseReason, detail: String)?

    /// With this much on its way, `write` refuses more.
    static let outputBytesMaximum = 128 << 10
    /// The channel's output is writable again below this.
    static let outputBytesLow = 32 << 10
    /// A bulk stream's turn.
    static let turnBytes = 64 << 10
    /// Buffers above this are given back when idle.
    static let retainedBytes = 32 << 10

    init(id: LinkID, eventLoop: any EventLoop, delegate: (any PeerLinkDelegate)?) {
        self.id = id
        self.eventLoop = eventLoop
        self.delegate = delegate
    }

    /// The newest measurement.
    package var roundTrip: MonotonicTime.Span? { session?.roundTrip }

    package var streamCount: Int { streams.count }

    /// The peer's address, where there is a connection.
    package var remoteAddress: SocketAddress? { context?.remoteAddress }

    // MARK: Control

    /// Sends a control frame. Streams are opened by `openStream`; a `reset` also takes the stream's end
    /// away, without telling it.
    package func send(_ frame: ControlFrame) {
        guard phase == .established else { return }
        if case .reset(let stream, let reason) = frame { return reset(stream, reason) }
        session?.send(frame)
        scheduleFlush()
    }

    /// Measures a round trip through the session: `answered` gets it, or nil where the link ends before, or
    /// too many are on their way already.
    package func ping(_ answered: @escaping (MonotonicTime.Span?) -> Void) {
        let now = Now.current().monotonic
        guard phase == .established, pings.count < Limits.linkPingsMaximum,
            let number = session?.ping(at: now)
        else { return answered(nil) }
        pings[number] = LinkPing(sent: now, answered: answered)
        // Not at the end of the turn: what else is done in it isn't the path's.
        flush()
    }

    /// Shows the peer a new certificate, in a new handshake inside the session.
    package func renew(_ credential: Credential) {
        self.credential = credential
        guard phase == .established else { return }
        session?.renew(credential, at: Now.current())
        scheduleFlush()
    }

    /// Says goodbye and closes. The streams' ends are reset with `reason`; `linkClosed` follows.
    package func close(_ reason: CloseReason) {
        guard phase != .closing, phase != .closed else { return }
        if ending == nil { ending = (reason, "closed here") }
        let wasEstablished = phase == .established
        if wasEstablished {
            session?.send(.goodbye(reason))
            flush()
        }
        phase = .closing
        resetStreams(reason)
        if let context {
            shutDown(context, afterGoodbye: wasEstablished)
        } else {
            eventLoop.assumeIsolated().execute { self.conclude() }
        }
    }

    // MARK: Streams

    /// Opens a stream; data may follow at once. Nil where the session isn't there, or its limit is
    /// reached.
    package func openStream(
        _ open: FlowOpen, permit: FlowPermit, end: any StreamEnd
    ) -> StreamID? {
        guard phase == .established, let id = session?.open(open, permit: permit) else { return nil }
        streams[id] = LinkStream(
            id: id, permit: permit, end: end, isDatagram: open.port.protocol == .udp)
        tally.streamsOpened &+= 1
        scheduleFlush()
        return id
    }

    /// Connects an inbound stream to its local socket; the bytes that it holds come at once, inside this
    /// call. Where the stream is gone by now, the end is reset inside this call.
    package func attach(_ id: StreamID, permit: FlowPermit, end: any StreamEnd) {
        guard phase == .established, let isDatagram = session?.isDatagram(id) else {
            return end.receiveReset(.sessionLost)
        }
        guard let held = session?.attach(id, permit: permit) else {
            scheduleFlush()
            return end.receiveReset(.policy)
        }
        let stream = LinkStream(id: id, permit: permit, end: end, isDatagram: isDatagram)
        streams[id] = stream
        if !held.bytes.isEmpty { end.receive(ByteBuffer(bytes: held.bytes)) }
        for datagram in held.datagrams { end.receiveDatagram(ByteBuffer(bytes: datagram)) }
        if held.hasEnded { end.receiveEnd() }
        end.receiveComplete()
        forgetIfEnded(id)
    }

    /// Ends our half of the stream, after what was written.
    ///
    /// Where the last `write` said false the link may keep bytes, which the permit must outlive: call
    /// this, and report the flow's end, after `becameSendable`.
    package func finish(_ id: StreamID) {
        guard let stream = streams[id], !stream.wantsFinish else { return }
        stream.wantsFinish = true
        finishIfEmpty(stream)
    }

    /// Ends the stream at once; its end isn't called again.
    package func reset(_ id: StreamID, _ reason: CloseReason) {
        streams[id]?.isGone = true
        streams[id] = nil
        session?.reset(id, reason)
        scheduleFlush()
    }

    /// The local socket took `count` bytes of what the stream's end received.
    package func consumed(_ count: Int, on id: StreamID) {
        session?.consumed(count, on: id, at: readTime)
        scheduleFlushIfPending()
    }

    /// The time of the read at hand, or now.
    var readTime: MonotonicTime { currentRead ?? Now.current().monotonic }
    var currentRead: MonotonicTime?
}

struct LinkPing {
    let sent: MonotonicTime
    let answered: (MonotonicTime.Span?) -> Void

    func answered(at now: MonotonicTime) { answered(now - sent) }
}

/// A stream of this link, and what it has still to send.
final class LinkStream {
    let id: StreamID
    let permit: FlowPermit
    let end: any StreamEnd
    let isDatagram: Bool
    /// Bytes that had no credit or no room.
    var queue: ByteBuffer?
    var datagrams: [ByteBuffer] = []
    var wantsFinish = false
    /// `write` said false.
    var isBlocked = false
    var isWaiting = false
    var isTouched = false
    var isGone = false

    init(id: StreamID, permit: FlowPermit, end: any StreamEnd, isDatagram: Bool) {
        self.id = id
        self.permit = permit
        self.end = end
        self.isDatagram = isDatagram
    }

    var isEmpty: Bool { queue == nil && datagrams.isEmpty }
}

package struct LinkCounters: Hashable, Sendable {
    package var session = SessionCounters()
    package var streamsOpened: UInt64 = 0
    package var datagramsDropped: UInt64 = 0
    /// Turns of the event loop that wrote, and that read.
    package var writes: UInt64 = 0
    package var reads: UInt64 = 0
}
