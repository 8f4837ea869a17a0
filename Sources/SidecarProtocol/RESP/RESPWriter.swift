/// Writes replies as RESP2 or RESP3 says (redis.io/docs/reference/protocol-spec), into one growing buffer.
///
/// A call with a count (`array`, `map`, …) writes the head alone; the caller writes its elements next.
package struct RESPWriter {
    package var bytes: [UInt8] = []
    /// 2 or 3.
    package var version: UInt8 = 2

    package init() {}

    var isRESP3: Bool { version == 3 }

    // MARK: What both versions write alike

    mutating func ok() { raw("+OK\r\n") }

    mutating func simple(_ text: String) {
        byte(UInt8(ascii: "+"))
        bytes.append(contentsOf: text.utf8)
        lineEnd()
    }

    /// `text` begins with its code: `ERR …`. A line's end inside it would end the reply, so it is a space.
    mutating func error(_ text: String) {
        byte(UInt8(ascii: "-"))
        for unit in text.utf8 { byte(unit == 13 || unit == 10 ? 32 : unit) }
        lineEnd()
    }

    /// As `error`, of bytes that needn't be UTF-8.
    mutating func error(_ text: ByteString) {
        byte(UInt8(ascii: "-"))
        for unit in text.bytes { byte(unit == 13 || unit == 10 ? 32 : unit) }
        lineEnd()
    }

    mutating func integer(_ value: Int) { head(UInt8(ascii: ":"), value) }
    mutating func integer(_ value: Int64) { head(UInt8(ascii: ":"), Int(value)) }

    mutating func bulk(_ value: ByteString) {
        value.bytes.withUnsafeBytes { bulk($0) }
    }

    mutating func bulk(_ value: UnsafeRawBufferPointer) {
        head(UInt8(ascii: "$"), value.count)
        bytes.append(contentsOf: value)
        lineEnd()
    }

    mutating func bulk(_ text: String) {
        head(UInt8(ascii: "$"), text.utf8.count)
        bytes.append(contentsOf: text.utf8)
        lineEnd()
    }

    mutating func bulk(integer value: Int64) {
        head(UInt8(ascii: "$"), DecimalText.width(of: value))
        decimal(Int(value))
        lineEnd()
    }

    mutating func array(_ count: Int) { head(UInt8(ascii: "*"), count) }

    mutating func emptyArray() { raw("*0\r\n") }

    // MARK: Where the versions differ

    mutating func null() { if isRESP3 { raw("_\r\n") } else { raw("$-1\r\n") } }
    mutating func nullArray() { if isRESP3 { raw("_\r\n") } else { raw("*-1\r\n") } }

    mutating func map(_ count: Int) {
        if isRESP3 { head(UInt8(ascii: "%"), count) } else { head(UInt8(ascii: "*"), count * 2) }
    }

    mutating func set(_ count: Int) { head(isRESP3 ? UInt8(ascii: "~") : UInt8(ascii: "*"), count) }
    mutating func push(_ count: Int) { head(isRESP3 ? UInt8(ascii: ">") : UInt8(ascii: "*"), count) }

    mutating func boolean(_ value: Bool) {
        if isRESP3 { raw(value ? "#t\r\n" : "#f\r\n") } else { integer(value ? 1 : 0) }
    }

    /// A score. RESP2 has it as a bulk string.
    mutating func double(_ value: Double) {
        let text = DecimalText.score(value)
        if isRESP3 {
            byte(UInt8(ascii: ","))
            bytes.append(contentsOf: text)
            lineEnd()
        } else {
            text.withUnsafeBytes { bulk($0) }
        }
    }

    /// Text for people. RESP3 says its kind in three letters.
    mutating func verbatim(_ text: [UInt8]) {
        guard isRESP3 else { return text.withUnsafeBytes { bulk($0) } }
        head(UInt8(ascii: "="), text.count + 4)
        raw("txt:")
        bytes.append(contentsOf: text)
        lineEnd()
    }

    // MARK: Pieces

    @inline(__always)
    mutating func raw(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always)
    private mutating func byte(_ value: UInt8) { bytes.append(value) }

    @inline(__always)
    private mutating func lineEnd() {
        bytes.append(13)
        bytes.append(10)
    }

    private mutating func head(_ kind: UInt8, _ value: Int) {
        byte(kind)
        if value >= 0, value < 10 { byte(48 &+ UInt8(truncatingIfNeeded: value)) } else { decimal(value) }
        lineEnd()
    }

    private mutating func decimal(_ value: Int) { DecimalText.append(value, to: &bytes) }
}
