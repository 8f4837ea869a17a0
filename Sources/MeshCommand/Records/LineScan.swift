// Lines of a file of any size, through one buffer.

import Glibc

enum LineScan {
    enum End {
        case newline
        /// The file ends without one: the line is torn, or is being written.
        case endOfFile
        /// Longer than the buffer; only its beginning is given, and the rest is passed over.
        case tooLong
    }

    /// A record has about a kilobyte; what is longer than this is none.
    static let lineBytesMaximum = 256 << 10

    /// Calls `body` with each line, without its newline, from the descriptor's position to the end.
    ///
    /// - Returns: 0, or the errno with which reading ended.
    static func forEach(
        in descriptor: Int32, _ body: (UnsafeRawBufferPointer, End) -> Void
    ) -> Int32 {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: lineBytesMaximum, alignment: 16)
        defer { buffer.deallocate() }
        var filled = 0
        // Inside the rest of a line that was too long.
        var isSkipping = false
        while true {
            let count = read(descriptor, buffer.baseAddress! + filled, buffer.count - filled)
            if count < 0 {
                if errno == EINTR { continue }
                return errno
            }
            filled += count
            var start = 0
            while let newline = indexOfNewline(buffer, start, filled) {
                if !isSkipping { body(UnsafeRawBufferPointer(rebasing: buffer[start..<newline]), .newline) }
                isSkipping = false
                start = newline + 1
            }
            let rest = UnsafeRawBufferPointer(rebasing: buffer[start..<filled])
            if count == 0 {
                if !rest.isEmpty, !isSkipping { body(rest, .endOfFile) }
                return 0
            }
            if start == 0, filled == buffer.count {
                if !isSkipping { body(rest, .tooLong) }
                isSkipping = true
                filled = 0
            } else {
                memmove(buffer.baseAddress!, buffer.baseAddress! + start, filled - start)
                filled -= start
            }
        }
    }

    private static func indexOfNewline(
        _ buffer: UnsafeMutableRawBufferPointer, _ start: Int, _ end: Int
    ) -> Int? {
        guard start < end, let base = buffer.baseAddress,
            let found = memchr(base + start, 10, end - start)
        else { return nil }
        return UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }
}

extension UnsafeRawBufferPointer {
    /// Where `text` begins in the bytes from `start` on.
    func index(of text: StaticString, from start: Int = 0) -> Int? {
        text.withUTF8Buffer { index(of: UnsafeRawBufferPointer($0), from: start) }
    }

    func index(of wanted: UnsafeRawBufferPointer, from start: Int = 0) -> Int? {
        guard let base = baseAddress, let first = wanted.baseAddress, start >= 0 else { return nil }
        // A colon is rarer in JSON than a quotation mark.
        let anchor = wanted.firstIndex(of: UInt8(ascii: ":")) ?? 0
        let last = count - wanted.count + anchor
        var place = start + anchor
        while place <= last, let hit = memchr(base + place, Int32(wanted[anchor]), last + 1 - place) {
            place = UnsafeRawPointer(hit) - base
            if memcmp(base + place - anchor, first, wanted.count) == 0 { return place - anchor }
            place += 1
        }
        return nil
    }
}
