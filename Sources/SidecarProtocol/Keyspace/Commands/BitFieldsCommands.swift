// BITFIELD: strings as integers of 1 to 64 bits at any place (bitops.c).

extension Keyspace {
    private struct FieldStep {
        enum Kind { case get, set, increase }
        enum Overflow { case wrap, saturate, fail }

        var kind: Kind
        var overflow: Overflow
        var place: Int
        var field: BitField
        var number: Int64 = 0
    }

    mutating func bitField(isReadOnly: Bool) throws(CommandError) {
        let (steps, last) = try fieldSteps()
        guard let last else {
            let string = try stringToRead(arguments[1])?.bytes ?? []
            reply.array(steps.count)
            for step in steps { reply.integer(step.field.value(at: step.place, of: string)) }
            return
        }
        if isReadOnly { throw CommandError("BITFIELD_RO only supports the GET subcommand") }
        var answers: [Int64?] = []
        try changeBits(upTo: last) { bytes in
            var count = 0
            for step in steps { answers.append(Keyspace.run(step, on: &bytes, &count)) }
            return count
        }
        reply.array(answers.count)
        for answer in answers { if let answer { reply.integer(answer) } else { reply.null() } }
    }

    /// What is to be done, and the last bit that is written; nil: none is.
    private func fieldSteps() throws(CommandError) -> ([FieldStep], last: Int?) {
        var steps: [FieldStep] = []
        var overflow = FieldStep.Overflow.wrap
        var last: Int?
        var place = 2
        while place < arguments.count {
            let word = arguments[place]
            let left = arguments.count - place - 1
            let kind: FieldStep.Kind
            if word.isWord("get"), left >= 2 {
                kind = .get
            } else if word.isWord("set"), left >= 3 {
                kind = .set
            } else if word.isWord("incrby"), left >= 3 {
                kind = .increase
            } else if word.isWord("overflow"), left >= 1 {
                overflow = try self.overflow(place + 1)
                place += 2
                continue
            } else {
                throw .syntax
            }
            guard let field = BitField(arguments[place + 1]) else {
                throw CommandError(
                    "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 "
                        + "is.")
            }
            let offset = try bitOffset(place + 2, width: Int64(field.width))
            var step = FieldStep(kind: kind, overflow: overflow, place: offset, field: field)
            if kind != .get {
                last = max(last ?? 0, offset + field.width - 1)
                step.number = try integer(place + 3)
            }
            steps.append(step)
            place += kind == .get ? 3 : 4
        }
        return (steps, last)
    }

    private func overflow(_ index: Int) throws(CommandError) -> FieldStep.Overflow {
        if arguments[index].isWord("wrap") { return .wrap }
        if arguments[index].isWord("sat") { return .saturate }
        if arguments[index].isWord("fail") { return .fail }
        throw CommandError("Invalid OVERFLOW type specified")
    }

    /// The answer of one step; nil: it would have overflowed, and did nothing.
    private static func run(_ step: FieldStep, on bytes: inout [UInt8], _ count: inout Int) -> Int64? {
        let old = step.field.value(at: step.place, of: bytes)
        guard step.kind != .get else { return old }
        let isSum = step.kind == .increase
        let base = isSum ? old : step.number
        let added = isSum ? step.number : 0
        var new = base &+ added
        if let isHigh = step.field.overflows(base, added) {
            switch step.overflow {
            case .fail: return nil
            case .wrap: new = step.field.wrapped(new)
            case .saturate: new = isHigh ? step.field.highest : step.field.lowest
            }
        }
        step.field.set(new, at: step.place, of: &bytes)
        if old != new { count += 1 }
        return isSum ? new : old
    }
}

/// `i8`, `u63`: an integer of some bits.
struct BitField {
    let isSigned: Bool
    /// 1 ... 64, unsigned 1 ... 63.
    let width: Int

    init?(_ word: ByteString) {
        switch word.bytes.first {
        case UInt8(ascii: "i"): isSigned = true
        case UInt8(ascii: "u"): isSigned = false
        default: return nil
        }
        guard let width = ByteString(Array(word.bytes.dropFirst())).integer, width >= 1,
            width <= (isSigned ? 64 : 63)
        else { return nil }
        self.width = Int(width)
    }

    var highest: Int64 {
        Int64(truncatingIfNeeded: UInt64.max >> UInt64(64 - width + (isSigned ? 1 : 0)))
    }
    var lowest: Int64 { isSigned ? -highest - 1 : 0 }

    /// Whether the sum leaves the field, at its high end or its low one; nil: it doesn't.
    func overflows(_ base: Int64, _ added: Int64) -> Bool? {
        guard isSigned else {
            let (value, most) = (UInt64(bitPattern: base), UInt64(highest))
            let room = Int64(bitPattern: most &- value)
            if value > most || added > 0 && added > room { return true }
            return added < 0 && added < 0 &- base ? false : nil
        }
        // Of a base out of range the room wraps around, and it shows: Redis takes the least of all for too high.
        let room = highest &- base
        if base > highest || (width != 64 || base >= 0 && added > 0) && added > room { return true }
        let rest = lowest &- base
        if base < lowest || (width != 64 || base < 0 && added < 0) && added < rest { return false }
        return nil
    }

    /// The low bits, as a number of this field.
    func wrapped(_ number: Int64) -> Int64 {
        let shift = Int64(64 - width)
        if isSigned { return (number << shift) >> shift }
        return Int64(truncatingIfNeeded: (UInt64(bitPattern: number) << UInt64(shift)) >> UInt64(shift))
    }

    /// Bits beyond the end are zeros.
    func value(at place: Int, of bytes: [UInt8]) -> Int64 {
        var number: UInt64 = 0
        for bit in place..<place + width {
            let byte = bit >> 3 < bytes.count ? bytes[bit >> 3] : 0
            number = number << 1 | UInt64(byte >> UInt8(7 - bit & 7) & 1)
        }
        return wrapped(Int64(bitPattern: number))
    }

    /// The field lies within the bytes.
    func set(_ number: Int64, at place: Int, of bytes: inout [UInt8]) {
        for index in 0..<width {
            let bit = place + index
            let mask: UInt8 = 0x80 >> UInt8(bit & 7)
            if number >> Int64(width - 1 - index) & 1 == 1 {
                bytes[bit >> 3] |= mask
            } else {
                bytes[bit >> 3] &= ~mask
            }
        }
    }
}
