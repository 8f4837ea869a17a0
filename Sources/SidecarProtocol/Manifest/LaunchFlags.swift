// What flags of mesh-launch said beside the config file, kept in the instance's folder: a reload puts them
// over the file anew.

package struct LaunchFlags: Hashable, Sendable {
    package var version: String?
    package var user: WorkloadConfiguration.User?
    package var datapath: WorkloadConfiguration.Datapath?
    package var consistency: WorkloadConfiguration.Consistency?
    package var records: WorkloadConfiguration.RecordKeeping?
    /// The inner nil is `none`.
    package var telemetry: TelemetryEndpoint??
    /// Words stood after `--`.
    package var givesCommand = false
    package var serves: [ServicePort] = []
    package var accepts: [WorkloadConfiguration.Accept] = []
    package var calls: [WorkloadConfiguration.Call] = []
    package var egress: [WorkloadConfiguration.Egress] = []
    package var sockets: [String] = []
    package var listen: [String] = []
    package var advertise: [String] = []

    package init() {}

    /// Single values stand before the file's; lists extend it.
    package func extend(_ configuration: inout WorkloadConfiguration) {
        if let version { configuration.version = version }
        if let user { configuration.user = user }
        if let datapath { configuration.datapath = datapath }
        if let consistency { configuration.consistency = consistency }
        if let records { configuration.records = records }
        if let telemetry { configuration.telemetry = telemetry }
        extend(&configuration.serves, serves)
        extend(&configuration.calls, calls)
        extend(&configuration.egress, egress)
        extend(&configuration.sockets, sockets)
        extend(&configuration.listen, listen)
        extend(&configuration.advertise, advertise)
        for accept in accepts {
            // A flag for a caller that the file names already says what holds instead.
            configuration.accepts.removeAll { $0.from == accept.from }
            configuration.accepts.append(accept)
        }
    }

    private func extend<T: Equatable>(_ list: inout [T], _ additions: [T]) {
        for addition in additions where !list.contains(addition) { list.append(addition) }
    }
}

// MARK: - Canonical form

extension LaunchFlags {
    /// The flags over an empty configuration, and which of its single values they gave.
    package func encoded(of workload: WorkloadName) -> [UInt8] {
        var values = WorkloadConfiguration(workload: workload)
        extend(&values)
        var given: [String] = []
        if version != nil { given.append(Given.version) }
        if user != nil { given.append(Given.user) }
        if datapath != nil { given.append(Given.datapath) }
        if consistency != nil { given.append(Given.consistency) }
        if records != nil { given.append(Given.records) }
        if telemetry != nil { given.append(Given.telemetry) }
        if givesCommand { given.append(Given.command) }
        return CBOR.array([.bytes(values.encoded()), .array(given.map { .text($0) })]).encoded()
    }

    package init(canonical bytes: [UInt8]) throws(CBORError) {
        guard case .array(let items) = try CBOR(canonical: bytes), items.count >= 2,
            case .bytes(let encoded) = items[0], case .array(let given) = items[1]
        else { throw .unexpected(field: "flags") }
        let values = try WorkloadConfiguration(canonical: encoded)
        if given.contains(.text(Given.version)) { version = values.version }
        if given.contains(.text(Given.user)) { user = values.user }
        if given.contains(.text(Given.datapath)) { datapath = values.datapath }
        if given.contains(.text(Given.consistency)) { consistency = values.consistency }
        if given.contains(.text(Given.records)) { records = values.records }
        if given.contains(.text(Given.telemetry)) { telemetry = .some(values.telemetry) }
        givesCommand = given.contains(.text(Given.command))
        (serves, accepts, calls, egress) = (values.serves, values.accepts, values.calls, values.egress)
        (sockets, listen, advertise) = (values.sockets, values.listen, values.advertise)
    }

    private enum Given {
        static let version = "version"
        static let user = "user"
        static let datapath = "datapath"
        static let consistency = "consistency"
        static let records = "records"
        static let telemetry = "otlp"
        static let command = "command"
    }
}
