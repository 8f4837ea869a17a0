// What the sidecar counts.

import SidecarProtocol
import Transport

/// Counts that aren't a flow's.
struct SidecarCounters {
    var handshakes: UInt64 = 0
    var renewals: UInt64 = 0
    var renewalFailures: UInt64 = 0
    /// Connections of the workload that were closed at once, since a limit was reached.
    var refusedConnections: UInt64 = 0
    /// Attempts to leave the mesh that weren't allowed.
    var egressRefusals: UInt64 = 0
    var descriptorsMaximum = 1024
    /// What the kernel wouldn't let this process give up.
    var confinementFailures = 0
}

/// Flows by the two workloads at their ends, from the records that the core makes of them.
struct FlowMetrics {
    struct Key: Hashable {
        var direction: FlowDirection
        var source: String
        var sourceVersion: String
        var destination: String
        var destinationVersion: String

        init(_ record: FlowRecord) {
            direction = record.direction
            source = record.source.identity
            sourceVersion = record.source.version
            destination = record.destination.identity
            destinationVersion = record.destination.version
        }

        /// What a series is counted as, once there are too many.
        init(overflow direction: FlowDirection) {
            self.direction = direction
            (source, sourceVersion, destination, destinationVersion) = ("other", "", "other", "")
        }

        var peer: String { direction == .outbound ? destination : source }
    }

    struct Totals {
        var opened: UInt64 = 0
        var closed: UInt64 = 0
        /// Of flows that have closed.
        var sent: UInt64 = 0
        var received: UInt64 = 0
    }

    private(set) var totals: [Key: Totals] = [:]
    /// Flows that ended by another reason than their workloads'.
    private(set) var cuts: [CloseReason: UInt64] = [:]
    private(set) var refused: [CloseReason: UInt64] = [:]
    private(set) var denied: UInt64 = 0

    mutating func count(_ record: FlowRecord) {
        switch record.event {
        case .minute: break
        case .denied: denied += 1
        case .refused: if let reason = record.reason { refused[reason, default: 0] += 1 }
        case .open: update(record) { $0.opened += 1 }
        case .close:
            update(record) {
                $0.closed += 1
                $0.sent &+= record.bytesSent
                $0.received &+= record.bytesReceived
            }
            if let reason = record.reason, reason.isCut { cuts[reason, default: 0] += 1 }
        }
    }

    /// The totals, with the bytes that flows have moved so far which are still open.
    func totals(with open: [FlowRecord]) -> [(key: Key, totals: Totals)] {
        var all = totals
        for record in open {
            let key = all[Key(record)] == nil ? Key(overflow: record.direction) : Key(record)
            all[key, default: Totals()].sent &+= record.bytesSent
            all[key, default: Totals()].received &+= record.bytesReceived
        }
        return all.sorted {
            ($0.key.direction.rawValue, $0.key.source, $0.key.destination, $0.key.sourceVersion)
                < ($1.key.direction.rawValue, $1.key.source, $1.key.destination, $1.key.sourceVersion)
        }.map { (key: $0.key, totals: $0.value) }
    }

    private mutating func update(_ record: FlowRecord, _ change: (inout Totals) -> Void) {
        var key = Key(record)
        if totals[key] == nil, totals.count >= Limits.metricSeriesMaximum {
            key = Key(overflow: record.direction)
        }
        change(&totals[key, default: Totals()])
    }
}

extension CloseReason {
    /// Ended by a sidecar and not by a workload.
    fileprivate var isCut: Bool {
        switch self {
        case .finished, .workloadReset, .workloadRefused, .idle: false
        case .policy, .expiry, .revocation, .lease, .sessionLost, .unreachable, .limit, .protocolError,
            .shutdown, .duplicate, .untrusted, .lock, .freshness, .unrecorded:
            true
        }
    }
}
