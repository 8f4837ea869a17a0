// Where mesh keeps its things. Pure: from a user id and the environment to folder names.

/// The folders of one user's mesh. Sockets are short-lived and lie in `runtime`; keys, records and
/// trust lie in `state`.
package struct MeshPaths: Hashable, Sendable {
    /// Sockets and instance folders; never a world-writable place.
    package let runtime: String
    /// Keys, trust bundles, records; 0700.
    package let state: String
    /// Node and user configuration.
    package let config: String
    /// Compiled configurations, by the hash of their file.
    package let cache: String

    package init(runtime: String, state: String, config: String, cache: String) {
        self.runtime = runtime
        self.state = state
        self.config = config
        self.cache = cache
    }

    /// - Parameters:
    ///   - userID: the effective user id.
    ///   - home: the user's home folder, or nil where there is none that is the user's own.
    ///   - environment: looks a variable up; an empty value counts as absent.
    ///   - isUsable: whether a folder exists (or its parent does and it can be made), belongs to the
    ///     user, and is nobody else's to write. Asked of candidates in order.
    package init(
        userID: UInt32, home: String?, environment: (String) -> String?, isUsable: (String) -> Bool
    ) {
        func variable(_ name: String) -> String? {
            environment(name).flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        if userID == 0 {
            self.init(
                runtime: variable("MESH_RUNTIME_DIR") ?? "/run/mesh",
                state: variable("MESH_STATE_DIR") ?? "/var/lib/mesh",
                config: variable("MESH_CONFIG_DIR") ?? "/etc/mesh",
                cache: variable("MESH_CACHE_DIR") ?? "/var/cache/mesh")
            return
        }
        let home = home ?? "/nonexistent"
        let state =
            variable("MESH_STATE_DIR")
            ?? (variable("XDG_STATE_HOME") ?? home + "/.local/state") + "/mesh"
        var runtime = variable("MESH_RUNTIME_DIR")
        if runtime == nil, let session = variable("XDG_RUNTIME_DIR"), isUsable(session) {
            runtime = session + "/mesh"
        }
        if runtime == nil {
            for candidate in ["/run/user/\(userID)", "/run/mesh/user/\(userID)"]
            where isUsable(candidate) {
                runtime = candidate + "/mesh"
                break
            }
        }
        self.init(
            runtime: runtime ?? state + "/run", state: state,
            config: variable("MESH_CONFIG_DIR")
                ?? (variable("XDG_CONFIG_HOME") ?? home + "/.config") + "/mesh",
            cache: variable("MESH_CACHE_DIR")
                ?? (variable("XDG_CACHE_HOME") ?? home + "/.cache") + "/mesh")
    }

    // MARK: Runtime

    package var nodeFolder: String { runtime + "/node" }
    package var topicsSocket: String { nodeFolder + "/topics.sock" }
    package var issuerSocket: String { nodeFolder + "/issuer.sock" }
    package var nodeLock: String { nodeFolder + "/lock" }
    /// What an issuer leaves for the next one while the machine is up.
    package var issuerRightsFile: String { nodeFolder + "/rights" }
    package var instancesFolder: String { runtime + "/instances" }

    /// An instance's own folder: `admin.sock`, `config` (canonical form), `addresses`, `sidecar.log`,
    /// `stack.log`. Named by the first 8 bytes of the instance id, which keeps socket paths short.
    package func instanceFolder(_ instance: InstanceID) -> String {
        instancesFolder + "/" + instance.bytes.prefix(8).hex
    }

    // MARK: State

    package var trustFolder: String { state + "/trust" }
    package var trustBundleFile: String { trustFolder + "/bundle" }
    package var discoveryKeyFile: String { trustFolder + "/discovery.key" }
    /// A local domain's alone, and the mark of one.
    package var rootKeyFile: String { trustFolder + "/root.key" }
    package var issuerFolder: String { state + "/issuer" }
    package var issuerKeyFile: String { issuerFolder + "/issuer.key" }
    package var issuerCertificateFile: String { issuerFolder + "/issuer.cert" }
    /// The key of a `mesh trust request` that waits for its grant.
    package var requestedKeyFile: String { state + "/requested.key" }
    package var policyFolder: String { state + "/policy" }
    /// The signed policy that this host's node holds.
    package var policyFile: String { policyFolder + "/current" }
    /// Another of the same epoch, as long as the two stand against each other.
    package var rivalPolicyFile: String { policyFolder + "/rival" }
    /// Signs policies: where an operator keeps the key on this host, and its certificate by the root.
    package var policyKeyFile: String { policyFolder + "/policy.key" }
    package var policyCertificateFile: String { policyFolder + "/policy.cert" }
    /// The newest policy head that this host's issuer has seen; it never goes back.
    package var issuerPolicyHeadFile: String { issuerFolder + "/policy.head" }
    package var nodeLog: String { state + "/node.log" }
    package var tombstonesFolder: String { state + "/node" }
    /// What a node leaves for the next one: incarnations and tombstones.
    package var nodeMemoryFile: String { tombstonesFolder + "/instances" }

    // MARK: Configuration

    package var nodeConfigurationFile: String { config + "/node.yaml" }

    package func recordsFolder(_ workload: WorkloadName) -> String {
        "\(state)/records/\(workload.namespace)/\(workload.name)"
    }

    /// The slots of a workload's state on this host: `slot-0`, `slot-1`, …, each one replica's.
    package func stateDataFolder(_ workload: WorkloadName) -> String {
        "\(state)/data/\(workload.namespace)/\(workload.name)"
    }

    package func recordsFile(_ workload: WorkloadName, _ instance: InstanceID) -> String {
        "\(recordsFolder(workload))/\(instance).jsonl"
    }
}

extension MeshPaths {
    package static let adminSocketName = "admin.sock"
    package static let configurationName = "config"
    /// `LaunchFlags`, where the launch had any.
    package static let flagsName = "flags"
    package static let addressesName = "addresses"
    package static let policyName = "policy"
    package static let sidecarLogName = "sidecar.log"
    package static let stackLogName = "stack.log"
}
