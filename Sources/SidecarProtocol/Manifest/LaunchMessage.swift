// What launcher and sidecar say to each other, over the SOCK_SEQPACKET socket that the sidecar finds as
// descriptor 3. One message a packet; descriptors ride beside it (SCM_RIGHTS).

/// From the launcher to the sidecar.
package enum LauncherMessage: Hashable, Sendable {
    /// First. The sidecar fetches its certificate meanwhile the namespaces are built.
    case start(SidecarStart)
    /// The namespaces are ready. Descriptors beside it, in this order: W, M (veth only), TAP (where
    /// `hasTAP`).
    case network(SidecarNetwork)
    /// The workload runs, under this process id of the host.
    case workload(processID: Int32)
    /// The workload has ended with this wait status, or never ran: close the flows and the records, exit.
    case finish(waitStatus: Int32)
}

/// From the sidecar to the launcher.
package enum SidecarMessage: Hashable, Sendable {
    /// Certificate at hand, name service and listeners open: the workload may run.
    case ready
    /// The sidecar can't serve this workload. The launcher prints the text and ends with 125.
    case failed(String)
    /// The certificate is due, and no node answers: start one.
    case needsNode
    /// Start the userland stack, in place of one that runs. Descriptors beside it: the stack's end of its
    /// channel, and its log. The sidecar itself may execute nothing.
    case startStack
    /// End the userland stack, whatever it is doing.
    case endStack
    /// Start the process that runs scripts, in place of one that runs. Descriptors beside it: its end of its
    /// channel, and its log.
    case startScripts
    /// End the process that runs scripts, whatever it is doing.
    case endScripts
}

package struct SidecarStart: Hashable, Sendable {
    /// Canonical form of the `WorkloadConfiguration`.
    package var configuration: [UInt8]
    package var instance: InstanceID
    /// 1 at first, one more for each replacement of a sidecar under its workload.
    package var incarnation: UInt64
    package var runtimeFolder: String
    package var stateFolder: String
    package var configFolder: String
    /// SHA-256 of the executable, where the launcher could read it.
    package var executableDigest: [UInt8]?
    /// What runs the executable, where it is a script.
    package var interpreter: ScriptInterpreter?
    /// The config file, for `mesh reload`; nil where only flags were given.
    package var configurationPath: String?
    /// `--join`: another instance of the name may run beside this one with another config.
    package var joins: Bool
    /// `--log-stderr`.
    package var logsToStandardError: Bool
    /// Where mesh-sidecar lies, for its own child processes.
    package var executable: String

    package init(
        configuration: [UInt8], instance: InstanceID, incarnation: UInt64, runtimeFolder: String,
        stateFolder: String, configFolder: String, executableDigest: [UInt8]?,
        interpreter: ScriptInterpreter? = nil, configurationPath: String?, joins: Bool,
        logsToStandardError: Bool, executable: String
    ) {
        self.configuration = configuration
        self.instance = instance
        self.incarnation = incarnation
        self.runtimeFolder = runtimeFolder
        self.stateFolder = stateFolder
        self.configFolder = configFolder
        self.executableDigest = executableDigest
        self.interpreter = interpreter
        self.configurationPath = configurationPath
        self.joins = joins
        self.logsToStandardError = logsToStandardError
        self.executable = executable
    }
}

package struct SidecarNetwork: Hashable, Sendable {
    /// `veth` or `slirp`, never `auto`.
    package var datapath: WorkloadConfiguration.Datapath
    package var hasTAP: Bool
    /// Both namespaces speak IPv6; on `veth` only.
    package var hasIPv6: Bool
    package init(datapath: WorkloadConfiguration.Datapath, hasTAP: Bool, hasIPv6: Bool) {
        self.datapath = datapath
        self.hasTAP = hasTAP
        self.hasIPv6 = hasIPv6
    }
}

/// How the userland stack's process is started: `mesh-sidecar userland-stack DATAPATH ADDRESS`.
package enum StackLaunch {
    package static let verb = "userland-stack"
    package static let channelDescriptor: Int32 = 3
    package static let tapDescriptor: Int32 = 4
}

/// How the process that runs scripts is started: `mesh-sidecar scripts`.
package enum ScriptLaunch {
    package static let verb = "scripts"
    package static let channelDescriptor: Int32 = 3
}

// MARK: - Encoding: an array of kind and fields

extension LauncherMessage {
    package func encoded() -> [UInt8] {
        switch self {
        case .start(let start):
            CBOR.array([
                .unsigned(1), .bytes(start.configuration), .bytes(start.instance.bytes),
                .unsigned(start.incarnation), .text(start.runtimeFolder), .text(start.stateFolder),
                .text(start.configFolder), start.executableDigest.map { .bytes($0) } ?? .null,
                start.configurationPath.map { .text($0) } ?? .null, .bool(start.joins),
                .bool(start.logsToStandardError), .text(start.executable),
                start.interpreter?.item ?? .null,
            ]).encoded()
        case .network(let network):
            CBOR.array([
                .unsigned(2), .text(network.datapath.rawValue), .bool(network.hasTAP),
                .bool(network.hasIPv6),
            ]).encoded()
        case .workload(let processID):
            CBOR.array([.unsigned(3), .unsigned(UInt64(UInt32(bitPattern: processID)))]).encoded()
        case .finish(let status):
            CBOR.array([.unsigned(4), .unsigned(UInt64(UInt32(bitPattern: status)))]).encoded()
        }
    }

    package init(canonical bytes: [UInt8]) throws(CBORError) {
        guard case .array(let parts) = try CBOR(canonical: bytes) else {
            throw .unexpected(field: "launcher message")
        }
        switch (parts.first, parts.count) {
        case (.unsigned(1), 13): self = .start(try SidecarStart(parts: parts))
        case (.unsigned(2), 4):
            guard case .text(let name) = parts[1], case .bool(let hasTAP) = parts[2],
                case .bool(let hasIPv6) = parts[3],
                let datapath = WorkloadConfiguration.Datapath(rawValue: name), datapath != .auto
            else { throw .unexpected(field: "network") }
            self = .network(SidecarNetwork(datapath: datapath, hasTAP: hasTAP, hasIPv6: hasIPv6))
        case (.unsigned(3), 2):
            self = .workload(processID: try LauncherMessage.signed(parts[1], "processID"))
        case (.unsigned(4), 2):
            self = .finish(waitStatus: try LauncherMessage.signed(parts[1], "waitStatus"))
        default: throw .unexpected(field: "launcher message")
        }
    }

    private static func signed(_ item: CBOR, _ field: String) throws(CBORError) -> Int32 {
        guard case .unsigned(let value) = item, let bits = UInt32(exactly: value) else {
            throw .unexpected(field: field)
        }
        return Int32(bitPattern: bits)
    }
}

extension SidecarStart {
    fileprivate init(parts: [CBOR]) throws(CBORError) {
        guard case .bytes(let configuration) = parts[1], case .bytes(let id) = parts[2],
            let instance = InstanceID(id), case .unsigned(let incarnation) = parts[3],
            case .text(let runtime) = parts[4], case .text(let state) = parts[5],
            case .text(let config) = parts[6], case .bool(let joins) = parts[9],
            case .bool(let logs) = parts[10], case .text(let executable) = parts[11]
        else { throw .unexpected(field: "start") }
        var digest: [UInt8]?
        if case .bytes(let bytes) = parts[7] { digest = bytes }
        var path: String?
        if case .text(let text) = parts[8] { path = text }
        self.init(
            configuration: configuration, instance: instance, incarnation: incarnation,
            runtimeFolder: runtime, stateFolder: state, configFolder: config, executableDigest: digest,
            interpreter: parts[12] == .null ? nil : try ScriptInterpreter(parts[12]),
            configurationPath: path, joins: joins, logsToStandardError: logs, executable: executable)
    }
}

extension SidecarMessage {
    package func encoded() -> [UInt8] {
        switch self {
        case .ready: CBOR.array([.unsigned(1)]).encoded()
        case .failed(let why): CBOR.array([.unsigned(2), .text(why)]).encoded()
        case .needsNode: CBOR.array([.unsigned(3)]).encoded()
        case .startStack: CBOR.array([.unsigned(4)]).encoded()
        case .endStack: CBOR.array([.unsigned(5)]).encoded()
        case .startScripts: CBOR.array([.unsigned(6)]).encoded()
        case .endScripts: CBOR.array([.unsigned(7)]).encoded()
        }
    }

    package init(canonical bytes: [UInt8]) throws(CBORError) {
        guard case .array(let parts) = try CBOR(canonical: bytes) else {
            throw .unexpected(field: "sidecar message")
        }
        switch (parts.first, parts.count) {
        case (.unsigned(1), 1): self = .ready
        case (.unsigned(2), 2):
            guard case .text(let why) = parts[1] else { throw .unexpected(field: "failed") }
            self = .failed(why)
        case (.unsigned(3), 1): self = .needsNode
        case (.unsigned(4), 1): self = .startStack
        case (.unsigned(5), 1): self = .endStack
        case (.unsigned(6), 1): self = .startScripts
        case (.unsigned(7), 1): self = .endScripts
        default: throw .unexpected(field: "sidecar message")
        }
    }
}
