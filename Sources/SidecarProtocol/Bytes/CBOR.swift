// Canonical CBOR: the one encoding of every structure that mesh signs, hashes or sends.
//
// Theory of operation
//
//   RFC 8949 gives a value several encodings; section 4.2.1 ("core deterministic encoding") picks one.
//   We write only that one and refuse every other on reading, so that bytes and value determine each
//   other: a hash of the bytes is a hash of the value, and a signature can't be moved between two
//   spellings of one certificate.
//
//   Refused on reading: lengths that are not the shortest, indefinite lengths, map keys that are
//   unsorted or repeated, text that is not UTF-8, tags, floats, simple values other than false, true
//   and null, bytes after the value, and nesting deeper than `Limits.cborDepthMaximum`.

/// A CBOR data item (RFC 8949 §3), without floats and tags, which mesh doesn't use.
package indirect enum CBOR: Hashable, Sendable {
    case unsigned(UInt64)
    /// The value −1 − n.
    case negative(UInt64)
    case bytes([UInt8])
    case text(String)
    case array([CBOR])
    case map([Pair])
    case bool(Bool)
    case null

    package struct Pair: Hashable, Sendable {
        package var key: CBOR
        package var value: CBOR

        package init(_ key: CBOR, _ value: CBOR) {
            self.key = key
            self.value = value
        }
    }
}

package enum CBORError: Error, Equatable, Sendable {
    case truncated(at: Int)
    case notCanonical(at: Int)
    case unsupported(at: Int)
    case tooDeep(at: Int)
    case trailingBytes(at: Int)
    /// The item is well formed, but isn't what the structure wants here.
    case unexpected(field: String)
}

// MARK: - Writing

extension CBOR {
    /// The canonical encoding. Maps are sorted by the bytes of their encoded keys.
    package func encoded() -> [UInt8] {
        var out: [UInt8] = []
        encode(into: &out)
        return out
    }

    func encode(into out: inout [UInt8]) {
        switch self {
        case .unsigned(let value): CBOR.head(0, value, &out)
        case .negative(let value): CBOR.head(1, value, &out)
        case .bytes(let bytes):
            CBOR.head(2, UInt64(bytes.count), &out)
            out += bytes
        case .text(let text):
            let utf8 = Array(text.utf8)
            CBOR.head(3, UInt64(utf8.count), &out)
            out += utf8
        case .array(let items):
            CBOR.head(4, UInt64(items.count), &out)
            for item in items { item.encode(into: &out) }
        case .map(let pairs):
            CBOR.head(5, UInt64(pairs.count), &out)
            let encoded = pairs.map { (key: $0.key.encoded(), value: $0.value) }
            for pair in encoded.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                out += pair.key
                pair.value.encode(into: &out)
            }
        case .bool(let flag): out.append(flag ? 0xF5 : 0xF4)
        case .null: out.append(0xF6)
        }
    }

    private static func head(_ major: UInt8, _ value: UInt64, _ out: inout [UInt8]) {
        let top = major << 5
        switch value {
        case 0..<24: out.append(top | UInt8(value))
        case 24...0xFF:
            out.append(top | 24)
            out.append(UInt8(value))
        case 0x100...0xFFFF:
            out.append(top | 25)
            appendBigEndian(value, byteCount: 2, &out)
        case 0x1_0000...0xFFFF_FFFF:
            out.append(top | 26)
            appendBigEndian(value, byteCount: 4, &out)
        default:
            out.append(top | 27)
            appendBigEndian(value, byteCount: 8, &out)
        }
    }

    private static func appendBigEndian(_ value: UInt64, byteCount: Int, _ out: inout [UInt8]) {
        for shift in stride(from: (byteCount - 1) * 8, through: 0, by: -8) {
            out.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }
}

// MARK: - Reading

extension CBOR {
    /// Reads exactly one item that fills `bytes`, in its canonical encoding.
    package init(canonical bytes: [UInt8]) throws(CBORError) {
        var reader = CBORReader(bytes: bytes)
        self = try reader.item(depth: 0)
        guard reader.offset == bytes.count else { throw .trailingBytes(at: reader.offset) }
    }
}

private struct CBORReader {
    let bytes: [UInt8]
    var offset = 0

    mutating func item(depth: Int) throws(CBORError) -> CBOR {
        guard depth <= Limits.cborDepthMaximum else { throw .tooDeep(at: offset) }
        let start = offset
        let first = try byte()
        if first >> 5 == 7 { return try simple(first, at: start) }
        let value = try argument(first & 0x1F, at: start)
        switch first >> 5 {
        case 0: return .unsigned(value)
        case 1: return .negative(value)
        case 2: return .bytes(Array(try take(value)))
        case 3:
            guard let text = String(validating: try take(value), as: UTF8.self) else {
                throw .notCanonical(at: start)
            }
            return .text(text)
        case 4: return .array(try array(count: value, depth: depth))
        case 5: return .map(try map(count: value, depth: depth))
        default: throw .unsupported(at: start)
        }
    }

    private func simple(_ first: UInt8, at start: Int) throws(CBORError) -> CBOR {
        switch first {
        case 0xF4: return .bool(false)
        case 0xF5: return .bool(true)
        case 0xF6: return .null
        default: throw .unsupported(at: start)
        }
    }

    private mutating func array(count: UInt64, depth: Int) throws(CBORError) -> [CBOR] {
        // An item takes a byte at least, so a larger count can't be honest.
        guard count <= UInt64(bytes.count - offset) else { throw .truncated(at: offset) }
        var items: [CBOR] = []
        items.reserveCapacity(Int(count))
        for _ in 0..<count { items.append(try item(depth: depth + 1)) }
        return items
    }

    private mutating func map(count: UInt64, depth: Int) throws(CBORError) -> [CBOR.Pair] {
        guard count <= UInt64(bytes.count - offset) / 2 else { throw .truncated(at: offset) }
        var pairs: [CBOR.Pair] = []
        pairs.reserveCapacity(Int(count))
        var previous: ArraySlice<UInt8>?
        for _ in 0..<count {
            let start = offset
            let key = try item(depth: depth + 1)
            let encoded = bytes[start..<offset]
            if let previous, !previous.lexicographicallyPrecedes(encoded) {
                throw .notCanonical(at: start)
            }
            previous = encoded
            pairs.append(CBOR.Pair(key, try item(depth: depth + 1)))
        }
        return pairs
    }

    private mutating func byte() throws(CBORError) -> UInt8 {
        guard offset < bytes.count else { throw .truncated(at: offset) }
        defer { offset += 1 }
        return bytes[offset]
    }

    private mutating func take(_ count: UInt64) throws(CBORError) -> ArraySlice<UInt8> {
        guard count <= UInt64(bytes.count - offset) else { throw .truncated(at: offset) }
        defer { offset += Int(count) }
        return bytes[offset..<offset + Int(count)]
    }

    /// The argument of a head, refused when a shorter form would have held it.
    private mutating func argument(_ info: UInt8, at start: Int) throws(CBORError) -> UInt64 {
        let byteCount: Int
        let least: UInt64
        switch info {
        case 0..<24: return UInt64(info)
        case 24: (byteCount, least) = (1, 24)
        case 25: (byteCount, least) = (2, 0x100)
        case 26: (byteCount, least) = (4, 0x1_0000)
        case 27: (byteCount, least) = (8, 0x1_0000_0000)
        default: throw .unsupported(at: start)
        }
        var value: UInt64 = 0
        for byte in try take(UInt64(byteCount)) { value = value << 8 | UInt64(byte) }
        guard value >= least else { throw .notCanonical(at: start) }
        return value
    }
}
