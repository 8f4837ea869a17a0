/// What a key holds. Collections are objects, so that a command changes them where they are.
enum Value {
    /// A string that is the decimal form of this number.
    case integer(Int64)
    case text(ByteString)
    /// As `text`, and was changed in place: OBJECT ENCODING calls it raw, however short it is.
    case raw(ByteString)
    case list(ListObject)
    case hash(HashObject)
    case set(SetObject)
    case sorted(SortedObject)
    case stream(StreamObject)

    /// A string as it is stored: short decimal numbers as numbers.
    init(string: ByteString) {
        if string.count <= 20, let number = string.integer {
            self = .integer(number)
        } else {
            self = .text(string)
        }
    }

    enum Kind: UInt8 {
        case string, list, hash, set, sorted, stream

        var name: String {
            switch self {
            case .string: "string"
            case .list: "list"
            case .hash: "hash"
            case .set: "set"
            case .sorted: "zset"
            case .stream: "stream"
            }
        }
    }

    var kind: Kind {
        switch self {
        case .integer, .text, .raw: .string
        case .list: .list
        case .hash: .hash
        case .set: .set
        case .sorted: .sorted
        case .stream: .stream
        }
    }

    /// The bytes of a string; nil of anything else.
    var string: ByteString? {
        switch self {
        case .integer(let number): ByteString(DecimalText.bytes(of: number))
        case .text(let text), .raw(let text): text
        case .list, .hash, .set, .sorted, .stream: nil
        }
    }

    /// As OBJECT ENCODING says it.
    var encoding: String {
        switch self {
        case .integer: "int"
        case .text(let text): text.count <= 44 ? "embstr" : "raw"
        case .raw: "raw"
        case .list: "quicklist"
        case .hash(let hash): hash.isListpack ? "listpack" : "hashtable"
        case .set(let set): set.isIntset ? "intset" : "hashtable"
        case .sorted(let sorted): sorted.isListpack ? "listpack" : "skiplist"
        case .stream: "stream"
        }
    }

    /// Roughly the bytes of memory it takes.
    var footprint: Int {
        switch self {
        case .integer: 0
        case .text(let text), .raw(let text): text.count &+ 32
        case .list(let list): list.ring.elementBytes &+ list.ring.count &* 48
        case .hash(let hash): hash.table.keyBytes &+ hash.valueBytes &+ hash.table.count &* 100
        case .set(let set): set.footprint
        case .sorted(let sorted): sorted.table.keyBytes &+ sorted.table.count &* 110
        case .stream(let stream): stream.footprint
        }
    }

    /// How many pieces there are to free.
    var pieces: Int {
        switch self {
        case .integer, .text, .raw: 1
        case .list(let list): list.ring.count
        case .hash(let hash): hash.table.count
        case .set(let set): set.count
        case .sorted(let sorted): sorted.table.count
        case .stream(let stream): stream.count
        }
    }

    /// A value of its own with the same content.
    func copied() -> Value {
        switch self {
        case .integer, .text, .raw: self
        case .list(let list): .list(ListObject(copying: list))
        case .hash(let hash): .hash(HashObject(copying: hash))
        case .set(let set): .set(SetObject(copying: set))
        case .sorted(let sorted): .sorted(SortedObject(copying: sorted))
        case .stream(let stream): .stream(StreamObject(copying: stream))
        }
    }
}

final class ListObject {
    var ring = Ring()

    init() {}
    init(copying other: ListObject) { ring = other.ring }
}

final class HashObject {
    private(set) var table: HashTable<ByteString>
    private(set) var valueBytes = 0
    /// Small enough for Redis's compact form; once it isn't, it never is again.
    var isListpack = true

    init(hash: SeededHash) { table = HashTable(hash: hash) }

    init(copying other: HashObject) {
        (table, valueBytes, isListpack) = (other.table, other.valueBytes, other.isListpack)
    }

    /// true: the field is new.
    @discardableResult
    func set(_ field: ByteString, _ value: ByteString, limits: KeyspaceSettings) -> Bool {
        if isListpack, max(field.count, value.count) > limits.hashListpackValue { isListpack = false }
        valueBytes += value.count
        if let index = table.index(of: field) {
            valueBytes -= table[index].value.count
            table[index].value = value
            return false
        }
        table.insert(field, value)
        if isListpack, table.count > limits.hashListpackEntries { isListpack = false }
        return true
    }

    func remove(_ field: ByteString) -> Bool {
        guard let value = table.remove(field) else { return false }
        valueBytes -= value.count
        return true
    }

    func step() { table.step(16) }
}

final class SetObject {
    /// In order, as long as every member is a number and there are few; nil: `table` has the members.
    private var integers: ContiguousArray<Int64>? = []
    private var table: HashTable<Void>

    init(hash: SeededHash) { table = HashTable(hash: hash) }

    init(copying other: SetObject) { (integers, table) = (other.integers, other.table) }

    var isIntset: Bool { integers != nil }
    var count: Int { integers?.count ?? table.count }
    var footprint: Int { integers.map { $0.count * 8 } ?? (table.keyBytes &+ table.count &* 90) }

    func contains(_ member: ByteString) -> Bool {
        guard let integers else { return table.index(of: member) != nil }
        return member.integer.map { SetObject.find($0, in: integers).found } ?? false
    }

    /// false: it was there.
    func add(_ member: ByteString, limits: KeyspaceSettings) -> Bool {
        if let integers {
            if let number = member.integer {
                let (place, found) = SetObject.find(number, in: integers)
                if found { return false }
                self.integers!.insert(number, at: place)
                if integers.count + 1 > limits.setIntsetEntries { convert() }
                return true
            }
            convert()
        }
        guard table.index(of: member) == nil else { return false }
        table.insert(member, ())
        return true
    }

    func remove(_ member: ByteString) -> Bool {
        if let integers {
            guard let number = member.integer else { return false }
            let (place, found) = SetObject.find(number, in: integers)
            if found { self.integers!.remove(at: place) }
            return found
        }
        return table.remove(member) != nil
    }

    /// The member at `index`, 0 ..< count.
    subscript(index: Int) -> ByteString {
        if let integers { return ByteString(DecimalText.bytes(of: integers[index])) }
        return table[index].key
    }

    func visit<Failure>(_ body: (ByteString) throws(Failure) -> Void) throws(Failure) {
        for index in 0..<count { try body(self[index]) }
    }

    func scan(_ cursor: UInt64, _ visit: (ByteString) -> Void) -> UInt64 {
        guard integers == nil else {
            self.visit(visit)
            return 0
        }
        table.step(16)
        return table.scan(cursor) { visit(table[$0].key) }
    }

    /// Gives the compact form up.
    func convert() {
        guard let numbers = integers else { return }
        for number in numbers { table.insert(ByteString(DecimalText.bytes(of: number)), ()) }
        integers = nil
    }

    private static func find(_ number: Int64, in integers: ContiguousArray<Int64>) -> (Int, found: Bool) {
        var (low, high) = (0, integers.count)
        while low < high {
            let middle = (low + high) / 2
            if integers[middle] < number { low = middle + 1 } else { high = middle }
        }
        return (low, low < integers.count && integers[low] == number)
    }
}

final class SortedObject {
    private(set) var table: HashTable<Double>
    private(set) var tree = ScoreTree()
    var isListpack = true

    init(hash: SeededHash) { table = HashTable(hash: hash) }

    init(copying other: SortedObject) {
        (table, tree, isListpack) = (other.table, other.tree, other.isListpack)
    }

    var count: Int { table.count }

    func score(of member: ByteString) -> Double? { table[member] }

    /// A zero below zero stays one only in a set that isn't a listpack, as in Redis.
    ///
    /// - Returns: Whether the member is new.
    @discardableResult
    func set(_ member: ByteString, _ score: Double, limits: KeyspaceSettings) -> Bool {
        let place = table.index(of: member)
        if isListpack, place == nil,
            table.count >= limits.sortedListpackEntries || member.count > limits.sortedListpackValue
        {
            isListpack = false
        }
        let score = score == 0 && isListpack ? 0 : score
        guard let place else {
            table.insert(member, score)
            tree.insert(member, score: score)
            return true
        }
        let old = table[place].value
        if old != score {
            tree.remove(member, score: old)
            tree.insert(table[place].key, score: score)
            table[place].value = score
        }
        return false
    }

    /// Becomes a listpack, where it is small enough.
    func pack(_ limits: KeyspaceSettings) {
        guard !isListpack, count <= limits.sortedListpackEntries else { return }
        for index in 0..<count where table[index].key.count > limits.sortedListpackValue { return }
        isListpack = true
        for index in 0..<count where table[index].value == 0 && table[index].value.sign == .minus {
            tree.remove(table[index].key, score: table[index].value)
            tree.insert(table[index].key, score: 0)
            table[index].value = 0
        }
    }

    func remove(_ member: ByteString) -> Bool {
        guard let score = table.remove(member) else { return false }
        tree.remove(member, score: score)
        return true
    }

    func step() { table.step(16) }
}

/// What CONFIG SET can change of how values are kept and bounded.
package struct KeyspaceSettings: Sendable {
    var hashListpackEntries = 512
    var hashListpackValue = 64
    var setIntsetEntries = 512
    var sortedListpackEntries = 128
    var sortedListpackValue = 64
    var listListpackSize = -2
    /// The longest string of a sparse HyperLogLog, in bytes.
    var hyperLogLogSparseBytes = 3000
    /// The longest string, in bytes.
    var stringBytesMaximum = Limits.stateBulkBytesMaximum
    /// All arguments of one request, in bytes.
    var requestBytesMaximum = Limits.stateRequestBytesMaximum
    /// What happens to keys and is published.
    var events: KeyEventClasses = []

    /// What ids that are made of the time end with: a number of this replica's own below the step; 0: it has no
    /// others, and counts by one.
    package var streamSequence: UInt64 = 0
    /// So far apart lie the numbers that one replica gives within a millisecond.
    package static let streamSequenceStep: UInt64 = 1 << 16

    package init() {}

    /// What can be replicated.
    package static var replicated: KeyspaceSettings {
        var settings = KeyspaceSettings()
        settings.stringBytesMaximum = Limits.replicatedStringBytesMaximum
        settings.requestBytesMaximum = Limits.replicatedRequestBytesMaximum
        return settings
    }
}

extension ByteString {
    /// The number whose decimal form this is.
    var integer: Int64? { bytes.withUnsafeBytes { DecimalText.integer($0) } }
    /// The score that this spells.
    var double: Double? { bytes.withUnsafeBytes { DecimalText.double($0) } }
    /// For people: bytes that aren't UTF-8 are replaced.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Compares with an ASCII word in small letters, whatever the case.
    func isWord(_ word: StaticString) -> Bool {
        guard bytes.count == word.utf8CodeUnitCount else { return false }
        let other = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        for (index, unit) in other.enumerated() where ByteString.lowercased(bytes[index]) != unit {
            return false
        }
        return true
    }

    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 { byte >= 65 && byte <= 90 ? byte | 32 : byte }

    var lowercased: ByteString { ByteString(bytes.map(ByteString.lowercased)) }
    static var empty: ByteString { ByteString([]) }
}
