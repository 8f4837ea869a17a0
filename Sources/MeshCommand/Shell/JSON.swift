// JSON (RFC 8259), read leniently as to keys and strictly as to form. Keys keep their order, and a number
// keeps its digits, so that what a sidecar said can be passed on unchanged.

indirect enum JSON: Hashable, Sendable {
    case null
    case bool(Bool)
    /// As written.
    case number(String)
    case text(String)
    case list([JSON])
    case object([Member])

    struct Member: Hashable, Sendable {
        let key: String
        let value: JSON
    }
}

extension JSON {
    static func number(_ value: Int) -> JSON { .number(String(value)) }

    static func object(_ pairs: KeyValuePairs<String, JSON>) -> JSON {
        .object(pairs.map { Member(key: $0.key, value: $0.value) })
    }

    /// The member's value; null where there is none, or where this isn't an object.
    subscript(key: String) -> JSON {
        guard case .object(let members) = self else { return .null }
        return members.first { $0.key == key }?.value ?? .null
    }

    var text: String? {
        if case .text(let text) = self { return text }
        return nil
    }

    var integer: Int? {
        if case .number(let digits) = self { return Int(digits) }
        return nil
    }

    var bool: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    /// Empty where this isn't a list.
    var list: [JSON] {
        if case .list(let items) = self { return items }
        return []
    }

    /// This object with more members before its own.
    func adding(_ pairs: KeyValuePairs<String, JSON>) -> JSON {
        guard case .object(let members) = self else { return self }
        let added = pairs.map { Member(key: $0.key, value: $0.value) }
        return .object(added + members.filter { member in !added.contains { $0.key == member.key } })
    }
}

// MARK: - Writing

extension JSON: CustomStringConvertible {
    /// On one line, without spaces.
    var description: String {
        var out = ""
        write(to: &out)
        return out
    }

    private func write(to out: inout String) {
        switch self {
        case .null: out += "null"
        case .bool(let value): out += value ? "true" : "false"
        case .number(let digits): out += digits
        case .text(let text): JSON.quote(text, &out)
        case .list(let items):
            out += "["
            for (index, item) in items.enumerated() {
                if index > 0 { out += "," }
                item.write(to: &out)
            }
            out += "]"
        case .object(let members):
            out += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { out += "," }
                JSON.quote(member.key, &out)
                out += ":"
                member.value.write(to: &out)
            }
            out += "}"
        }
    }

    private static func quote(_ text: String, _ out: inout String) {
        out += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\t": out += "\\t"
            case "\r": out += "\\r"
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        out += "\""
    }
}

// MARK: - Reading

extension JSON {
    /// Nil where `bytes` aren't one JSON value, or one nested deeper than 32.
    init?(parsing bytes: [UInt8]) {
        var reader = JSONReader(bytes: bytes[...])
        guard let value = reader.value(depth: 0), reader.isAtEnd else { return nil }
        self = value
    }
}

private struct JSONReader {
    /// What is still to be read.
    var bytes: ArraySlice<UInt8>

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return bytes.isEmpty
        }
    }

    mutating func value(depth: Int) -> JSON? {
        skipSpace()
        guard depth < 32, let first = bytes.first else { return nil }
        switch first {
        case UInt8(ascii: "{"): return object(depth: depth)
        case UInt8(ascii: "["): return list(depth: depth)
        case UInt8(ascii: "\""): return string().map(JSON.text)
        case UInt8(ascii: "t"): return take("true") ? .bool(true) : nil
        case UInt8(ascii: "f"): return take("false") ? .bool(false) : nil
        case UInt8(ascii: "n"): return take("null") ? .null : nil
        default: return number()
        }
    }

    private mutating func object(depth: Int) -> JSON? {
        bytes.removeFirst()
        var members: [JSON.Member] = []
        skipSpace()
        if take("}") { return .object([]) }
        repeat {
            skipSpace()
            guard let key = string() else { return nil }
            skipSpace()
            guard take(":"), let value = value(depth: depth + 1) else { return nil }
            members.append(JSON.Member(key: key, value: value))
            skipSpace()
        } while take(",")
        return take("}") ? .object(members) : nil
    }

    private mutating func list(depth: Int) -> JSON? {
        bytes.removeFirst()
        var items: [JSON] = []
        skipSpace()
        if take("]") { return .list([]) }
        repeat {
            guard let value = value(depth: depth + 1) else { return nil }
            items.append(value)
            skipSpace()
        } while take(",")
        return take("]") ? .list(items) : nil
    }

    private mutating func number() -> JSON? {
        let digits = bytes.prefix { "+-.0123456789Ee".utf8.contains($0) }
        let text = String(decoding: digits, as: UTF8.self)
        guard digits.count <= 64, Double(text) != nil, !text.hasPrefix("+") else { return nil }
        bytes.removeFirst(digits.count)
        return .number(text)
    }

    private mutating func string() -> String? {
        guard take("\"") else { return nil }
        var out: [UInt8] = []
        while let byte = bytes.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return String(validating: out, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let scalar = escape() else { return nil }
                out += String(scalar).utf8
            case 0..<0x20: return nil
            default: out.append(byte)
            }
        }
        return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
        switch bytes.popFirst() {
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "u"): return codePoint()
        case let byte? where "\"\\/".utf8.contains(byte): return Unicode.Scalar(byte)
        default: return nil
        }
    }

    private mutating func codePoint() -> Unicode.Scalar? {
        guard let high = unit() else { return nil }
        guard (0xD800..<0xDC00).contains(high) else { return Unicode.Scalar(high) }
        guard take("\\u"), let low = unit(), (0xDC00..<0xE000).contains(low) else { return nil }
        return Unicode.Scalar(0x1_0000 + (high - 0xD800) << 10 + (low - 0xDC00))
    }

    private mutating func unit() -> UInt32? {
        let digits = bytes.prefix(4)
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else {
            return nil
        }
        bytes.removeFirst(4)
        return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    private mutating func skipSpace() {
        while let byte = bytes.first, " \n\r\t".utf8.contains(byte) { bytes.removeFirst() }
    }

    private mutating func take(_ word: String) -> Bool {
        guard bytes.starts(with: word.utf8) else { return false }
        bytes.removeFirst(word.utf8.count)
        return true
    }
}
