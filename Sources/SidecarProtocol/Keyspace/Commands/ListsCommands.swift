// Lists (t_list.c), but for what waits.

extension Keyspace {
    private mutating func listToRead(_ key: ByteString) throws(CommandError) -> ListObject? {
        guard let index = findToRead(key) else { return nil }
        guard case .list(let object) = value(at: index) else { throw .wrongType }
        return object
    }

    mutating func listToChange(
        _ key: ByteString
    ) throws(CommandError) -> (index: Int, object: ListObject)? {
        guard let index = find(key) else { return nil }
        guard case .list(let object) = value(at: index) else { throw .wrongType }
        return (index, object)
    }

    // MARK: Pushing and popping

    mutating func push(_ end: ListEnd, onlyExisting: Bool) throws(CommandError) {
        let key = arguments[1]
        var found = try listToChange(key)
        if found == nil {
            if onlyExisting { return reply.integer(0) }
            let object = ListObject()
            found = (add(key, .list(object)), object)
        }
        guard let (index, object) = found else { return }
        let first = object.ring.count
        for place in 2..<arguments.count {
            if end == .left {
                object.ring.prepend(arguments[place])
            } else {
                object.ring.append(arguments[place])
            }
        }
        if isRecording {
            let pushed = Array(arguments[2...])
            let elements = end == .left ? pushed.reversed() : pushed
            record(.insertElements(stored(key), index: end == .left ? 0 : first, elements))
        }
        changed(at: index)
        noteReady(key)
        notifyPush(key, end)
        reply.integer(object.ring.count)
    }

    /// Adds one element, making the list where there is none.
    mutating func push(_ element: ByteString, to key: ByteString, _ end: ListEnd) throws(CommandError) {
        var found = try listToChange(key)
        if found == nil {
            let object = ListObject()
            found = (add(key, .list(object)), object)
        }
        guard let (index, object) = found else { return }
        record(.insertElements(stored(key), index: end == .left ? 0 : object.ring.count, [element]))
        if end == .left { object.ring.prepend(element) } else { object.ring.append(element) }
        changed(at: index)
        noteReady(key)
        notifyPush(key, end)
    }

    mutating func notifyPush(_ key: ByteString, _ end: ListEnd) {
        notify(.list, end == .left ? "lpush" : "rpush", key)
    }

    mutating func notifyPop(_ key: ByteString, _ end: ListEnd) {
        notify(.list, end == .left ? "lpop" : "rpop", key)
    }

    /// Takes one element of a list that has one.
    mutating func pop(_ key: ByteString, at index: Int, _ object: ListObject, _ end: ListEnd) -> ByteString {
        let element = take(key, object, end)
        notifyPop(key, end)
        settle(key, at: index, isEmpty: object.ring.isEmpty)
        return element
    }

    /// As `pop`, but an empty list stays, until it is settled.
    mutating func take(_ key: ByteString, _ object: ListObject, _ end: ListEnd) -> ByteString {
        record(
            .removeElements(stored(key), index: end == .left ? 0 : object.ring.count - 1, count: 1))
        return end == .left ? object.ring.popFirst() : object.ring.popLast()
    }

    /// Takes up to `count` elements, and writes them as an array.
    mutating func popMany(
        _ key: ByteString, at index: Int, _ object: ListObject, _ end: ListEnd, _ count: Int
    ) {
        let taken = min(count, object.ring.count)
        let first = end == .left ? 0 : object.ring.count - taken
        record(.removeElements(stored(key), index: first, count: taken))
        reply.array(taken)
        for _ in 0..<taken { reply.bulk(end == .left ? object.ring.popFirst() : object.ring.popLast()) }
        notifyPop(key, end)
        settle(key, at: index, isEmpty: object.ring.isEmpty)
    }

    mutating func pop(_ end: ListEnd) throws(CommandError) {
        guard arguments.count <= 3 else { throw .arity(commandName) }
        let count = arguments.count == 3 ? Int(try positive(2)) : nil
        guard let (index, object) = try listToChange(arguments[1]) else {
            return count == nil ? reply.null() : reply.nullArray()
        }
        guard let count else { return reply.bulk(pop(arguments[1], at: index, object, end)) }
        if count == 0 { return reply.emptyArray() }
        popMany(arguments[1], at: index, object, end, count)
    }

    // MARK: Reading

    mutating func listLength() throws(CommandError) {
        reply.integer(try listToRead(arguments[1])?.ring.count ?? 0)
    }

    mutating func elementAt() throws(CommandError) {
        guard let object = try listToRead(arguments[1]) else { return reply.null() }
        var place = try integer(2)
        if place < 0 { place = place &+ Int64(object.ring.count) }
        guard place >= 0, place < object.ring.count else { return reply.null() }
        reply.bulk(object.ring[Int(place)])
    }

    mutating func elementRange() throws(CommandError) {
        let (start, end) = (try integer(2), try integer(3))
        guard let object = try listToRead(arguments[1]),
            let range = Keyspace.range(start, end, count: object.ring.count)
        else { return reply.emptyArray() }
        reply.array(range.count)
        for place in range { reply.bulk(object.ring[place]) }
    }

    mutating func position() throws(CommandError) {
        let options = try positionOptions()
        guard let object = try listToRead(arguments[1]) else {
            return options.count == nil ? reply.null() : reply.emptyArray()
        }
        let (ring, element) = (object.ring, arguments[2])
        var found: [Int] = []
        // Of the least number Redis's negation is itself, which any match reaches.
        let rank = options.rank == .min ? 1 : options.rank.magnitude
        var matches: UInt64 = 0
        let length = options.longest == 0 ? ring.count : min(ring.count, Int(options.longest))
        for step in 0..<length {
            let place = options.rank > 0 ? step : ring.count - 1 - step
            guard ring[place] == element else { continue }
            matches += 1
            guard matches >= rank else { continue }
            found.append(place)
            if options.count == nil || options.count! > 0 && found.count >= options.count! { break }
        }
        if options.count == nil {
            if let first = found.first { reply.integer(first) } else { reply.null() }
        } else {
            reply.array(found.count)
            for place in found { reply.integer(place) }
        }
    }

    private func positionOptions() throws(CommandError) -> (rank: Int64, count: Int64?, longest: Int64) {
        var (rank, count, longest): (Int64, Int64?, Int64) = (1, nil, 0)
        var place = 3
        while place < arguments.count {
            guard place + 1 < arguments.count else { throw .syntax }
            if arguments[place].isWord("rank") {
                rank = try integer(place + 1)
                guard rank != 0 else {
                    throw CommandError(
                        "RANK can't be zero: use 1 to start from the first match, 2 from the second ... or "
                            + "use negative to start from the end of the list")
                }
            } else if arguments[place].isWord("count") {
                count = try rangedCount(place + 1, or: "COUNT can't be negative")
            } else if arguments[place].isWord("maxlen") {
                longest = try rangedCount(place + 1, or: "MAXLEN can't be negative")
            } else {
                throw .syntax
            }
            place += 2
        }
        return (rank, count, longest)
    }

    private func rangedCount(_ place: Int, or error: String) throws(CommandError) -> Int64 {
        Int64(try count(place, atLeast: 0, or: error))
    }

    // MARK: Changing

    mutating func setElement() throws(CommandError) {
        let key = arguments[1]
        guard let (index, object) = try listToChange(key) else { throw .noKey }
        var place = try integer(2)
        if place < 0 { place = place &+ Int64(object.ring.count) }
        guard place >= 0, place < object.ring.count else { throw .outOfRange }
        object.ring[Int(place)] = arguments[3]
        record(.setElement(stored(key), index: Int(place), arguments[3]))
        changed(at: index)
        notify(.list, "lset", key)
        reply.ok()
    }

    mutating func insertElement() throws(CommandError) {
        let isAfter = arguments[2].isWord("after")
        guard isAfter || arguments[2].isWord("before") else { throw .syntax }
        let key = arguments[1]
        guard let (index, object) = try listToChange(key) else { return reply.integer(0) }
        let pivot = arguments[3]
        guard let place = (0..<object.ring.count).first(where: { object.ring[$0] == pivot }) else {
            return reply.integer(-1)
        }
        let target = isAfter ? place + 1 : place
        object.ring.insert(arguments[4], at: target)
        record(.insertElements(stored(key), index: target, [arguments[4]]))
        changed(at: index)
        notify(.list, "linsert", key)
        reply.integer(object.ring.count)
    }

    mutating func removeElements() throws(CommandError) {
        let wanted = try integer(2)
        let (key, element) = (arguments[1], arguments[3])
        guard let (index, object) = try listToChange(key) else { return reply.integer(0) }
        var left = wanted == 0 ? UInt64.max : wanted.magnitude
        var places: [Int] = []
        for step in 0..<object.ring.count where left > 0 {
            let place = wanted < 0 ? object.ring.count - 1 - step : step
            if object.ring[place] == element {
                places.append(place)
                left -= 1
            }
        }
        // From the tail on, so that the places before stay what they are.
        for place in wanted < 0 ? places : places.reversed() {
            object.ring.remove(place..<place + 1)
            record(.removeElements(stored(key), index: place, count: 1))
        }
        if !places.isEmpty {
            notify(.list, "lrem", key)
            settle(key, at: index, isEmpty: object.ring.isEmpty)
        }
        reply.integer(places.count)
    }

    mutating func trim() throws(CommandError) {
        let (start, end) = (try integer(2), try integer(3))
        let key = arguments[1]
        guard let (index, object) = try listToChange(key) else { return reply.ok() }
        let count = object.ring.count
        let kept = Keyspace.range(start, end, count: count) ?? 0..<0
        if kept.upperBound < count {
            object.ring.remove(kept.upperBound..<count)
            record(.removeElements(stored(key), index: kept.upperBound, count: count - kept.upperBound))
        }
        if kept.lowerBound > 0 {
            object.ring.remove(0..<kept.lowerBound)
            record(.removeElements(stored(key), index: 0, count: kept.lowerBound))
        }
        notify(.list, "ltrim", key)
        settle(key, at: index, isEmpty: object.ring.isEmpty)
        reply.ok()
    }
}
