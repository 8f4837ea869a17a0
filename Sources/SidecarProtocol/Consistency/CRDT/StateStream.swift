// A whole state as bytes: for the durable log's snapshots, and for a replica whom the logs can't help.
//
// Theory of operation
//
//   The stream is a version, a head (who has seen what) and a record a key, in the order of the keys, each
//   behind its length; it may be cut anywhere. The same state gives the same stream. An export holds a copy
//   of the store, which shares all that isn't written meanwhile.
//
//   An import collects a stream, and is merged in one step: a state that is half there would pass for one in
//   which the other half was removed.

package struct StateExport: Sendable {
    static let version: UInt8 = 2

    private let store: ReplicatedStore
    private let keys: [ByteString]
    private var nextKey = 0
    private var ready: [UInt8]

    package init(_ store: ReplicatedStore) { self.init(store, keys: store.entries.keys) }

    /// Of these keys only.
    init(_ store: ReplicatedStore, keys: [ByteString]) {
        self.store = store
        self.keys = keys.sorted()
        var head = CompactWriter()
        head.byte(StateExport.version)
        store.encodeHead(into: &head, keyCount: keys.count)
        var framed = CompactWriter()
        framed.unsigned(UInt64(head.bytes.count))
        ready = framed.bytes + head.bytes
    }

    /// The next bytes of the stream, `maximum` at most; nil after the last.
    package mutating func next(_ maximum: Int) -> [UInt8]? {
        while ready.count < maximum, nextKey < keys.count {
            let key = keys[nextKey]
            nextKey += 1
            guard let entry = store.entries[key] else { continue }
            var record = CompactWriter()
            record.string(key)
            entry.contents.encode(into: &record, store.replicas)
            var framed = CompactWriter()
            framed.unsigned(UInt64(record.bytes.count))
            ready += framed.bytes
            ready += record.bytes
        }
        guard !ready.isEmpty else { return nil }
        let piece = Array(ready.prefix(maximum))
        ready.removeFirst(piece.count)
        return piece
    }
}

package struct StateImport: Sendable {
    /// Who has seen what, in the stream's own table of replicas.
    struct Head: Sendable {
        /// `nobody` where a place is free.
        var replicas: [ReplicaID]
        var seen: [UInt64]
        var standings: [Standing]
        /// Of those that aren't retired.
        var contexts: [[UInt64]]
        var time: HybridTime
        var birth: HybridTime
        var lastSeal: HybridTime
        var horizon: HybridTime
        var forgotten: [ReplicaID]
        var removed: [UInt64]
        var keyCount: Int
    }

    private var waiting: [UInt8] = []
    private(set) var head: Head?
    /// In the order of the keys; dots are of the head's table.
    private(set) var records: [(key: ByteString, contents: Entry.Contents)] = []
    package private(set) var byteCount = 0

    package init() {}

    package mutating func append(_ bytes: [UInt8]) throws(CompactError) {
        byteCount += bytes.count
        waiting += bytes
        var reader = CompactReader(waiting)
        var consumed = 0
        while let record = try StateImport.frame(&reader) {
            consumed = reader.offset
            try add(record)
        }
        if consumed > 0 { waiting.removeFirst(consumed) }
    }

    /// The next whole record; nil: more bytes must come first.
    private static func frame(_ reader: inout CompactReader) throws(CompactError) -> [UInt8]? {
        guard reader.remaining > 0 else { return nil }
        let length: UInt64
        do { length = try reader.unsigned() } catch {
            if case .truncated = error { return nil }
            throw error
        }
        guard length <= UInt64(Limits.stateRecordBytesMaximum) else {
            throw .tooLarge(what: "record", count: length)
        }
        return length <= UInt64(reader.remaining) ? try reader.take(Int(length)) : nil
    }

    private mutating func add(_ record: [UInt8]) throws(CompactError) {
        var reader = CompactReader(record)
        guard let head else {
            let version = try reader.byte()
            guard version == StateExport.version else {
                throw .unknown(what: "version", value: UInt64(version))
            }
            self.head = try Head(from: &reader)
            return try reader.finish()
        }
        let key = try reader.string()
        guard records.last.map({ $0.key < key }) ?? true, records.count < head.keyCount else {
            throw .notCanonical(at: 0)
        }
        records.append((key, try Entry.Contents(from: &reader, head.replicas)))
        try reader.finish()
    }

    /// Everything is here.
    package var isComplete: Bool { head.map { records.count == $0.keyCount } ?? false }
}
