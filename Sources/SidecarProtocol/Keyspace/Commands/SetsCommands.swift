// Sets (t_set.c).

extension Keyspace {
    private mutating func setToRead(_ key: ByteString) throws(CommandError) -> SetObject? {
        guard let index = findToRead(key) else { return nil }
        guard case .set(let object) = value(at: index) else { throw .wrongType }
        return object
    }

    private mutating func setToChange(
        _ key: ByteString
    ) throws(CommandError) -> (index: Int, object: SetObject)? {
        guard let index = find(key) else { return nil }
        guard case .set(let object) = value(at: index) else { throw .wrongType }
        return (index, object)
    }

    private mutating func setToFill(
        _ key: ByteString
    ) throws(CommandError) -> (index: Int, object: SetObject) {
        if let found = try setToChange(key) { return found }
        let object = SetObject(hash: hash)
        return (add(key, .set(object)), object)
    }

    // MARK: Members

    mutating func addMembers() throws(CommandError) {
        let key = arguments[1]
        let (index, object) = try setToFill(key)
        var count = 0
        for place in 2..<arguments.count where object.add(arguments[place], limits: settings) {
            record(.addMember(stored(key), arguments[place]))
            count += 1
        }
        if count > 0 {
            changed(at: index)
            notify(.set, "sadd", key)
        }
        reply.integer(count)
    }

    mutating func removeMembers() throws(CommandError) {
        let key = arguments[1]
        guard let (index, object) = try setToChange(key) else { return reply.integer(0) }
        var count = 0
        for place in 2..<arguments.count where object.remove(arguments[place]) {
            record(.removeMember(stored(key), arguments[place]))
            count += 1
        }
        if count > 0 {
            notify(.set, "srem", key)
            settle(key, at: index, isEmpty: object.count == 0)
        }
        reply.integer(count)
    }

    mutating func moveMember() throws(CommandError) {
        let (source, target, member) = (arguments[1], arguments[2], arguments[3])
        guard let (_, object) = try setToChange(source) else { return reply.integer(0) }
        let other = try setToChange(target)
        if other?.object === object { return reply.integer(object.contains(member) ? 1 : 0) }
        guard object.remove(member) else { return reply.integer(0) }
        record(.removeMember(stored(source), member))
        notify(.set, "srem", source)
        if let index = find(source) { settle(source, at: index, isEmpty: object.count == 0) }
        let (index, filled) = try setToFill(target)
        if filled.add(member, limits: settings) {
            record(.addMember(stored(target), member))
            changed(at: index)
            notify(.set, "sadd", target)
        }
        reply.integer(1)
    }

    mutating func isMember() throws(CommandError) {
        let has = try setToRead(arguments[1])?.contains(arguments[2]) ?? false
        reply.integer(has ? 1 : 0)
    }

    mutating func areMembers() throws(CommandError) {
        let object = try setToRead(arguments[1])
        reply.array(arguments.count - 2)
        for place in 2..<arguments.count {
            reply.integer(object?.contains(arguments[place]) == true ? 1 : 0)
        }
    }

    mutating func countMembers() throws(CommandError) {
        reply.integer(try setToRead(arguments[1])?.count ?? 0)
    }

    mutating func members() throws(CommandError) {
        guard let object = try setToRead(arguments[1]) else { return reply.set(0) }
        write(object)
    }

    private mutating func write(_ set: SetObject) {
        reply.set(set.count)
        for index in 0..<set.count { reply.bulk(set[index]) }
    }

    // MARK: Drawing

    mutating func popMembers() throws(CommandError) {
        guard arguments.count <= 3 else { throw .syntax }
        let key = arguments[1]
        let count = arguments.count == 3 ? try positive(2) : nil
        guard let (index, object) = try setToChange(key) else {
            return count == nil ? reply.null() : reply.set(0)
        }
        if count == 0 { return reply.set(0) }
        if let count, count >= object.count {
            write(object)
            if isRecording { object.visit { record(.removeMember(stored(key), $0)) } }
            notify(.set, "spop", key)
            return settle(key, at: index, isEmpty: true)
        }
        let taken = Int(count ?? 1)
        if count != nil { reply.set(taken) }
        for _ in 0..<taken {
            let member = object[dice.below(object.count)]
            _ = object.remove(member)
            record(.removeMember(stored(key), member))
            reply.bulk(member)
        }
        notify(.set, "spop", key)
        settle(key, at: index, isEmpty: object.count == 0)
    }

    mutating func anyMembers() throws(CommandError) {
        guard arguments.count <= 3 else { throw .syntax }
        guard arguments.count == 3 else {
            guard let object = try setToRead(arguments[1]) else { return reply.null() }
            return reply.bulk(object[dice.below(object.count)])
        }
        let count = Int(try sampleBound(try integer(2, in: -Int64.max...Int64.max)))
        guard let object = try setToRead(arguments[1]) else { return reply.emptyArray() }
        let sample = sample(count, of: object.count)
        reply.array(sample.count)
        for index in sample { reply.bulk(object[index]) }
    }

    // MARK: Several sets

    /// By what the names of its commands say.
    enum SetOperation: String {
        case union
        case intersection = "inter"
        case difference = "diff"
    }

    private mutating func sets(_ range: Range<Int>) throws(CommandError) -> [SetObject?] {
        var sets: [SetObject?] = []
        for place in range { sets.append(try setToRead(arguments[place])) }
        return sets
    }

    /// A new set, or one of the operands where it is the result.
    private func combined(_ operation: SetOperation, _ sets: [SetObject?], limit: Int = .max) -> SetObject {
        let result = SetObject(hash: hash)
        switch operation {
        case .union:
            for set in sets { set?.visit { _ = result.add($0, limits: settings) } }
        case .intersection:
            let present = sets.compactMap { $0 }.sorted { $0.count < $1.count }
            guard present.count == sets.count, let least = present.first else { return result }
            for index in 0..<least.count where result.count < limit {
                let member = least[index]
                if present.dropFirst().allSatisfy({ $0 === least || $0.contains(member) }) {
                    _ = result.add(member, limits: settings)
                }
            }
        case .difference:
            guard let first = sets.first, let first else { return result }
            let others = sets.dropFirst().compactMap { $0 }
            if others.contains(where: { $0 === first }) { return result }
            for index in 0..<first.count {
                let member = first[index]
                if !others.contains(where: { $0.contains(member) }) {
                    _ = result.add(member, limits: settings)
                }
            }
        }
        return result
    }

    mutating func combineSets(_ operation: SetOperation) throws(CommandError) {
        write(combined(operation, try sets(1..<arguments.count)))
    }

    mutating func storeCombinedSets(_ operation: SetOperation) throws(CommandError) {
        let result = combined(operation, try sets(2..<arguments.count))
        if replaceWhole(.set(result), under: arguments[1], isEmpty: result.count == 0) {
            notify(.set, "s\(operation.rawValue)store", arguments[1])
        }
        reply.integer(result.count)
    }

    mutating func countIntersection() throws(CommandError) {
        let number = try count(1, atLeast: 1, or: "numkeys should be greater than 0")
        guard number <= arguments.count - 2 else {
            throw CommandError("Number of keys can't be greater than number of args")
        }
        var limit = 0
        var place = 2 + number
        while place < arguments.count {
            guard arguments[place].isWord("limit"), place + 1 < arguments.count else { throw .syntax }
            limit = try count(place + 1, atLeast: 0, or: "LIMIT can't be negative")
            place += 2
        }
        let sets = try sets(2..<2 + number)
        reply.integer(combined(.intersection, sets, limit: limit == 0 ? .max : limit).count)
    }

    /// Puts a result in the place of whatever the key held; an empty one leaves nothing there, and false is answered.
    mutating func replaceWhole(_ value: Value, under key: ByteString, isEmpty: Bool) -> Bool {
        let existed = delete(key)
        if isEmpty {
            if existed { notify(.generic, "del", key) }
        } else {
            put(value, under: key, expiry: Item.never, isNew: !existed)
        }
        return !isEmpty
    }
}
