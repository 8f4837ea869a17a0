// LMOVE, LMPOP and the commands that wait for an element (t_list.c, blocked.c).

extension Keyspace {
    func listEnd(_ place: Int) throws(CommandError) -> ListEnd {
        if arguments[place].isWord("left") { return .left }
        if arguments[place].isWord("right") { return .right }
        throw .syntax
    }

    // MARK: Moving

    mutating func moveElement() throws(CommandError) {
        let (from, to) = (try listEnd(3), try listEnd(4))
        try moveElement(from: from, to: to)
    }

    mutating func moveElement(from: ListEnd, to: ListEnd) throws(CommandError) {
        guard try listToChange(arguments[1]) != nil else { return reply.null() }
        try move(arguments[1], from, to: arguments[2], to)
    }

    /// The source is a list that is there.
    private mutating func move(
        _ source: ByteString, _ from: ListEnd, to destination: ByteString, _ to: ListEnd
    ) throws(CommandError) {
        // First, since a destination whose time has come is removed by that look, and its place given away.
        _ = try listToChange(destination)
        guard let (index, object) = try listToChange(source) else { return reply.null() }
        if source == destination {
            // The list never is empty meanwhile, and so keeps its expiry.
            let last = object.ring.count - 1
            let element = from == .left ? object.ring.popFirst() : object.ring.popLast()
            if to == .left { object.ring.prepend(element) } else { object.ring.append(element) }
            if last > 0 {
                record(.removeElements(stored(source), index: from == .left ? 0 : last, count: 1))
                record(.insertElements(stored(source), index: to == .left ? 0 : last, [element]))
            }
            changed(at: index)
            noteReady(source)
            notifyPush(source, to)
            notifyPop(source, from)
            return reply.bulk(element)
        }
        let element = take(source, object, from)
        try push(element, to: destination, to)
        notifyPop(source, from)
        if let index = databases[selected].items.index(of: source) {
            settle(source, at: index, isEmpty: object.ring.isEmpty)
        }
        reply.bulk(element)
    }

    mutating func waitToMove(from: ListEnd, to: ListEnd, timeout: Int64) throws(CommandError) {
        if try listToChange(arguments[1]) != nil { return try moveElement(from: from, to: to) }
        guard mayWait else { return reply.null() }
        wait = Wait(
            keys: [arguments[1]], purpose: .move(from: from, to: to, destination: arguments[2]),
            timeout: timeout)
    }

    mutating func waitToMove() throws(CommandError) {
        let (from, to) = (try listEnd(3), try listEnd(4))
        try waitToMove(from: from, to: to, timeout: try timeout(5))
    }

    mutating func waitToMoveRightLeft() throws(CommandError) {
        try waitToMove(from: .right, to: .left, timeout: try timeout(3))
    }

    // MARK: Popping from the first list that has something

    mutating func waitToPop(_ end: ListEnd) throws(CommandError) {
        let timeout = try timeout(arguments.count - 1)
        let keys = Array(arguments[1..<arguments.count - 1])
        for key in keys {
            guard let (index, object) = try listToChange(key) else { continue }
            reply.array(2)
            reply.bulk(key)
            return reply.bulk(pop(key, at: index, object, end))
        }
        guard mayWait else { return reply.nullArray() }
        wait = Wait(keys: keys, purpose: .pop(from: end), timeout: timeout)
    }

    /// LMPOP, and BLMPOP where `first` is 2: the place of the number of keys.
    mutating func popFromFirst(countAt first: Int) throws(CommandError) {
        let number = try count(first, atLeast: 1, or: "numkeys should be greater than 0")
        guard number < arguments.count, first + number + 1 < arguments.count else { throw .syntax }
        let end = try listEnd(first + number + 1)
        let wanted = try popCount(from: first + number + 2)
        let timeout = first == 2 ? try timeout(1) : 0
        let keys = Array(arguments[first + 1...first + number])
        for key in keys {
            guard let (index, object) = try listToChange(key) else { continue }
            reply.array(2)
            reply.bulk(key)
            return popMany(key, at: index, object, end, wanted)
        }
        guard first == 2, mayWait else { return reply.nullArray() }
        wait = Wait(keys: keys, purpose: .popMany(from: end, count: wanted), timeout: timeout)
    }

    /// `COUNT n` at the end of LMPOP and ZMPOP; 1 without it.
    func popCount(from start: Int) throws(CommandError) -> Int {
        guard start < arguments.count else { return 1 }
        guard arguments[start].isWord("count"), start + 1 < arguments.count else { throw .syntax }
        let count = try count(start + 1, atLeast: 1, or: "count should be greater than 0")
        guard start + 2 == arguments.count else { throw .syntax }
        return count
    }

    // MARK: Serving who waited

    /// Does what somebody waited for with what is at `key` now, and writes the answer; false: there is
    /// nothing for it yet.
    mutating func serve(_ purpose: Wait.Purpose, from key: ByteString) -> Bool {
        guard let index = find(key) else { return false }
        switch (purpose, value(at: index)) {
        case (.pop(let end), .list(let object)):
            reply.array(2)
            reply.bulk(key)
            reply.bulk(pop(key, at: index, object, end))
        case (.popMany(let end, let count), .list(let object)):
            reply.array(2)
            reply.bulk(key)
            popMany(key, at: index, object, end, count)
        case (.move(let from, let to, let destination), .list):
            do {
                try move(key, from, to: destination, to)
            } catch {
                reply.error(error.text)
            }
        case (.popScore(let highest), .sorted(let object)):
            reply.array(3)
            reply.bulk(key)
            popScores(key, at: index, object, highest: highest, count: 1, nested: false)
        case (.popScores(let highest, let count), .sorted(let object)):
            reply.array(2)
            reply.bulk(key)
            reply.array(min(count, object.count))
            popScores(key, at: index, object, highest: highest, count: count, nested: true)
        case (.read(let after, let count), .stream(let object)):
            return serve(object, of: key, after: after[key] ?? .least, count: count)
        default: return false
        }
        return true
    }
}
