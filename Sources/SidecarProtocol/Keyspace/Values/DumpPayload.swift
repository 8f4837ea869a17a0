// What DUMP answers and RESTORE takes: one value in the format of Redis's RDB files, version 10 (rdb.c).
//
// Theory of operation
//
//   A byte for the type, the value, the version in two bytes and the CRC-64 of all of it in eight, both
//   little-endian. Collections are written element by element, as Redis writes the large ones, and strings
//   without compression. What is read is all that Redis 4 to 7.0 writes but streams and modules: compressed
//   strings, and small collections as a ziplist, a listpack or an intset, which is one string.
//
//   A payload is a client's: each length is held against the bytes that are left, and nothing is reserved for
//   what is only announced.

enum DumpPayload {
    static let version = 10
    static let footerBytes = 10

    enum Kind: UInt8 {
        case string = 0
        case list = 1
        case set = 2
        case hash = 4
        case sorted = 5
        case listZiplist = 10
        case setIntset = 11
        case sortedZiplist = 12
        case hashZiplist = 13
        case listQuicklist = 14
        case hashListpack = 16
        case sortedListpack = 17
        case listQuicklist2 = 18
    }

    // MARK: Writing

    /// A stream has no form here: it is empty.
    static func encode(_ value: Value) -> ByteString {
        var out = DumpWriter()
        switch value {
        case .integer, .text, .raw:
            out.kind(.string)
            out.string(value.string ?? .empty)
        case .list(let list):
            out.kind(.list)
            out.length(list.ring.count)
            for index in 0..<list.ring.count { out.string(list.ring[index]) }
        case .set(let set):
            out.kind(.set)
            out.length(set.count)
            set.visit { out.string($0) }
        case .hash(let hash):
            out.kind(.hash)
            out.length(hash.table.count)
            for index in 0..<hash.table.count {
                out.string(hash.table[index].key)
                out.string(hash.table[index].value)
            }
        case .sorted(let sorted):
            out.kind(.sorted)
            out.length(sorted.count)
            sorted.tree.forEach(in: 0..<sorted.count) { score, member in
                out.string(member)
                out.littleEndian(score.bitPattern)
            }
        case .stream: return .empty
        }
        out.littleEndian(UInt16(version))
        out.littleEndian(CRC64.of(out.bytes[...]))
        return ByteString(out.bytes)
    }

    // MARK: Reading

    /// Whether the version is one that is known here, and the checksum is that of the rest.
    static func isIntact(_ payload: ByteString) -> Bool {
        let bytes = payload.bytes
        guard bytes.count >= footerBytes else { return false }
        let end = bytes.count - 8
        guard Int(bytes[end - 2]) | Int(bytes[end - 1]) << 8 <= version else { return false }
        let sum = bytes[end...].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return CRC64.of(bytes[..<end]) == sum
    }

    struct BadData: Error {}

    static func decode(
        _ payload: ByteString, hash: SeededHash, limits: KeyspaceSettings
    ) throws(BadData) -> Value {
        var reader = DumpReader(
            bytes: Array(payload.bytes.dropLast(footerBytes)), stringMaximum: limits.stringBytesMaximum)
        guard let kind = Kind(rawValue: try reader.byte()) else { throw BadData() }
        switch kind {
        case .string: return Value(string: try reader.string())
        case .list, .listZiplist, .listQuicklist, .listQuicklist2:
            let list = ListObject()
            for element in try elements(kind, &reader) { list.ring.append(element) }
            return .list(list)
        case .set, .setIntset:
            let set = SetObject(hash: hash)
            for member in try elements(kind, &reader) {
                guard set.add(member, limits: limits) else { throw BadData() }
            }
            return .set(set)
        case .hash, .hashZiplist, .hashListpack:
            let object = HashObject(hash: hash)
            for (field, value) in try pairs(kind, &reader) {
                guard object.set(field, value, limits: limits) else { throw BadData() }
            }
            return .hash(object)
        case .sorted: return .sorted(try sorted(&reader, hash, limits))
        case .sortedZiplist, .sortedListpack:
            let object = SortedObject(hash: hash)
            for (member, text) in try pairs(kind, &reader) {
                guard let score = text.double, object.set(member, score, limits: limits) else {
                    throw BadData()
                }
            }
            return .sorted(object)
        }
    }

    private static func sorted(
        _ reader: inout DumpReader, _ hash: SeededHash, _ limits: KeyspaceSettings
    ) throws(BadData) -> SortedObject {
        let object = SortedObject(hash: hash)
        for _ in 0..<(try reader.count()) {
            let member = try reader.string()
            let score = Double(bitPattern: try reader.littleEndian(8))
            guard !score.isNaN, object.set(member, score, limits: limits) else { throw BadData() }
        }
        return object
    }

    private static func pairs(
        _ kind: Kind, _ reader: inout DumpReader
    ) throws(BadData) -> [(ByteString, ByteString)] {
        let all = try elements(kind, &reader)
        guard all.count % 2 == 0 else { throw BadData() }
        return stride(from: 0, to: all.count, by: 2).map { (all[$0], all[$0 + 1]) }
    }

    /// Of a collection, one after the other; there is at least one.
    private static func elements(_ kind: Kind, _ reader: inout DumpReader) throws(BadData) -> [ByteString] {
        var all: [ByteString] = []
        switch kind {
        case .list, .set, .hash:
            let count = try reader.count()
            for _ in 0..<(kind == .hash ? count * 2 : count) { all.append(try reader.string()) }
        case .listZiplist, .sortedZiplist, .hashZiplist:
            all = try CompactList.ziplist(try reader.string().bytes)
        case .sortedListpack, .hashListpack: all = try CompactList.listpack(try reader.string().bytes)
        case .setIntset: all = try CompactList.intset(try reader.string().bytes)
        case .listQuicklist:
            for _ in 0..<(try reader.count()) { all += try CompactList.ziplist(try reader.string().bytes) }
        case .listQuicklist2:
            for _ in 0..<(try reader.count()) {
                let container = try reader.count()
                let node = try reader.string()
                switch container {
                case 1: all.append(node)
                case 2: all += try CompactList.listpack(node.bytes)
                default: throw BadData()
                }
            }
        case .string, .sorted: throw BadData()
        }
        if all.isEmpty { throw BadData() }
        return all
    }
}

private struct DumpWriter {
    var bytes: [UInt8] = []

    mutating func kind(_ kind: DumpPayload.Kind) { bytes.append(kind.rawValue) }

    mutating func littleEndian<Number: FixedWidthInteger>(_ number: Number) {
        for shift in stride(from: 0, to: Number.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> Number(shift)))
        }
    }

    mutating func length(_ count: Int) {
        if count < 1 << 6 {
            bytes.append(UInt8(count))
        } else if count < 1 << 14 {
            bytes += [0x40 | UInt8(count >> 8), UInt8(count & 0xFF)]
        } else {
            let isShort = count <= UInt32.max
            bytes.append(isShort ? 0x80 : 0x81)
            for shift in stride(from: isShort ? 24 : 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: count >> shift))
            }
        }
    }

    /// Numbers of 32 bits as such.
    mutating func string(_ string: ByteString) {
        if string.count <= 11, let number = string.integer {
            if let byte = Int8(exactly: number) {
                bytes.append(0xC0)
                return littleEndian(byte)
            }
            if let short = Int16(exactly: number) {
                bytes.append(0xC1)
                return littleEndian(short)
            }
            if let word = Int32(exactly: number) {
                bytes.append(0xC2)
                return littleEndian(word)
            }
        }
        length(string.count)
        bytes += string.bytes
    }
}

private struct DumpReader {
    private let bytes: [UInt8]
    private let stringMaximum: Int
    private var place = 0

    init(bytes: [UInt8], stringMaximum: Int) { (self.bytes, self.stringMaximum) = (bytes, stringMaximum) }

    mutating func byte() throws(DumpPayload.BadData) -> UInt8 {
        guard place < bytes.count else { throw DumpPayload.BadData() }
        place += 1
        return bytes[place - 1]
    }

    mutating func littleEndian(_ width: Int) throws(DumpPayload.BadData) -> UInt64 {
        var number: UInt64 = 0
        for shift in 0..<width { number |= UInt64(try byte()) << UInt64(shift * 8) }
        return number
    }

    private mutating func bigEndian(_ width: Int) throws(DumpPayload.BadData) -> UInt64 {
        var number: UInt64 = 0
        for _ in 0..<width { number = number << 8 | UInt64(try byte()) }
        return number
    }

    /// A length, or the number of a special encoding of a string.
    private mutating func length() throws(DumpPayload.BadData) -> (UInt64, isSpecial: Bool) {
        let first = try byte()
        switch first >> 6 {
        case 0: return (UInt64(first), false)
        case 1: return (UInt64(first & 0x3F) << 8 | UInt64(try byte()), false)
        case 3: return (UInt64(first & 0x3F), true)
        default:
            guard first == 0x80 || first == 0x81 else { throw DumpPayload.BadData() }
            return (try bigEndian(first == 0x80 ? 4 : 8), false)
        }
    }

    /// How many there are, each of which takes a byte at least.
    mutating func count() throws(DumpPayload.BadData) -> Int {
        let (number, isSpecial) = try length()
        guard !isSpecial, number <= UInt64(bytes.count - place) else { throw DumpPayload.BadData() }
        return Int(number)
    }

    private mutating func raw(_ count: UInt64) throws(DumpPayload.BadData) -> ArraySlice<UInt8> {
        guard count <= UInt64(bytes.count - place) else { throw DumpPayload.BadData() }
        place += Int(count)
        return bytes[place - Int(count)..<place]
    }

    mutating func string() throws(DumpPayload.BadData) -> ByteString {
        let (number, isSpecial) = try length()
        guard isSpecial else { return ByteString(Array(try raw(number))) }
        switch number {
        case 0: return text(Int64(Int8(truncatingIfNeeded: try littleEndian(1))))
        case 1: return text(Int64(Int16(truncatingIfNeeded: try littleEndian(2))))
        case 2: return text(Int64(Int32(truncatingIfNeeded: try littleEndian(4))))
        case 3:
            let (packed, size) = (try length(), try length())
            guard !packed.isSpecial, !size.isSpecial, size.0 <= UInt64(stringMaximum) else {
                throw DumpPayload.BadData()
            }
            return ByteString(try CompactList.unpacked(Array(try raw(packed.0)), count: Int(size.0)))
        default: throw DumpPayload.BadData()
        }
    }

    private func text(_ number: Int64) -> ByteString { ByteString(DecimalText.bytes(of: number)) }
}

/// CRC-64 as Redis has it (Jones): polynomial 0xAD93D23594C935A9, reflected, without complements.
enum CRC64 {
    private static let table: [UInt64] = (0..<256).map { byte in
        (0..<8).reduce(UInt64(byte)) { crc, _ in
            crc & 1 == 1 ? crc >> 1 ^ 0x95AC_9329_AC4B_C9B5 : crc >> 1
        }
    }

    static func of(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        let table = table
        return bytes.reduce(UInt64(0)) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ $0 >> 8 }
    }
}
