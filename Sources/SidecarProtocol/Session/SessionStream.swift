/// One stream of a session, as one end sees it: permit, credit in both directions, and what has ended.
///
/// A class, since the session looks one up a frame and changes several of its fields.
final class SessionStream {
    let id: StreamID
    let isDatagram: Bool
    /// Nil until the flow is allowed; nothing moves without it.
    var permit: FlowPermit?
    var sendCredit = Limits.streamWindowInitialBytes
    var window = ReceiveWindow()
    var hasSentEnd = false
    var hasReceivedEnd = false
    /// What came before the stream was attached.
    var held: HeldPayload?

    init(id: StreamID, isDatagram: Bool, permit: FlowPermit?) {
        self.id = id
        self.isDatagram = isDatagram
        self.permit = permit
    }

    var hasEnded: Bool { hasSentEnd && hasReceivedEnd }
}

/// The payload of a stream that the peer opened and nobody has allowed yet. It goes nowhere before.
package struct HeldPayload {
    package var bytes: [UInt8] = []
    package var datagrams: [[UInt8]] = []
    package var hasEnded = false

    package var byteCount: Int { datagrams.reduce(bytes.count) { $0 + $1.count } }
}

/// How much the peer may send on a stream, and when to let it send more.
///
/// Theory of operation
///
///   At every moment the window is what the peer may still send, plus what it has sent and the workload
///   hasn't taken. Credit goes back when half a window has been taken, so that a steady reader never
///   makes its peer wait. A reader that takes a whole window within two round trips is held back by the
///   window, and not by itself: the window doubles. So a path with a long round trip comes to its full
///   speed, as TCP's slow start does, and a slow reader never holds more than it began with.
///
///   The round trip is the shortest that was measured. One measured under load contains the queues that
///   the window itself fills, and windows that grow by it fill longer queues: on one host, where small
///   windows lose no speed, the requests beside a bulk stream then waited several times as long.
struct ReceiveWindow {
    private(set) var byteCount = Limits.streamWindowInitialBytes
    /// What the peer may still send.
    private(set) var credit = Limits.streamWindowInitialBytes
    /// Taken by the workload, and not returned as credit yet.
    private var taken = 0
    /// Taken since the epoch began.
    private var takenInEpoch = 0
    private var epochStart = MonotonicTime(nanoseconds: 0)

    /// What has arrived and the workload hasn't taken.
    var waitingByteCount: Int { byteCount - credit - taken }

    /// By how much it has grown.
    var growth: Int { byteCount - Limits.streamWindowInitialBytes }

    /// False where the peer sent more than it may.
    mutating func receive(_ count: Int, at now: MonotonicTime) -> Bool {
        guard count <= credit else { return false }
        if epochStart.nanoseconds == 0 { epochStart = now }
        credit -= count
        return true
    }

    /// The workload took `count` bytes.
    ///
    /// - Parameters:
    ///   - roundTrip: the shortest; without it nothing grows.
    ///   - growthRoom: by how much the windows of the session may still grow.
    /// - Returns: the credit to return now, 0 for none yet.
    mutating func take(
        _ count: Int, at now: MonotonicTime, roundTrip: MonotonicTime.Span?, growthRoom: Int
    ) -> Int {
        taken += max(0, min(count, waitingByteCount))
        guard taken >= byteCount / 2 else { return 0 }
        takenInEpoch += taken
        var grant = taken
        taken = 0
        if takenInEpoch >= byteCount {
            if let roundTrip, now - epochStart <= roundTrip * 2, byteCount <= growthRoom,
                byteCount < Limits.streamWindowMaximumBytes
            {
                grant += byteCount
                byteCount *= 2
            }
            takenInEpoch = 0
            epochStart = now
        }
        credit += grant
        return grant
    }
}
