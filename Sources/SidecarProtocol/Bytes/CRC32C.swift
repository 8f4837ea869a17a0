/// CRC32C: the checksum of iSCSI (RFC 3720, section 12.1), with Castagnoli's polynomial 0x1EDC6F41.
///
/// It is computed eight bytes at a time, by eight tables (Kounavis and Berry 2005: slicing by 8).
package enum CRC32C {
    /// - Parameter prefix: the checksum of what goes before `bytes`, so that a checksum can be taken in
    ///   parts; zero at the start.
    package static func checksum(_ bytes: UnsafeRawBufferPointer, after prefix: UInt32 = 0) -> UInt32 {
        tables.withUnsafeBufferPointer { tables in
            var crc = ~prefix
            var index = 0
            while index &+ 8 <= bytes.count {
                let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
                crc = slice(word ^ UInt64(crc), tables)
                index &+= 8
            }
            while index < bytes.count {
                crc = (crc >> 8) ^ tables[Int((crc ^ UInt32(bytes[index])) & 255)]
                index &+= 1
            }
            return ~crc
        }
    }

    package static func checksum(_ bytes: [UInt8], after prefix: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { checksum($0, after: prefix) }
    }

    /// The eight tables stand one behind the other; the first is that of a byte's own.
    private static func slice(_ word: UInt64, _ tables: UnsafeBufferPointer<UInt32>) -> UInt32 {
        let low = tables[1792 &+ Int(word & 255)] ^ tables[1536 &+ Int(word >> 8 & 255)]
        let second = tables[1280 &+ Int(word >> 16 & 255)] ^ tables[1024 &+ Int(word >> 24 & 255)]
        let third = tables[768 &+ Int(word >> 32 & 255)] ^ tables[512 &+ Int(word >> 40 & 255)]
        let high = tables[256 &+ Int(word >> 48 & 255)] ^ tables[Int(word >> 56)]
        return low ^ second ^ third ^ high
    }

    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 { crc = (crc >> 1) ^ (crc & 1 == 1 ? 0x82F6_3B78 : 0) }
            tables[byte] = crc
        }
        for index in 256..<tables.count {
            let before = tables[index - 256]
            tables[index] = (before >> 8) ^ tables[Int(before & 255)]
        }
        return tables
    }()
}
