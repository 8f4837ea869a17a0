// Streams without consumer groups (t_stream.c).
//
// Theory of operation
//
//   Under `eventual` an entry is a value of its id, observed and removed as a hash's field is. A stream of which
//   every entry was removed still has its last id: that is the value of the id 0-0, which no entry has, and it is
//   written when the entry that showed it goes. Ids that a replica makes of the time (`*`) end with a number of
//   its own, so that no two replicas make the same one. What is given as an id at two replicas at once is one
//   entry, the later.
//
//   Entries of other replicas come with ids of their own clocks: a reader that asks for what is after the last
//   one that it saw can miss such an entry.

extension Keyspace {
    // MARK: Finding

    private mutating func streamToRead(_ key: ByteString) throws(CommandError) -> StreamObject? {
        guard let index = findToRead(key) else { return nil }
        guard case .stream(let object) = value(at: index) else { throw .wrongType }
        return object
    }

    private mutating func streamToChange(
        _ key: ByteString
    ) throws(CommandError) -> (index: Int, object: StreamObject)? {
        guard let index = find(key) else { return nil }
        guard case .stream(let object) = value(at: index) else { throw .wrongType }
        return (index, object)
    }

    // MARK: Adding

    mutating func addEntry() throws(CommandError) {
        let key = arguments[1]
        var (place, makes) = (2, true)
        let trimming = try trimming(&place) { argument in
            guard argument.isWord("nomkstream") else { return false }
            makes = false
            return true
        }
        guard place < arguments.count else { throw .arity(commandName) }
        let wanted = try NewStreamID(arguments[place])
        guard arguments.count - place >= 3, (arguments.count - place) % 2 == 1 else {
            throw .arity(commandName)
        }
        if wanted == .exact(.least) {
            throw CommandError("The ID specified in XADD must be greater than 0-0")
        }
        let found = try streamToChange(key)
        if found == nil, !makes { return reply.null() }
        let object = found?.object ?? StreamObject()
        let id = try newID(wanted, after: object.last, isNew: found == nil)
        let index = found?.index ?? add(key, .stream(object))
        let words = Array(arguments[(place + 1)...])
        object.set(id, words)
        record(.setEntry(stored(key), id: id.bytes, StreamWords.packed(words)))
        notify(.stream, "xadd", key)
        if let trimming, trim(key, object, trimming) > 0 { notify(.stream, "xtrim", key) }
        changed(at: index)
        noteReady(key)
        reply.bulk(id.text)
    }

    private enum NewStreamID: Equatable {
        case time
        case within(milliseconds: UInt64)
        case exact(EntryID)

        init(_ text: ByteString) throws(CommandError) {
            if text.bytes == [UInt8(ascii: "*")] {
                self = .time
            } else if text.bytes.suffix(2) == [UInt8(ascii: "-"), UInt8(ascii: "*")] {
                guard let milliseconds = Keyspace.unsigned(text.bytes.dropLast(2)) else { throw .streamID }
                self = .within(milliseconds: milliseconds)
            } else {
                self = .exact(try Keyspace.streamID(text, sequence: 0))
            }
        }
    }

    private func newID(
        _ wanted: NewStreamID, after last: EntryID, isNew: Bool
    ) throws(CommandError) -> EntryID {
        let small = CommandError(
            "The ID specified in XADD is equal or smaller than the target stream top item")
        if last == .greatest {
            throw CommandError("The stream has exhausted the last possible ID, unable to add more items")
        }
        switch wanted {
        case .time:
            let milliseconds = max(UInt64(max(now, 0)), last.milliseconds)
            let own = settings.streamSequence
            if milliseconds > last.milliseconds { return EntryID(milliseconds: milliseconds, sequence: own) }
            // The next of one's own numbers; they lie `streamSequenceStep` apart.
            let step = KeyspaceSettings.streamSequenceStep
            let (sum, over) = last.sequence.addingReportingOverflow(own == 0 ? 1 : step)
            guard !over else { return EntryID(milliseconds: milliseconds &+ 1, sequence: own) }
            return EntryID(milliseconds: milliseconds, sequence: own == 0 ? sum : sum / step * step + own)
        case .within(let milliseconds):
            if isNew || milliseconds > last.milliseconds {
                return EntryID(milliseconds: milliseconds, sequence: milliseconds == 0 ? 1 : 0)
            }
            guard milliseconds == last.milliseconds, last.sequence < .max else { throw small }
            return EntryID(milliseconds: milliseconds, sequence: last.sequence + 1)
        case .exact(let id):
            guard id > last else { throw small }
            return id
        }
    }

    // MARK: Trimming

    private struct Trimming {
        var least: EntryID?
        var count: Int?
        var isApproximate = false
        var limit: Int?
    }

    /// MAXLEN and MINID with what belongs to them, and what `other` takes; `place` is then behind them. Without
    /// `other` nothing may follow.
    private func trimming(
        _ place: inout Int, other: ((ByteString) -> Bool)? = nil
    ) throws(CommandError) -> Trimming? {
        var (trimming, isGiven) = (Trimming(), false)
        while place < arguments.count {
            let isCount = arguments[place].isWord("maxlen")
            if isCount || arguments[place].isWord("minid"), place + 1 < arguments.count {
                if isGiven {
                    throw CommandError(
                        "syntax error, MAXLEN and MINID options at the same time are not compatible")
                }
                isGiven = true
                place += 1
                let sign = place + 1 < arguments.count ? arguments[place].bytes : []
                trimming.isApproximate = sign == [UInt8(ascii: "~")]
                if trimming.isApproximate || sign == [UInt8(ascii: "=")] { place += 1 }
                if isCount {
                    guard let count = arguments[place].integer else { throw .notInteger }
                    guard count >= 0 else { throw CommandError("The MAXLEN argument must be >= 0.") }
                    trimming.count = Int(count)
                } else {
                    trimming.least = try Keyspace.streamID(arguments[place], sequence: 0)
                }
            } else if arguments[place].isWord("limit"), place + 1 < arguments.count {
                place += 1
                guard let limit = arguments[place].integer else { throw .notInteger }
                guard limit >= 0 else { throw CommandError("The LIMIT argument must be >= 0.") }
                trimming.limit = Int(limit)
            } else if let other {
                if !other(arguments[place]) { break }
            } else {
                throw .syntax
            }
            place += 1
        }
        if trimming.limit != nil, !isGiven {
            throw CommandError("syntax error, LIMIT cannot be used without specifying a trimming strategy")
        }
        if trimming.limit != nil, !trimming.isApproximate {
            throw CommandError("syntax error, LIMIT cannot be used without the special ~ option")
        }
        return isGiven ? trimming : nil
    }

    /// An approximate bound lets up to so many more stay, as many as Redis keeps together.
    private static let entriesTogether = 100

    /// How many entries went.
    private mutating func trim(_ key: ByteString, _ object: StreamObject, _ trimming: Trimming) -> Int {
        var excess = 0
        if let count = trimming.count { excess = max(object.count - count, 0) }
        if let least = trimming.least { excess = object.place(of: least) }
        if trimming.isApproximate {
            let limit = trimming.limit ?? 100 * Keyspace.entriesTogether
            if limit > 0 { excess = min(excess, limit) }
            excess -= excess % Keyspace.entriesTogether
        }
        for _ in 0..<excess { removeEntry(object[0].id, of: key, object) }
        return excess
    }

    mutating func trimStream() throws(CommandError) {
        var place = 2
        guard let trimming = try trimming(&place), place == arguments.count else { throw .syntax }
        guard let (index, object) = try streamToChange(arguments[1]) else { return reply.integer(0) }
        let count = trim(arguments[1], object, trimming)
        if count > 0 {
            changed(at: index)
            notify(.stream, "xtrim", arguments[1])
        }
        reply.integer(count)
    }

    /// The last id outlasts the entry that had it.
    private mutating func removeEntry(_ id: EntryID, of key: ByteString, _ object: StreamObject) {
        if id == object.last || object.count == 1 {
            record(.setEntry(stored(key), id: EntryID.least.bytes, object.last.bytes))
        }
        object.remove(id)
        record(.removeEntry(stored(key), id: id.bytes))
    }

    mutating func deleteEntries() throws(CommandError) {
        guard let (index, object) = try streamToChange(arguments[1]) else { return reply.integer(0) }
        var ids: [EntryID] = []
        for place in 2..<arguments.count { ids.append(try Keyspace.streamID(arguments[place], sequence: 0)) }
        var count = 0
        for id in ids where object.contains(id) {
            removeEntry(id, of: arguments[1], object)
            count += 1
        }
        if count > 0 {
            changed(at: index)
            notify(.stream, "xdel", arguments[1])
        }
        reply.integer(count)
    }

    mutating func setStreamID() throws(CommandError) {
        let id = try Keyspace.streamID(arguments[2], sequence: 0)
        guard arguments.count == 3 else { throw .syntax }
        guard let (index, object) = try streamToChange(arguments[1]) else { throw .noKey }
        if object.count > 0, id < object[object.count - 1].id {
            throw CommandError("The ID specified in XSETID is smaller than the target stream top item")
        }
        object.setLast(id)
        record(.setEntry(stored(arguments[1]), id: EntryID.least.bytes, id.bytes))
        changed(at: index)
        notify(.stream, "xsetid", arguments[1])
        reply.ok()
    }

    // MARK: Reading

    mutating func countEntries() throws(CommandError) {
        reply.integer(try streamToRead(arguments[1])?.count ?? 0)
    }

    mutating func entries(reversed: Bool) throws(CommandError) {
        let start = try bound(reversed ? 3 : 2, isStart: true)
        let end = try bound(reversed ? 2 : 3, isStart: false)
        var most = Int.max
        for place in stride(from: 4, to: arguments.count, by: 2) {
            guard place + 1 < arguments.count, arguments[place].isWord("count") else { throw .syntax }
            most = Int(max(try integer(place + 1), 0))
        }
        guard let object = try streamToRead(arguments[1]) else { return reply.emptyArray() }
        if most == 0 { return reply.nullArray() }
        guard start <= end else { return reply.emptyArray() }
        let first = object.place(of: start)
        let past = end.next.map { object.place(of: $0) } ?? object.count
        let places =
            reversed ? Array((first..<past).suffix(most).reversed()) : Array((first..<past).prefix(most))
        reply.array(places.count)
        for place in places { write(object[place]) }
    }

    private mutating func write(_ entry: StreamObject.Entry) {
        reply.array(2)
        reply.bulk(entry.id.text)
        reply.array(entry.words.count)
        for word in entry.words { reply.bulk(word) }
    }

    /// An end of XRANGE: an id, one that is left out, or one of the two ends of all.
    private func bound(_ place: Int, isStart: Bool) throws(CommandError) -> EntryID {
        let text = arguments[place]
        guard text.bytes.first == UInt8(ascii: "(") else {
            return try Keyspace.streamID(text, sequence: isStart ? 0 : .max, knowsEnds: true)
        }
        let id = try Keyspace.streamID(
            ByteString(Array(text.bytes.dropFirst())), sequence: isStart ? 0 : .max)
        guard let inner = isStart ? id.next : id.previous else {
            throw CommandError("invalid \(isStart ? "start" : "end") ID for the interval")
        }
        return inner
    }

    mutating func readStreams() throws(CommandError) {
        var (count, block, place) = (0, Int64(-1), 1)
        while place < arguments.count, !arguments[place].isWord("streams") {
            guard place + 1 < arguments.count else { throw .syntax }
            if arguments[place].isWord("count") {
                count = Int(max(try integer(place + 1), 0))
            } else if arguments[place].isWord("block") {
                guard let given = arguments[place + 1].integer else {
                    throw CommandError("timeout is not an integer or out of range")
                }
                guard given >= 0 else { throw CommandError("timeout is negative") }
                block = given
            } else if arguments[place].isWord("noack") || arguments[place].isWord("group") {
                throw CommandError(
                    "The \(arguments[place].text.uppercased()) option is only supported by XREADGROUP. "
                        + "You called XREAD instead.")
            } else {
                throw .syntax
            }
            place += 2
        }
        let words = arguments.count - place - 1
        guard words > 0 else { throw .syntax }
        guard words % 2 == 0 else {
            throw CommandError(
                "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.")
        }
        try readStreams(from: place + 1, words / 2, count: count, block: block)
    }

    private mutating func readStreams(
        from first: Int, _ number: Int, count: Int, block: Int64
    ) throws(CommandError) {
        var positions: [(key: ByteString, after: EntryID)] = []
        var ready: [(key: ByteString, after: EntryID, StreamObject)] = []
        for place in first..<first + number {
            let key = arguments[place]
            let object = try streamToRead(key)
            let after = try position(arguments[place + number], object)
            positions.append((key, after))
            if let object, object.count > 0, object[object.count - 1].id > after {
                ready.append((key, after, object))
            }
        }
        if !ready.isEmpty {
            if reply.isRESP3 { reply.map(ready.count) } else { reply.array(ready.count) }
            for (key, after, object) in ready { write(object, of: key, after: after, count: count) }
            return
        }
        guard block >= 0, mayWait else { return reply.nullArray() }
        wait = Wait(
            keys: positions.map(\.key),
            purpose: .read(after: Dictionary(positions.map { ($0.key, $0.after) }) { $1 }, count: count),
            timeout: block)
    }

    private func position(_ text: ByteString, _ object: StreamObject?) throws(CommandError) -> EntryID {
        if text.bytes == [UInt8(ascii: "$")] { return object?.last ?? .least }
        if text.bytes == [UInt8(ascii: ">")] {
            throw CommandError(
                "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
            )
        }
        return try Keyspace.streamID(text, sequence: 0)
    }

    private mutating func write(
        _ object: StreamObject, of key: ByteString, after: EntryID, count: Int
    ) {
        if !reply.isRESP3 { reply.array(2) }
        reply.bulk(key)
        let first = after.next.map { object.place(of: $0) } ?? object.count
        let most = count == 0 ? Int.max : count
        let places = (first..<object.count).prefix(most)
        reply.array(places.count)
        for place in places { write(object[place]) }
    }

    /// Answers a XREAD that waited; false: there is nothing for it.
    mutating func serve(_ object: StreamObject, of key: ByteString, after: EntryID, count: Int) -> Bool {
        guard object.count > 0, object[object.count - 1].id > after else { return false }
        if reply.isRESP3 { reply.map(1) } else { reply.array(1) }
        write(object, of: key, after: after, count: count)
        return true
    }

    // MARK: Ids

    /// `ms-seq`; `ms` alone has the sequence given here, and `-` and `+` are the ends of all where they may be.
    private static func streamID(
        _ text: ByteString, sequence: UInt64, knowsEnds: Bool = false
    ) throws(CommandError) -> EntryID {
        let bytes = text.bytes
        if bytes == [UInt8(ascii: "-")], knowsEnds { return .least }
        if bytes == [UInt8(ascii: "+")], knowsEnds { return .greatest }
        let dash = bytes.firstIndex(of: UInt8(ascii: "-")) ?? bytes.count
        guard let milliseconds = unsigned(bytes[..<dash]) else { throw .streamID }
        if dash == bytes.count { return EntryID(milliseconds: milliseconds, sequence: sequence) }
        guard let sequence = unsigned(bytes[(dash + 1)...]) else { throw .streamID }
        return EntryID(milliseconds: milliseconds, sequence: sequence)
    }

    /// Decimal digits alone, that fit; nil of anything else.
    private static func unsigned(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard !digits.isEmpty, digits.count <= 20 else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            let (tens, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, under) = tens.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
            guard !over, !under else { return nil }
            value = sum
        }
        return value
    }
}

extension CommandError {
    fileprivate static let streamID = CommandError("Invalid stream ID specified as stream command argument")
}
