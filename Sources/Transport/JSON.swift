// JSON (RFC 8259) written as it comes, without a tree: records, admin answers.

/// Writes one JSON value. Commas and colons come by themselves; the caller balances begin and end.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    /// Whether the next value follows another one in its object or array.
    private var needsComma = false

    package init() {}

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

    package mutating func member(_ key: String, _ value: String?) {
        name(key)
        if let value { self.value(value) } else { null() }
    }

    package mutating func member(_ key: String, _ value: some BinaryInteger) {
        name(key)
        self.value(value)
    }

    package mutating func member(_ key: String, _ value: Bool) {
        name(key)
        self.value(value)
    }

    package mutating func member(_ key: String, _ body: (inout JSONWriter) -> Void) {
        name(key)
        object(body)
    }

    package mutating func member<T>(
        _ key: String, array items: some Sequence<T>, _ body: (inout JSONWriter, T) -> Void
    ) {
        name(key)
        array(items, body)
    }

    package mutating func member(_ key: String, strings: some Sequence<String>) {
        name(key)
        array(strings) { $0.value($1) }
    }

    private mutating func name(_ key: String) {
        separate()
        quote(key)
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
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0x0A: bytes += Array("\\n".utf8)
            case 0x0D: bytes += Array("\\r".utf8)
            case 0x09: bytes += Array("\\t".utf8)
            case 0..<0x20, 0x7F:
                let digits = Array("0123456789abcdef".utf8)
                bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
