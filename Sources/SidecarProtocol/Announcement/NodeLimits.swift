/// The limits of the node and its issuer, and of those who talk to them.
extension Limits {
    /// A local domain's root, which nobody renews.
    package static let localRootLifetime = MonotonicTime.Span.seconds(20 * 365 * 86_400)
    /// Chains that a sidecar keeps of those its node has sent.
    package static let clientCertificatesMaximum = 1024
    /// What waits to be written to one client of the node; at this much the client is closed.
    package static let nodeClientQueueBytesMaximum = 1 << 20
    /// Connections to the node at once, and to the issuer.
    package static let nodeClientsMaximum = 1024
    /// Topics that one client of the node subscribes to.
    package static let nodeSubscriptionsMaximum = 512
    package static let nodeAnnouncementsMaximum = 8192
    package static let nodeCertificatesMaximum = 8192
    /// Instances whose incarnations and tombstones a node remembers.
    package static let nodeInstancesMaximum = 8192
    /// Announcements that wait for their certificate, and how long each does.
    package static let nodeWaitingAnnouncementsMaximum = 256
    package static let nodeWaitingLife = MonotonicTime.Span.seconds(30)
    /// What a replaced sidecar has to register again, before its instance's folder is taken for left behind.
    package static let instanceReturnDelay = MonotonicTime.Span.seconds(3)
    /// A node that nobody needs ends after this.
    package static let nodeIdleDelay = MonotonicTime.Span.seconds(10)
    /// What a node leaves on the disk for the next one.
    package static let nodeMemoryBytesMaximum = 32 << 20
    /// Live instances that an issuer knows of, and rights that launchers gave to other users.
    package static let issuerInstancesMaximum = 8192
    package static let issuerGrantsMaximum = 8192
    package static let issuerRightsBytesMaximum = 16 << 20
    /// A line of the issuer's in its node's log.
    package static let logLineBytesMaximum = 2048

    // MARK: Between nodes

    /// A sealed record: the longest message, a chain of two certificates, has room.
    package static let nodeRecordBytesMaximum = 4_096
    /// Records that a neighbour may send at once, and each second after those.
    package static let nodeRecordsBurst = 32_768
    package static let nodeRecordsPerSecond: UInt64 = 1_024
    /// Seeds of one node.
    package static let nodeSeedsMaximum = 64
    /// Connections to other nodes: established, and accepted ones that aren't yet.
    package static let neighboursMaximum = 128
    package static let neighbourHandshakesMaximum = 64
    /// What waits to be written to one neighbour: all that a node holds, once.
    package static let neighbourQueueBytesMaximum = 32 << 20
    /// Between attempts to reach a seed; doubled each time.
    package static let seedDelayMinimum = MonotonicTime.Span.milliseconds(100)
    package static let seedDelayMaximum = MonotonicTime.Span.seconds(10)
}

/// The node's limits on what it holds, as one value, so that tests reach them sooner.
package struct NodeCapacity: Hashable, Sendable {
    package var registrations = Limits.nodeClientsMaximum
    package var subscriptions = Limits.nodeSubscriptionsMaximum
    package var announcements = Limits.nodeAnnouncementsMaximum
    package var certificates = Limits.nodeCertificatesMaximum
    package var instances = Limits.nodeInstancesMaximum
    package var waiting = Limits.nodeWaitingAnnouncementsMaximum

    package init() {}
}
