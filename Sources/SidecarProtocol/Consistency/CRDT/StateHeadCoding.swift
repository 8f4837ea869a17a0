// Who has seen what, and who has left, as the head of a state's stream.

extension ReplicatedStore {
    func encodeHead(into out: inout CompactWriter, keyCount: Int) {
        let times = [clock.latest, birth, lastSeal, horizon]
        out.unsigned(UInt64(keyCount))
        for time in times { out.unsigned(time.raw) }
        out.unsigned(UInt64(forgotten.count))
        for hash in forgotten.keys.sorted() {
            ReplicaID(hash: hash, epoch: forgotten[hash] ?? 0).encode(into: &out)
        }
        out.unsigned(UInt64(removed.count))
        for hash in removed.sorted() { out.fixed(hash) }
        out.unsigned(UInt64(standings.count))
        for (place, standing) in standings.enumerated() {
            standing.encode(into: &out)
            if standing == .free { continue }
            replicas.names[place].encode(into: &out)
            out.unsigned(seen[place])
        }
        for (place, standing) in standings.enumerated() where standing.hasContext {
            for (other, counter) in seen.enumerated() where standings[other] != .free {
                // How far behind us each is: mostly not at all.
                let context = place == 0 ? seen : contexts[place]
                out.unsigned(counter - min(counter, other < context.count ? context[other] : 0))
            }
        }
    }
}

extension Standing {
    private enum Code: UInt8 { case free, live, left, sealed, retired }

    var hasContext: Bool {
        switch self {
        case .live, .left, .sealed: true
        case .retired, .free: false
        }
    }

    fileprivate func encode(into out: inout CompactWriter) {
        switch self {
        case .free: out.byte(Code.free.rawValue)
        case .live: out.byte(Code.live.rawValue)
        case .left: out.byte(Code.left.rawValue)
        case .sealed(let by, let counter, let time):
            out.byte(Code.sealed.rawValue)
            for number in [UInt64(by.replica), by.counter, counter, time.raw] { out.unsigned(number) }
        case .retired(let time):
            out.byte(Code.retired.rawValue)
            out.unsigned(time.raw)
        }
    }

    fileprivate init(from reader: inout CompactReader, count: Int) throws(CompactError) {
        let byte = try reader.byte()
        guard let code = Code(rawValue: byte) else { throw .unknown(what: "standing", value: UInt64(byte)) }
        switch code {
        case .free: self = .free
        case .live: self = .live
        case .left: self = .left
        case .sealed:
            let place = try reader.unsigned()
            guard place < UInt64(count) else { throw .unknown(what: "replica", value: place) }
            let by = LocalDot(Int(place), try reader.counter())
            self = .sealed(by: by, at: try reader.counter(), time: HybridTime(raw: try reader.unsigned()))
        case .retired: self = .retired(time: HybridTime(raw: try reader.unsigned()))
        }
    }
}

extension StateImport.Head {
    init(from reader: inout CompactReader) throws(CompactError) {
        let keys = try reader.unsigned()
        guard keys <= 1 << 40 else { throw .tooLarge(what: "keys", count: keys) }
        keyCount = Int(keys)
        time = HybridTime(raw: try reader.unsigned())
        birth = HybridTime(raw: try reader.unsigned())
        lastSeal = HybridTime(raw: try reader.unsigned())
        horizon = HybridTime(raw: try reader.unsigned())
        (forgotten, removed) = ([], [])
        for _ in 0..<(try reader.count(of: "forgotten replicas", least: 9)) {
            forgotten.append(try ReplicaID(from: &reader))
        }
        for _ in 0..<(try reader.count(of: "removed replicas", least: 8)) {
            removed.append(try reader.fixed())
        }
        (replicas, seen, standings, contexts) = ([], [], [], [])
        let count = try reader.count(of: "replicas")
        guard count > 0, count <= Limits.storeReplicasMaximum else {
            throw .tooLarge(what: "replicas", count: UInt64(count))
        }
        for _ in 0..<count { try addReplica(&reader, count) }
        try checkReplicas(at: reader.offset)
        for standing in standings { contexts.append(try context(of: standing, &reader)) }
    }

    private mutating func addReplica(_ reader: inout CompactReader, _ count: Int) throws(CompactError) {
        let standing = try Standing(from: &reader, count: count)
        standings.append(standing)
        let name = standing == .free ? ReplicaTable.nobody : try ReplicaID(from: &reader)
        replicas.append(name)
        let counter = standing == .free ? 0 : try reader.unsigned()
        guard counter <= LocalDot.counterMaximum else { throw .tooLarge(what: "counter", count: counter) }
        seen.append(counter)
    }

    private func checkReplicas(at offset: Int) throws(CompactError) {
        let named = replicas.indices.filter { standings[$0] != .free }
        guard standings[0] == .live, Set(named.map { replicas[$0] }).count == named.count else {
            throw .notCanonical(at: offset)
        }
    }

    private func context(
        of standing: Standing, _ reader: inout CompactReader
    ) throws(CompactError) -> [UInt64] {
        guard standing.hasContext else { return [] }
        var context = seen
        for (other, counter) in seen.enumerated() where standings[other] != .free {
            let behind = try reader.unsigned()
            guard behind <= counter else { throw .tooLarge(what: "counter", count: behind) }
            context[other] = counter - behind
        }
        return context
    }
}
