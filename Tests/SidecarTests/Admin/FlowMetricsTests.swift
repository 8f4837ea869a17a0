import SidecarProtocol
import Testing

@testable import Sidecar

@Suite("What the sidecar counts")
struct FlowMetricsTests {
    @Test("a flow counts when it opens and when it closes, its bytes as they move")
    func flow() throws {
        var metrics = FlowMetrics()
        metrics.count(record(.open))
        let live = metrics.totals(with: [record(.open, sent: 5, received: 7)])
        #expect(live.count == 1)
        #expect(live[0].totals.opened == 1 && live[0].totals.closed == 0)
        #expect(live[0].totals.sent == 5 && live[0].totals.received == 7)
        metrics.count(record(.close, sent: 10, received: 20, reason: .finished))
        let closed = metrics.totals(with: [])
        #expect(closed[0].totals.closed == 1 && closed[0].totals.sent == 10)
        #expect(metrics.cuts.isEmpty)
    }

    @Test("cuts count by reason, and refusals apart from them")
    func cuts() {
        var metrics = FlowMetrics()
        metrics.count(record(.close, reason: .policy))
        metrics.count(record(.close, reason: .workloadReset))
        metrics.count(record(.refused, reason: .workloadRefused))
        metrics.count(record(.denied, reason: .policy))
        #expect(metrics.cuts == [.policy: 1])
        #expect(metrics.refused == [.workloadRefused: 1])
        #expect(metrics.denied == 1)
    }

    @Test("pairs past the limit count together, as other")
    func limit() {
        var metrics = FlowMetrics()
        for number in 0..<Limits.metricSeriesMaximum { metrics.count(record(.open, peer: "p\(number)")) }
        #expect(metrics.totals.count == Limits.metricSeriesMaximum)
        metrics.count(record(.open, peer: "more"))
        metrics.count(record(.open, peer: "and more"))
        #expect(metrics.totals.count == Limits.metricSeriesMaximum + 1)
        #expect(metrics.totals[.init(overflow: .outbound)]?.opened == 2)
    }

    private func record(
        _ event: FlowRecord.Event, sent: UInt64 = 0, received: UInt64 = 0, reason: CloseReason? = nil,
        peer: String = "peer"
    ) -> FlowRecord {
        FlowRecord(
            time: WallTime(milliseconds: 0), event: event, flow: nil, direction: .outbound,
            port: ServicePort(80, .tcp), source: .init(identity: "own", version: "1", endpoint: nil),
            destination: .init(identity: peer, version: "1", endpoint: nil), isAllowed: true, rule: "",
            head: PolicyHead(epoch: 0, hash: [UInt8](repeating: 0, count: 32))!, decisionEpoch: 1,
            bytesSent: sent, bytesReceived: received, durationMilliseconds: 0, reason: reason)
    }
}
