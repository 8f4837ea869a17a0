@testable import SidecarProtocol

/// Commands at random, each a list of mutations that fit what its keyspace holds.
struct RandomCommands {
    enum Subject: CaseIterable {
        case strings, counters, hashes, sets, sorted, lists, expiries, streams, everything
    }

    var numbers: SeededNumbers
    let subject: Subject

    mutating func next(_ keyspace: ModelKeyspace) -> [Mutation] {
        let key = ByteString("k\(numbers.below(3))")
        if numbers.below(40) == 0 { return [.deleteAll] }
        if numbers.below(10) == 0 { return keyspace.values[key] == nil ? [] : [.delete(key)] }
        switch subject == .everything ? Subject.allCases[numbers.below(8)] : subject {
        case .strings:
            let value = ByteString("v\(numbers.below(1000))")
            return clear(key, unless: "string", keyspace) + [.setString(key, value)]
        case .counters:
            if numbers.below(6) == 0 {
                return clear(key, unless: "string", keyspace)
                    + [.setString(key, ByteString(String(numbers.below(100))))]
            }
            guard ["none", "string"].contains(keyspace.type(key)),
                keyspace.string(key).map({ Int64($0) != nil }) ?? true
            else { return [] }
            return [.addToString(key, Int64(numbers.below(20)) - 10)]
        case .hashes: return hash(key, keyspace)
        case .sets:
            let member = ByteString("m\(numbers.below(4))")
            guard ["none", "set"].contains(keyspace.type(key)) else {
                return [.delete(key), .addMember(key, member)]
            }
            let isThere = keyspace.set(key).contains(member.text)
            return [isThere ? .removeMember(key, member) : .addMember(key, member)]
        case .sorted: return sorted(key, keyspace)
        case .lists: return list(key, keyspace)
        case .streams:
            let id = EntryID(milliseconds: UInt64(numbers.below(4)), sequence: 0).bytes
            let clear = clear(key, unless: "stream", keyspace)
            if clear.isEmpty, keyspace.entries(key)[id] != nil, numbers.below(2) == 0 {
                return [.removeEntry(key, id: id)]
            }
            return clear + [.setEntry(key, id: id, ByteString("e\(numbers.below(1000))"))]
        case .expiries:
            guard keyspace.values[key] != nil else { return [.setString(key, "v")] }
            let time =
                numbers.below(3) == 0 ? nil : WallTime(milliseconds: 5_000_000 + Int64(numbers.below(9)))
            return [.setExpiry(key, time)]
        case .everything: return []
        }
    }

    private func clear(_ key: ByteString, unless type: String, _ keyspace: ModelKeyspace) -> [Mutation] {
        ["none", type].contains(keyspace.type(key)) ? [] : [.delete(key)]
    }

    private mutating func hash(_ key: ByteString, _ keyspace: ModelKeyspace) -> [Mutation] {
        let field = ByteString("f\(numbers.below(3))")
        let clear = clear(key, unless: "hash", keyspace)
        let old = clear.isEmpty ? keyspace.hash(key)[field.text] : nil
        switch numbers.below(3) {
        case 0: return clear + [.setField(key, field: field, ByteString(String(numbers.below(50))))]
        case 1: return clear + [.addToField(key, field: field, Int64(numbers.below(9)) - 4)]
        default: return old == nil ? [] : [.removeField(key, field: field)]
        }
    }

    private mutating func sorted(_ key: ByteString, _ keyspace: ModelKeyspace) -> [Mutation] {
        let member = ByteString("m\(numbers.below(3))")
        let clear = clear(key, unless: "zset", keyspace)
        switch numbers.below(3) {
        case 0: return clear + [.setScore(key, member: member, Double(numbers.below(100)) / 7)]
        case 1: return clear + [.addToScore(key, member: member, Double(numbers.below(100)) / 3)]
        default:
            guard clear.isEmpty, keyspace.score(key, member) != nil else { return [] }
            return [.removeScored(key, member: member)]
        }
    }

    private mutating func list(_ key: ByteString, _ keyspace: ModelKeyspace) -> [Mutation] {
        let clear = clear(key, unless: "list", keyspace)
        let count = clear.isEmpty ? keyspace.list(key).count : 0
        switch numbers.below(5) {
        case 0 where count > 0:
            return [.setElement(key, index: numbers.below(count), ByteString("s\(numbers.below(1000))"))]
        case 1 where count > 0:
            let index = numbers.below(count)
            return [.removeElements(key, index: index, count: 1 + numbers.below(min(count - index, 3)))]
        default:
            let elements = (0...numbers.below(3)).map { _ in ByteString("e\(numbers.below(1000))") }
            return clear + [.insertElements(key, index: numbers.below(count + 1), elements)]
        }
    }
}

/// A few replicas that write at random, and whose deltas arrive late, twice and in any order.
struct RandomHistory {
    var group: ModelGroup
    var commands: RandomCommands
    var numbers: SeededNumbers
    /// Deltas that are on their way to a replica.
    var ways: [(to: Int, delta: Delta)] = []
    /// What stores of one version were like.
    var byVersion: [VersionVector: (hash: UInt64, keyspace: ModelKeyspace)] = [:]
    var failures: [String] = []
    /// What the replicas were like before the last deltas arrived.
    var beforeSync: [ModelReplica] = []
    var settles = true

    init(seed: UInt64, _ subject: RandomCommands.Subject, mutant: ReplicatedStore.Mutant = .none) {
        numbers = SeededNumbers(state: seed)
        group = ModelGroup(3 + numbers.below(3))
        commands = RandomCommands(numbers: SeededNumbers(state: seed &+ 1), subject: subject)
        group.replicas[0].store.mutant = mutant
    }

    mutating func run(steps: Int) throws {
        for _ in 0..<steps {
            switch numbers.below(10) {
            case 0...3: write(numbers.below(group.replicas.count))
            case 4: group.advance(Int64(numbers.below(3)))
            case 5: if settles { gossip() }
            default: try deliver()
            }
        }
        beforeSync = group.replicas
        while !ways.isEmpty { try deliver() }
        try group.sync()
        try group.sync()
        for index in group.replicas.indices { check(index) }
        let first = group.replicas[0]
        for replica in group.replicas {
            if replica.store.version != first.store.version { failures.append("versions differ in the end") }
            if !replica.keyspace.mistakes.isEmpty { failures += replica.keyspace.mistakes }
            if !replica.store.unsettled.isEmpty { failures.append("something isn't settled") }
        }
    }

    private mutating func write(_ index: Int) {
        let mutations = commands.next(group.replicas[index].keyspace)
        guard let delta = group.replicas[index].run(mutations) else { return }
        group.deltas[index].append(delta)
        for to in group.replicas.indices where to != index {
            ways.append((to, delta))
            if numbers.below(4) == 0 { ways.append((to, delta)) }
        }
        check(index)
    }

    private mutating func deliver() throws {
        guard !ways.isEmpty else { return }
        let (to, delta) = ways.remove(at: numbers.below(ways.count))
        // As it comes over the wire.
        try group.replicas[to].join(try Delta(encoded: delta.encoded()))
        check(to)
    }

    private mutating func gossip() {
        let (from, to) = (numbers.below(group.replicas.count), numbers.below(group.replicas.count))
        guard from != to else { return }
        let other = group.replicas[from].store
        group.replicas[to].store.observe(other.version, of: other.replica)
        check(to)
    }

    /// Stores of one version are one state, and their keyspaces show the same.
    private mutating func check(_ index: Int) {
        let replica = group.replicas[index]
        let hash = replica.store.stateHash()
        guard let other = byVersion[replica.store.version] else {
            byVersion[replica.store.version] = (hash, replica.keyspace)
            return
        }
        if other.hash != hash { failures.append("two states of version \(replica.store.version)") }
        if other.keyspace.values != replica.keyspace.values
            || other.keyspace.expiries != replica.keyspace.expiries
        {
            failures.append(
                "two keyspaces of one version: \(other.keyspace.values) and \(replica.keyspace.values)")
        }
    }
}
