// Spans on their way to a collector: which go next, which are lost, and when to try again. It does no I/O.

package struct SpanQueue: Sendable {
    /// What became of a request.
    package enum Reply: Hashable, Sendable {
        case taken
        /// The collector is busy, or can't be reached: the same spans again, later.
        case later
        /// It will never take these.
        case refused
    }

    private var waiting: [FlowRecord] = []
    /// Sent, and not answered.
    private var sending: [FlowRecord] = []
    private var failures: UInt64 = 0
    /// Not before.
    private var retryAt: MonotonicTime?
    private var firstAt: MonotonicTime?

    package private(set) var sentCount: UInt64 = 0
    /// Lost: the queue was full, or the collector doesn't want them.
    package private(set) var droppedCount: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { waiting.isEmpty && sending.isEmpty }
    package var isSending: Bool { !sending.isEmpty }

    /// Takes ended flows; false where there is no room.
    @discardableResult
    package mutating func append(_ record: FlowRecord, at now: MonotonicTime) -> Bool {
        guard FlowSpans.isSpan(record) else { return true }
        guard waiting.count + sending.count < Limits.spanQueueMaximum else {
            droppedCount &+= 1
            return false
        }
        if waiting.isEmpty { firstAt = now }
        waiting.append(record)
        return true
    }

    /// When the next request is due; nil while one is on its way, or there is nothing.
    package var deadline: MonotonicTime? {
        guard sending.isEmpty, !waiting.isEmpty else { return nil }
        if let retryAt { return retryAt }
        guard waiting.count < Limits.spanBatchMaximum else { return firstAt }
        return firstAt.map { $0 + Limits.spanGathering }
    }

    /// The spans of the next request; empty where none may go now.
    ///
    /// - Parameter isLast: whether to wait for no more of them.
    package mutating func take(at now: MonotonicTime, isLast: Bool = false) -> [FlowRecord] {
        guard sending.isEmpty, let deadline, isLast || deadline <= now else { return [] }
        sending = Array(waiting.prefix(Limits.spanBatchMaximum))
        waiting.removeFirst(sending.count)
        firstAt = now
        retryAt = nil
        return sending
    }

    package mutating func replied(_ reply: Reply, at now: MonotonicTime) {
        defer { sending = [] }
        switch reply {
        case .taken:
            sentCount &+= UInt64(sending.count)
            failures = 0
        case .refused:
            droppedCount &+= UInt64(sending.count)
            failures = 0
        case .later:
            waiting = sending + waiting
            failures &+= 1
            retryAt = now + min(Limits.spanGathering * (1 << min(failures, 5)), Limits.spanRetryMaximum)
        }
    }

    /// By the status of its HTTP response (OTLP specification, "OTLP/HTTP Response").
    package static func reply(status: Int) -> Reply {
        switch status {
        case 200..<300: .taken
        case 429, 502, 503, 504: .later
        default: .refused
        }
    }
}

extension Limits {
    /// Spans that wait for the collector, those of an unanswered request included.
    package static let spanQueueMaximum = 2_048
    package static let spanBatchMaximum = 256
    /// How long spans wait for others to go with them.
    package static let spanGathering = MonotonicTime.Span.seconds(1)
    package static let spanRetryMaximum = MonotonicTime.Span.seconds(30)
    /// How long a collector may take for a connection, or an answer.
    package static let spanPatience = MonotonicTime.Span.seconds(10)
}
