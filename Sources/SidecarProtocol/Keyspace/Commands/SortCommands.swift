// SORT and SORT_RO (sort.c).

extension Keyspace {
    private struct SortOptions {
        var isDescending = false
        var isAlphabetic = false
        var start: Int64 = 0
        var count: Int64 = -1
        /// Where the weights are; nil: the elements are weights themselves.
        var by: SortPattern?
        /// `BY` a constant: the elements stay in their own order.
        var keepsOrder = false
        var gets: [SortPattern] = []
        var target: ByteString?
    }

    private struct Weighed {
        var element: ByteString
        /// Where it stood.
        var place: Int
        var score = 0.0
        /// nil: nothing is there to compare.
        var text: ByteString?
    }

    mutating func sort(isReadOnly: Bool) throws(CommandError) {
        var options = try sortOptions(isReadOnly)
        let (elements, kind) = try elementsToSort(options)
        if options.keepsOrder, kind == .set, options.target != nil || isInScript {
            // A set has no order of its own to keep.
            (options.keepsOrder, options.isAlphabetic, options.by) = (false, true, nil)
        }
        let chosen = Keyspace.range(options.start, options.count, of: elements.count)
        var rows = elements
        if options.keepsOrder {
            if options.isDescending, kind != .set { rows.reverse() }
        } else {
            rows = try sorted(elements, options)
        }
        var values: [ByteString?] = []
        for element in rows[chosen] {
            if options.gets.isEmpty { values.append(element) }
            for pattern in options.gets { values.append(lookUp(pattern, element)) }
        }
        if let target = options.target {
            storeSorted(values, under: target)
            return reply.integer(values.count)
        }
        reply.array(values.count)
        for value in values { if let value { reply.bulk(value) } else { reply.null() } }
    }

    private func sortOptions(_ isReadOnly: Bool) throws(CommandError) -> SortOptions {
        var options = SortOptions()
        var place = 2
        while place < arguments.count {
            let word = arguments[place]
            let left = arguments.count - place - 1
            if word.isWord("asc") {
                options.isDescending = false
            } else if word.isWord("desc") {
                options.isDescending = true
            } else if word.isWord("alpha") {
                options.isAlphabetic = true
            } else if word.isWord("limit"), left >= 2 {
                (options.start, options.count) = (try integer(place + 1), try integer(place + 2))
                place += 2
            } else if !isReadOnly, word.isWord("store"), left >= 1 {
                options.target = arguments[place + 1]
                place += 1
            } else if word.isWord("by"), left >= 1 {
                let pattern = SortPattern(arguments[place + 1])
                options.by = pattern
                // Once constant, always: that is how Redis reads a later BY.
                if !pattern.hasStar { options.keepsOrder = true }
                place += 1
            } else if word.isWord("get"), left >= 1 {
                options.gets.append(SortPattern(arguments[place + 1]))
                place += 1
            } else {
                throw .syntax
            }
            place += 1
        }
        return options
    }

    private mutating func elementsToSort(
        _ options: SortOptions
    ) throws(CommandError) -> ([ByteString], Value.Kind) {
        guard let value = valueToRead(arguments[1]) else { return ([], .list) }
        var elements: [ByteString] = []
        switch value {
        case .list(let list): for index in 0..<list.ring.count { elements.append(list.ring[index]) }
        case .set(let set): set.visit { elements.append($0) }
        case .sorted(let sorted):
            sorted.isListpack = false
            sorted.tree.forEach(in: 0..<sorted.count) { elements.append($1) }
        case .integer, .text, .raw, .hash, .stream: throw .wrongType
        }
        return (elements, value.kind)
    }

    /// LIMIT: which of the elements are wanted.
    private static func range(_ start: Int64, _ count: Int64, of total: Int) -> Range<Int> {
        let first = Int(min(max(start, 0), Int64(total)))
        return first..<(count < 0 ? total : first + min(Int(count), total - first))
    }

    private mutating func storeSorted(_ values: [ByteString?], under target: ByteString) {
        let list = ListObject()
        for value in values { list.ring.append(value ?? .empty) }
        if replaceWhole(.list(list), under: target, isEmpty: values.isEmpty) {
            notify(.list, "sortstore", target)
        }
    }

    // MARK: Order

    private mutating func sorted(
        _ elements: [ByteString], _ options: SortOptions
    ) throws(CommandError) -> [ByteString] {
        var weighed: [Weighed] = []
        var isNumeric = true
        for (place, element) in elements.enumerated() {
            var one = Weighed(element: element, place: place)
            let weight: ByteString? = if let by = options.by { lookUp(by, element) } else { element }
            if options.isAlphabetic {
                // Where nothing is stored Redis compares as C does: up to a zero byte.
                one.text =
                    options.target != nil
                    ? weight : weight.map { ByteString(Array($0.bytes.prefix { $0 != 0 })) }
            } else if let weight {
                if let score = Keyspace.score(weight) { one.score = score } else { isNumeric = false }
            }
            weighed.append(one)
        }
        guard isNumeric else { throw CommandError("One or more scores can't be converted into double") }
        if options.isAlphabetic {
            weighed.sort { Keyspace.isBefore($0, $1, options) }
        } else {
            weighed.sort { Keyspace.isLess($0, $1, options) }
        }
        return weighed.map(\.element)
    }

    private static func isLess(_ a: Weighed, _ b: Weighed, _ options: SortOptions) -> Bool {
        let (low, high) = options.isDescending ? (b, a) : (a, b)
        if low.score != high.score { return low.score < high.score }
        return low.element < high.element
    }

    private static func isBefore(_ a: Weighed, _ b: Weighed, _ options: SortOptions) -> Bool {
        if a.text == b.text { return a.place < b.place }
        let (low, high) = options.isDescending ? (b, a) : (a, b)
        guard let first = low.text else { return true }
        guard let second = high.text else { return false }
        return first < second
    }

    /// As C's `strtod` reads it, with space before and nothing after.
    private static func score(_ bytes: ByteString) -> Double? {
        let text = bytes.bytes.prefix { $0 != 0 }
        if text.isEmpty { return 0 }
        return ByteString(Array(text.drop { $0 == 32 || $0 >= 9 && $0 <= 13 })).double
    }

    // MARK: Patterns

    /// The value that a pattern names for an element.
    private mutating func lookUp(_ pattern: SortPattern, _ element: ByteString) -> ByteString? {
        if pattern.isElement { return element }
        guard pattern.hasStar, let value = valueToRead(pattern.key(of: element)) else { return nil }
        guard let field = pattern.field else { return value.string }
        guard case .hash(let hash) = value else { return nil }
        return hash.table[field]
    }
}

/// `weight_*`, `object_*->name`, `#`: where something about an element stands.
private struct SortPattern {
    private let before: [UInt8]
    private let after: [UInt8]
    let hasStar: Bool
    let isElement: Bool
    /// Of a hash.
    let field: ByteString?

    init(_ text: ByteString) {
        isElement = text == "#"
        let bytes = text.bytes
        guard let star = bytes.firstIndex(of: UInt8(ascii: "*")) else {
            (before, after, hasStar, field) = (bytes, [], false, nil)
            return
        }
        hasStar = true
        before = Array(bytes[..<star])
        let rest = Array(bytes[(star + 1)...])
        let arrow = rest.indices.first { index in
            index + 1 < rest.count && rest[index] == UInt8(ascii: "-")
                && rest[index + 1] == UInt8(ascii: ">")
        }
        if let arrow, arrow + 2 < rest.count {
            after = Array(rest[..<arrow])
            field = ByteString(Array(rest[(arrow + 2)...]))
        } else {
            (after, field) = (rest, nil)
        }
    }

    func key(of element: ByteString) -> ByteString { ByteString(before + element.bytes + after) }
}
