@testable import SidecarProtocol

/// A keyspace in the plainest way: what mutations make of it, and commands that leave mutations.
struct ModelKeyspace: Equatable {
    enum Value: Equatable {
        case string(ByteString)
        case hash([ByteString: ByteString])
        case list([ByteString])
        case set(Set<ByteString>)
        case sorted([ByteString: Double])
        case stream([ByteString: ByteString])

        var isEmpty: Bool {
            switch self {
            case .string: false
            case .hash(let fields): fields.isEmpty
            case .list(let elements): elements.isEmpty
            case .set(let members): members.isEmpty
            case .sorted(let members): members.isEmpty
            case .stream(let entries): entries.isEmpty
            }
        }
    }

    var values: [ByteString: Value] = [:]
    var expiries: [ByteString: WallTime] = [:]
    /// What was asked of it that can't be.
    var mistakes: [String] = []

    mutating func apply(_ mutations: [Mutation]) { for mutation in mutations { apply(mutation) } }

    mutating func apply(_ mutation: Mutation) {
        switch mutation {
        case .delete(let key), .expire(let key): remove(key)
        case .deleteAll: (values, expiries) = ([:], [:])
        case .setExpiry(let key, let time):
            if values[key] == nil { mistakes.append("expiry of nothing: \(key.text)") }
            expiries[key] = time
        case .setString(let key, let value):
            expect(key, "string") { if case .string = $0 { true } else { false } }
            values[key] = .string(value)
        case .addToString(let key, let amount):
            let old = string(key).flatMap { Int64($0) } ?? 0
            values[key] = .string(ByteString(String(old &+ amount)))
        case .setField(let key, let field, let value):
            change(key, "hash", .hash([:])) {
                if case .hash(var all) = $0 {
                    all[field] = value
                    $0 = .hash(all)
                }
            }
        case .addToField(let key, let field, let amount):
            let old = hash(key)[field.text].flatMap { Int64($0) } ?? 0
            apply(.setField(key, field: field, ByteString(String(old &+ amount))))
        case .removeField(let key, let field):
            change(key, "hash", .hash([:])) {
                if case .hash(var all) = $0 {
                    all[field] = nil
                    $0 = .hash(all)
                }
            }
        case .addMember(let key, let member):
            change(key, "set", .set([])) {
                if case .set(var all) = $0 {
                    all.insert(member)
                    $0 = .set(all)
                }
            }
        case .removeMember(let key, let member):
            change(key, "set", .set([])) {
                if case .set(var all) = $0 {
                    all.remove(member)
                    $0 = .set(all)
                }
            }
        case .setScore(let key, let member, let score):
            change(key, "zset", .sorted([:])) {
                if case .sorted(var all) = $0 {
                    all[member] = score
                    $0 = .sorted(all)
                }
            }
        case .addToScore(let key, let member, let amount):
            change(key, "zset", .sorted([:])) {
                if case .sorted(var all) = $0 {
                    all[member, default: 0] += amount
                    $0 = .sorted(all)
                }
            }
        case .removeScored(let key, let member):
            change(key, "zset", .sorted([:])) {
                if case .sorted(var all) = $0 {
                    all[member] = nil
                    $0 = .sorted(all)
                }
            }
        case .setEntry(let key, let id, let value): changeEntry(key, id, value)
        case .removeEntry(let key, let id): changeEntry(key, id, nil)
        case .insertElements, .setElement, .removeElements: applyToList(mutation)
        }
    }

    private mutating func changeEntry(_ key: ByteString, _ id: ByteString, _ value: ByteString?) {
        expect(key, "stream") { if case .stream = $0 { true } else { false } }
        change(key, "stream", .stream([:])) {
            if case .stream(var all) = $0 {
                all[id] = value
                $0 = .stream(all)
            }
        }
    }

    private mutating func applyToList(_ mutation: Mutation) {
        switch mutation {
        case .insertElements(let key, let index, let elements):
            changeList(key) { $0.insert(contentsOf: elements, at: min(index, $0.count)) }
        case .setElement(let key, let index, let element):
            changeList(key) { if index < $0.count { $0[index] = element } }
        case .removeElements(let key, let index, let count):
            changeList(key) { $0.removeSubrange(index..<min(index + count, $0.count)) }
        default: mistakes.append("\(mutation) is no list's")
        }
    }

    private mutating func remove(_ key: ByteString) {
        values[key] = nil
        expiries[key] = nil
    }

    private mutating func expect(_ key: ByteString, _ type: String, _ isOfType: (Value) -> Bool) {
        if let value = values[key], !isOfType(value) { mistakes.append("\(key.text) is no \(type)") }
    }

    private mutating func change(
        _ key: ByteString, _ type: String, _ empty: Value, _ body: (inout Value) -> Void
    ) {
        var value = values[key] ?? empty
        let before = value
        body(&value)
        if case .set = value, case .set = before {
        } else if type == "set" {
            mistakes.append("\(key.text) is no set")
        }
        if value.isEmpty { remove(key) } else { values[key] = value }
    }

    private mutating func changeList(_ key: ByteString, _ body: (inout [ByteString]) -> Void) {
        guard case .list(var elements) = values[key] ?? .list([]) else {
            mistakes.append("\(key.text) is no list")
            return
        }
        body(&elements)
        if elements.isEmpty { remove(key) } else { values[key] = .list(elements) }
    }

    // MARK: Reading

    func string(_ key: ByteString) -> String? {
        if case .string(let value)? = values[key] { value.text } else { nil }
    }

    func hash(_ key: ByteString) -> [String: String] {
        guard case .hash(let fields)? = values[key] else { return [:] }
        return Dictionary(uniqueKeysWithValues: fields.map { ($0.key.text, $0.value.text) })
    }

    func list(_ key: ByteString) -> [String] {
        if case .list(let elements)? = values[key] { elements.map(\.text) } else { [] }
    }

    func set(_ key: ByteString) -> Set<String> {
        if case .set(let members)? = values[key] { Set(members.map(\.text)) } else { [] }
    }

    func score(_ key: ByteString, _ member: ByteString) -> Double? {
        if case .sorted(let members)? = values[key] { members[member] } else { nil }
    }

    func entries(_ key: ByteString) -> [ByteString: ByteString] {
        if case .stream(let entries)? = values[key] { entries } else { [:] }
    }

    func type(_ key: ByteString) -> String {
        switch values[key] {
        case nil: "none"
        case .string: "string"
        case .hash: "hash"
        case .list: "list"
        case .set: "set"
        case .sorted: "zset"
        case .stream: "stream"
        }
    }
}

extension ByteString {
    var text: String { String(decoding: bytes, as: UTF8.self) }
}

/// One replica of a test: a store, and the keyspace that it serves.
struct ModelReplica {
    var store: ReplicatedStore
    var keyspace = ModelKeyspace()
    var now: Int64 = 1_000_000
    /// How far its wall clock is wrong.
    var wallOffset: Int64 = 0

    var time: Now {
        let now = ModelReplica.time(now)
        return Now(monotonic: now.monotonic, wall: WallTime(milliseconds: self.now + wallOffset))
    }

    static let hash = SeededHash(k0: 1, k1: 2)

    init(_ number: UInt64, epoch: UInt32 = 1) {
        store = ReplicatedStore(replica: ReplicaID(hash: number, epoch: epoch), hash: ModelReplica.hash)
    }

    static func time(_ milliseconds: Int64) -> Now {
        Now(
            monotonic: MonotonicTime(nanoseconds: UInt64(milliseconds) * 1_000_000),
            wall: WallTime(milliseconds: milliseconds))
    }

    /// A command's mutations: the keyspace has them, and the others are told.
    @discardableResult
    mutating func run(_ mutations: Mutation...) -> Delta? { run(mutations) }

    mutating func run(_ mutations: [Mutation]) -> Delta? {
        keyspace.apply(mutations)
        let delta = store.commit(mutations[...], at: time) ? try? Delta(encoded: store.committed) : nil
        keyspace.apply(store.corrections)
        store.corrections = []
        return delta
    }

    mutating func join(_ delta: Delta) throws {
        keyspace.apply(try store.join(delta, at: ModelReplica.time(now)))
        store.joined = []
    }
}

/// A few replicas, and the deltas that each has made.
struct ModelGroup {
    var replicas: [ModelReplica]
    var deltas: [[Delta]]

    init(_ count: Int) {
        replicas = (1...count).map { ModelReplica(UInt64($0)) }
        deltas = replicas.map { _ in [] }
    }

    mutating func run(_ index: Int, _ mutations: Mutation...) {
        if let delta = replicas[index].run(mutations) { deltas[index].append(delta) }
    }

    mutating func run(_ index: Int, _ mutations: [Mutation]) {
        if let delta = replicas[index].run(mutations) { deltas[index].append(delta) }
    }

    mutating func advance(_ milliseconds: Int64 = 1) {
        for index in replicas.indices { replicas[index].now += milliseconds }
    }

    /// Everybody gets everything, and says what it has.
    mutating func sync() throws {
        for to in replicas.indices {
            for from in replicas.indices where from != to {
                for delta in deltas[from] { try replicas[to].join(delta) }
            }
        }
        for to in replicas.indices {
            for from in replicas.indices where from != to {
                replicas[to].store.observe(replicas[from].store.version, of: replicas[from].store.replica)
            }
        }
        advance()
    }
}
