// What a node leaves on the disk: the highest incarnation of each instance, and the tombstones that
// haven't ended.

package struct SavedMemory: Hashable, Sendable {
    package struct Left: Hashable, Sendable {
        package var bytes: [UInt8]
        package var leaf: [UInt8]
        package var issuer: [UInt8]
    }

    package var instance: InstanceID
    package var incarnation: UInt64
    package var until: WallTime
    package var tombstone: Left?

    init(_ instance: InstanceID, _ memory: AnnouncementStore.Memory) {
        self.instance = instance
        incarnation = memory.incarnation
        until = memory.until
        tombstone = memory.tombstone.map { Left(bytes: $0.bytes, leaf: $0.leaf, issuer: $0.issuer) }
    }
}

extension SavedMemory {
    /// An array of a version and of one array for each instance.
    package static func encoded(_ memories: [InstanceID: AnnouncementStore.Memory]) -> [UInt8] {
        let items = memories.map { instance, memory in
            let saved = SavedMemory(instance, memory)
            let left = saved.tombstone.map { [$0.bytes, $0.leaf, $0.issuer] } ?? []
            return CBOR.array(
                [
                    .bytes(instance.bytes), .unsigned(saved.incarnation),
                    .unsigned(UInt64(clamping: saved.until.milliseconds)),
                ] + left.map { .bytes($0) })
        }
        return CBOR.array([.unsigned(version)] + items).encoded()
    }

    package static func list(canonical bytes: [UInt8]) throws(CBORError) -> [SavedMemory] {
        guard case .array(let items) = try CBOR(canonical: bytes), items.first == .unsigned(version) else {
            throw .unexpected(field: "version")
        }
        var memories: [SavedMemory] = []
        for item in items.dropFirst() { memories.append(try SavedMemory(item)) }
        return memories
    }

    private init(_ item: CBOR) throws(CBORError) {
        guard case .array(let parts) = item, parts.count == 3 || parts.count == 6,
            case .bytes(let id) = parts[0], let instance = InstanceID(id),
            case .unsigned(let incarnation) = parts[1], case .unsigned(let end) = parts[2],
            end <= Limits.wallTimeMaximum
        else { throw .unexpected(field: "instance") }
        self.instance = instance
        self.incarnation = incarnation
        until = WallTime(milliseconds: Int64(end))
        guard parts.count == 6 else { return }
        guard case .bytes(let bytes) = parts[3], case .bytes(let leaf) = parts[4],
            case .bytes(let issuer) = parts[5]
        else { throw .unexpected(field: "tombstone") }
        tombstone = Left(bytes: bytes, leaf: leaf, issuer: issuer)
    }

    private static let version: UInt64 = 1
}
