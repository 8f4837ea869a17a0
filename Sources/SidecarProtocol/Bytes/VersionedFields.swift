// How structures grow: the rule of unknown fields and of versions, which certificates, announcements and
// tombstones share.
//
// Theory of operation
//
//   Such a structure is a CBOR map with unsigned keys. Fields 0 and 1 are the version that wrote it and
//   the lowest version that may read it. Keys below 64 belong to the first schema; a later one adds keys
//   from 64 on, an even one where a reader that doesn't know it may go on without it, an odd one where
//   it may not. So a reader
//     - refuses a structure whose minimum reader version is above its own,
//     - refuses an unknown key that is odd, below 64, or not an unsigned integer,
//     - keeps every other unknown field, and with it the bytes of the whole.

/// Which version wrote a structure, and which may read it.
package struct StructureVersion: Hashable, Sendable {
    /// The version that this code writes, and the highest minimum that it can read.
    package static let current: UInt64 = 1

    package var writer: UInt64
    package var minimumReader: UInt64

    package init(writer: UInt64 = current, minimumReader: UInt64 = current) {
        self.writer = writer
        self.minimumReader = minimumReader
    }
}

package struct VersionedFields: Sendable {
    package enum Key {
        package static let version: UInt64 = 0
        package static let minimumReader: UInt64 = 1
    }

    package enum Refusal: Error, Equatable, Sendable {
        case needsReader(version: UInt64)
        case unknownCriticalField(UInt64)
        case malformed(CBORError)
    }

    /// The fields that the reader knows, and the two of the versions.
    package var known: CBORFields
    package let version: StructureVersion
    /// The others, as they came.
    package let unknown: [CBOR.Pair]

    package init(version: StructureVersion = StructureVersion(), unknown: [CBOR.Pair] = []) {
        self.version = version
        self.unknown = unknown
        known = CBORFields()
        known[Key.version] = .unsigned(version.writer)
        known[Key.minimumReader] = .unsigned(version.minimumReader)
    }

    /// Reads the map and applies the rule.
    ///
    /// - Parameters:
    ///   - keys: the structure's own keys, besides the two of the versions.
    ///   - later: those of its keys that came after the first schema.
    package init(
        canonical bytes: [UInt8], of structure: String, keys: ClosedRange<UInt64>, later: Set<UInt64> = []
    ) throws(Refusal) {
        let fields: CBORFields
        let version: StructureVersion
        do {
            fields = try CBORFields(try CBOR(canonical: bytes), of: structure)
            version = StructureVersion(
                writer: try fields.unsigned(Key.version, "version"),
                minimumReader: try fields.unsigned(Key.minimumReader, "minimum reader"))
        } catch { throw .malformed(error) }
        guard version.minimumReader <= StructureVersion.current else {
            throw .needsReader(version: version.minimumReader)
        }
        var unknown: [CBOR.Pair] = []
        for pair in fields.pairs {
            guard case .unsigned(let key) = pair.key else {
                throw .malformed(.unexpected(field: "key of \(structure)"))
            }
            if key <= Key.minimumReader || keys.contains(key) || later.contains(key) { continue }
            guard key >= 64, key % 2 == 0 else { throw .unknownCriticalField(key) }
            unknown.append(pair)
        }
        known = fields
        for pair in unknown { if case .unsigned(let key) = pair.key { known[key] = nil } }
        self.version = version
        self.unknown = unknown
    }

    package func encoded() -> [UInt8] { CBOR.map(known.pairs + unknown).encoded() }
}
