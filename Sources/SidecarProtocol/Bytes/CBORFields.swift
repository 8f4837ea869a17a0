// Structures as CBOR maps with small unsigned keys: reading and writing them field by field.

/// The fields of a CBOR map whose keys are unsigned integers. Fields that the reader doesn't know are
/// kept in `pairs`, and so survive being written again.
package struct CBORFields: Sendable {
    package private(set) var pairs: [CBOR.Pair]

    package init() { pairs = [] }

    package init(_ item: CBOR, of structure: String) throws(CBORError) {
        guard case .map(let pairs) = item else { throw .unexpected(field: structure) }
        self.pairs = pairs
    }

    package var item: CBOR { .map(pairs) }

    package subscript(key: UInt64) -> CBOR? {
        get { pairs.first { $0.key == .unsigned(key) }?.value }
        set {
            pairs.removeAll { $0.key == .unsigned(key) }
            if let newValue { pairs.append(CBOR.Pair(.unsigned(key), newValue)) }
        }
    }

    package func unsigned(_ key: UInt64, _ name: String) throws(CBORError) -> UInt64 {
        guard case .unsigned(let value)? = self[key] else { throw .unexpected(field: name) }
        return value
    }

    /// An unsigned integer that must fit the type asked for.
    package func integer<T: FixedWidthInteger & UnsignedInteger>(
        _ key: UInt64, _ name: String, as type: T.Type = T.self
    ) throws(CBORError) -> T {
        guard let value = T(exactly: try unsigned(key, name)) else { throw .unexpected(field: name) }
        return value
    }

    package func text(_ key: UInt64, _ name: String) throws(CBORError) -> String {
        guard case .text(let value)? = self[key] else { throw .unexpected(field: name) }
        return value
    }

    /// A byte string, of exactly `count` bytes where given.
    package func bytes(_ key: UInt64, _ name: String, count: Int? = nil) throws(CBORError) -> [UInt8] {
        guard case .bytes(let value)? = self[key], count == nil || value.count == count else {
            throw .unexpected(field: name)
        }
        return value
    }

    package func bool(_ key: UInt64, _ name: String) throws(CBORError) -> Bool {
        guard case .bool(let value)? = self[key] else { throw .unexpected(field: name) }
        return value
    }

    package func array(_ key: UInt64, _ name: String) throws(CBORError) -> [CBOR] {
        guard case .array(let value)? = self[key] else { throw .unexpected(field: name) }
        return value
    }

    package func texts(_ key: UInt64, _ name: String) throws(CBORError) -> [String] {
        var values: [String] = []
        for item in try array(key, name) {
            guard case .text(let value) = item else { throw .unexpected(field: name) }
            values.append(value)
        }
        return values
    }

    package func byteStrings(_ key: UInt64, _ name: String) throws(CBORError) -> [[UInt8]] {
        var values: [[UInt8]] = []
        for item in try array(key, name) {
            guard case .bytes(let value) = item else { throw .unexpected(field: name) }
            values.append(value)
        }
        return values
    }
}
