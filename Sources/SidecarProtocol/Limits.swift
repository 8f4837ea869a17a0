/// The one list of limits. Each is tested at its value and one past it; a full queue refuses.
package enum Limits {
    package static let cborDepthMaximum = 8
    /// A name of a workload or namespace: one DNS label.
    package static let nameBytesMaximum = 63

    // MARK: Noise, identity, announcements

    /// A Noise message, handshake or record (§3).
    package static let noiseMessageBytesMaximum = 65_535

    // MARK: Configuration

    /// A config file.
    package static let configurationBytesMaximum = 65_536
    /// Entries of one list of a config file.
    package static let configurationListMaximum = 256
    /// The text of a workload's version.
    package static let versionBytesMaximum = 64
    /// `sun_path` of Linux, less its closing zero.
    package static let socketPathBytesMaximum = 107

    // MARK: Node

    /// One frame on the sockets of node and issuer. A registration carries several announcements.
    package static let nodeFrameBytesMaximum = 65_536
}
