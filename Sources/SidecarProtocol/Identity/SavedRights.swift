// What an issuer leaves for the one that follows it: which processes hold which names. It lies in the
// runtime folder, and so ends with the machine, as the processes do.
//
// Theory of operation
//
//   The file is a log of lines, each a change: a process holds an instance, has a grant, or has ended. A line is
//   the change in hexadecimal CBOR, a space, and the first 8 bytes of the CBOR's SHA-256. It is appended before
//   the answer that it is about is sent; nothing is waited for but the kernel, since the file needn't outlive
//   the machine. The next issuer reads the log and writes it anew, with what still holds.
//
//   A last line without its end is what the former issuer was writing as it died: nobody had its answer, and it
//   is left out. Any other line that isn't whole has been changed by somebody, and the file is refused.

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

/// One line of the log.
package enum SavedRight: Hashable, Sendable {
    case instance(SavedRights.Instance)
    case grant(IssuerGrant)
    case ended
}

package enum SavedRightsError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Counted from 1.
    case corrupt(line: Int)

    package var description: String {
        switch self {
        case .corrupt(let line):
            "line \(line) isn't what an issuer wrote: names are free again, and users whom root gave one"
                + " have to be started again"
        }
    }
}

extension SavedRights {
    /// The lines of everything that it holds.
    package var lines: [UInt8] {
        instances.flatMap { line(.instance($0)) } + grants.flatMap { line(.grant($0)) }
    }

    /// One change of this process's, with its end of line.
    package func line(_ right: SavedRight) -> [UInt8] {
        let process: [CBOR] = [.unsigned(UInt64(max(processID, 0))), .unsigned(startTime)]
        let change: [CBOR] =
            switch right {
            case .ended: [.unsigned(0)]
            case .instance(let instance):
                [
                    .unsigned(1), .bytes(instance.id.bytes), .text(instance.workload.namespace),
                    .text(instance.workload.name), .bytes(instance.configurationHash),
                ]
            case .grant(let grant): [.unsigned(2), .bytes(grant.encoded())]
            }
        let bytes = CBOR.array(process + change).encoded()
        return Array("\(bytes.hex) \(SavedRights.checksum(bytes))\n".utf8)
    }

    private static func checksum(_ bytes: [UInt8]) -> String { SHA256.hash(bytes).prefix(8).hex }

    /// What a log says of the processes that haven't ended in it, in no particular order.
    ///
    /// - Returns: also whether its last line was torn.
    package static func read(
        log: [UInt8]
    ) throws(SavedRightsError) -> (rights: [SavedRights], isTorn: Bool) {
        var held: [ProcessName: SavedRights] = [:]
        let lines = log.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.dropLast().enumerated() {
            guard let (process, right) = parse(line) else { throw .corrupt(line: index + 1) }
            var rights =
                held[process]
                ?? SavedRights(
                    processID: process.processID, startTime: process.startTime, instances: [], grants: [])
            switch right {
            case .instance(let instance):
                rights.instances.removeAll { $0.id == instance.id }
                rights.instances.append(instance)
            case .grant(let grant):
                if !rights.grants.contains(grant) { rights.grants.append(grant) }
            case .ended: break
            }
            held[process] = right == .ended ? nil : rights
        }
        return (Array(held.values), lines.last?.isEmpty == false)
    }

    private struct ProcessName: Hashable {
        let processID: Int32
        let startTime: UInt64
    }

    private static func parse(_ line: ArraySlice<UInt8>) -> (ProcessName, SavedRight)? {
        let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 2, let text = String(validating: words[0], as: UTF8.self),
            let bytes = [UInt8](hex: text), words[1].elementsEqual(checksum(bytes).utf8),
            case .array(let parts)? = try? CBOR(canonical: bytes), parts.count >= 3,
            case .unsigned(let number) = parts[0], let processID = Int32(exactly: number),
            case .unsigned(let startTime) = parts[1], case .unsigned(let kind) = parts[2]
        else { return nil }
        let process = ProcessName(processID: processID, startTime: startTime)
        switch (kind, parts.count) {
        case (0, 3): return (process, .ended)
        case (1, 7): return (try? instance(parts)).map { (process, .instance($0)) }
        case (2, 4):
            guard case .bytes(let bytes) = parts[3], let grant = IssuerGrant(canonical: bytes) else {
                return nil
            }
            return (process, .grant(grant))
        default: return nil
        }
    }

    private static func instance(_ parts: [CBOR]) throws(CBORError) -> Instance {
        guard case .bytes(let bytes) = parts[3], let id = InstanceID(bytes),
            case .text(let namespace) = parts[4], case .text(let name) = parts[5],
            let workload = try? WorkloadName(namespace: namespace, name: name),
            case .bytes(let hash) = parts[6], hash.count == 32
        else { throw .unexpected(field: "instance") }
        return Instance(id: id, workload: workload, configurationHash: hash)
    }
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
