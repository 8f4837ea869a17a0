// Hashes (t_hash.c).

extension Keyspace {
    // MARK: Finding

    /// The hash of a key, for a command that reads it.
    private mutating func hashToRead(_ key: ByteString) throws(CommandError) -> HashObject? {
        guard let index = findToRead(key) else { return nil }
        guard case .hash(let object) = value(at: index) else { throw .wrongType }
        return object
    }

    private mutating func hashToChange(
        _ key: ByteString
    ) throws(CommandError) -> (index: Int, object: HashObject)? {
        guard let index = find(key) else { return nil }
        guard case .hash(let object) = value(at: index) else { throw .wrongType }
        return (index, object)
    }

    private mutating func hashToFill(
        _ key: ByteString
    ) throws(CommandError) -> (index: Int, object: HashObject) {
        if let found = try hashToChange(key) { return found }
        let object = HashObject(hash: hash)
        return (add(key, .hash(object)), object)
    }

    // MARK: Writing

    mutating func setFields(repliesOK: Bool) throws(CommandError) {
        guard arguments.count % 2 == 0 else { throw .arity(commandName) }
        let key = arguments[1]
        let (index, object) = try hashToFill(key)
        var new = 0
        for place in stride(from: 2, to: arguments.count, by: 2) {
            let (field, value) = (arguments[place], arguments[place + 1])
            if object.set(field, value, limits: settings) { new += 1 }
            record(.setField(stored(key), field: field, value))
        }
        changed(at: index)
        notify(.hash, "hset", key)
        if repliesOK { reply.ok() } else { reply.integer(new) }
    }

    mutating func setNewField() throws(CommandError) {
        let (key, field, value) = (arguments[1], arguments[2], arguments[3])
        let (index, object) = try hashToFill(key)
        guard object.table.index(of: field) == nil else { return reply.integer(0) }
        object.set(field, value, limits: settings)
        record(.setField(stored(key), field: field, value))
        changed(at: index)
        notify(.hash, "hset", key)
        reply.integer(1)
    }

    mutating func deleteFields() throws(CommandError) {
        let key = arguments[1]
        guard let (index, object) = try hashToChange(key) else { return reply.integer(0) }
        var count = 0
        for place in 2..<arguments.count where object.remove(arguments[place]) {
            record(.removeField(stored(key), field: arguments[place]))
            count += 1
        }
        if count > 0 {
            notify(.hash, "hdel", key)
            settle(key, at: index, isEmpty: object.table.isEmpty)
        }
        reply.integer(count)
    }

    mutating func increaseField() throws(CommandError) {
        let amount = try integer(3)
        let (key, field) = (arguments[1], arguments[2])
        let found = try hashToChange(key)
        var old: Int64 = 0
        if let text = found?.object.table[field] {
            guard let number = text.integer else { throw CommandError("hash value is not an integer") }
            old = number
        }
        let (sum, over) = old.addingReportingOverflow(amount)
        if over { throw .overflow }
        let (index, object) = try hashToFill(key)
        object.set(field, ByteString(DecimalText.bytes(of: sum)), limits: settings)
        record(.addToField(stored(key), field: field, amount))
        changed(at: index)
        notify(.hash, "hincrby", key)
        reply.integer(sum)
    }

    mutating func increaseFieldByFloat() throws(CommandError) {
        guard let amount = ExtendedDouble(arguments[3]) else { throw .notFloat }
        guard amount.isFinite else { throw CommandError("value is NaN or Infinity") }
        let (key, field) = (arguments[1], arguments[2])
        let found = try hashToChange(key)
        var old = ExtendedDouble.zero
        if let text = found?.object.table[field] {
            guard let number = ExtendedDouble(text) else { throw CommandError("hash value is not a float") }
            old = number
        }
        let sum = old + amount
        guard sum.isFinite else { throw .notFinite }
        let (index, object) = try hashToFill(key)
        object.set(field, sum.text, limits: settings)
        record(.setField(stored(key), field: field, sum.text))
        changed(at: index)
        notify(.hash, "hincrbyfloat", key)
        reply.bulk(sum.text)
    }

    // MARK: Reading

    mutating func getField() throws(CommandError) {
        guard let value = try hashToRead(arguments[1])?.table[arguments[2]] else { return reply.null() }
        reply.bulk(value)
    }

    mutating func getFields() throws(CommandError) {
        let object = try hashToRead(arguments[1])
        reply.array(arguments.count - 2)
        for place in 2..<arguments.count {
            if let value = object?.table[arguments[place]] { reply.bulk(value) } else { reply.null() }
        }
    }

    mutating func allFields(names: Bool, values: Bool) throws(CommandError) {
        guard let table = try hashToRead(arguments[1])?.table else {
            return names && values ? reply.map(0) : reply.emptyArray()
        }
        if names && values { reply.map(table.count) } else { reply.array(table.count) }
        for index in 0..<table.count {
            if names { reply.bulk(table[index].key) }
            if values { reply.bulk(table[index].value) }
        }
    }

    mutating func countFields() throws(CommandError) {
        reply.integer(try hashToRead(arguments[1])?.table.count ?? 0)
    }

    mutating func hasField() throws(CommandError) {
        let has = try hashToRead(arguments[1])?.table.index(of: arguments[2]) != nil
        reply.integer(has ? 1 : 0)
    }

    mutating func fieldLength() throws(CommandError) {
        reply.integer(try hashToRead(arguments[1])?.table[arguments[2]]?.count ?? 0)
    }

    mutating func anyFields() throws(CommandError) {
        guard arguments.count > 2 else {
            guard let table = try hashToRead(arguments[1])?.table else { return reply.null() }
            return reply.bulk(table[dice.below(table.count)].key)
        }
        let (count, withValues) = try sampleCount(option: "withvalues")
        guard let table = try hashToRead(arguments[1])?.table else { return reply.emptyArray() }
        let sample = sample(count, of: table.count)
        if withValues, reply.isRESP3 {
            reply.array(sample.count)
        } else {
            reply.array(withValues ? sample.count * 2 : sample.count)
        }
        for index in sample {
            if withValues, reply.isRESP3 { reply.array(2) }
            reply.bulk(table[index].key)
            if withValues { reply.bulk(table[index].value) }
        }
    }

    // MARK: Drawing

    /// The count of HRANDFIELD and ZRANDMEMBER, and whether their option is given.
    func sampleCount(option: StaticString) throws(CommandError) -> (Int, Bool) {
        let count = try integer(2, in: -Int64.max...Int64.max)
        guard arguments.count <= 4, arguments.count < 4 || arguments[3].isWord(option) else {
            throw .syntax
        }
        if arguments.count == 4, count < -(Int64.max / 2) || count > Int64.max / 2 {
            throw CommandError("value is out of range")
        }
        return (Int(try sampleBound(count)), arguments.count == 4)
    }

    /// A reply of so many elements has to be bounded by something.
    func sampleBound(_ count: Int64) throws(CommandError) -> Int64 {
        guard count >= -Int64(Limits.stateSampleMaximum) else {
            throw CommandError("value is out of range")
        }
        return count
    }

    /// Indices below `total`: `count` different ones, or, of a negative count, as many with repetition.
    mutating func sample(_ count: Int, of total: Int) -> [Int] {
        guard total > 0 else { return [] }
        if count < 0 { return (0..<(0 - count)).map { _ in dice.below(total) } }
        if count >= total { return Array(0..<total) }
        // Floyd's: each index below `total` is as likely.
        if count < total / 4 {
            var seen = Set<Int>()
            var chosen: [Int] = []
            for last in (total - count)..<total {
                let index = dice.below(last + 1)
                let fresh = seen.insert(index).inserted ? index : last
                if fresh == last { seen.insert(last) }
                chosen.append(fresh)
            }
            return chosen
        }
        var all = Array(0..<total)
        for place in 0..<count { all.swapAt(place, place + dice.below(total - place)) }
        return Array(all[..<count])
    }
}
