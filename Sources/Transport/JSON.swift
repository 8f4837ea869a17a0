// JSON (RFC 8259) written as it comes, without a tree: records, admin answers.

import SidecarProtocol

/// Writes one JSON value. Commas and colons come by themselves; the caller balances begin and end.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    /// Whether the next value follows another one in its object or array.
    private var needsComma = false

    package init() {}

    /// - Parameter capacity: bytes that are expected.
    package init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// Ends a line: what follows is a value of its own, as in JSON Lines.
    package mutating func endLine() {
        bytes.append(UInt8(ascii: "\n"))
        needsComma = false
    }

    package var text: String { String(decoding: bytes, as: UTF8.self) }

    // MARK: Structures

    package mutating func object(_ body: (inout JSONWriter) -> Void) {
        enclosed(UInt8(ascii: "{"), UInt8(ascii: "}"), body)
    }

    package mutating func array<T>(_ items: some Sequence<T>, _ body: (inout JSONWriter, T) -> Void) {
        enclosed(UInt8(ascii: "["), UInt8(ascii: "]")) { writer in
            for item in items { body(&writer, item) }
        }
    }

    private mutating func enclosed(
        _ opening: UInt8, _ closing: UInt8, _ body: (inout JSONWriter) -> Void
    ) {
        separate()
        bytes.append(opening)
        needsComma = false
        body(&self)
        bytes.append(closing)
        needsComma = true
    }

    // MARK: Members of an object

    package mutating func member(_ key: StaticString, _ value: String?) {
        name(key)
        if let value { self.value(value) } else { null() }
    }

    package mutating func member(_ key: StaticString, _ value: some BinaryInteger) {
        name(key)
        self.value(value)
    }

    package mutating func member(_ key: StaticString, _ value: Bool) {
        name(key)
        self.value(value)
    }

    package mutating func member(_ key: StaticString, _ body: (inout JSONWriter) -> Void) {
        name(key)
        object(body)
    }

    package mutating func member<T>(
        _ key: StaticString, array items: some Sequence<T>, _ body: (inout JSONWriter, T) -> Void
    ) {
        name(key)
        array(items, body)
    }

    /// Bytes in lower-case hexadecimal, or null.
    package mutating func member(_ key: StaticString, hex: [UInt8]?) {
        name(key)
        guard let hex else { return null() }
        separate()
        bytes.append(UInt8(ascii: "\""))
        for byte in hex {
            bytes.append(Hex.digit(byte >> 4))
            bytes.append(Hex.digit(byte & 15))
        }
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
    }

    package mutating func member(_ key: StaticString, strings: some Sequence<String>) {
        name(key)
        array(strings) { $0.value($1) }
    }

    /// - Parameter key: needs no escapes.
    private mutating func name(_ key: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        key.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    // MARK: Values

    package mutating func value(_ text: String) {
        separate()
        quote(text)
        needsComma = true
    }

    package mutating func value(_ number: some BinaryInteger) {
        literal(String(number))
    }

    package mutating func value(_ truth: Bool) {
        literal(truth ? "true" : "false")
    }

    package mutating func null() {
        literal("null")
    }

    private mutating func literal(_ text: String) {
        separate()
        bytes += text.utf8
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = false
    }

    private mutating func quote(_ text: String) {
        var text = text
        text.withUTF8 { quote($0) }
    }

    /// Nearly no text has anything to escape, so it is looked for first.
    private mutating func quote(_ text: UnsafeBufferPointer<UInt8>) {
        bytes.append(UInt8(ascii: "\""))
        defer { bytes.append(UInt8(ascii: "\"")) }
        guard text.contains(where: JSONWriter.isEscaped) else { return bytes.append(contentsOf: text) }
        for byte in text { JSONWriter.isEscaped(byte) ? escape(byte) : bytes.append(byte) }
    }

    private static func isEscaped(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7F
    }

    private mutating func escape(_ byte: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(byte)
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        default: bytes += Array("u00".utf8) + [Hex.digit(byte >> 4), Hex.digit(byte & 15)]
        }
    }
}
