/// The fields of a message that is an array: its kind, and then one item a field.
struct MessageFields {
    private let items: [CBOR]

    /// Reads a message of at most `Limits.nodeFrameBytesMaximum` bytes.
    static func read(
        _ bytes: [UInt8], of structure: String
    ) throws(CBORError) -> (kind: UInt64, fields: MessageFields) {
        guard bytes.count <= Limits.nodeFrameBytesMaximum,
            case .array(let items) = try CBOR(canonical: bytes), case .unsigned(let kind)? = items.first
        else { throw .unexpected(field: structure) }
        return (kind, MessageFields(items: Array(items.dropFirst())))
    }

    /// How many there are; a version before or after this one may have others.
    var count: Int { items.count }

    func item(_ index: Int, _ name: String) throws(CBORError) -> CBOR {
        guard index < items.count else { throw .unexpected(field: name) }
        return items[index]
    }

    func unsigned(_ index: Int, _ name: String) throws(CBORError) -> UInt64 {
        guard case .unsigned(let value) = try item(index, name) else { throw .unexpected(field: name) }
        return value
    }

    func bytes(_ index: Int, _ name: String, count: Int) throws(CBORError) -> [UInt8] {
        let value = try bytes(index, name, maximum: count)
        guard value.count == count else { throw .unexpected(field: name) }
        return value
    }

    func bytes(_ index: Int, _ name: String, maximum: Int) throws(CBORError) -> [UInt8] {
        guard case .bytes(let value) = try item(index, name), value.count <= maximum else {
            throw .unexpected(field: name)
        }
        return value
    }

    func byteStrings(
        _ index: Int, _ name: String, count: Int, bytes maximum: Int
    ) throws(CBORError) -> [[UInt8]] {
        guard case .array(let items) = try item(index, name), items.count <= count else {
            throw .unexpected(field: name)
        }
        var strings: [[UInt8]] = []
        for item in items {
            guard case .bytes(let value) = item, value.count <= maximum else {
                throw .unexpected(field: name)
            }
            strings.append(value)
        }
        return strings
    }

    func text(_ index: Int, _ name: String, maximum: Int) throws(CBORError) -> String {
        guard case .text(let value) = try item(index, name), value.utf8.count <= maximum else {
            throw .unexpected(field: name)
        }
        return value
    }

    func topic(_ index: Int) throws(CBORError) -> TopicID {
        guard let topic = TopicID(try bytes(index, "topic", maximum: 16)) else {
            throw .unexpected(field: "topic")
        }
        return topic
    }

    func processID(_ index: Int) throws(CBORError) -> Int32 {
        guard let value = Int32(exactly: try unsigned(index, "process id")) else {
            throw .unexpected(field: "process id")
        }
        return value
    }
}
