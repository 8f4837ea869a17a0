// What one replica tells the others of a command, or of several: operations with consecutive dots.

/// The changes `from` to `to` of one replica, each an operation.
package struct Delta: Hashable, Sendable {
    package static let version: UInt8 = 1

    package let origin: ReplicaID
    /// The counter of the first operation. The first of a replica is 1.
    package let from: UInt64
    package let time: HybridTime
    /// What the origin had seen, as far as that changed since its delta before this one. Sorted by replica;
    /// the origin itself isn't named.
    package let dependencies: VersionVector
    let operations: [Operation]
    /// Every replica that it names but its origin. Sorted.
    let others: [ReplicaID]
    /// Replicas that it names and whose end the origin had seen before. Sorted.
    let sealed: [ReplicaID]

    package var to: UInt64 { from &+ UInt64(operations.count) &- 1 }

    init(
        origin: ReplicaID, from: UInt64, time: HybridTime, dependencies: VersionVector,
        operations: [Operation], namesOthers: Bool = true, isSealed: (ReplicaID) -> Bool = { _ in false }
    ) {
        self.origin = origin
        self.from = from
        self.time = time
        self.dependencies = dependencies
        self.operations = operations
        others = Delta.others(origin, dependencies, namesOthers ? operations : [])
        sealed = others.filter(isSealed)
    }
}

extension Delta {
    package func encoded() -> [UInt8] { encoded(behind: [], count: 0) }

    /// - Parameter strings: so many operations that precede its own, encoded, which name no replica.
    func encoded(behind strings: [UInt8], count: Int) -> [UInt8] {
        let table = replicaTable()
        var out = CompactWriter()
        out.bytes.reserveCapacity(64 + strings.count + operations.count * 32)
        out.byte(Delta.version)
        origin.encode(into: &out)
        out.unsigned(from)
        out.unsigned(time.raw)
        out.unsigned(UInt64(table.count - 1))
        for replica in table.dropFirst() {
            replica.encode(into: &out, isMarked: !sealed.isEmpty && sealed.contains(replica))
        }
        out.unsigned(UInt64(dependencies.entries.count))
        for entry in dependencies.entries { Dot(entry.replica, entry.counter).encode(into: &out, table) }
        out.unsigned(UInt64(count + operations.count))
        out.bytes += strings
        for operation in operations { operation.encode(into: &out, table) }
        return out.bytes
    }

    /// The origin, then every other replica that the delta names, sorted.
    private func replicaTable() -> [ReplicaID] { [origin] + others }

    private static func others(
        _ origin: ReplicaID, _ dependencies: VersionVector, _ operations: [Operation]
    ) -> [ReplicaID] {
        var others: [ReplicaID] = dependencies.entries.map(\.replica)
        for operation in operations {
            operation.forEachReplica { if $0 != origin, !others.contains($0) { others.append($0) } }
        }
        if others.count > 1 { others.sort() }
        return others
    }

    package init(encoded bytes: [UInt8]) throws(CompactError) {
        var reader = CompactReader(bytes)
        let version = try reader.byte()
        guard version == Delta.version else { throw .unknown(what: "version", value: UInt64(version)) }
        let origin = try ReplicaID(from: &reader)
        let from = try reader.counter()
        let time = HybridTime(raw: try reader.unsigned())
        var table = [origin]
        var sealed: [ReplicaID] = []
        for _ in 0..<(try reader.count(of: "replicas", least: 9)) {
            let (replica, isMarked) = try ReplicaID.marked(from: &reader)
            if isMarked { sealed.append(replica) }
            guard replica != origin, table.count == 1 || table[table.count - 1] < replica else {
                throw .notCanonical(at: reader.offset)
            }
            table.append(replica)
        }
        guard table.count <= Limits.storeReplicasMaximum else {
            throw .tooLarge(what: "replicas", count: UInt64(table.count))
        }
        var dependencies = VersionVector()
        var previous: ReplicaID?
        for _ in 0..<(try reader.count(of: "dependencies", least: 2)) {
            let dot = try Dot(from: &reader, table)
            guard dot.replica != origin, previous.map({ $0 < dot.replica }) ?? true else {
                throw .notCanonical(at: reader.offset)
            }
            dependencies[dot.replica] = dot.counter
            previous = dot.replica
        }
        let count = try reader.count(of: "operations")
        guard count > 0, from &+ UInt64(count) <= LocalDot.counterMaximum else {
            throw .tooLarge(what: "operations", count: UInt64(count))
        }
        var operations: [Operation] = []
        operations.reserveCapacity(count)
        for _ in 0..<count { operations.append(try Operation(from: &reader, table)) }
        try reader.finish()
        self.init(
            origin: origin, from: from, time: time, dependencies: dependencies, operations: operations
        ) { sealed.contains($0) }
        // A table that names more than the delta does is a second spelling of it.
        guard replicaTable() == table else { throw .notCanonical(at: 0) }
    }
}
