// Operations as bytes: a code, the key, and what the code asks for. Replicas are named by their place in the
// delta's table.

extension Operation {
    private enum Code: UInt8 {
        case deleteAll = 0
        case delete, expire, setExpiry, persist
        case setString, addToString, setField, addToField, removeField, addMember, removeMember
        case setScore, addToScore, removeScored, insert, setElement, removeElements, seal, begin
        case setEntry, removeEntry

        var hasKey: Bool { self != .deleteAll && self != .seal && self != .begin }
    }

    private static let freshBit: UInt8 = 0x80
    private static let resetsBit: UInt8 = 0x40

    private var code: Code {
        switch action {
        case .deleteAll: .deleteAll
        case .delete: .delete
        case .expire: .expire
        case .setExpiry(let time): time == nil ? .persist : .setExpiry
        case .setString: .setString
        case .addToString: .addToString
        case .setField: .setField
        case .addToField: .addToField
        case .removeField: .removeField
        case .addMember: .addMember
        case .removeMember: .removeMember
        case .setScore: .setScore
        case .addToScore: .addToScore
        case .removeScored: .removeScored
        case .insert: .insert
        case .setElement: .setElement
        case .removeElements: .removeElements
        case .seal: .seal
        case .begin: .begin
        case .setEntry: .setEntry
        case .removeEntry: .removeEntry
        }
    }

    private var resets: [Reset] {
        switch action {
        case .deleteAll(let resets), .delete(let resets), .expire(let resets), .setString(_, let resets),
            .setField(_, _, let resets), .removeField(_, let resets), .setScore(_, _, let resets),
            .removeScored(_, let resets):
            resets
        default: []
        }
    }

    /// As `encode` does of a `setString` without resets.
    static func encodeString(
        _ key: ByteString, isFresh: Bool, _ value: ByteString, into out: inout CompactWriter
    ) {
        let head = Code.setString.rawValue | (isFresh ? freshBit : 0)
        guard key.count < 0x80, value.count < 0x80 else {
            out.byte(head)
            out.string(key)
            return out.string(value)
        }
        // Short strings are put together first and appended once.
        let count = 3 + key.count + value.count
        key.bytes.withUnsafeBytes { key in
            value.bytes.withUnsafeBytes { value in
                withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { piece in
                    let middle = 2 + key.count
                    piece[0] = head
                    piece[1] = UInt8(truncatingIfNeeded: key.count)
                    UnsafeMutableRawBufferPointer(rebasing: piece[2..<middle]).copyMemory(from: key)
                    piece[middle] = UInt8(truncatingIfNeeded: value.count)
                    UnsafeMutableRawBufferPointer(rebasing: piece[(middle + 1)...]).copyMemory(from: value)
                    out.bytes.append(contentsOf: piece)
                }
            }
        }
    }

    func encode(into out: inout CompactWriter, _ table: [ReplicaID]) {
        let resets = resets
        out.byte(
            code.rawValue | (isFresh ? Operation.freshBit : 0) | (resets.isEmpty ? 0 : Operation.resetsBit))
        if code.hasKey { out.string(key) }
        switch action {
        case .deleteAll, .delete, .expire, .begin: break
        case .setExpiry(let time): if let time { out.signed(time) }
        case .setString(let value, _): out.string(value)
        case .addToString(let increment): increment.encode(into: &out, table, isFloating: false)
        case .setField(let field, let value, _):
            out.string(field)
            out.string(value)
        case .addToField(let field, let increment):
            out.string(field)
            increment.encode(into: &out, table, isFloating: false)
        case .setEntry(let id, let value):
            out.string(id)
            out.string(value)
        case .removeField(let name, _), .addMember(let name), .removeMember(let name),
            .removeScored(let name, _), .removeEntry(let name):
            out.string(name)
        case .setScore(let member, let score, _):
            out.string(member)
            out.fixed(score)
        case .addToScore(let member, let increment):
            out.string(member)
            increment.encode(into: &out, table, isFloating: true)
        case .insert(let path, let values):
            path.encode(into: &out, table)
            out.unsigned(UInt64(values.count))
            for value in values { out.string(value) }
        case .setElement(let path, let value):
            path.encode(into: &out, table)
            out.string(value)
        case .removeElements(let paths):
            out.unsigned(UInt64(paths.count))
            for path in paths { path.encode(into: &out, table) }
        case .seal(let dot): dot.encode(into: &out, table)
        }
        guard !resets.isEmpty else { return }
        out.unsigned(UInt64(resets.count))
        for reset in resets { reset.encode(into: &out, table) }
    }

    init(from reader: inout CompactReader, _ table: [ReplicaID]) throws(CompactError) {
        let start = reader.offset
        let head = try reader.byte()
        guard let code = Code(rawValue: head & 0x3F) else {
            throw .unknown(what: "operation", value: UInt64(head & 0x3F))
        }
        let key = code.hasKey ? try reader.string() : ByteString([])
        var action = try Operation.body(of: code, &reader, table)
        if head & Operation.resetsBit != 0 {
            let count = try reader.count(of: "resets", least: 4)
            guard count > 0 else { throw .notCanonical(at: start) }
            var resets: [Reset] = []
            for _ in 0..<count { resets.append(try Reset(from: &reader, table)) }
            guard let with = action.with(resets) else { throw .notCanonical(at: start) }
            action = with
        }
        self.init(key: key, isFresh: head & Operation.freshBit != 0, action: action)
    }

    private static func body(
        of code: Code, _ reader: inout CompactReader, _ table: [ReplicaID]
    ) throws(CompactError) -> Action {
        switch code {
        case .deleteAll: .deleteAll([])
        case .delete: .delete([])
        case .expire: .expire([])
        case .setExpiry: .setExpiry(try reader.signed())
        case .persist: .setExpiry(nil)
        case .setString: .setString(try reader.string(), [])
        case .addToString: .addToString(try Increment(from: &reader, table, isFloating: false))
        case .setField: .setField(try reader.string(), try reader.string(), [])
        case .addToField:
            .addToField(try reader.string(), try Increment(from: &reader, table, isFloating: false))
        case .removeField: .removeField(try reader.string(), [])
        case .addMember: .addMember(try reader.string())
        case .removeMember: .removeMember(try reader.string())
        case .setScore: .setScore(try reader.string(), try reader.score(), [])
        case .addToScore:
            .addToScore(try reader.string(), try Increment(from: &reader, table, isFloating: true))
        case .removeScored: .removeScored(try reader.string(), [])
        case .insert: try insertion(&reader, table)
        case .setElement: .setElement(try ListPath(from: &reader, table), try reader.string())
        case .removeElements: .removeElements(try paths(&reader, table))
        case .seal: .seal(try Dot(from: &reader, table))
        case .begin: .begin
        case .setEntry: .setEntry(try reader.string(), try reader.string())
        case .removeEntry: .removeEntry(try reader.string())
        }
    }

    private static func insertion(
        _ reader: inout CompactReader, _ table: [ReplicaID]
    ) throws(CompactError) -> Action {
        let path = try ListPath(from: &reader, table)
        let count = try reader.count(of: "elements")
        guard count > 0 else { throw .notCanonical(at: reader.offset) }
        var values: [ByteString] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try reader.string()) }
        return .insert(path, values)
    }

    private static func paths(
        _ reader: inout CompactReader, _ table: [ReplicaID]
    ) throws(CompactError) -> [ListPath] {
        let count = try reader.count(of: "elements")
        var paths: [ListPath] = []
        for _ in 0..<count { paths.append(try ListPath(from: &reader, table)) }
        return paths
    }
}

extension Operation.Action {
    /// Nil for an action that has no resets.
    fileprivate func with(_ resets: [Reset]) -> Operation.Action? {
        switch self {
        case .deleteAll: .deleteAll(resets)
        case .delete: .delete(resets)
        case .expire: .expire(resets)
        case .setString(let value, _): .setString(value, resets)
        case .setField(let field, let value, _): .setField(field, value, resets)
        case .removeField(let field, _): .removeField(field, resets)
        case .setScore(let member, let score, _): .setScore(member, score, resets)
        case .removeScored(let member, _): .removeScored(member, resets)
        default: nil
        }
    }
}

// MARK: - Parts

extension Dot {
    func encode(into out: inout CompactWriter, _ table: [ReplicaID]) {
        out.unsigned(UInt64(table.firstIndex(of: replica) ?? 0))
        out.unsigned(counter)
    }

    init(from reader: inout CompactReader, _ table: [ReplicaID]) throws(CompactError) {
        let index = try reader.unsigned()
        guard index < UInt64(table.count) else { throw .unknown(what: "replica", value: index) }
        self.init(table[Int(index)], try reader.counter())
    }
}

extension CompactReader {
    mutating func counter() throws(CompactError) -> UInt64 {
        let counter = try unsigned()
        guard counter > 0, counter <= LocalDot.counterMaximum else {
            throw .tooLarge(what: "counter", count: counter)
        }
        return counter
    }

    mutating func score() throws(CompactError) -> UInt64 {
        let bits = try fixed()
        guard !Double(bitPattern: bits).isNaN else { throw .unknown(what: "score", value: bits) }
        return bits
    }
}

extension Reset {
    fileprivate func encode(into out: inout CompactWriter, _ table: [ReplicaID]) {
        start.encode(into: &out, table)
        out.unsigned(last)
        out.fixed(total)
    }

    fileprivate init(from reader: inout CompactReader, _ table: [ReplicaID]) throws(CompactError) {
        start = try Dot(from: &reader, table)
        last = try reader.counter()
        total = try reader.fixed()
    }
}

extension Increment {
    fileprivate func encode(into out: inout CompactWriter, _ table: [ReplicaID], isFloating: Bool) {
        out.unsigned(start << 1 | (base == nil ? 0 : 1))
        base?.encode(into: &out, table)
        for bits in [amount, before] {
            if isFloating { out.fixed(bits) } else { out.signed(Int64(bitPattern: bits)) }
        }
    }

    fileprivate init(
        from reader: inout CompactReader, _ table: [ReplicaID], isFloating: Bool
    ) throws(CompactError) {
        let head = try reader.unsigned()
        start = head >> 1
        guard start > 0, start <= LocalDot.counterMaximum else {
            throw .tooLarge(what: "counter", count: start)
        }
        base = head & 1 == 0 ? nil : try Dot(from: &reader, table)
        amount = isFloating ? try reader.score() : UInt64(bitPattern: try reader.signed())
        before = isFloating ? try reader.score() : UInt64(bitPattern: try reader.signed())
    }
}

extension ListPath {
    fileprivate func encode(into out: inout CompactWriter, _ table: [ReplicaID]) {
        out.unsigned(UInt64(steps.count))
        for step in steps {
            out.signed(step.digit)
            step.dot.encode(into: &out, table)
            out.unsigned(step.offset)
        }
    }

    fileprivate init(from reader: inout CompactReader, _ table: [ReplicaID]) throws(CompactError) {
        let count = try reader.count(of: "steps", least: 4)
        guard count > 0 else { throw .notCanonical(at: reader.offset) }
        steps = []
        for _ in 0..<count {
            let digit = try reader.signed()
            let dot = try Dot(from: &reader, table)
            steps.append(Step(digit: digit, dot: dot, offset: try reader.unsigned()))
        }
    }
}
