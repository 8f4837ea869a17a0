/// The deltas of each origin that some replica may still lack, encoded, in order and without gaps.
///
/// Bounded in bytes: beyond the bound the oldest of the origin with the most go, and a replica that lacks
/// them is brought up to date by reconciliation.
package struct DeltaLog: Sendable {
    package struct Record: Sendable {
        package let from: UInt64
        package let to: UInt64
        package let bytes: [UInt8]
    }

    private struct Origin {
        var records: [Record] = []
        /// Records before this one are gone.
        var head = 0
        var byteCount = 0
    }

    private var origins: [Origin] = []
    package private(set) var byteCount = 0
    package private(set) var recordCount = 0
    var bytesMaximum = Limits.deltaLogBytesMaximum

    mutating func append(_ record: Record, of origin: Int) {
        while origins.count <= origin { origins.append(Origin()) }
        origins[origin].records.append(record)
        origins[origin].byteCount += record.bytes.count
        byteCount += record.bytes.count
        recordCount += 1
        while byteCount > bytesMaximum { dropOldest() }
    }

    /// Records of an origin from the one that holds `counter`; nil: it isn't there any more.
    func records(of origin: Int, from counter: UInt64) -> ArraySlice<Record>? {
        guard origin < origins.count else { return nil }
        let records = origins[origin].records[origins[origin].head...]
        guard let first = records.first, first.from <= counter else { return nil }
        var (low, high) = (records.startIndex, records.endIndex)
        while low < high {
            let middle = (low + high) / 2
            if records[middle].to < counter { low = middle + 1 } else { high = middle }
        }
        return records[low...]
    }

    /// Forgets what every replica has.
    mutating func drop(of origin: Int, upTo counter: UInt64) {
        guard origin < origins.count else { return }
        while origins[origin].head < origins[origin].records.count,
            origins[origin].records[origins[origin].head].to <= counter
        {
            dropFirst(origin)
        }
    }

    private mutating func dropOldest() {
        var largest = 0
        for index in origins.indices where origins[index].byteCount > origins[largest].byteCount {
            largest = index
        }
        dropFirst(largest)
    }

    private mutating func dropFirst(_ origin: Int) {
        let head = origins[origin].head
        guard head < origins[origin].records.count else { return }
        let record = origins[origin].records[head]
        origins[origin].byteCount -= record.bytes.count
        byteCount -= record.bytes.count
        recordCount -= 1
        origins[origin].records[head] = Record(from: record.from, to: record.to, bytes: [])
        origins[origin].head += 1
        if origins[origin].head == origins[origin].records.count {
            origins[origin].records = []
            origins[origin].head = 0
        } else if origins[origin].head > 64, origins[origin].head * 2 > origins[origin].records.count {
            origins[origin].records.removeSubrange(0..<origins[origin].head)
            origins[origin].head = 0
        }
    }
}
