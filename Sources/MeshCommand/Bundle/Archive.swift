// A tar archive (POSIX.1-2017, pax, "ustar Interchange Format") in a gzip file (RFC 1952).

import Glibc

struct Archive {
    private var bytes: [UInt8] = []
    private let modified: Int

    /// - Parameter modified: seconds since 1970, of every file in it.
    init(modified: Int) { self.modified = modified }

    /// - Parameter name: relative, of at most 100 bytes.
    mutating func add(_ name: String, _ content: [UInt8]) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int, atMost count: Int) {
            for (index, byte) in text.utf8.prefix(count).enumerated() { header[offset + index] = byte }
        }
        func octal(_ value: Int, _ digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(name, at: 0, atMost: 100)
        put(octal(0o600, 7), at: 100, atMost: 8)
        put(octal(0, 7), at: 108, atMost: 8)
        put(octal(0, 7), at: 116, atMost: 8)
        put(octal(content.count, 11), at: 124, atMost: 12)
        put(octal(max(0, modified), 11), at: 136, atMost: 12)
        put("        ", at: 148, atMost: 8)
        put("0", at: 156, atMost: 1)
        put("ustar", at: 257, atMost: 6)
        put("00", at: 263, atMost: 2)
        let sum = header.reduce(0) { $0 + Int($1) }
        put(octal(sum, 6) + "\0 ", at: 148, atMost: 8)
        bytes += header + content
        bytes += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    /// Two blocks of zeros end it.
    var gzip: [UInt8] { Gzip.stored(bytes + [UInt8](repeating: 0, count: 1024)) }
}

/// Gzip without compression (RFC 1951, stored blocks): every reader takes it, and nothing needs linking.
enum Gzip {
    static func stored(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
        out.reserveCapacity(bytes.count + bytes.count / 65_535 * 5 + 32)
        var start = 0
        repeat {
            let count = min(65_535, bytes.count - start)
            let isLast = start + count == bytes.count
            out += [isLast ? 1 : 0, UInt8(count & 255), UInt8(count >> 8)]
            out += [~UInt8(count & 255), ~UInt8(count >> 8)]
            out += bytes[start..<(start + count)]
            start += count
        } while start < bytes.count
        for value in [checksum(bytes), UInt32(truncatingIfNeeded: bytes.count)] {
            for shift in stride(from: 0, to: 32, by: 8) {
                out.append(UInt8(truncatingIfNeeded: value >> UInt32(shift)))
            }
        }
        return out
    }

    /// CRC-32 (ISO-HDLC).
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var value = UInt32.max
        for byte in bytes { value = table[Int((value ^ UInt32(byte)) & 255)] ^ value >> 8 }
        return ~value
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ value >> 1 : value >> 1 }
    }
}
