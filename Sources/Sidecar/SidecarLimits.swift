import SidecarProtocol

/// The limits of one sidecar's shell.
extension Limits {
    /// Questions to the host's resolver at once.
    static let resolutionsMaximum = 16
    /// One message of the launcher; the configuration is its largest part.
    package static let launcherMessageBytesMaximum = 131_072
    /// Blank sockets kept ready inside a namespace; refilled at half.
    package static let blankSocketsMaximum = 48
    /// How long after its start a workload may take to open a port; a delivery waits for it.
    package static let startPatience = MonotonicTime.Span.seconds(5)
    /// UDP associations of one sidecar, in both directions, and how long one lasts without a datagram.
    package static let associationsMaximum = 4096
    package static let associationIdle = MonotonicTime.Span.seconds(60)
    /// Questions of the workload's resolver that wait for an answer, and its connections.
    package static let nameQueriesMaximum = 1024
    package static let nameConnectionsMaximum = 64
    /// Records that wait for the disk.
    package static let recordQueueMaximum = 16_384
    /// One file of records.
    package static let recordFileBytesMaximum = 16 << 20
    /// Sessions of one sidecar, those included that haven't proved themselves yet.
    package static let linksMaximum = 1024
    /// The sidecar's own small files.
    package static let smallFileBytesMaximum = 16 << 20
    /// Pairs of workloads that metrics name; more are counted as `other`.
    package static let metricSeriesMaximum = 256
}
