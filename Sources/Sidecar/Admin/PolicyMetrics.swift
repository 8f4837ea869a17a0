// What the signed policy did here: how soon cuts came, and what its last change ended.

import SidecarProtocol
import Transport

/// From the moment that something took a permission away until the flow's socket was closed, by reason.
struct CutLatencies {
    private struct Histogram {
        /// Of each bound, and of those above the last.
        var counts = [UInt64](repeating: 0, count: CutLatencies.bounds.count + 1)
        var sum = 0.0
    }

    /// Upper bounds in seconds, as the metric prints them.
    static let bounds: [(seconds: Double, text: String)] = [
        (0.0001, "0.0001"), (0.001, "0.001"), (0.005, "0.005"), (0.01, "0.01"), (0.05, "0.05"),
        (0.1, "0.1"), (1, "1"), (5, "5"),
    ]

    private var histograms: [CloseReason: Histogram] = [:]

    mutating func add(_ reason: CloseReason, _ span: MonotonicTime.Span) {
        guard reason.isAuthorization else { return }
        let seconds = span.seconds
        let place = CutLatencies.bounds.firstIndex { seconds <= $0.seconds } ?? CutLatencies.bounds.count
        histograms[reason, default: Histogram()].counts[place] += 1
        histograms[reason]?.sum += seconds
    }

    func write(to text: inout MetricsText) {
        text.family(
            "mesh_authz_cut_latency_seconds", .histogram,
            "From the end of a permission to the cut of its flow."
        ) { family in
            for (reason, histogram) in histograms.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                var buckets: [(bound: String, count: UInt64)] = []
                var total: UInt64 = 0
                for (bound, count) in zip(CutLatencies.bounds.map(\.text) + ["+Inf"], histogram.counts) {
                    total += count
                    buckets.append((bound, total))
                }
                family.histogram([("reason", reason.name)], buckets: buckets, sum: histogram.sum)
            }
        }
    }
}

/// What the change to a policy ended here, for `mesh policy apply` to tell.
struct PolicyChange {
    let head: PolicyHead
    private(set) var flowCount = 0
    /// Some of their ids: both ends of a flow tell of it, and it is counted once.
    private(set) var flows: [FlowID] = []
    /// Until the last of them was cut.
    private(set) var span = MonotonicTime.Span(nanoseconds: 0)

    /// When it was taken over, by CLOCK_BOOTTIME.
    let adoptedAt: MonotonicTime

    init(head: PolicyHead, at now: MonotonicTime) {
        self.head = head
        adoptedAt = now
    }

    /// Whether a flow that ended then did so by this change: a peer that had the policy sooner, or has it
    /// later, tells of it at its own time.
    func causes(endAt time: MonotonicTime) -> Bool {
        max(time - adoptedAt, adoptedAt - time) <= PolicyChange.spread
    }

    static let spread = MonotonicTime.Span.seconds(2)

    mutating func add(_ flow: FlowID?, after span: MonotonicTime.Span) {
        flowCount += 1
        self.span = max(self.span, span)
        if let flow, flows.count < Limits.policyChangeFlowsMaximum { flows.append(flow) }
    }
}

extension CloseReason {
    /// Whether a flow that ends so has lost its permission.
    var isAuthorization: Bool {
        switch self {
        case .policy, .expiry, .revocation, .lease, .lock, .freshness: true
        case .finished, .workloadRefused, .workloadReset, .sessionLost, .unreachable, .limit,
            .protocolError, .shutdown, .idle, .duplicate, .untrusted, .unrecorded:
            false
        }
    }
}

extension Limits {
    /// Flows that the last change of policy cut and that are told by their ids.
    static let policyChangeFlowsMaximum = 256
    /// A policy that a sidecar keeps for its replacement; larger ones are fetched from the node again.
    static let instancePolicyBytesMaximum = 1 << 20
}
