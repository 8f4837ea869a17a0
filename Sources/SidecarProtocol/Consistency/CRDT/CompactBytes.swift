// The encoding of deltas, of their logs' messages and of snapshots: unsigned integers in base 128, and bytes
// behind their length. Each value has one encoding, and the reader refuses every other.

package enum CompactError: Error, Equatable, Sendable {
    case truncated(at: Int)
    case notCanonical(at: Int)
    case unknown(what: String, value: UInt64)
    case tooLarge(what: String, count: UInt64)
}

struct CompactWriter {
    var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    /// Base 128, the lowest group first, a set top bit where another follows.
    mutating func unsigned(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Zigzag: small numbers of either sign are short.
    mutating func signed(_ value: Int64) {
        unsigned(UInt64(bitPattern: value << 1 ^ value >> 63))
    }

    mutating func fixed(_ value: UInt64) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    mutating func string(_ value: ByteString) {
        unsigned(UInt64(value.count))
        // As a buffer, since an array would be retained meanwhile.
        value.bytes.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
    }
}

struct CompactReader {
    let bytes: [UInt8]
    var offset: Int
    let end: Int

    init(_ bytes: [UInt8], from offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
        end = bytes.count
    }

    var remaining: Int { end - offset }

    mutating func byte() throws(CompactError) -> UInt8 {
        guard offset < end else { throw .truncated(at: offset) }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func unsigned() throws(CompactError) -> UInt64 {
        let start = offset
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            // The tenth group holds the one bit that is left.
            guard shift < 63 || next <= 1 else { throw .notCanonical(at: start) }
            value |= UInt64(next & 0x7F) << shift
            if next & 0x80 == 0 {
                guard next != 0 || shift == 0 else { throw .notCanonical(at: start) }
                return value
            }
            shift += 7
        }
    }

    mutating func signed() throws(CompactError) -> Int64 {
        let raw = try unsigned()
        return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
    }

    mutating func fixed() throws(CompactError) -> UInt64 {
        guard remaining >= 8 else { throw .truncated(at: offset) }
        var value: UInt64 = 0
        for index in offset..<offset + 8 { value = value << 8 | UInt64(bytes[index]) }
        offset += 8
        return value
    }

    /// A number of things that follow, each of `least` bytes or more.
    mutating func count(of what: String, least: Int = 1) throws(CompactError) -> Int {
        let count = try unsigned()
        guard count <= UInt64(remaining / max(least, 1)) else { throw .tooLarge(what: what, count: count) }
        return Int(count)
    }

    mutating func take(_ count: Int) throws(CompactError) -> [UInt8] {
        guard count >= 0, count <= remaining else { throw .truncated(at: offset) }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    mutating func string() throws(CompactError) -> ByteString {
        ByteString(try take(try count(of: "bytes")))
    }

    func finish() throws(CompactError) {
        guard offset == end else { throw .notCanonical(at: offset) }
    }
}
