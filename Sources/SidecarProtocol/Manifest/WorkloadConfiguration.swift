// A workload's configuration, and its canonical form: what `mesh config compile` writes, the launcher
// completes with its flags, and the sidecar runs by.

package enum FlowProtocol: UInt8, Hashable, Sendable, CustomStringConvertible {
    case tcp = 6
    case udp = 17

    package var description: String { self == .tcp ? "tcp" : "udp" }

    package init?(named text: String) {
        switch text {
        case "tcp": self = .tcp
        case "udp": self = .udp
        default: return nil
        }
    }
}

/// A port of one protocol: `8080/tcp`.
package struct ServicePort: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let port: UInt16
    package let `protocol`: FlowProtocol

    package init(_ port: UInt16, _ protocol: FlowProtocol) {
        self.port = port
        self.protocol = `protocol`
    }

    package var description: String { "\(port)/\(`protocol`)" }

    package static func < (left: ServicePort, right: ServicePort) -> Bool {
        (left.port, left.protocol.rawValue) < (right.port, right.protocol.rawValue)
    }
}

package struct WorkloadConfiguration: Hashable, Sendable {
    package enum User: Hashable, Sendable {
        /// `root` when started by root, else `keep`.
        case automatic
        case keep
        case root
        case named(String)
    }

    package enum Datapath: String, Hashable, Sendable { case auto, veth, slirp }
    package enum Consistency: String, Hashable, Sendable { case none, eventual, strong }

    /// What becomes of new flows while their records can't be kept.
    package enum RecordKeeping: String, Hashable, Sendable {
        /// They open; what is lost is counted, and a gap stands in the records.
        case optional
        /// They are refused.
        case required
    }

    package struct Accept: Hashable, Sendable {
        package var from: IdentityPattern
        /// Empty: all of `serves`.
        package var ports: [UInt16]
        package init(from: IdentityPattern, ports: [UInt16]) {
            self.from = from
            self.ports = ports
        }
    }

    package struct Call: Hashable, Sendable {
        package var target: WorkloadName
        /// Nil: any port that the callee permits. Given: its listener opens at once, and waits.
        package var port: UInt16?
        package init(target: WorkloadName, port: UInt16?) {
            self.target = target
            self.port = port
        }
    }

    package struct Egress: Hashable, Sendable {
        package var host: String
        package var port: UInt16
        package init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }
    }

    package var workload: WorkloadName
    /// False where the launcher made the name up: such a workload may call, but not serve.
    package var isNamed: Bool
    package var version: String
    package var command: [String]
    package var user: User
    package var serves: [ServicePort]
    package var accepts: [Accept]
    package var calls: [Call]
    package var egress: [Egress]
    package var datapath: Datapath
    package var consistency: Consistency
    package var state: State
    /// Unix sockets that the masks admit again.
    package var sockets: [String]
    /// `address:port` where the sidecar listens for peers; empty: all addresses, a free port.
    package var listen: [String]
    /// `address:port` that announcements carry instead of the listening addresses.
    package var advertise: [String]
    package var records: RecordKeeping
    /// Where spans of flows go; nil for nowhere.
    package var telemetry: TelemetryEndpoint?

    /// How the workload's state is kept, where there is any.
    package struct State: Hashable, Sendable {
        package enum Fsync: String, Hashable, Sendable, CaseIterable {
            /// A command is answered when what it changed is on disk.
            case always
            /// What changed is on disk a tenth of a second later.
            case interval
            /// When the kernel sees fit.
            case none
        }

        /// Commands that are atomic on their own replica only: `SET NX`, `WATCH`, scripts.
        package enum Conditional: String, Hashable, Sendable, CaseIterable {
            case allow, warn, deny
        }

        package var fsync = Fsync.interval
        package var conditional = Conditional.allow
        /// Bytes that keys and values may take; beyond, writes are refused.
        package var memory: UInt64 = 256 << 20

        package init() {}
    }

    package init(workload: WorkloadName) {
        self.workload = workload
        isNamed = true
        version = "0"
        command = []
        user = .automatic
        serves = []
        accepts = []
        calls = []
        egress = []
        datapath = .auto
        consistency = .none
        state = State()
        sockets = []
        listen = []
        advertise = []
        records = .optional
        telemetry = nil
    }
}

// MARK: - Canonical form

extension WorkloadConfiguration {
    private enum Key {
        static let schema: UInt64 = 0
        static let namespace: UInt64 = 1
        static let name: UInt64 = 2
        static let isNamed: UInt64 = 3
        static let version: UInt64 = 4
        static let command: UInt64 = 5
        static let user: UInt64 = 6
        static let serves: UInt64 = 7
        static let accepts: UInt64 = 8
        static let calls: UInt64 = 9
        static let egress: UInt64 = 10
        static let datapath: UInt64 = 11
        static let consistency: UInt64 = 12
        static let sockets: UInt64 = 13
        static let listen: UInt64 = 14
        static let advertise: UInt64 = 15
        /// Those from here on are written only where they aren't the default.
        static let records: UInt64 = 16
        static let telemetry: UInt64 = 17
        static let state: UInt64 = 20
    }

    package static let schema: UInt64 = 1

    /// The canonical form; its hash identifies the configuration.
    package func encoded() -> [UInt8] {
        var fields = CBORFields()
        fields[Key.schema] = .unsigned(WorkloadConfiguration.schema)
        fields[Key.namespace] = .text(workload.namespace)
        fields[Key.name] = .text(workload.name)
        fields[Key.isNamed] = .bool(isNamed)
        fields[Key.version] = .text(version)
        fields[Key.command] = .array(command.map { .text($0) })
        fields[Key.user] = .text(user.spelling)
        fields[Key.serves] = .array(
            serves.map { .array([.unsigned(UInt64($0.port)), .unsigned(UInt64($0.protocol.rawValue))]) })
        fields[Key.accepts] = .array(
            accepts.map {
                .array([.text($0.from.description), .array($0.ports.map { .unsigned(UInt64($0)) })])
            })
        fields[Key.calls] = .array(
            calls.map {
                .array([
                    .text($0.target.description), $0.port.map { .unsigned(UInt64($0)) } ?? .null,
                ])
            })
        fields[Key.egress] = .array(
            egress.map { .array([.text($0.host), .unsigned(UInt64($0.port))]) })
        fields[Key.datapath] = .text(datapath.rawValue)
        fields[Key.consistency] = .text(consistency.rawValue)
        fields[Key.sockets] = .array(sockets.map { .text($0) })
        fields[Key.listen] = .array(listen.map { .text($0) })
        fields[Key.advertise] = .array(advertise.map { .text($0) })
        if records != .optional { fields[Key.records] = .text(records.rawValue) }
        fields[Key.telemetry] = telemetry.map { .text($0.description) }
        if state != State() {
            fields[Key.state] = .array([
                .text(state.fsync.rawValue), .text(state.conditional.rawValue), .unsigned(state.memory),
            ])
        }
        return fields.item.encoded()
    }

    /// Reads the canonical form; any failure names the field.
    package init(canonical bytes: [UInt8]) throws(CBORError) {
        let fields = try CBORFields(try CBOR(canonical: bytes), of: "workload configuration")
        guard try fields.unsigned(Key.schema, "mesh") == WorkloadConfiguration.schema else {
            throw .unexpected(field: "mesh")
        }
        self.init(
            workload: try WorkloadConfiguration.name(
                namespace: try fields.text(Key.namespace, "namespace"),
                name: try fields.text(Key.name, "workload")))
        isNamed = try fields.bool(Key.isNamed, "isNamed")
        version = try fields.text(Key.version, "version")
        command = try fields.texts(Key.command, "command")
        user = User(spelling: try fields.text(Key.user, "user"))
        serves = try WorkloadConfiguration.list(try fields.array(Key.serves, "serves"), "serves") {
            (item) throws(CBORError) in
            guard case .array(let parts) = item, parts.count == 2, let port = parts[0].port,
                case .unsigned(let number) = parts[1], let raw = UInt8(exactly: number),
                let flowProtocol = FlowProtocol(rawValue: raw)
            else { throw .unexpected(field: "serves") }
            return ServicePort(port, flowProtocol)
        }
        accepts = try WorkloadConfiguration.list(try fields.array(Key.accepts, "accepts"), "accepts") {
            (item) throws(CBORError) in
            guard case .array(let parts) = item, parts.count == 2, case .text(let from) = parts[0],
                case .array(let ports) = parts[1], ports.allSatisfy({ $0.port != nil }),
                let pattern = try? IdentityPattern(parsing: from, namespace: "", trustDomain: nil)
            else { throw .unexpected(field: "accepts") }
            return Accept(from: pattern, ports: ports.compactMap(\.port))
        }
        calls = try WorkloadConfiguration.list(try fields.array(Key.calls, "calls"), "calls") {
            (item) throws(CBORError) in
            guard case .array(let parts) = item, parts.count == 2, case .text(let target) = parts[0],
                parts[1] == .null || parts[1].port != nil
            else { throw .unexpected(field: "calls") }
            let names = target.split(separator: "/").map(String.init)
            guard names.count == 2 else { throw .unexpected(field: "calls") }
            return Call(
                target: try WorkloadConfiguration.name(namespace: names[0], name: names[1]),
                port: parts[1].port)
        }
        egress = try WorkloadConfiguration.list(try fields.array(Key.egress, "egress"), "egress") {
            (item) throws(CBORError) in
            guard case .array(let parts) = item, parts.count == 2, case .text(let host) = parts[0],
                let port = parts[1].port
            else { throw .unexpected(field: "egress") }
            return Egress(host: host, port: port)
        }
        guard let datapath = Datapath(rawValue: try fields.text(Key.datapath, "datapath")) else {
            throw .unexpected(field: "datapath")
        }
        self.datapath = datapath
        guard let consistency = Consistency(rawValue: try fields.text(Key.consistency, "consistency"))
        else { throw .unexpected(field: "consistency") }
        self.consistency = consistency
        sockets = try fields.texts(Key.sockets, "sockets")
        listen = try fields.texts(Key.listen, "listen")
        advertise = try fields.texts(Key.advertise, "advertise")
        try readAdditions(fields)
    }

    /// Keys that canonical forms of earlier versions don't have.
    private mutating func readAdditions(_ fields: CBORFields) throws(CBORError) {
        if fields[Key.records] != nil {
            guard let records = RecordKeeping(rawValue: try fields.text(Key.records, "records")),
                records != .optional
            else { throw .unexpected(field: "records") }
            self.records = records
        }
        if fields[Key.telemetry] != nil {
            let text = try fields.text(Key.telemetry, "otlp")
            guard let endpoint = try? TelemetryEndpoint(parsing: text), endpoint.description == text else {
                throw .unexpected(field: "otlp")
            }
            telemetry = endpoint
        }
        if let item = fields[Key.state] { state = try State(item) }
    }

    private static func name(namespace: String, name: String) throws(CBORError) -> WorkloadName {
        guard let workload = try? WorkloadName(namespace: namespace, name: name) else {
            throw .unexpected(field: "workload")
        }
        return workload
    }

    private static func list<T>(
        _ items: [CBOR], _ field: String, _ read: (CBOR) throws(CBORError) -> T
    ) throws(CBORError) -> [T] {
        var values: [T] = []
        for item in items { values.append(try read(item)) }
        return values
    }
}

extension WorkloadConfiguration.State {
    fileprivate init(_ item: CBOR) throws(CBORError) {
        guard case .array(let parts) = item, parts.count >= 3, case .text(let fsync) = parts[0],
            case .text(let conditional) = parts[1], case .unsigned(let memory) = parts[2],
            let fsync = Fsync(rawValue: fsync), let conditional = Conditional(rawValue: conditional)
        else { throw .unexpected(field: "state") }
        (self.fsync, self.conditional, self.memory) = (fsync, conditional, memory)
    }
}

extension WorkloadConfiguration.User {
    /// As in the config file; `automatic` is spelled as nothing.
    package var spelling: String {
        switch self {
        case .automatic: ""
        case .keep: "keep"
        case .root: "root"
        case .named(let name): name
        }
    }

    package init(spelling: String) {
        switch spelling {
        case "": self = .automatic
        case "keep": self = .keep
        case "root": self = .root
        default: self = .named(spelling)
        }
    }
}

extension CBOR {
    /// The item as a port number, 1 to 65,535.
    fileprivate var port: UInt16? {
        guard case .unsigned(let value) = self, let port = UInt16(exactly: value), port > 0 else {
            return nil
        }
        return port
    }
}
