import SidecarProtocol

/// The limits of sockets and files that sidecar and node have alike.
extension Limits {
    /// Connections to an admin socket at one time, and the body of one request.
    package static let adminConnectionsMaximum = 32
    package static let adminBodyBytesMaximum = 65_536
    /// Round trips that are measured on one link at once.
    package static let linkPingsMaximum = 16
    /// What is read of the answer to a request that this process makes.
    package static let postAnswerBytesMaximum = 65_536
    /// A log is begun anew past this size; one older file stays.
    package static let logBytesMaximum = 1 << 20
}
