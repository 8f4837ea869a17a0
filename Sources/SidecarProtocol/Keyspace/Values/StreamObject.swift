/// An entry's id: milliseconds, and a number among those of the same millisecond.
package struct EntryID: Hashable, Comparable, Sendable {
    package var milliseconds: UInt64
    package var sequence: UInt64

    static let least = EntryID(milliseconds: 0, sequence: 0)
    static let greatest = EntryID(milliseconds: .max, sequence: .max)

    package init(milliseconds: UInt64, sequence: UInt64) {
        (self.milliseconds, self.sequence) = (milliseconds, sequence)
    }

    /// Sixteen bytes, the most significant first; nil of any others.
    package init?(_ bytes: ByteString) {
        guard bytes.count == 16 else { return nil }
        self.init(milliseconds: 0, sequence: 0)
        for byte in bytes.bytes[..<8] { milliseconds = milliseconds << 8 | UInt64(byte) }
        for byte in bytes.bytes[8...] { sequence = sequence << 8 | UInt64(byte) }
    }

    /// As it is stored, in the order of the ids.
    package var bytes: ByteString {
        var writer = CompactWriter()
        writer.fixed(milliseconds)
        writer.fixed(sequence)
        return ByteString(writer.bytes)
    }

    package static func < (left: EntryID, right: EntryID) -> Bool {
        left.milliseconds == right.milliseconds
            ? left.sequence < right.sequence : left.milliseconds < right.milliseconds
    }

    /// The id after this; nil: there is none.
    var next: EntryID? {
        if sequence < .max { return EntryID(milliseconds: milliseconds, sequence: sequence + 1) }
        return milliseconds < .max ? EntryID(milliseconds: milliseconds + 1, sequence: 0) : nil
    }

    var previous: EntryID? {
        if sequence > 0 { return EntryID(milliseconds: milliseconds, sequence: sequence - 1) }
        return milliseconds > 0 ? EntryID(milliseconds: milliseconds - 1, sequence: .max) : nil
    }

    var text: String { "\(milliseconds)-\(sequence)" }
}

/// Entries in the order of their ids. A stream may be empty: it still has the last id that it gave.
final class StreamObject {
    struct Entry {
        let id: EntryID
        /// Fields and values in turn.
        let words: [ByteString]

        fileprivate var footprint: Int { words.reduce(64) { $0 &+ $1.count &+ 32 } }
    }

    private var entries: ContiguousArray<Entry> = []
    /// Where the first entry stands: trimming takes from the front, and what it took goes later, many at once.
    private var start = 0
    /// No later entry has an id as low as this.
    private(set) var last = EntryID.least
    private(set) var footprint = 0

    init() {}

    init(copying other: StreamObject) {
        entries = ContiguousArray(other.entries[other.start...])
        (last, footprint) = (other.last, other.footprint)
    }

    var count: Int { entries.count - start }

    subscript(index: Int) -> Entry { entries[start + index] }

    /// The place of the first entry whose id is not below this one.
    func place(of id: EntryID) -> Int {
        var (low, high) = (start, entries.count)
        if let end = entries.last, end.id < id { return count }
        while low < high {
            let middle = low + (high - low) / 2
            if entries[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low - start
    }

    func contains(_ id: EntryID) -> Bool {
        let place = place(of: id)
        return place < count && self[place].id == id
    }

    /// Adds an entry, or replaces the one of the same id.
    func set(_ id: EntryID, _ words: [ByteString]) {
        let entry = Entry(id: id, words: words)
        let place = start + self.place(of: id)
        if place < entries.count, entries[place].id == id {
            footprint &-= entries[place].footprint
            entries[place] = entry
        } else {
            entries.insert(entry, at: place)
        }
        footprint &+= entry.footprint
        last = max(last, id)
    }

    /// false: there was none.
    @discardableResult
    func remove(_ id: EntryID) -> Bool {
        let place = place(of: id)
        guard place < count, self[place].id == id else { return false }
        footprint &-= self[place].footprint
        if place == 0 {
            start += 1
            if start > 64, start > entries.count / 2 {
                entries.removeFirst(start)
                start = 0
            }
        } else {
            entries.remove(at: start + place)
        }
        return true
    }

    /// The last id is this, or that of an entry after it.
    func setLast(_ id: EntryID) { last = count > 0 ? max(id, self[count - 1].id) : id }
}

/// An entry's fields and values as one value of its id, as mutations and replicas have it.
enum StreamWords {
    static func packed(_ words: [ByteString]) -> ByteString {
        var writer = CompactWriter()
        for word in words { writer.string(word) }
        return ByteString(writer.bytes)
    }

    /// nil of what `packed` never makes.
    static func unpacked(_ value: ByteString) -> [ByteString]? {
        var reader = CompactReader(value.bytes)
        var words: [ByteString] = []
        while reader.remaining > 0 {
            guard let word = try? reader.string() else { return nil }
            words.append(word)
        }
        return words.isEmpty || words.count % 2 == 1 ? nil : words
    }
}
