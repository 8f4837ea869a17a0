/// What the frames of a record mean to the shell. Payload stays where the record was opened to; an event
/// says where it lies.
package enum SessionEvent: Sendable {
    case established(SessionPeer)
    /// The peer has proved itself anew; keys have changed.
    case renewed(SessionPeer)
    /// Payload that the stream's permit has admitted.
    case data(StreamID, Range<Int>)
    case datagram(StreamID, Range<Int>)
    case end(StreamID)
    /// The stream may send again.
    case credit(StreamID)
    /// This side has ended the stream, with a frame to the peer: its permit no longer admits bytes, or a
    /// limit is reached.
    case cut(StreamID, CloseReason)
    case control(ControlFrame)
    /// The peer says that it has read this ping, which may be one that was never sent.
    case answered(ping: UInt64)
}

/// What became of a payload that was to be sent.
package enum SendOutcome: Hashable, Sendable {
    /// `taken` bytes of the payload are on their way, the rest has no credit yet; `written` bytes were
    /// written to the output (small payloads wait for `flush`).
    case sent(taken: Int, written: Int)
    /// The permit doesn't admit it. The stream is gone and the peer will hear of it.
    case notPermitted
    /// There is no such stream, or its end was sent.
    case gone
}

/// What a session has done so far.
package struct SessionCounters: Hashable, Sendable {
    package var recordsSent: UInt64 = 0
    package var recordsReceived: UInt64 = 0
    package var bytesSent: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var handshakes: UInt64 = 0
    /// Datagrams that came for a stream that wasn't attached in time.
    package var datagramsDropped: UInt64 = 0

    package init() {}
}
