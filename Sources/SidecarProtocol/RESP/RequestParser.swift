// Requests as clients send them: an array of bulk strings, or a line of words.
//
// Theory of operation
//
//   Bytes are appended as they arrive, in whatever pieces; `next()` reads on where it stopped and hands out
//   one request at a time. What was read is never read again: a number's line is looked at from where the
//   last look ended, a long argument goes from the input straight into its own buffer. Memory grows with
//   what arrived, never with what was announced.
//
//   Errors and their order are those of Redis 7.0 (networking.c). After one the connection is over.

package struct RequestParser {
    package enum Step: Equatable {
        /// All that arrived is read; more is needed.
        case incomplete
        /// `arguments` holds a request; empty ones (an empty line, `*0`) are passed over.
        case request
        /// What the client is told before it is closed, without `ERR Protocol error: `.
        case violation(String)
    }

    /// The longest argument, in bytes.
    package var bulkBytesMaximum: Int = Limits.stateBulkBytesMaximum
    /// All arguments of a request, in bytes.
    package var requestBytesMaximum: Int = Limits.stateRequestBytesMaximum
    /// The client has not said who it is: it may only send what that takes.
    package var isUnauthenticated = false

    /// The request; the caller takes it before the next `next()`.
    package var arguments: ContiguousArray<ByteString> = []

    private var buffer: [UInt8] = []
    /// Where the next byte is read from, and how far a line's end was looked for.
    private var position = 0
    private var looked = 0
    /// Arguments that are still to come of the request that is being read.
    private var missing = 0
    /// The length of the argument whose bytes come next; -1: its head comes next.
    private var length = -1
    private var requestBytes = 0
    /// An argument that is long enough to be read into its own buffer, with its closing CR LF.
    private var long: [UInt8]?
    /// What the last request began with: mostly the next one begins with the same word, and shares its buffer.
    private var word = ByteString.empty

    package init() {}

    /// Bytes that arrived and aren't read yet, or stand in an argument that isn't whole.
    package var pendingBytes: Int { buffer.count - position + (long?.count ?? 0) }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        var bytes = bytes[...]
        if long != nil, position == buffer.count {
            let taken = bytes.prefix(length + 2 - long!.count)
            long!.append(contentsOf: taken)
            bytes = bytes.dropFirst(taken.count)
        }
        guard !bytes.isEmpty else { return }
        if position == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.capacity <= 1 << 17)
            position = 0
            looked = 0
        } else if position > 1 << 15 {
            buffer.removeSubrange(..<position)
            looked = max(looked - position, 0)
            position = 0
        }
        buffer.append(contentsOf: bytes)
    }

    package mutating func next() -> Step {
        // The buffer itself isn't changed below.
        var input: [UInt8] = []
        swap(&input, &buffer)
        defer { swap(&input, &buffer) }
        return input.withUnsafeBytes { bytes in
            while true {
                if missing == 0 {
                    guard position < bytes.count else { return .incomplete }
                    arguments.removeAll(keepingCapacity: true)
                    requestBytes = 0
                    if bytes[position] != UInt8(ascii: "*") {
                        if let step = readLine(bytes) { return step }
                        continue
                    }
                    if let step = readCount(bytes) { return step }
                    continue
                }
                if let step = readArguments(bytes) { return step }
            }
        }
    }

    // MARK: An array of bulk strings

    /// The number of a line like `$16`, where the whole line has arrived, and the number is of one to four digits
    /// without a leading zero, as nearly all are; nil: the line is looked at more closely.
    @inline(__always)
    private static func shortNumber(
        _ bytes: UnsafeRawBufferPointer, at start: Int
    ) -> (number: Int, end: Int)? {
        let limit = min(bytes.count &- 1, start &+ 6)
        var index = start &+ 1
        guard index < limit, bytes[index] != 48 else { return nil }
        var number = 0
        while index < limit {
            let digit = bytes[index] &- 48
            guard digit < 10 else { break }
            number = number &* 10 &+ Int(digit)
            index &+= 1
        }
        guard number > 0, index < limit, bytes[index] == 13 else { return nil }
        return (number, index &+ 2)
    }

    private mutating func readCount(_ bytes: UnsafeRawBufferPointer) -> Step? {
        if let (count, end) = RequestParser.shortNumber(bytes, at: position),
            count <= 10 || !isUnauthenticated
        {
            position = end
            looked = end
            missing = count
            return nil
        }
        guard let line = lineEnd(bytes) else {
            return tooLong(bytes) ? .violation("too big mbulk count string") : .incomplete
        }
        let text = UnsafeRawBufferPointer(rebasing: bytes[(position + 1)..<line])
        guard let count = DecimalText.integer(text), count <= Limits.stateArgumentsMaximum else {
            return .violation("invalid multibulk length")
        }
        if count > 10, isUnauthenticated { return .violation("unauthenticated multibulk length") }
        position = line + 2
        looked = position
        missing = max(Int(count), 0)
        return nil
    }

    private mutating func readArguments(_ bytes: UnsafeRawBufferPointer) -> Step? {
        if length < 0 { readShortArguments(bytes) }
        while missing > 0 {
            if length < 0, let step = readLength(bytes) { return step }
            if long != nil {
                let taken = bytes[position...].prefix(length + 2 - long!.count)
                long!.append(contentsOf: taken)
                position += taken.count
                looked = position
                guard long!.count == length + 2 else { return .incomplete }
                long!.removeLast(2)
                arguments.append(ByteString(long!))
                long = nil
            } else {
                guard bytes.count - position >= length + 2 else { return .incomplete }
                let argument = UnsafeRawBufferPointer(rebasing: bytes[position..<(position + length)])
                arguments.append(arguments.isEmpty ? firstWord(argument) : ByteString(Array(argument)))
                position += length + 2
                looked = position
            }
            length = -1
            missing -= 1
        }
        return .request
    }

    /// Reads on as long as an argument is short and whole, and so without any of what the others need.
    private mutating func readShortArguments(_ bytes: UnsafeRawBufferPointer) {
        var start = position
        var left = missing
        var total = requestBytes
        while left > 0, start < bytes.count, bytes[start] == UInt8(ascii: "$"),
            let (count, begin) = RequestParser.shortNumber(bytes, at: start),
            begin &+ count &+ 2 <= bytes.count, count <= bulkBytesMaximum,
            total &+ count <= requestBytesMaximum
        {
            let argument = UnsafeRawBufferPointer(rebasing: bytes[begin..<(begin &+ count)])
            arguments.append(arguments.isEmpty ? firstWord(argument) : ByteString(Array(argument)))
            total &+= count
            start = begin &+ count &+ 2
            left &-= 1
        }
        guard left < missing else { return }
        (position, looked, missing, requestBytes) = (start, start, left, total)
    }

    private mutating func firstWord(_ argument: UnsafeRawBufferPointer) -> ByteString {
        let isSame =
            argument.count == word.count && word.bytes.withUnsafeBytes { ByteString.isSame($0, argument) }
        if isSame { return word }
        let found = ByteString(Array(argument))
        // What is longer is no command's name, and isn't kept.
        if argument.count <= 32 { word = found }
        return found
    }

    private mutating func readLength(_ bytes: UnsafeRawBufferPointer) -> Step? {
        guard let line = lineEnd(bytes) else {
            return tooLong(bytes) ? .violation("too big bulk count string") : .incomplete
        }
        guard bytes[position] == UInt8(ascii: "$") else {
            return .violation("expected '$', got '\(Character(Unicode.Scalar(bytes[position])))'")
        }
        let text = UnsafeRawBufferPointer(rebasing: bytes[(position + 1)..<line])
        guard let count = DecimalText.integer(text), count >= 0, count <= bulkBytesMaximum else {
            return .violation("invalid bulk length")
        }
        if count > 16_384, isUnauthenticated { return .violation("unauthenticated bulk length") }
        requestBytes += Int(count)
        guard requestBytes <= max(requestBytesMaximum, bulkBytesMaximum) else {
            return .violation("too big request")
        }
        position = line + 2
        looked = position
        length = Int(count)
        if length >= 32_768 { long = [] }
        return nil
    }

    /// Where the CR of the line at `position` is, once the byte after it is there too.
    private mutating func lineEnd(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var index = max(looked, position)
        while index < bytes.count, bytes[index] != 13 { index += 1 }
        looked = index
        return index + 1 < bytes.count ? index : nil
    }

    private func tooLong(_ bytes: UnsafeRawBufferPointer) -> Bool {
        looked == bytes.count && bytes.count - position > Limits.stateInlineBytesMaximum
    }

    // MARK: A line of words

    private mutating func readLine(_ bytes: UnsafeRawBufferPointer) -> Step? {
        var index = max(looked, position)
        while index < bytes.count, bytes[index] != 10 { index += 1 }
        looked = index
        guard index < bytes.count else {
            let isTooLong = bytes.count - position > Limits.stateInlineBytesMaximum
            return isTooLong ? .violation("too big inline request") : .incomplete
        }
        var end = index
        if end > position, bytes[end - 1] == 13 { end -= 1 }
        guard let words = InlineWords.split(UnsafeRawBufferPointer(rebasing: bytes[position..<end])) else {
            return .violation("unbalanced quotes in request")
        }
        position = index + 1
        looked = position
        arguments.append(contentsOf: words)
        return words.isEmpty ? nil : .request
    }
}

/// The words of a line as Redis splits them (sds.c, sdssplitargs): quotes, and escapes in double quotes.
enum InlineWords {
    /// nil: a quote isn't closed, or something other than a space stands after one.
    static func split(_ line: UnsafeRawBufferPointer) -> [ByteString]? {
        var words: [ByteString] = []
        var index = 0
        while true {
            while index < line.count, isSpace(line[index]) { index += 1 }
            // A zero byte ends the line, as in C.
            guard index < line.count, line[index] != 0 else { return words }
            guard let word = word(line, &index) else { return nil }
            words.append(ByteString(word))
        }
    }

    private static func word(_ line: UnsafeRawBufferPointer, _ index: inout Int) -> [UInt8]? {
        var word: [UInt8] = []
        while index < line.count, line[index] != 0, !isSpace(line[index]) {
            let byte = line[index]
            index += 1
            guard byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") else {
                word.append(byte)
                continue
            }
            guard quoted(line, &index, by: byte, into: &word) else { return nil }
            // A closing quote is followed by a space, or by nothing.
            return index == line.count || isSpace(line[index]) || line[index] == 0 ? word : nil
        }
        return word
    }

    /// Reads up to the closing quote; false: there is none.
    private static func quoted(
        _ line: UnsafeRawBufferPointer, _ index: inout Int, by quote: UInt8, into word: inout [UInt8]
    ) -> Bool {
        while index < line.count, line[index] != 0 {
            let byte = line[index]
            index += 1
            if byte == quote { return true }
            guard byte == UInt8(ascii: "\\"), index < line.count else {
                word.append(byte)
                continue
            }
            if quote == UInt8(ascii: "'") {
                if line[index] == quote {
                    word.append(quote)
                    index += 1
                } else {
                    word.append(byte)
                }
            } else {
                word.append(escaped(line, &index))
            }
        }
        return false
    }

    private static func escaped(_ line: UnsafeRawBufferPointer, _ index: inout Int) -> UInt8 {
        let byte = line[index]
        if byte == UInt8(ascii: "x"), index + 2 < line.count, let high = digit(line[index + 1]),
            let low = digit(line[index + 2])
        {
            index += 3
            return high << 4 | low
        }
        index += 1
        switch byte {
        case UInt8(ascii: "n"): return 10
        case UInt8(ascii: "r"): return 13
        case UInt8(ascii: "t"): return 9
        case UInt8(ascii: "b"): return 8
        case UInt8(ascii: "a"): return 7
        default: return byte
        }
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte >= 9 && byte <= 13 }
}
