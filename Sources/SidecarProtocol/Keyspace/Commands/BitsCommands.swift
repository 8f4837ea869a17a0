// Strings as bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP (bitops.c). Bit 0 is the highest of the first byte.

extension Keyspace {
    mutating func setBit() throws(CommandError) {
        let place = try bitOffset(2)
        guard let bit = arguments[3].integer, bit == 0 || bit == 1 else {
            throw CommandError("bit is not an integer or out of range")
        }
        var old: UInt8 = 0
        try changeBits(upTo: place) { bytes in
            let mask = Keyspace.mask(place)
            old = bytes[place >> 3] & mask == 0 ? 0 : 1
            if bit == 1 { bytes[place >> 3] |= mask } else { bytes[place >> 3] &= ~mask }
            return old == bit ? 0 : 1
        }
        reply.integer(Int(old))
    }

    mutating func getBit() throws(CommandError) {
        let place = try bitOffset(2)
        guard let string = try stringToRead(arguments[1]), place >> 3 < string.count else {
            return reply.integer(0)
        }
        reply.integer(string.bytes[place >> 3] & Keyspace.mask(place) == 0 ? 0 : 1)
    }

    private static func mask(_ place: Int) -> UInt8 { 0x80 >> UInt8(truncatingIfNeeded: place & 7) }

    /// Where a bit stands. `width`: of a field, whose number `#n` counts fields.
    func bitOffset(_ index: Int, width: Int64 = 0) throws(CommandError) -> Int {
        let refusal = CommandError("bit offset is not an integer or out of range")
        let isField = width > 0 && arguments[index].bytes.first == UInt8(ascii: "#")
        let word = isField ? ByteString(Array(arguments[index].bytes.dropFirst())) : arguments[index]
        guard var offset = word.integer else { throw refusal }
        if isField { offset = offset &* width }
        guard offset >= 0, offset >> 3 < settings.stringBytesMaximum else { throw refusal }
        return Int(offset)
    }

    /// Changes a string that is made long enough first, and recorded if that or `change` did something.
    ///
    /// - Parameter change: Answers how many changes it made.
    mutating func changeBits(
        upTo last: Int, _ change: (inout [UInt8]) -> Int
    ) throws(CommandError) {
        let key = arguments[1]
        let existing = find(key)
        if let existing, value(at: existing).kind != .string { throw .wrongType }
        let least = last >> 3 + 1
        guard let existing else {
            var bytes = [UInt8](repeating: 0, count: least)
            _ = change(&bytes)
            add(key, .raw(ByteString(bytes)))
            record(.setString(stored(key), ByteString(bytes)))
            return notify(.string, "setbit", key)
        }
        var count = 0
        let whole = edit(at: existing, notes: false) { bytes in
            if bytes.count < least {
                bytes.append(contentsOf: repeatElement(0, count: least - bytes.count))
                count += 1
            }
            count += change(&bytes)
        }
        guard count > 0 else { return }
        changed(at: existing)
        record(.setString(stored(key), whole))
        notify(.string, "setbit", key)
    }

    // MARK: BITCOUNT, BITPOS

    mutating func countBits() throws(CommandError) {
        guard let string = try stringToRead(arguments[1]) else { return reply.integer(0) }
        guard arguments.count == 2 || arguments.count == 4 || arguments.count == 5 else { throw .syntax }
        var bits = 0..<string.count * 8
        if arguments.count > 2 {
            let (start, end) = (try integer(2), try integer(3))
            if start < 0, end < 0, start > end { return reply.integer(0) }
            let isBits = arguments.count == 5 ? try areBits(4) : false
            bits = Keyspace.bits(start, end, of: string.count, areBits: isBits)
        }
        reply.integer(Keyspace.count(bits, of: string.bytes))
    }

    private func areBits(_ index: Int) throws(CommandError) -> Bool {
        if arguments[index].isWord("bit") { return true }
        guard arguments[index].isWord("byte") else { throw .syntax }
        return false
    }

    /// The bits between two places of `count` bytes, which count from the end where they are negative.
    private static func bits(_ start: Int64, _ end: Int64, of count: Int, areBits: Bool) -> Range<Int> {
        let unit = areBits ? 1 : 8
        let total = Int64(count * 8 / unit)
        let first = max(start < 0 ? start &+ total : start, 0)
        let last = min(max(end < 0 ? end &+ total : end, 0), total - 1)
        return first <= last ? Int(first) * unit..<(Int(last) + 1) * unit : 0..<0
    }

    private static func count(_ bits: Range<Int>, of bytes: [UInt8]) -> Int {
        var sum = 0
        forEachByte(bits, of: bytes) { _, byte, _ in
            sum += byte.nonzeroBitCount
            return true
        }
        return sum
    }

    /// Visits bytes with those of their bits that aren't within `bits` cleared, and the mask that did it,
    /// until the visitor answers false.
    private static func forEachByte(
        _ bits: Range<Int>, of bytes: [UInt8], _ visit: (Int, UInt8, _ mask: UInt8) -> Bool
    ) {
        guard !bits.isEmpty else { return }
        let (first, last) = (bits.lowerBound >> 3, (bits.upperBound - 1) >> 3)
        for index in first...last {
            var mask: UInt8 = 0xFF
            if index == first { mask &= 0xFF >> UInt8(bits.lowerBound & 7) }
            if index == last { mask &= ~(0x7F >> UInt8((bits.upperBound - 1) & 7)) }
            if !visit(index, bytes[index] & mask, mask) { return }
        }
    }

    mutating func findBit() throws(CommandError) {
        let bit = try integer(2)
        guard bit == 0 || bit == 1 else { throw CommandError("The bit argument must be 1 or 0.") }
        guard let string = try stringToRead(arguments[1]) else { return reply.integer(bit == 0 ? 0 : -1) }
        guard arguments.count <= 6 else { throw .syntax }
        var bits = 0..<string.count * 8
        if arguments.count > 3 {
            let start = try integer(3)
            let isBits = arguments.count == 6 ? try areBits(5) : false
            let end = arguments.count > 4 ? try integer(4) : -1
            bits = Keyspace.bits(start, end, of: string.count, areBits: isBits)
        }
        guard !bits.isEmpty else { return reply.integer(-1) }
        var found: Int?
        Keyspace.forEachByte(bits, of: string.bytes) { index, byte, mask in
            let wanted = bit == 1 ? byte : ~byte & mask
            guard wanted != 0 else { return true }
            found = index * 8 + wanted.leadingZeroBitCount
            return false
        }
        // A string is followed by zeros, unless the range says where it ends.
        let isOpen = bit == 0 && arguments.count < 5
        reply.integer(found ?? (isOpen ? string.count * 8 : -1))
    }

    // MARK: BITOP

    mutating func combineBits() throws(CommandError) {
        enum Combination { case and, or, xor, not }
        let word = arguments[1]
        let combination: Combination
        if word.isWord("and") {
            combination = .and
        } else if word.isWord("or") {
            combination = .or
        } else if word.isWord("xor") {
            combination = .xor
        } else if word.isWord("not") {
            combination = .not
        } else {
            throw .syntax
        }
        if combination == .not, arguments.count != 4 {
            throw CommandError("BITOP NOT must be called with a single source key.")
        }
        var sources: [[UInt8]] = []
        for place in 3..<arguments.count {
            sources.append(try stringToRead(arguments[place])?.bytes ?? [])
        }
        let length = sources.reduce(0) { max($0, $1.count) }
        var result = sources[0] + [UInt8](repeating: 0, count: length - sources[0].count)
        for source in sources.dropFirst() {
            switch combination {
            case .and:
                for index in source.indices { result[index] &= source[index] }
                for index in source.count..<length { result[index] = 0 }
            case .or: for index in source.indices { result[index] |= source[index] }
            case .xor: for index in source.indices { result[index] ^= source[index] }
            case .not: break
            }
        }
        if combination == .not { for index in result.indices { result[index] = ~result[index] } }
        if length > 0 {
            storeRaw(ByteString(result), under: arguments[2])
        } else if delete(arguments[2]) {
            notify(.generic, "del", arguments[2])
        }
        reply.integer(length)
    }

    /// SET of bytes that aren't looked at: OBJECT ENCODING calls them raw, whatever they spell.
    mutating func storeRaw(_ bytes: ByteString, under key: ByteString) {
        let index = store(bytes, under: key, at: find(key))
        replace(at: index, .raw(bytes))
    }
}
