/// A key, a member, a field or a value: bytes without an encoding, compared as memcmp does.
///
/// Copies share one buffer, so a member that stands in the keyspace and in its replicas' metadata is held
/// once.
package struct ByteString: Hashable, Comparable, Sendable {
    package internal(set) var bytes: [UInt8]

    @inlinable
    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package init(_ text: some StringProtocol) { bytes = Array(text.utf8) }

    @inlinable package var count: Int { bytes.count }

    // An array hashes and compares itself element by element; as one buffer it is several times faster.

    @inlinable
    package func hash(into hasher: inout Hasher) {
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }

    @inlinable
    package static func == (left: ByteString, right: ByteString) -> Bool {
        guard left.bytes.count == right.bytes.count else { return false }
        return left.bytes.withUnsafeBytes { a in right.bytes.withUnsafeBytes { b in isSame(a, b) } }
    }

    /// Both are as long. Word by word, and the last word again where the length is no multiple of eight.
    @inlinable
    static func isSame(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        func isSame(at offset: Int) -> Bool {
            left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                == right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        }
        let count = left.count
        guard count >= 8 else {
            for index in 0..<count where left[index] != right[index] { return false }
            return true
        }
        var offset = 0
        while offset &+ 8 <= count {
            guard isSame(at: offset) else { return false }
            offset &+= 8
        }
        return isSame(at: count &- 8)
    }

    package static func < (left: ByteString, right: ByteString) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}

extension ByteString: ExpressibleByStringLiteral {
    package init(stringLiteral text: String) { self.init(text) }
}
