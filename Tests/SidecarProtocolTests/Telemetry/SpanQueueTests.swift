import SidecarProtocol
import Testing

@Suite("Spans that wait for the collector")
struct SpanQueueTests {
    private let start = MonotonicTime(nanoseconds: 1 << 40)

    private func record(_ event: FlowRecord.Event = .close) -> FlowRecord {
        FlowRecord(
            time: WallTime(seconds: 1), event: event, flow: nil, direction: .outbound,
            port: ServicePort(80, .tcp), source: .init(identity: "", version: "", endpoint: nil),
            destination: .init(identity: "", version: "", endpoint: nil), isAllowed: true, rule: "",
            head: PolicyHead(epoch: 0, hash: [UInt8](repeating: 1, count: 32))!, decisionEpoch: 1,
            bytesSent: 0, bytesReceived: 0, durationMilliseconds: 0, reason: nil)
    }

    private func queue(_ count: Int) -> SpanQueue {
        var queue = SpanQueue()
        for _ in 0..<count { queue.append(record(), at: start) }
        return queue
    }

    @Test("the first waits a second for others; a full batch waits for nobody")
    func gathering() {
        var few = queue(3)
        #expect(few.deadline == start + Limits.spanGathering)
        let early = few.take(at: start)
        #expect(early.isEmpty)
        let due = few.take(at: start + Limits.spanGathering)
        #expect(due.count == 3 && few.isSending && few.deadline == nil)
        var many = queue(Limits.spanBatchMaximum + 1)
        #expect(many.deadline == start)
        let full = many.take(at: start)
        #expect(full.count == Limits.spanBatchMaximum)
        many.replied(.taken, at: start)
        #expect(many.sentCount == UInt64(Limits.spanBatchMaximum) && !many.isEmpty)
    }

    @Test("there is room for so many, those on their way included; one more is dropped and counted")
    func limit() {
        var queue = queue(Limits.spanQueueMaximum)
        #expect(queue.droppedCount == 0)
        _ = queue.take(at: start)
        let isTaken = queue.append(record(), at: start)
        #expect(!isTaken && queue.droppedCount == 1)
        queue.replied(.taken, at: start)
        let fits = queue.append(record(), at: start)
        #expect(fits && queue.droppedCount == 1)
    }

    @Test("a busy collector gets the same spans again, ever later, up to half a minute")
    func later() {
        var queue = queue(2)
        var now = start
        var spans: [UInt64] = []
        for _ in 0..<8 {
            now = queue.deadline ?? now
            let batch = queue.take(at: now)
            #expect(batch.count == 2)
            queue.replied(.later, at: now)
            spans.append(((queue.deadline ?? now) - now).milliseconds / 1000)
        }
        #expect(spans == [2, 4, 8, 16, 30, 30, 30, 30])
        _ = queue.take(at: queue.deadline ?? now)
        queue.replied(.taken, at: now)
        #expect(queue.isEmpty && queue.sentCount == 2 && queue.droppedCount == 0)
    }

    @Test("what a collector refuses for good is dropped; HTTP says which is which")
    func refused() {
        var queue = queue(2)
        _ = queue.take(at: start, isLast: true)
        queue.replied(SpanQueue.reply(status: 400), at: start)
        #expect(queue.isEmpty && queue.droppedCount == 2)
        #expect([200, 202, 204].allSatisfy { SpanQueue.reply(status: $0) == .taken })
        #expect([429, 502, 503, 504].allSatisfy { SpanQueue.reply(status: $0) == .later })
        #expect([301, 400, 404, 500].allSatisfy { SpanQueue.reply(status: $0) == .refused })
    }

    @Test("flows that go on aren't queued")
    func open() {
        var queue = SpanQueue()
        queue.append(record(.open), at: start)
        queue.append(record(.minute), at: start)
        #expect(queue.isEmpty && queue.deadline == nil)
    }
}
