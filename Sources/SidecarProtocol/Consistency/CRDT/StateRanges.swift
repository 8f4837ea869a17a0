// Which keys two replicas differ in, found by comparing hashes of ranges of them.
//
// Theory of operation
//
//   Keys lie in the order of a hash of theirs, so that ranges of equal width hold about equally many. The hash
//   of a range is the sum of its keys' hashes, and so known from the sums up to its ends. The one that lacks
//   something asks with the hashes that it has itself, from the whole down; a range that differs is split in 16,
//   or taken, where little is in it. What wasn't taken is equal, so the asking one has it already: in the copy of
//   its own state from which it made the hashes. So it holds the other's whole state in the end, and merges that
//   as if all of it had come over the wire; what it sees in the meantime is merged like anything else.
//
//   (Range-based set reconciliation: Meyer, 2022, arXiv 2212.13567.)

/// The keys whose hash begins with the `depth` hexadecimal digits of `prefix`.
struct KeyRange: Hashable, Comparable, Sendable {
    static let depthMaximum: UInt8 = 16

    var depth: UInt8
    var prefix: UInt64

    static let whole = KeyRange(depth: 0, prefix: 0)

    private var shift: UInt64 { UInt64(16 - min(depth, 16)) * 4 }

    var first: UInt64 { depth == 0 ? 0 : prefix << shift }
    var last: UInt64 { depth == 0 ? .max : first | ((1 << shift) &- 1) }

    var parts: [KeyRange] {
        (0..<16).map { KeyRange(depth: depth + 1, prefix: prefix << 4 | $0) }
    }

    static func < (left: KeyRange, right: KeyRange) -> Bool {
        left.first != right.first ? left.first < right.first : left.depth < right.depth
    }

    static func hash(of key: ByteString) -> UInt64 {
        var hash = StableHash()
        hash.combine(key.bytes)
        return hash.value
    }
}

/// A copy of a store, and the hashes of its ranges.
struct StateRanges: Sendable {
    /// So many keys are sent rather than compared further.
    static let takenMaximum = 8

    let store: ReplicatedStore
    private let keys: [(hash: UInt64, key: ByteString)]
    /// The sum of the hashes of so many keys from the first.
    private let sums: [UInt64]

    init(_ store: ReplicatedStore) {
        self.store = store
        var keys = store.entries.keys.map { (hash: KeyRange.hash(of: $0), key: $0) }
        keys.sort { $0.hash != $1.hash ? $0.hash < $1.hash : $0.key < $1.key }
        var sums: [UInt64] = [0]
        sums.reserveCapacity(keys.count + 1)
        var sum: UInt64 = 0
        for (_, key) in keys {
            if let entry = store.entries[key] { sum &+= store.hash(of: entry, key, withHollow: true) }
            sums.append(sum)
        }
        (self.keys, self.sums) = (keys, sums)
    }

    private func places(of range: KeyRange) -> Range<Int> {
        let start = place(of: range.first)
        return start..<(range.last == .max ? keys.count : place(of: range.last &+ 1))
    }

    /// Of the first key whose hash isn't lower.
    private func place(of hash: UInt64) -> Int {
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if keys[middle].hash < hash { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func count(in range: KeyRange) -> Int { places(of: range).count }

    func hash(of range: KeyRange) -> UInt64 {
        let places = places(of: range)
        return sums[places.upperBound] &- sums[places.lowerBound]
    }

    func keys(in range: KeyRange) -> [ByteString] { places(of: range).map { keys[$0].key } }

    func answer(_ question: RangeQuestion) -> RangeAnswer {
        guard let hash = question.hash else { return .taken }
        let places = places(of: question.range)
        if sums[places.upperBound] &- sums[places.lowerBound] == hash { return .equal }
        return places.count <= StateRanges.takenMaximum || question.range.depth >= KeyRange.depthMaximum
            ? .taken : .split
    }
}

struct RangeQuestion: Hashable, Sendable {
    var range: KeyRange
    /// Nil: all of the range is wanted.
    var hash: UInt64?
}

enum RangeAnswer: UInt8, Hashable, Sendable {
    case equal = 0
    case split, taken
}

/// The side that lacks something, until it knows what.
struct RangeComparison: Sendable {
    /// Of one message.
    static let questionsMaximum = 3_000

    let own: StateRanges
    private(set) var round: UInt64 = 0
    private(set) var asked: [RangeQuestion] = []
    private var waiting: [KeyRange] = [.whole]
    private(set) var taken: [KeyRange] = []

    init(_ own: StateRanges) {
        self.own = own
        ask()
    }

    /// Every question is answered.
    var isFinished: Bool { asked.isEmpty }

    private mutating func ask() {
        let isTooFine = taken.count + waiting.count > Limits.reconciledRangesMaximum
        asked = waiting.prefix(RangeComparison.questionsMaximum).map { range in
            let isAllWanted = isTooFine || own.count(in: range) == 0
            return RangeQuestion(range: range, hash: isAllWanted ? nil : own.hash(of: range))
        }
        waiting.removeFirst(asked.count)
        round += 1
    }

    /// - Returns: Whether they answer what was asked.
    mutating func receive(_ answers: [RangeAnswer], round: UInt64) -> Bool {
        guard round == self.round, answers.count == asked.count, !isFinished else { return false }
        for (question, answer) in zip(asked, answers) {
            switch answer {
            case .equal: break
            case .taken: taken.append(question.range)
            case .split:
                // Finer than that there is nothing.
                guard question.range.depth < KeyRange.depthMaximum else { return false }
                waiting += question.range.parts
            }
        }
        ask()
        return true
    }

    /// What of the other's state isn't sent, since it is equal to one's own.
    func held() -> HeldState { HeldState(own: own.store, taken: taken.sorted()) }
}

struct HeldState: Sendable {
    let own: ReplicatedStore
    /// Sorted, and apart from each other.
    let taken: [KeyRange]

    func entry(of key: ByteString) -> Entry? {
        guard let entry = own.entries[key], !isTaken(key) else { return nil }
        return entry
    }

    private func isTaken(_ key: ByteString) -> Bool {
        let hash = KeyRange.hash(of: key)
        var (low, high) = (0, taken.count)
        while low < high {
            let middle = (low + high) / 2
            if taken[middle].first <= hash { low = middle + 1 } else { high = middle }
        }
        return low > 0 && taken[low - 1].last >= hash
    }
}
