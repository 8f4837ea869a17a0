// Strings as bytes: APPEND, GETRANGE, SETRANGE, STRLEN, LCS (t_string.c).

extension Keyspace {
    mutating func append() throws(CommandError) {
        let (key, more) = (arguments[1], arguments[2])
        guard let index = find(key) else {
            add(key, Value(string: more))
            record(.setString(stored(key), more))
            notify(.string, "append", key)
            return reply.integer(more.count)
        }
        guard let length = value(at: index).stringCount else { throw .wrongType }
        guard length + more.count <= settings.stringBytesMaximum else { throw .tooLong }
        let whole = edit(at: index) { $0.append(contentsOf: more.bytes) }
        record(.setString(stored(key), whole))
        notify(.string, "append", key)
        reply.integer(whole.count)
    }

    mutating func setRange() throws(CommandError) {
        let offset = try integer(2)
        guard offset >= 0 else { throw CommandError("offset is out of range") }
        let (key, piece) = (arguments[1], arguments[3])
        let existing = find(key)
        var length = 0
        if let existing {
            guard let count = value(at: existing).stringCount else { throw .wrongType }
            length = count
        }
        guard piece.count > 0 else { return reply.integer(length) }
        guard offset <= settings.stringBytesMaximum - piece.count else { throw .tooLong }
        let index = existing ?? add(key, .raw(.empty))
        let start = Int(offset)
        let whole = edit(at: index) { bytes in
            if bytes.count < start + piece.count {
                bytes.append(contentsOf: repeatElement(0, count: start + piece.count - bytes.count))
            }
            bytes.replaceSubrange(start..<start + piece.count, with: piece.bytes)
        }
        record(.setString(stored(key), whole))
        notify(.string, "setrange", key)
        reply.integer(whole.count)
    }

    /// Changes a string's bytes where they are, if nobody else holds them.
    ///
    /// - Parameter notes: false: the caller says itself that the key has changed.
    mutating func edit(
        at index: Int, notes: Bool = true, _ change: (inout [UInt8]) -> Void
    ) -> ByteString {
        var whole = value(at: index).string ?? .empty
        databases[selected].items[index].value.value = .integer(0)
        change(&whole.bytes)
        databases[selected].items[index].value.value = .raw(whole)
        if notes { changed(at: index) }
        return whole
    }

    mutating func length() throws(CommandError) {
        guard let index = findToRead(arguments[1]) else { return reply.integer(0) }
        guard let length = value(at: index).stringCount else { throw .wrongType }
        reply.integer(length)
    }

    mutating func getRange() throws(CommandError) {
        let (start, end) = (try integer(2), try integer(3))
        guard let string = try stringToRead(arguments[1]) else { return reply.bulk(ByteString.empty) }
        if start < 0, end < 0, start > end { return reply.bulk(ByteString.empty) }
        let count = Int64(string.count)
        let first = max(start < 0 ? start &+ count : start, 0)
        let last = min(max(end < 0 ? end &+ count : end, 0), count - 1)
        guard first <= last else { return reply.bulk(ByteString.empty) }
        string.bytes.withUnsafeBytes {
            reply.bulk(UnsafeRawBufferPointer(rebasing: $0[Int(first)...Int(last)]))
        }
    }

    mutating func longestCommonSubsequence() throws(CommandError) {
        let values = (valueToRead(arguments[1]), valueToRead(arguments[2]))
        let notStrings = CommandError("The specified keys must contain string values")
        if let value = values.0, value.kind != .string { throw notStrings }
        if let value = values.1, value.kind != .string { throw notStrings }
        var (wantsLength, wantsRanges, wantsLengths, least) = (false, false, false, 0)
        var place = 3
        while place < arguments.count {
            let word = arguments[place]
            if word.isWord("idx") {
                wantsRanges = true
            } else if word.isWord("len") {
                wantsLength = true
            } else if word.isWord("withmatchlen") {
                wantsLengths = true
            } else if word.isWord("minmatchlen"), place + 1 < arguments.count {
                least = Int(max(try integer(place + 1), 0))
                place += 1
            } else {
                throw .syntax
            }
            place += 1
        }
        if wantsLength, wantsRanges {
            throw CommandError("If you want both the length and indexes, please just use IDX.")
        }
        let (a, b) = (values.0?.string?.bytes ?? [], values.1?.string?.bytes ?? [])
        let (cells, over) = (a.count + 1).multipliedReportingOverflow(by: (b.count + 1) * 4)
        guard !over, cells <= settings.stringBytesMaximum else {
            throw CommandError(
                "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
        }
        let common = CommonSubsequence(a, b)
        if wantsLength { return reply.integer(common.length) }
        guard wantsRanges else { return reply.bulk(ByteString(common.walk().bytes)) }
        let ranges = common.walk().ranges.filter { $0.count >= least }
        reply.map(2)
        reply.bulk("matches")
        reply.array(ranges.count)
        for range in ranges {
            reply.array(wantsLengths ? 3 : 2)
            for start in [range.a, range.b] {
                reply.array(2)
                reply.integer(start)
                reply.integer(start + range.count - 1)
            }
            if wantsLengths { reply.integer(range.count) }
        }
        reply.bulk("len")
        reply.integer(common.length)
    }
}

extension Value {
    /// The bytes of a string; nil: it is none.
    var stringCount: Int? {
        switch self {
        case .integer(let number): DecimalText.width(of: number)
        case .text(let text), .raw(let text): text.count
        case .list, .hash, .set, .sorted, .stream: nil
        }
    }
}

/// The longest common subsequence of two strings, by a table of those of their beginnings.
private struct CommonSubsequence {
    let a: [UInt8]
    let b: [UInt8]
    private var lengths: [UInt32]

    init(_ a: [UInt8], _ b: [UInt8]) {
        (self.a, self.b) = (a, b)
        let width = b.count + 1
        lengths = [UInt32](repeating: 0, count: (a.count + 1) * width)
        for (i, x) in a.enumerated() {
            for (j, y) in b.enumerated() {
                let above = lengths[i * width + j + 1]
                let before = lengths[(i + 1) * width + j]
                lengths[(i + 1) * width + j + 1] =
                    x == y ? lengths[i * width + j] + 1 : max(above, before)
            }
        }
    }

    var length: Int { Int(lengths[lengths.count - 1]) }

    private func length(_ i: Int, _ j: Int) -> UInt32 { lengths[i * (b.count + 1) + j] }

    struct Range {
        var a: Int
        var b: Int
        var count: Int
    }

    /// From the end to the beginning, as Redis does it: where several are longest the choice shows.
    func walk() -> (bytes: [UInt8], ranges: [Range]) {
        var (i, j) = (a.count, b.count)
        var bytes: [UInt8] = []
        var ranges: [Range] = []
        var open: Range?
        while i > 0, j > 0 {
            if a[i - 1] == b[j - 1] {
                bytes.append(a[i - 1])
                if let range = open, range.a == i, range.b == j {
                    open = Range(a: i - 1, b: j - 1, count: range.count + 1)
                } else {
                    if let range = open { ranges.append(range) }
                    open = Range(a: i - 1, b: j - 1, count: 1)
                }
                i -= 1
                j -= 1
            } else {
                if let range = open { ranges.append(range) }
                open = nil
                if length(i - 1, j) > length(i, j - 1) { i -= 1 } else { j -= 1 }
            }
        }
        if let range = open { ranges.append(range) }
        return (bytes.reversed(), ranges)
    }
}
