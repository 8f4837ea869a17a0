/// The one's complement sum of RFC 1071, over 16-bit words in network byte order.
package struct InternetChecksum {
    private var sum: UInt64 = 0

    package init() {}

    /// Adds bytes. Every part but the last must have an even count.
    package mutating func add(_ bytes: RawSpan) {
        // RFC 1071 §2(B): the sum may be taken in the machine's own order, and of wider words, since
        // one's complement addition carries around.
        let count = bytes.byteCount
        var native: UInt64 = 0
        var offset = 0
        while offset &+ 4 <= count {
            native &+= UInt64(bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
            offset &+= 4
        }
        if offset &+ 2 <= count {
            native &+= UInt64(bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
            offset &+= 2
        }
        if offset < count {
            // The missing byte counts as zero: the last one is the high half of its word.
            native &+= UInt64(UInt16(bytes.uint8(offset)).littleEndian)
        }
        sum &+= UInt64(UInt16(bigEndian: InternetChecksum.fold(native)))
    }

    package mutating func add(_ word: UInt16) { sum &+= UInt64(word) }

    package mutating func add(_ words: UInt32) {
        sum &+= UInt64(words >> 16) &+ UInt64(words & 0xFFFF)
    }

    /// The pseudo-header of TCP and UDP over IPv4 (RFC 9293 §3.1).
    package mutating func addPseudoHeader(
        source: UInt32, destination: UInt32, protocol: UInt8, count: UInt16
    ) {
        add(source)
        add(destination)
        add(UInt16(`protocol`))
        add(count)
    }

    /// What goes into the header. Over bytes that hold a right checksum it is 0.
    package var value: UInt16 { ~InternetChecksum.fold(sum) }

    private static func fold(_ sum: UInt64) -> UInt16 {
        var sum = sum
        while sum >> 16 != 0 { sum = (sum & 0xFFFF) &+ (sum >> 16) }
        return UInt16(truncatingIfNeeded: sum)
    }
}
