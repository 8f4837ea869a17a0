import SidecarProtocol

/// One folder on a disk that forgets what wasn't synced.
///
/// What reads see is the kernel's view; what a power failure leaves is the platter's: each sector of a write
/// that wasn't synced is there, isn't, or is torn; names follow in the order in which they were changed, up
/// to some point after the folder's last sync. A process that is killed loses neither.
package struct SimulatedDisk {
    private struct Node {
        var seen: [UInt8] = []
        var platter: [UInt8] = []
        var unsynced: [Change] = []
    }

    private enum Change {
        case bytes(offset: Int, [UInt8])
        case size(Int)
    }

    private enum Naming {
        case set(String, Int)
        case move(from: String, to: String)
        case remove(String)
    }

    private var nodes: [Node] = []
    private var names: [String: Int] = [:]
    private var durableNames: [String: Int] = [:]
    private var namings: [Naming] = []

    /// Bytes of all files together.
    package var capacity = Int.max
    /// The next syncs fail, so many; what they were for is lost, though reads still show it.
    package var failingSyncs = 0
    /// Reads that touch one of these fail.
    package var unreadable: [String: Range<Int>] = [:]
    /// Syncs are answered, and nothing is done: a disk that lies.
    package var ignoresSyncs = false
    package private(set) var syncs = 0

    package static let sectorBytes = 512

    package init() {}

    package var files: [DiskFile] {
        names.sorted { $0.key < $1.key }.map { DiskFile(name: $0.key, size: nodes[$0.value].seen.count) }
    }

    package var usedBytes: Int { names.values.reduce(0) { $0 + nodes[$1].seen.count } }

    package func contents(of file: String) -> [UInt8]? { names[file].map { nodes[$0].seen } }

    /// Puts a file there, durable.
    package mutating func put(_ bytes: [UInt8], as file: String) {
        let index = node(file)
        nodes[index] = Node(seen: bytes, platter: bytes)
        durableNames = names
        namings = []
    }

    /// Rots, for reads and on the platter.
    package mutating func flip(_ file: String, byte: Int, mask: UInt8) {
        guard let index = names[file], byte < nodes[index].seen.count else { return }
        nodes[index].seen[byte] ^= mask
        if byte < nodes[index].platter.count { nodes[index].platter[byte] ^= mask }
    }

    // MARK: Operations

    package mutating func perform(_ operation: DiskOperation) throws(DiskFailure) -> DiskAnswer {
        switch operation {
        case .list: return .files(files)
        case .read(let file, let offset, let count): return .bytes(try read(file, offset, count))
        case .write(let file, let offset, let bytes): try write(file, offset, bytes)
        case .preallocate(let file, let size): try preallocate(file, size)
        case .sync(let file): try sync(file)
        case .rename(let from, let to):
            guard let index = names.removeValue(forKey: from) else {
                throw DiskFailure(.failed, detail: "rename(\(from)): no such file")
            }
            names[to] = index
            namings.append(.move(from: from, to: to))
        case .remove(let file):
            if names.removeValue(forKey: file) != nil { namings.append(.remove(file)) }
        case .syncFolder:
            try failSync("the folder")
            if ignoresSyncs { break }
            durableNames = names
            namings = []
        }
        return .done
    }

    private func read(_ file: String, _ offset: Int, _ count: Int) throws(DiskFailure) -> [UInt8] {
        guard let index = names[file] else { return [] }
        if let bad = unreadable[file], bad.overlaps(offset..<(offset + max(count, 0))) {
            throw DiskFailure(.failed, detail: "read(\(file)): input/output error")
        }
        let seen = nodes[index].seen
        guard offset < seen.count else { return [] }
        return Array(seen[offset..<min(seen.count, offset + count)])
    }

    private mutating func write(_ file: String, _ offset: Int, _ bytes: [UInt8]) throws(DiskFailure) {
        guard !bytes.isEmpty else { return }
        try reserve(file, offset + bytes.count)
        let index = node(file)
        SimulatedDisk.place(bytes, at: offset, in: &nodes[index].seen)
        nodes[index].unsynced.append(.bytes(offset: offset, bytes))
    }

    private mutating func preallocate(_ file: String, _ size: Int) throws(DiskFailure) {
        try reserve(file, size)
        let index = node(file)
        guard nodes[index].seen.count < size else { return }
        SimulatedDisk.grow(&nodes[index].seen, to: size)
        nodes[index].unsynced.append(.size(size))
    }

    private mutating func sync(_ file: String) throws(DiskFailure) {
        guard let index = names[file] else {
            throw DiskFailure(.failed, detail: "sync(\(file)): no such file")
        }
        do {
            try failSync(file)
        } catch {
            nodes[index].unsynced = []
            throw error
        }
        if ignoresSyncs { return }
        for change in nodes[index].unsynced { SimulatedDisk.apply(change, to: &nodes[index].platter) }
        nodes[index].unsynced = []
        syncs += 1
    }

    private mutating func failSync(_ what: String) throws(DiskFailure) {
        guard failingSyncs > 0 else { return }
        failingSyncs -= 1
        throw DiskFailure(.failed, detail: "fsync of \(what): input/output error")
    }

    private func reserve(_ file: String, _ size: Int) throws(DiskFailure) {
        guard capacity < .max else { return }
        let own = names[file].map { nodes[$0].seen.count } ?? 0
        guard size <= own || usedBytes - own + size <= capacity else {
            throw DiskFailure(.noSpace, detail: "\(file): no space left on device")
        }
    }

    private mutating func node(_ file: String) -> Int {
        if let index = names[file] { return index }
        nodes.append(Node())
        names[file] = nodes.count - 1
        namings.append(.set(file, nodes.count - 1))
        return nodes.count - 1
    }

    private static func apply(_ change: Change, to bytes: inout [UInt8]) {
        switch change {
        case .bytes(let offset, let written): place(written, at: offset, in: &bytes)
        case .size(let size): grow(&bytes, to: size)
        }
    }

    private static func place(_ written: [UInt8], at offset: Int, in bytes: inout [UInt8]) {
        grow(&bytes, to: offset + written.count)
        bytes.withUnsafeMutableBytes { target in
            written.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: target[offset...]).copyMemory(from: $0)
            }
        }
    }

    private static func grow(_ bytes: inout [UInt8], to size: Int) {
        if bytes.count < size { bytes += [UInt8](repeating: 0, count: size - bytes.count) }
    }

    // MARK: Power

    /// What is left when the power fails now.
    package mutating func losePower(random: inout SeededRandom) {
        names = durableNames
        let kept = namings.isEmpty ? 0 : Int(random.next() % UInt64(namings.count + 1))
        for naming in namings[..<kept] {
            switch naming {
            case .set(let name, let index): names[name] = index
            case .move(let from, let to): names[to] = names.removeValue(forKey: from)
            case .remove(let name): names[name] = nil
            }
        }
        durableNames = names
        namings = []
        for index in nodes.indices {
            for change in nodes[index].unsynced { settle(change, of: index, random: &random) }
            nodes[index].unsynced = []
            nodes[index].seen = nodes[index].platter
        }
        dropUnnamed()
    }

    private mutating func settle(_ change: Change, of index: Int, random: inout SeededRandom) {
        guard case .bytes(let offset, let bytes) = change else {
            if random.chance(perMille: 500) { SimulatedDisk.apply(change, to: &nodes[index].platter) }
            return
        }
        // One draw decides how much of this write survives at all, so that whole losses are common.
        let survival = [0, 500, 900, 1000][Int(random.next() % 4)]
        var start = 0
        while start < bytes.count {
            let sector = SimulatedDisk.sectorBytes
            let end = min(bytes.count, ((offset + start) / sector + 1) * sector - offset)
            var stop = random.chance(perMille: UInt64(survival)) ? end : start
            if random.chance(perMille: 100) { stop = start + Int(random.next() % UInt64(end - start + 1)) }
            if stop > start {
                SimulatedDisk.place(
                    Array(bytes[start..<stop]), at: offset + start, in: &nodes[index].platter)
            }
            start = end
        }
    }

    private mutating func dropUnnamed() {
        var kept: [Node] = []
        for (name, index) in names.sorted(by: { $0.value < $1.value }) {
            names[name] = kept.count
            kept.append(nodes[index])
        }
        nodes = kept
        durableNames = names
    }
}
