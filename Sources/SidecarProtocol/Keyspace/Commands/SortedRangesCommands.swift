// ZRANGE and its relatives: by rank, by score, by name (t_zset.c).

/// Scores from … to …, each itself in or out.
struct ScoreBounds {
    var (low, high) = (0.0, 0.0)
    var (isLowOpen, isHighOpen) = (false, false)

    init?(_ low: ByteString, _ high: ByteString) {
        guard let a = ScoreBounds.bound(low), let b = ScoreBounds.bound(high) else { return nil }
        (self.low, isLowOpen) = a
        (self.high, isHighOpen) = b
    }

    private static func bound(_ text: ByteString) -> (Double, Bool)? {
        let isOpen = text.bytes.first == UInt8(ascii: "(")
        let digits = isOpen ? ByteString(Array(text.bytes.dropFirst())) : text
        // Nothing is zero to C's strtod.
        if digits.count == 0 { return (0, isOpen) }
        // Unlike a score, a bound may overflow.
        if let value = digits.double { return (value, isOpen) }
        guard let value = digits.bytes.withUnsafeBytes({ DecimalText.spelled($0).flatMap { Double($0) } }),
            !value.isNaN
        else { return nil }
        return (value, isOpen)
    }

    func ranks(in tree: ScoreTree) -> Range<Int> {
        let start = tree.countBefore { score, _ in isLowOpen ? score <= low : score < low }
        let end = tree.countBefore { score, _ in isHighOpen ? score < high : score <= high }
        return start < end ? start..<end : 0..<0
    }
}

/// Members from … to …, in the order of their bytes.
struct NameBounds {
    private enum Bound {
        case least, greatest
        case name(ByteString, isOpen: Bool)
    }
    private let (low, high): (Bound, Bound)

    init?(_ low: ByteString, _ high: ByteString) {
        guard let a = NameBounds.bound(low), let b = NameBounds.bound(high) else { return nil }
        (self.low, self.high) = (a, b)
    }

    private static func bound(_ text: ByteString) -> Bound? {
        let name = ByteString(Array(text.bytes.dropFirst()))
        switch text.bytes.first {
        case UInt8(ascii: "-"): return text.count == 1 ? .least : nil
        case UInt8(ascii: "+"): return text.count == 1 ? .greatest : nil
        case UInt8(ascii: "("): return .name(name, isOpen: true)
        case UInt8(ascii: "["): return .name(name, isOpen: false)
        default: return nil
        }
    }

    func ranks(in tree: ScoreTree) -> Range<Int> {
        let start =
            switch low {
            case .least: 0
            case .greatest: tree.count
            case .name(let name, let isOpen):
                tree.countBefore { _, member in isOpen ? !(name < member) : member < name }
            }
        let end =
            switch high {
            case .least: 0
            case .greatest: tree.count
            case .name(let name, let isOpen):
                tree.countBefore { _, member in isOpen ? member < name : !(name < member) }
            }
        return start < end ? start..<end : 0..<0
    }
}

extension Keyspace {
    /// By what the names of its commands say.
    enum RangeKind: String {
        case rank, score
        case name = "lex"
    }

    private struct RangeOptions {
        var kind: RangeKind?
        var reversed: Bool?
        var withScores = false
        var offset: Int64 = 0
        var limit: Int64 = -1
    }

    /// ZRANGE and what it replaces. `first`: the place of the key; `stores`: ZRANGESTORE.
    mutating func scoredRange(
        _ kind: RangeKind? = nil, reversed: Bool? = nil, first: Int = 1, stores: Bool = false
    ) throws(CommandError) {
        var options = RangeOptions(kind: kind, reversed: reversed)
        try readRangeOptions(&options, from: first + 3, stores: stores)
        let (kind, isReversed) = (options.kind ?? .rank, options.reversed ?? false)
        if options.limit != -1, kind == .rank {
            throw CommandError(
                "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
        }
        if options.withScores, kind == .name {
            throw CommandError("syntax error, WITHSCORES not supported in combination with BYLEX")
        }
        let (low, high) = isReversed && kind != .rank ? (first + 2, first + 1) : (first + 1, first + 2)
        let bounds = try rangeBounds(kind, low, high)
        guard let object = try sortedToRead(arguments[first]) else {
            if stores { storeRange([]) } else { reply.emptyArray() }
            return
        }
        let ranks = ranks(bounds, isReversed, options, object)
        var found: [(Double, ByteString)] = []
        object.tree.forEach(in: ranks) { found.append(($0, $1)) }
        if isReversed { found.reverse() }
        if stores { return storeRange(found) }
        write(found, withScores: options.withScores)
    }

    private func readRangeOptions(
        _ options: inout RangeOptions, from start: Int, stores: Bool
    ) throws(CommandError) {
        let (given, direction) = (options.kind, options.reversed)
        var place = start
        while place < arguments.count {
            let word = arguments[place]
            if !stores, word.isWord("withscores") {
                options.withScores = true
            } else if word.isWord("limit"), place + 2 < arguments.count {
                options.offset = try integer(place + 1)
                options.limit = try integer(place + 2)
                place += 2
            } else if direction == nil, options.reversed == nil, word.isWord("rev") {
                options.reversed = true
            } else if given == nil, options.kind == nil, word.isWord("bylex") {
                options.kind = .name
            } else if given == nil, options.kind == nil, word.isWord("byscore") {
                options.kind = .score
            } else {
                throw .syntax
            }
            place += 1
        }
    }

    private enum Bounds {
        case ranks(Int64, Int64)
        case scores(ScoreBounds)
        case names(NameBounds)
    }

    private func rangeBounds(_ kind: RangeKind, _ low: Int, _ high: Int) throws(CommandError) -> Bounds {
        switch kind {
        case .rank: return .ranks(try integer(low), try integer(high))
        case .score: return .scores(try scoreBounds(low, high))
        case .name: return .names(try nameBounds(low, high))
        }
    }

    private func scoreBounds(_ low: Int, _ high: Int) throws(CommandError) -> ScoreBounds {
        guard let bounds = ScoreBounds(arguments[low], arguments[high]) else {
            throw CommandError("min or max is not a float")
        }
        return bounds
    }

    private func nameBounds(_ low: Int, _ high: Int) throws(CommandError) -> NameBounds {
        guard let bounds = NameBounds(arguments[low], arguments[high]) else {
            throw CommandError("min or max not valid string range item")
        }
        return bounds
    }

    /// The ranks that are asked for, counted from the lowest score.
    private func ranks(
        _ bounds: Bounds, _ isReversed: Bool, _ options: RangeOptions, _ object: SortedObject
    ) -> Range<Int> {
        var ranks: Range<Int>
        switch bounds {
        case .ranks(let start, let end):
            ranks = Keyspace.range(start, end, count: object.count) ?? 0..<0
            let count = object.count
            return isReversed && !ranks.isEmpty ? count - ranks.upperBound..<count - ranks.lowerBound : ranks
        case .scores(let scores): ranks = scores.ranks(in: object.tree)
        case .names(let names): ranks = names.ranks(in: object.tree)
        }
        guard options.offset >= 0, options.offset < ranks.count else { return 0..<0 }
        let left = ranks.count - Int(options.offset)
        let taken = options.limit < 0 ? left : min(left, Int(options.limit))
        let start = ranks.lowerBound + Int(options.offset)
        let end = ranks.upperBound - Int(options.offset)
        return isReversed ? end - taken..<end : start..<start + taken
    }

    /// Members in an array, with scores in pairs of their own where RESP3 is spoken.
    mutating func write(_ found: [(Double, ByteString)], withScores: Bool) {
        let nested = withScores && reply.isRESP3
        reply.array(withScores && !nested ? found.count * 2 : found.count)
        for (score, member) in found {
            if nested { reply.array(2) }
            reply.bulk(member)
            if withScores { reply.double(score) }
        }
    }

    private mutating func storeRange(_ found: [(Double, ByteString)]) {
        let result = SortedObject(hash: hash)
        for (score, member) in found { result.set(member, score, limits: settings) }
        if replaceWhole(.sorted(result), under: arguments[1], isEmpty: found.isEmpty) {
            notify(.sorted, "zrangestore", arguments[1])
        }
        reply.integer(found.count)
    }

    // MARK: Counting and removing

    mutating func countRange(_ kind: RangeKind) throws(CommandError) {
        let bounds = try rangeBounds(kind, 2, 3)
        guard let object = try sortedToRead(arguments[1]) else { return reply.integer(0) }
        reply.integer(ranks(bounds, false, RangeOptions(), object).count)
    }

    mutating func removeRange(_ kind: RangeKind) throws(CommandError) {
        let bounds = try rangeBounds(kind, 2, 3)
        let key = arguments[1]
        guard let (index, object) = try sortedToChange(key) else { return reply.integer(0) }
        var members: [ByteString] = []
        object.tree.forEach(in: ranks(bounds, false, RangeOptions(), object)) { members.append($1) }
        for member in members {
            _ = object.remove(member)
            record(.removeScored(stored(key), member: member))
        }
        if !members.isEmpty {
            notify(.sorted, "zremrangeby\(kind.rawValue)", key)
            settle(key, at: index, isEmpty: object.count == 0)
        }
        reply.integer(members.count)
    }
}
