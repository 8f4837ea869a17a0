// Everything that a launch needs to know, gathered before anything is made.

import Glibc
import SidecarProtocol

struct LaunchPlan {
    var configuration: WorkloadConfiguration
    /// The config file's real path.
    var configurationFile: String?
    var account: Account
    var paths: MeshPaths
    var identity: IdentityPlan
    var ownAddress: OwnAddress
    var masks: MaskPlan
    var instance: InstanceID
    /// What the command's first word leads to.
    var executable: ExecutableImage
    /// What its certificate says of it; nil before it is hashed, or where it can't be.
    var digest: GrantedExecutable?
    var sidecar: String
    /// The workload's environment.
    var environment: [String]
    var workingFolder: String?
    var joins: Bool
    var logsToStandardError: Bool
    var notify: NotifyPlan?
    /// What the command line says beside the config file.
    var flags = LaunchFlags()

    var instanceFolder: String { paths.instanceFolder(instance) }

    func sidecarStart(incarnation: UInt64, digest: GrantedExecutable?) -> SidecarStart {
        SidecarStart(
            configuration: configuration.encoded(), instance: instance, incarnation: incarnation,
            runtimeFolder: paths.runtime, stateFolder: paths.state, configFolder: paths.config,
            executableDigest: digest?.digest, interpreter: digest?.interpreter,
            configurationPath: configurationFile, joins: joins,
            logsToStandardError: logsToStandardError, executable: sidecar)
    }
}

/// Where the service manager hears from the workload, and where the workload believes it does.
struct NotifyPlan {
    /// $NOTIFY_SOCKET as the launcher found it.
    var manager: String
    /// The launcher's own socket, reachable for the workload at the same path.
    var relay: String
}
