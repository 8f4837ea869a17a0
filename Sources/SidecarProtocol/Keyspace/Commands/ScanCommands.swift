// SCAN and its relatives (db.c).

extension Keyspace {
    private struct ScanOptions {
        var count = 10
        var pattern: GlobPattern?
        var kind: ByteString?
    }

    private func cursor(_ index: Int) throws(CommandError) -> UInt64 {
        let text = arguments[index].text
        // C's strtoul takes a sign, and wraps below zero.
        let digits = text.first == "-" || text.first == "+" ? text.dropFirst() : text[...]
        if text.isEmpty { return 0 }
        guard digits.utf8.first.map({ $0 >= 48 && $0 <= 57 }) == true, let value = UInt64(digits) else {
            throw CommandError("invalid cursor")
        }
        return text.first == "-" ? 0 &- value : value
    }

    private func scanOptions(from start: Int, ofKeys: Bool) throws(CommandError) -> ScanOptions {
        var options = ScanOptions()
        var place = start
        while place < arguments.count {
            guard place + 1 < arguments.count else { throw .syntax }
            if arguments[place].isWord("count") {
                let count = try integer(place + 1)
                guard count >= 1 else { throw .syntax }
                options.count = Int(min(count, 1 << 40))
            } else if arguments[place].isWord("match") {
                let pattern = GlobPattern(arguments[place + 1])
                options.pattern = pattern.isEverything ? nil : pattern
            } else if ofKeys, arguments[place].isWord("type") {
                options.kind = arguments[place + 1].lowercased
            } else {
                throw .syntax
            }
            place += 2
        }
        return options
    }

    mutating func scan() throws(CommandError) {
        var cursor = try cursor(1)
        let options = try scanOptions(from: 2, ofKeys: true)
        databases[selected].items.step(16)
        let items = databases[selected].items
        var found: [ByteString] = []
        var rounds = options.count &* 10
        repeat {
            cursor = items.scan(cursor) { found.append(items[$0].key) }
            rounds -= 1
        } while cursor != 0 && rounds > 0 && found.count < options.count
        found.removeAll { key in
            if let pattern = options.pattern, !pattern.matches(key) { return true }
            guard let index = find(key) else { return true }
            return options.kind.map { $0 != ByteString(value(at: index).kind.name) } ?? false
        }
        writeScan(cursor, found)
    }

    private mutating func writeScan(_ cursor: UInt64, _ found: [ByteString]) {
        reply.array(2)
        reply.bulk(String(cursor))
        reply.array(found.count)
        for item in found { reply.bulk(item) }
    }

    private mutating func writeNothing() {
        reply.array(2)
        reply.bulk("0")
        reply.emptyArray()
    }

    mutating func scanHash() throws(CommandError) {
        var cursor = try cursor(2)
        guard let value = valueToRead(arguments[1]) else { return writeNothing() }
        guard case .hash(let hash) = value else { throw .wrongType }
        let options = try scanOptions(from: 3, ofKeys: false)
        if !hash.isListpack { hash.step() }
        let table = hash.table
        var found: [ByteString] = []
        func take(_ index: Int) {
            if let pattern = options.pattern, !pattern.matches(table[index].key) { return }
            found.append(table[index].key)
            found.append(table[index].value)
        }
        if hash.isListpack {
            for index in 0..<table.count { take(index) }
            cursor = 0
        } else {
            var (seen, rounds) = (0, options.count &* 10)
            repeat {
                cursor = table.scan(cursor) {
                    take($0)
                    seen += 1
                }
                rounds -= 1
            } while cursor != 0 && rounds > 0 && seen < options.count
        }
        writeScan(cursor, found)
    }

    mutating func scanSet() throws(CommandError) {
        var cursor = try cursor(2)
        guard let value = valueToRead(arguments[1]) else { return writeNothing() }
        guard case .set(let set) = value else { throw .wrongType }
        let options = try scanOptions(from: 3, ofKeys: false)
        var found: [ByteString] = []
        var (seen, rounds) = (0, options.count &* 10)
        repeat {
            cursor = set.scan(cursor) { member in
                seen += 1
                if options.pattern?.matches(member) ?? true { found.append(member) }
            }
            rounds -= 1
        } while cursor != 0 && rounds > 0 && seen < options.count
        writeScan(cursor, found)
    }

    mutating func scanSorted() throws(CommandError) {
        var cursor = try cursor(2)
        guard let value = valueToRead(arguments[1]) else { return writeNothing() }
        guard case .sorted(let sorted) = value else { throw .wrongType }
        let options = try scanOptions(from: 3, ofKeys: false)
        if !sorted.isListpack { sorted.step() }
        let table = sorted.table
        var found: [ByteString] = []
        func take(_ member: ByteString, _ score: Double) {
            if let pattern = options.pattern, !pattern.matches(member) { return }
            found.append(member)
            found.append(
                sorted.isListpack ? Keyspace.compactScore(score) : ByteString(DecimalText.score(score)))
        }
        if sorted.isListpack {
            sorted.tree.forEach(in: 0..<sorted.count) { take($1, $0) }
            cursor = 0
        } else {
            var (seen, rounds) = (0, options.count &* 10)
            repeat {
                cursor = table.scan(cursor) {
                    take(table[$0].key, table[$0].value)
                    seen += 1
                }
                rounds -= 1
            } while cursor != 0 && rounds > 0 && seen < options.count
        }
        writeScan(cursor, found)
    }

    /// As Redis keeps a score in its compact form: whole numbers as integers.
    private static func compactScore(_ score: Double) -> ByteString {
        guard score == score.rounded(.towardZero), abs(score) < 0x1p62 else {
            return ByteString(DecimalText.score(score))
        }
        return ByteString(DecimalText.bytes(of: Int64(score)))
    }
}
