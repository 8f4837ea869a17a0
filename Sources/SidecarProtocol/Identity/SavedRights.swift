// What an issuer leaves for the one that follows it: which processes hold which names. It lies in the
// runtime folder, and so ends with the machine, as the processes do.

package struct SavedRights: Hashable, Sendable {
    package struct Instance: Hashable, Sendable {
        package var id: InstanceID
        package var workload: WorkloadName
        package var configurationHash: [UInt8]

        package init(id: InstanceID, workload: WorkloadName, configurationHash: [UInt8]) {
            self.id = id
            self.workload = workload
            self.configurationHash = configurationHash
        }
    }

    package var processID: Int32
    /// In the kernel's ticks since boot: with it, the id names one process only.
    package var startTime: UInt64
    package var instances: [Instance]
    package var grants: [IssuerGrant]

    package init(processID: Int32, startTime: UInt64, instances: [Instance], grants: [IssuerGrant]) {
        self.processID = processID
        self.startTime = startTime
        self.instances = instances
        self.grants = grants
    }
}

extension SavedRights {
    package static func encoded(_ rights: [SavedRights]) -> [UInt8] {
        CBOR.array([.unsigned(version)] + rights.map(\.item)).encoded()
    }

    package static func list(canonical bytes: [UInt8]) throws(CBORError) -> [SavedRights] {
        guard case .array(let items) = try CBOR(canonical: bytes), items.first == .unsigned(version) else {
            throw .unexpected(field: "version")
        }
        var rights: [SavedRights] = []
        for item in items.dropFirst() { rights.append(try SavedRights(item)) }
        return rights
    }

    private var item: CBOR {
        .array([
            .unsigned(UInt64(max(processID, 0))), .unsigned(startTime),
            .array(
                instances.map {
                    .array([
                        .bytes($0.id.bytes), .text($0.workload.namespace), .text($0.workload.name),
                        .bytes($0.configurationHash),
                    ])
                }), .array(grants.map { .bytes($0.encoded()) }),
        ])
    }

    private init(_ item: CBOR) throws(CBORError) {
        guard case .array(let parts) = item, parts.count == 4, case .unsigned(let number) = parts[0],
            let processID = Int32(exactly: number), case .unsigned(let startTime) = parts[1],
            case .array(let instances) = parts[2], case .array(let grants) = parts[3]
        else { throw .unexpected(field: "process") }
        self.init(processID: processID, startTime: startTime, instances: [], grants: [])
        for instance in instances { self.instances.append(try SavedRights.instance(instance)) }
        for grant in grants {
            guard case .bytes(let bytes) = grant, let grant = IssuerGrant(canonical: bytes) else {
                throw .unexpected(field: "grant")
            }
            self.grants.append(grant)
        }
    }

    private static func instance(_ item: CBOR) throws(CBORError) -> Instance {
        guard case .array(let parts) = item, parts.count == 4, case .bytes(let bytes) = parts[0],
            let id = InstanceID(bytes), case .text(let namespace) = parts[1], case .text(let name) = parts[2],
            let workload = try? WorkloadName(namespace: namespace, name: name),
            case .bytes(let hash) = parts[3], hash.count == 32
        else { throw .unexpected(field: "instance") }
        return Instance(id: id, workload: workload, configurationHash: hash)
    }

    private static let version: UInt64 = 1
}

extension IssuerPolicy {
    /// What would be lost with this issuer.
    package func rights(
        of process: Process
    ) -> (instances: [SavedRights.Instance], grants: [IssuerGrant]) {
        let held = instances.compactMap { id, instance in
            instance.processes.contains(process)
                ? SavedRights.Instance(
                    id: id, workload: instance.workload, configurationHash: instance.configurationHash)
                : nil
        }
        return (held, grants.compactMap { $0.value.contains(process) ? $0.key : nil })
    }

    /// Takes over what an earlier issuer knew of a process that lives.
    package mutating func restore(_ rights: SavedRights, to process: Process) {
        for saved in rights.instances where instances.count < instancesMaximum {
            instances[
                saved.id,
                default: Instance(
                    workload: saved.workload, configurationHash: saved.configurationHash, processes: [])
            ].processes.insert(process)
        }
        for grant in rights.grants where isSystem && grants.count < grantsMaximum {
            grants[grant, default: []].insert(process)
        }
    }
}
