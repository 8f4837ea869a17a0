/// Writes messages in the wire format of Protocol Buffers (protobuf.dev, "Encoding"): the four shapes that
/// spans need.
package struct ProtobufWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    private enum WireType: UInt64 {
        case varint = 0
        case fixed64 = 1
        case lengthDelimited = 2
    }

    package mutating func field(_ number: UInt64, varint value: UInt64) {
        tag(number, .varint)
        varint(value)
    }

    package mutating func field(_ number: UInt64, fixed64 value: UInt64) {
        tag(number, .fixed64)
        for shift in stride(from: 0, to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }

    package mutating func field(_ number: UInt64, bytes value: [UInt8]) {
        tag(number, .lengthDelimited)
        varint(UInt64(value.count))
        bytes += value
    }

    package mutating func field(_ number: UInt64, text: String) { field(number, bytes: Array(text.utf8)) }

    package mutating func field(_ number: UInt64, message body: (inout ProtobufWriter) -> Void) {
        var message = ProtobufWriter()
        body(&message)
        field(number, bytes: message.bytes)
    }

    private mutating func tag(_ number: UInt64, _ type: WireType) { varint(number << 3 | type.rawValue) }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
