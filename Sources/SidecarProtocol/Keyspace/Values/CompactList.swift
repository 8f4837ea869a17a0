// The strings in which Redis keeps small collections, read (listpack.c, ziplist.c, intset.c, lzf_d.c).

enum CompactList {
    typealias BadData = DumpPayload.BadData

    private static func number(_ bytes: [UInt8], _ place: Int, _ width: Int) throws(BadData) -> UInt64 {
        guard place >= 0, place + width <= bytes.count else { throw BadData() }
        return (0..<width).reversed().reduce(0) { $0 << 8 | UInt64(bytes[place + $1]) }
    }

    /// A little-endian integer with a sign.
    private static func integer(_ bytes: [UInt8], _ place: Int, _ width: Int) throws(BadData) -> ByteString {
        let shift = UInt64(64 - width * 8)
        let number = Int64(bitPattern: try number(bytes, place, width) << shift) >> Int64(shift)
        return ByteString(DecimalText.bytes(of: number))
    }

    private static func slice(_ bytes: [UInt8], _ place: Int, _ count: Int) throws(BadData) -> ByteString {
        guard count >= 0, place <= bytes.count, count <= bytes.count - place else { throw BadData() }
        return ByteString(Array(bytes[place..<place + count]))
    }

    // MARK: Listpack

    /// The size in 4 bytes, the number of elements in 2 (65,535: many), the elements, 0xFF.
    static func listpack(_ bytes: [UInt8]) throws(BadData) -> [ByteString] {
        guard bytes.count >= 7, try number(bytes, 0, 4) == UInt64(bytes.count), bytes.last == 0xFF else {
            throw BadData()
        }
        var elements: [ByteString] = []
        var place = 6
        while place < bytes.count - 1 {
            let (element, width) = try listpackElement(bytes, place)
            elements.append(element)
            // Its length once more, so that it can be read backwards: 7 bits a byte.
            place += width + lengthWidth(width)
        }
        let count = try number(bytes, 4, 2)
        guard place == bytes.count - 1, count == 65_535 || count == UInt64(elements.count) else {
            throw BadData()
        }
        return elements
    }

    private static func lengthWidth(_ count: Int) -> Int {
        if count <= 127 { return 1 }
        if count < 16_383 { return 2 }
        if count < 2_097_151 { return 3 }
        return count < 268_435_455 ? 4 : 5
    }

    /// An element, and how many bytes spell it.
    private static func listpackElement(
        _ bytes: [UInt8], _ place: Int
    ) throws(BadData) -> (ByteString, Int) {
        let first = bytes[place]
        switch first {
        case 0..<0x80: return (ByteString(DecimalText.bytes(of: Int64(first))), 1)
        case 0x80..<0xC0:
            let count = Int(first & 0x3F)
            return (try slice(bytes, place + 1, count), 1 + count)
        case 0xC0..<0xE0:
            let number = Int64(first & 0x1F) << 8 | Int64(try number(bytes, place + 1, 1))
            let signed = number >= 4096 ? number - 8192 : number
            return (ByteString(DecimalText.bytes(of: signed)), 2)
        case 0xE0..<0xF0:
            let count = Int(first & 0x0F) << 8 | Int(try number(bytes, place + 1, 1))
            return (try slice(bytes, place + 2, count), 2 + count)
        case 0xF0:
            let count = Int(try number(bytes, place + 1, 4))
            return (try slice(bytes, place + 5, count), 5 + count)
        case 0xF1: return (try integer(bytes, place + 1, 2), 3)
        case 0xF2: return (try integer(bytes, place + 1, 3), 4)
        case 0xF3: return (try integer(bytes, place + 1, 4), 5)
        case 0xF4: return (try integer(bytes, place + 1, 8), 9)
        default: throw BadData()
        }
    }

    // MARK: Ziplist

    /// The size in 4 bytes, the place of the last element in 4, the number in 2, the elements, 0xFF.
    static func ziplist(_ bytes: [UInt8]) throws(BadData) -> [ByteString] {
        guard bytes.count >= 11, try number(bytes, 0, 4) == UInt64(bytes.count), bytes.last == 0xFF else {
            throw BadData()
        }
        var elements: [ByteString] = []
        var place = 10
        while place < bytes.count - 1 {
            // The length of the one before.
            place += bytes[place] == 0xFE ? 5 : 1
            guard place < bytes.count - 1 else { throw BadData() }
            let (element, width) = try ziplistElement(bytes, place)
            elements.append(element)
            place += width
        }
        let count = try number(bytes, 8, 2)
        guard place == bytes.count - 1, count == 65_535 || count == UInt64(elements.count) else {
            throw BadData()
        }
        return elements
    }

    private static func ziplistElement(
        _ bytes: [UInt8], _ place: Int
    ) throws(BadData) -> (ByteString, Int) {
        let first = bytes[place]
        switch first {
        case 0..<0x40: return (try slice(bytes, place + 1, Int(first)), 1 + Int(first))
        case 0x40..<0x80:
            let count = Int(first & 0x3F) << 8 | Int(try number(bytes, place + 1, 1))
            return (try slice(bytes, place + 2, count), 2 + count)
        case 0x80:
            let count = Int(UInt32(try number(bytes, place + 1, 4)).byteSwapped)
            return (try slice(bytes, place + 5, count), 5 + count)
        case 0xC0: return (try integer(bytes, place + 1, 2), 3)
        case 0xD0: return (try integer(bytes, place + 1, 4), 5)
        case 0xE0: return (try integer(bytes, place + 1, 8), 9)
        case 0xF0: return (try integer(bytes, place + 1, 3), 4)
        case 0xFE: return (try integer(bytes, place + 1, 1), 2)
        case 0xF1...0xFD: return (ByteString(DecimalText.bytes(of: Int64(first & 0x0F) - 1)), 1)
        default: throw BadData()
        }
    }

    // MARK: Intset

    /// The width of a number in 4 bytes, how many there are in 4, the numbers in order.
    static func intset(_ bytes: [UInt8]) throws(BadData) -> [ByteString] {
        let (width, count) = (try number(bytes, 0, 4), try number(bytes, 4, 4))
        guard [2, 4, 8].contains(width), UInt64(bytes.count) == 8 + width * count else { throw BadData() }
        var elements: [ByteString] = []
        for index in 0..<Int(count) {
            elements.append(try integer(bytes, 8 + index * Int(width), Int(width)))
        }
        return elements
    }

    // MARK: LZF

    /// Literals, and references to what stands up to 8 KiB before.
    static func unpacked(_ bytes: [UInt8], count: Int) throws(BadData) -> [UInt8] {
        var out: [UInt8] = []
        var place = 0
        while place < bytes.count {
            let control = Int(bytes[place])
            place += 1
            if control < 32 {
                out += try slice(bytes, place, control + 1).bytes
                place += control + 1
                continue
            }
            var length = control >> 5
            if length == 7 {
                length += Int(try number(bytes, place, 1))
                place += 1
            }
            let distance = ((control & 31) << 8 | Int(try number(bytes, place, 1))) + 1
            place += 1
            guard distance <= out.count, out.count + length + 2 <= count else { throw BadData() }
            for _ in 0..<length + 2 { out.append(out[out.count - distance]) }
        }
        guard out.count == count else { throw BadData() }
        return out
    }
}
