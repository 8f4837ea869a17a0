// Sorted sets: members and their scores (t_zset.c).

extension Keyspace {
    mutating func sortedToRead(_ key: ByteString) throws(CommandError) -> SortedObject? {
        guard let index = findToRead(key) else { return nil }
        guard case .sorted(let object) = value(at: index) else { throw .wrongType }
        return object
    }

    mutating func sortedToChange(
        _ key: ByteString
    ) throws(CommandError) -> (index: Int, object: SortedObject)? {
        guard let index = find(key) else { return nil }
        guard case .sorted(let object) = value(at: index) else { throw .wrongType }
        return (index, object)
    }

    // MARK: ZADD

    private struct AddOptions {
        var (nx, xx, gt, lt, counts, adds) = (false, false, false, false, false, false)

        mutating func take(_ word: ByteString) -> Bool {
            if word.isWord("nx") {
                nx = true
            } else if word.isWord("xx") {
                xx = true
            } else if word.isWord("gt") {
                gt = true
            } else if word.isWord("lt") {
                lt = true
            } else if word.isWord("ch") {
                counts = true
            } else if word.isWord("incr") {
                adds = true
            } else {
                return false
            }
            return true
        }
    }

    mutating func addScores() throws(CommandError) {
        var options = AddOptions()
        var first = 2
        while first < arguments.count, options.take(arguments[first]) { first += 1 }
        try addScores(options, from: first)
    }

    mutating func increaseScore() throws(CommandError) {
        var options = AddOptions()
        options.adds = true
        try addScores(options, from: 2)
    }

    private mutating func addScores(_ options: AddOptions, from first: Int) throws(CommandError) {
        let count = arguments.count - first
        guard count > 0, count % 2 == 0 else { throw .syntax }
        if options.nx, options.xx {
            throw CommandError("XX and NX options at the same time are not compatible")
        }
        if options.nx && (options.gt || options.lt) || options.gt && options.lt {
            throw CommandError("GT, LT, and/or NX options at the same time are not compatible")
        }
        if options.adds, count > 2 {
            throw CommandError("INCR option supports a single increment-element pair")
        }
        var scores: [Double] = []
        for place in stride(from: first, to: arguments.count, by: 2) { scores.append(try double(place)) }

        let key = arguments[1]
        let found = try sortedToChange(key)
        if found == nil, options.xx {
            return options.adds ? reply.null() : reply.integer(0)
        }
        var (new, updated) = (0, 0)
        var outcome = AddOutcome.nothing
        let object = found?.object ?? SortedObject(hash: hash)
        if found == nil { add(key, .sorted(object)) }
        for (step, score) in scores.enumerated() {
            outcome = addScore(score, arguments[first + step * 2 + 1], to: object, key, options)
            switch outcome {
            case .added: new += 1
            case .updated: updated += 1
            case .notANumber:
                throw CommandError("resulting score is not a number (NaN)")
            case .nothing, .same: break
            }
        }
        if new + updated > 0 {
            if let index = find(key) { changed(at: index) }
            noteReady(key)
            notify(.sorted, options.adds ? "zincr" : "zadd", key)
        }
        guard options.adds else { return reply.integer(options.counts ? new + updated : new) }
        switch outcome {
        case .added(let score), .updated(let score), .same(let score): reply.double(score)
        case .nothing, .notANumber: reply.null()
        }
    }

    private enum AddOutcome {
        case added(Double)
        case updated(Double)
        case same(Double)
        case nothing, notANumber
    }

    private mutating func addScore(
        _ score: Double, _ member: ByteString, to object: SortedObject, _ key: ByteString,
        _ options: AddOptions
    ) -> AddOutcome {
        guard let old = object.score(of: member) else {
            if options.xx { return .nothing }
            object.set(member, score, limits: settings)
            record(score, of: member, key, options)
            return .added(score)
        }
        if options.nx { return .nothing }
        let new = options.adds ? old + score : score
        if new.isNaN { return .notANumber }
        if options.lt, new >= old { return .nothing }
        if options.gt, new <= old { return .nothing }
        if new == old { return .same(new) }
        object.set(member, new, limits: settings)
        record(score, of: member, key, options)
        return .updated(new)
    }

    private mutating func record(
        _ score: Double, of member: ByteString, _ key: ByteString, _ options: AddOptions
    ) {
        record(
            options.adds
                ? .addToScore(stored(key), member: member, score)
                : .setScore(stored(key), member: member, score))
    }

    // MARK: Removing

    mutating func removeScored() throws(CommandError) {
        let key = arguments[1]
        guard let (index, object) = try sortedToChange(key) else { return reply.integer(0) }
        var count = 0
        for place in 2..<arguments.count where object.remove(arguments[place]) {
            record(.removeScored(stored(key), member: arguments[place]))
            count += 1
        }
        if count > 0 {
            notify(.sorted, "zrem", key)
            settle(key, at: index, isEmpty: object.count == 0)
        }
        reply.integer(count)
    }

    mutating func popScores(highest: Bool) throws(CommandError) {
        guard arguments.count <= 3 else { throw .syntax }
        let count = arguments.count == 3 ? Int(try positive(2)) : nil
        let key = arguments[1]
        guard let (index, object) = try sortedToChange(key) else { return reply.emptyArray() }
        if count == 0 { return reply.emptyArray() }
        let taken = min(count ?? 1, object.count)
        let nested = reply.isRESP3 && count != nil
        reply.array(nested ? taken : taken * 2)
        popScores(key, at: index, object, highest: highest, count: taken, nested: nested)
    }

    /// Removes members from an end, and writes each with its score.
    mutating func popScores(
        _ key: ByteString, at index: Int, _ object: SortedObject, highest: Bool, count: Int, nested: Bool
    ) {
        for _ in 0..<min(count, object.count) {
            let (score, member) = object.tree[highest ? object.count - 1 : 0]
            _ = object.remove(member)
            record(.removeScored(stored(key), member: member))
            if nested { reply.array(2) }
            reply.bulk(member)
            reply.double(score)
        }
        notify(.sorted, highest ? "zpopmax" : "zpopmin", key)
        settle(key, at: index, isEmpty: object.count == 0)
    }

    mutating func waitToPopScore(highest: Bool) throws(CommandError) {
        let timeout = try timeout(arguments.count - 1)
        let keys = Array(arguments[1..<arguments.count - 1])
        for key in keys {
            guard let (index, object) = try sortedToChange(key) else { continue }
            reply.array(3)
            reply.bulk(key)
            return popScores(key, at: index, object, highest: highest, count: 1, nested: false)
        }
        guard mayWait else { return reply.nullArray() }
        wait = Wait(keys: keys, purpose: .popScore(highest: highest), timeout: timeout)
    }

    /// ZMPOP, and BZMPOP where `first` is 2: the place of the number of keys.
    mutating func popScoresFromFirst(countAt first: Int) throws(CommandError) {
        let number = try count(first, atLeast: 1, or: "numkeys should be greater than 0")
        guard number < arguments.count, first + number + 1 < arguments.count else { throw .syntax }
        let end = arguments[first + number + 1]
        guard end.isWord("min") || end.isWord("max") else { throw .syntax }
        let wanted = try popCount(from: first + number + 2)
        let timeout = first == 2 ? try timeout(1) : 0
        let keys = Array(arguments[first + 1...first + number])
        for key in keys {
            guard let (index, object) = try sortedToChange(key) else { continue }
            reply.array(2)
            reply.bulk(key)
            reply.array(min(wanted, object.count))
            return popScores(
                key, at: index, object, highest: end.isWord("max"), count: wanted, nested: true)
        }
        guard first == 2, mayWait else { return reply.nullArray() }
        let purpose = Wait.Purpose.popScores(highest: end.isWord("max"), count: wanted)
        wait = Wait(keys: keys, purpose: purpose, timeout: timeout)
    }

    // MARK: Reading

    mutating func countScored() throws(CommandError) {
        reply.integer(try sortedToRead(arguments[1])?.count ?? 0)
    }

    mutating func score() throws(CommandError) {
        guard let score = try sortedToRead(arguments[1])?.score(of: arguments[2]) else {
            return reply.null()
        }
        reply.double(score)
    }

    mutating func scores() throws(CommandError) {
        let object = try sortedToRead(arguments[1])
        reply.array(arguments.count - 2)
        for place in 2..<arguments.count {
            if let score = object?.score(of: arguments[place]) { reply.double(score) } else { reply.null() }
        }
    }

    mutating func rank(fromHighest: Bool) throws(CommandError) {
        guard let object = try sortedToRead(arguments[1]), let score = object.score(of: arguments[2]) else {
            return reply.null()
        }
        let rank = object.tree.rank(of: arguments[2], score: score)
        reply.integer(fromHighest ? object.count - 1 - rank : rank)
    }

    mutating func anyScored() throws(CommandError) {
        guard arguments.count > 2 else {
            guard let object = try sortedToRead(arguments[1]) else { return reply.null() }
            return reply.bulk(object.table[dice.below(object.count)].key)
        }
        let (count, withScores) = try sampleCount(option: "withscores")
        guard let table = try sortedToRead(arguments[1])?.table else { return reply.emptyArray() }
        let sample = sample(count, of: table.count)
        let nested = withScores && reply.isRESP3
        reply.array(withScores && !nested ? sample.count * 2 : sample.count)
        for index in sample {
            if nested { reply.array(2) }
            reply.bulk(table[index].key)
            if withScores { reply.double(table[index].value) }
        }
    }
}
