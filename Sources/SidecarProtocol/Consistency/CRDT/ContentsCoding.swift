// A key's contents as bytes. Dots are named by the table of the stream's head.

extension Entry.Contents {
    private enum Part: UInt8 {
        case string = 1
        case hash, list, members, scores, expiry, entries
    }

    func encode(into out: inout CompactWriter, _ replicas: ReplicaTable) {
        if let string {
            out.byte(Part.string.rawValue)
            string.encode(into: &out) { $1.string($0) }
        }
        hash.encode(as: Part.hash.rawValue, into: &out) { $1.string($0) }
        if !list.isEmpty {
            out.byte(Part.list.rawValue)
            out.unsigned(UInt64(list.count))
            for element in list.elements {
                out.unsigned(UInt64(element.place.count))
                for step in element.place.steps {
                    out.signed(step.digit)
                    out.dot(step.dot)
                    out.unsigned(step.offset)
                }
                element.cell.encode(into: &out) { $1.string($0) }
            }
        }
        members.encode(as: Part.members.rawValue, into: &out) { _, _ in }
        scores.encode(as: Part.scores.rawValue, into: &out) { $1.fixed($0.bits) }
        if let expiry {
            out.byte(Part.expiry.rawValue)
            expiry.encode(into: &out) { $1.signed($0.milliseconds) }
        }
        entries.encode(as: Part.entries.rawValue, into: &out) { $1.string($0) }
    }

    init(from reader: inout CompactReader, _ table: [ReplicaID]) throws(CompactError) {
        self.init()
        var last: UInt8 = 0
        while reader.remaining > 0 {
            let code = try reader.byte()
            guard code > last, let part = Part(rawValue: code) else {
                throw .unknown(what: "part", value: UInt64(code))
            }
            last = code
            switch part {
            case .string: string = try Cell(from: &reader, table, StateValues.string)
            case .hash: hash = try CellCollection(from: &reader, table, StateValues.string)
            case .list: list = try ListContent(from: &reader, table)
            case .members: members = try CellCollection(from: &reader, table, StateValues.presence)
            case .scores: scores = try CellCollection(from: &reader, table, StateValues.score)
            case .expiry: expiry = try Cell(from: &reader, table, StateValues.expiry)
            case .entries: entries = try CellCollection(from: &reader, table, StateValues.string)
            }
        }
        guard last > 0 else { throw .truncated(at: reader.offset) }
    }
}

/// How the values of cells are read.
private enum StateValues {
    static func string(_ reader: inout CompactReader) throws(CompactError) -> ByteString {
        try reader.string()
    }
    static func presence(_ reader: inout CompactReader) throws(CompactError) -> Presence { Presence() }
    static func score(_ reader: inout CompactReader) throws(CompactError) -> Score {
        Score(bits: try reader.score())
    }
    static func expiry(_ reader: inout CompactReader) throws(CompactError) -> Expiry {
        Expiry(milliseconds: try reader.signed())
    }
}

extension CompactWriter {
    fileprivate mutating func dot(_ dot: LocalDot) {
        unsigned(UInt64(dot.replica))
        unsigned(dot.counter)
    }
}

extension CompactReader {
    fileprivate mutating func dot(_ table: [ReplicaID]) throws(CompactError) -> LocalDot {
        let place = try unsigned()
        guard place < UInt64(table.count) else { throw .unknown(what: "replica", value: place) }
        guard table[Int(place)] != ReplicaTable.nobody else { throw .unknown(what: "replica", value: place) }
        return LocalDot(Int(place), try counter())
    }
}

extension Cell {
    fileprivate func encode(into out: inout CompactWriter, _ value: (Value, inout CompactWriter) -> Void) {
        let parts = parts
        // Most have one value and no sum: a zero.
        let head = parts.registers.count == 1 && parts.sums.isEmpty ? 0 : parts.registers.count + 1
        out.unsigned(UInt64(head))
        for register in parts.registers {
            out.dot(register.dot)
            out.unsigned(register.time.raw)
            value(register.value, &out)
        }
        guard head > 0 else { return }
        out.unsigned(UInt64(parts.sums.count))
        for sum in parts.sums {
            out.dot(sum.start)
            out.byte(sum.base == .none ? 0 : 1)
            if sum.base != .none { out.dot(sum.base) }
            out.unsigned(sum.last)
            out.fixed(sum.total)
            out.unsigned(sum.floor)
            out.fixed(sum.floorTotal)
        }
    }

    fileprivate init(
        from reader: inout CompactReader, _ table: [ReplicaID],
        _ value: (inout CompactReader) throws(CompactError) -> Value
    ) throws(CompactError) {
        let head = try reader.unsigned()
        let count = head == 0 ? 1 : head - 1
        guard count <= UInt64(reader.remaining) else { throw .tooLarge(what: "values", count: count) }
        var parts = Parts()
        for _ in 0..<count {
            let dot = try reader.dot(table)
            let time = HybridTime(raw: try reader.unsigned())
            parts.registers.append(Register(dot: dot, time: time, value: try value(&reader)))
        }
        if head > 0 {
            for _ in 0..<(try reader.count(of: "sums", least: 20)) {
                let start = try reader.dot(table)
                let flag = try reader.byte()
                guard flag <= 1 else { throw .unknown(what: "flag", value: UInt64(flag)) }
                let base = flag == 1 ? try reader.dot(table) : .none
                var sum = Sum(start: start, base: base, last: try reader.counter(), total: try reader.fixed())
                sum.floor = try reader.unsigned()
                sum.floorTotal = try reader.fixed()
                parts.sums.append(sum)
            }
        }
        self.init(parts)
    }
}

extension CellCollection {
    fileprivate func encode(
        as part: UInt8, into out: inout CompactWriter, _ value: (Value, inout CompactWriter) -> Void
    ) {
        guard !isEmpty else { return }
        out.byte(part)
        out.unsigned(UInt64(cells.count))
        for name in names {
            out.string(name)
            self[name]?.encode(into: &out, value)
        }
    }

    fileprivate init(
        from reader: inout CompactReader, _ table: [ReplicaID],
        _ value: (inout CompactReader) throws(CompactError) -> Value
    ) throws(CompactError) {
        self.init()
        let count = try reader.count(of: "elements", least: 2)
        var last: ByteString?
        for _ in 0..<count {
            let name = try reader.string()
            guard last.map({ $0 < name }) ?? true else { throw .notCanonical(at: reader.offset) }
            last = name
            insert(name, try Cell(from: &reader, table, value))
        }
    }
}

extension ListContent {
    fileprivate init(from reader: inout CompactReader, _ table: [ReplicaID]) throws(CompactError) {
        let count = try reader.count(of: "elements", least: 6)
        var elements: [Element] = []
        for _ in 0..<count {
            var steps: [ListPlace.Step] = []
            for _ in 0..<(try reader.count(of: "steps", least: 4)) {
                let digit = try reader.signed()
                let dot = try reader.dot(table)
                steps.append(ListPlace.Step(digit: digit, dot: dot, offset: try reader.unsigned()))
            }
            guard !steps.isEmpty else { throw .notCanonical(at: reader.offset) }
            let cell = try Cell(from: &reader, table, StateValues.string)
            elements.append(Element(place: ListPlace(steps), cell: cell))
        }
        self.init(elements)
    }
}
