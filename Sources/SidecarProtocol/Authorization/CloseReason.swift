/// Why a flow was refused, cut or ended, or a session closed. The raw value is the wire's; the name is
/// what records, metrics and `mesh flows` print.
package enum CloseReason: UInt8, Hashable, Sendable, CaseIterable {
    /// Both directions ended in order.
    case finished = 0
    /// A configuration or policy doesn't allow it, or no longer does.
    case policy = 1
    /// A certificate has ended.
    case expiry = 2
    case revocation = 3
    /// The peer hasn't stated its policy head within the lease.
    case lease = 4
    /// The workload that serves the port refused the connection.
    case workloadRefused = 5
    /// A workload reset the connection.
    case workloadReset = 6
    /// The session between the sidecars was lost.
    case sessionLost = 7
    /// No callee could be reached within the time that a waiting connection has.
    case unreachable = 8
    /// A limit of one of the sidecars is reached.
    case limit = 9
    /// The peer broke the protocol.
    case protocolError = 10
    /// A sidecar ends, with its workload.
    case shutdown = 11
    /// A UDP association saw no datagram for its idle time.
    case idle = 12
    /// Two sessions were dialled at once; this one gives way.
    case duplicate = 13
    /// The session's keys or certificates can't be verified.
    case untrusted = 14
    /// A lock of the policy stops one of the two for a time.
    case lock = 15
    /// No fresh beacon of those that the policy asks for.
    case freshness = 16
    /// Records can't be kept, and the config says that they must be.
    case unrecorded = 20

    package var name: String {
        switch self {
        case .finished: "finished"
        case .policy: "policy"
        case .expiry: "expiry"
        case .revocation: "revocation"
        case .lease: "lease"
        case .workloadRefused: "workload-refused"
        case .workloadReset: "workload-reset"
        case .sessionLost: "session-lost"
        case .unreachable: "unreachable"
        case .limit: "limit"
        case .protocolError: "protocol-error"
        case .shutdown: "shutdown"
        case .idle: "idle"
        case .duplicate: "duplicate"
        case .untrusted: "untrusted"
        case .lock: "lock"
        case .freshness: "freshness"
        case .unrecorded: "unrecorded"
        }
    }
}
