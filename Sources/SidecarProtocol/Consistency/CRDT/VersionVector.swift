// Who wrote, and how much of it somebody has seen.

/// One replica between two unclean starts: a hash of the identity and data folder that it belongs to, and an
/// epoch, which is raised whenever the highest counter that was given out may be forgotten.
package struct ReplicaID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let hash: UInt64
    package let epoch: UInt32

    package init(hash: UInt64, epoch: UInt32) {
        self.hash = hash
        self.epoch = epoch
    }

    /// The replica of an instance's slot: the first eight bytes of a hash of whatever names it for good.
    package init(naming bytes: [UInt8], epoch: UInt32) {
        var hash = StableHash()
        hash.combine(bytes)
        self.init(hash: hash.value, epoch: epoch)
    }

    package static func < (left: ReplicaID, right: ReplicaID) -> Bool {
        left.hash != right.hash ? left.hash < right.hash : left.epoch < right.epoch
    }

    /// The same replica before its last unclean start.
    func isSucceeded(by other: ReplicaID) -> Bool { hash == other.hash && epoch < other.epoch }

    package var description: String {
        var digits = String(hash, radix: 16)
        while digits.count < 16 { digits = "0" + digits }
        return "\(digits).\(epoch)"
    }

    func encode(into out: inout CompactWriter) {
        out.fixed(hash)
        out.unsigned(UInt64(epoch))
    }

    /// With one bit more.
    func encode(into out: inout CompactWriter, isMarked: Bool) {
        out.fixed(hash)
        out.unsigned(UInt64(epoch) << 1 | (isMarked ? 1 : 0))
    }

    static func marked(from reader: inout CompactReader) throws(CompactError) -> (ReplicaID, Bool) {
        let hash = try reader.fixed()
        let rest = try reader.unsigned()
        guard let epoch = UInt32(exactly: rest >> 1) else { throw .tooLarge(what: "epoch", count: rest) }
        return (ReplicaID(hash: hash, epoch: epoch), rest & 1 == 1)
    }

    init(from reader: inout CompactReader) throws(CompactError) {
        let hash = try reader.fixed()
        let epoch = try reader.unsigned()
        guard let epoch = UInt32(exactly: epoch) else { throw .tooLarge(what: "epoch", count: epoch) }
        self.init(hash: hash, epoch: epoch)
    }
}

/// One change: the `counter`th of a replica, from 1.
package struct Dot: Hashable, Comparable, Sendable {
    package let replica: ReplicaID
    package let counter: UInt64

    package init(_ replica: ReplicaID, _ counter: UInt64) {
        self.replica = replica
        self.counter = counter
    }

    package static func < (left: Dot, right: Dot) -> Bool {
        left.replica != right.replica ? left.replica < right.replica : left.counter < right.counter
    }
}

/// For each replica the highest counter such that it and all below are seen. Sorted; no entry is zero.
package struct VersionVector: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package let replica: ReplicaID
        package var counter: UInt64
    }

    package private(set) var entries: [Entry]

    package init() { entries = [] }

    package subscript(replica: ReplicaID) -> UInt64 {
        get {
            let index = place(of: replica)
            return index < entries.count && entries[index].replica == replica ? entries[index].counter : 0
        }
        set {
            let index = place(of: replica)
            if index < entries.count, entries[index].replica == replica {
                if newValue == 0 { entries.remove(at: index) } else { entries[index].counter = newValue }
            } else if newValue > 0 {
                entries.insert(Entry(replica: replica, counter: newValue), at: index)
            }
        }
    }

    package func covers(_ dot: Dot) -> Bool { self[dot.replica] >= dot.counter }

    package func covers(_ other: VersionVector) -> Bool {
        other.entries.allSatisfy { self[$0.replica] >= $0.counter }
    }

    package mutating func merge(_ other: VersionVector) {
        for entry in other.entries where self[entry.replica] < entry.counter {
            self[entry.replica] = entry.counter
        }
    }

    private func place(of replica: ReplicaID) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].replica < replica { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func encode(into out: inout CompactWriter) {
        out.unsigned(UInt64(entries.count))
        for entry in entries {
            entry.replica.encode(into: &out)
            out.unsigned(entry.counter)
        }
    }

    init(from reader: inout CompactReader) throws(CompactError) {
        let count = try reader.count(of: "entries of a version vector", least: 10)
        guard count <= Limits.storeReplicasMaximum else {
            throw .tooLarge(what: "entries of a version vector", count: UInt64(count))
        }
        entries = []
        for _ in 0..<count {
            let start = reader.offset
            let replica = try ReplicaID(from: &reader)
            let counter = try reader.unsigned()
            guard counter > 0, entries.last.map({ $0.replica < replica }) ?? true else {
                throw .notCanonical(at: start)
            }
            guard counter <= LocalDot.counterMaximum else { throw .tooLarge(what: "counter", count: counter) }
            entries.append(Entry(replica: replica, counter: counter))
        }
    }
}

/// A dot inside one store: the replica's place in the store's table in the top 16 bits, the counter below.
/// Zero is no dot.
struct LocalDot: Hashable, Comparable, Sendable {
    static let counterMaximum: UInt64 = 1 << 48 - 1
    static let none = LocalDot(raw: 0)

    let raw: UInt64

    private init(raw: UInt64) { self.raw = raw }

    init(_ replica: Int, _ counter: UInt64) {
        raw = UInt64(truncatingIfNeeded: replica) << 48 | counter & LocalDot.counterMaximum
    }

    var replica: Int { Int(truncatingIfNeeded: raw >> 48) }
    var counter: UInt64 { raw & LocalDot.counterMaximum }

    static func < (left: LocalDot, right: LocalDot) -> Bool { left.raw < right.raw }
}

/// A hash that is the same in every process and on every machine. It is no defence against collisions that
/// somebody makes on purpose: replicas of one group trust each other.
struct StableHash {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    mutating func combine(_ value: UInt64) {
        state = StableHash.mix(state ^ value) &+ 0x9E37_79B9_7F4A_7C15
    }

    mutating func combine(_ bytes: [UInt8]) {
        combine(UInt64(bytes.count))
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset + 8 <= buffer.count {
                combine(UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
                offset += 8
            }
            var tail: UInt64 = 0
            while offset < buffer.count {
                tail = tail << 8 | UInt64(buffer[offset])
                offset += 1
            }
            combine(tail)
        }
    }

    var value: UInt64 { StableHash.mix(state) }

    private static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        return product.high ^ product.low ^ (value >> 32)
    }
}
