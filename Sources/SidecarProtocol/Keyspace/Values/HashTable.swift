// The one table of the keyspace: keys, fields, members, and who waits for what.
//
// Theory of operation
//
//   Entries stand side by side in pages of 512, without holes: entry `count - 1` is the last. A page is
//   never copied when the table grows, so that growing stalls nobody, and an entry at any index is live, so
//   that one is drawn by drawing an index.
//
//   Chains of indices lead from a bucket to its entries. When there are as many entries as buckets, a second
//   array of buckets, twice as long, takes over; each change of the table moves a bucket, and a lookup asks
//   both. A table of at most eight entries has no buckets and is searched from its first to its last.
//
//   Order: as long as a table fits one page its entries stand in the order of their insertion, which is what
//   Redis shows of small hashes. In a larger one the last entry fills the place of a removed one. The order
//   depends on what was done to the table, never on the hash's key.
//
//   SCAN's cursor counts buckets with its bits reversed (Redis's dictScan): bucket b of a table is the
//   buckets b and b + n of the table twice as long, and in that order no bucket that was passed comes again
//   with a longer or shorter table. What stands in the table from the first call to the last is returned.

struct HashTable<Value> {
    struct Entry {
        var key: ByteString
        var value: Value
        let hash: UInt32
        /// The next entry of the same bucket; -1: none.
        fileprivate var next: Int32
    }

    typealias Buckets = ContiguousArray<Int32>

    private(set) var count = 0
    /// Sum of the keys' lengths, in bytes.
    private(set) var keyBytes = 0
    private var pages: ContiguousArray<ContiguousArray<Entry>> = []
    private var buckets: Buckets = []
    /// The buckets before the table grew or shrank; those below `moved` are empty.
    private var oldBuckets: Buckets = []
    private var moved = 0
    private let hash: SeededHash

    init(hash: SeededHash) { self.hash = hash }

    static var pageShift: Int { 9 }
    static var pageMask: Int { 511 }
    /// Up to so many entries keep their order.
    static var orderedMaximum: Int { 512 }
    private static var searchedMaximum: Int { 8 }

    var isEmpty: Bool { count == 0 }
    /// The table grows or shrinks, and its entries are in two arrays of buckets.
    var isMoving: Bool { !oldBuckets.isEmpty }
    var bucketCount: Int { buckets.count }

    /// The entry at `index`, 0 ..< count.
    @inline(__always)
    subscript(index: Int) -> Entry {
        _read { yield pages[index &>> Self.pageShift][index & Self.pageMask] }
        _modify { yield &pages[index &>> Self.pageShift][index & Self.pageMask] }
    }

    // MARK: Finding

    @inline(__always)
    func index(of key: ByteString) -> Int? { index(of: key, hash: hash(key)) }

    private func index(of key: ByteString, hash: UInt32) -> Int? {
        if buckets.isEmpty {
            guard count > 0 else { return nil }
            return pages[0].firstIndex { $0.hash == hash && $0.key == key }
        }
        if isMoving {
            let bucket = Int(hash) & (oldBuckets.count &- 1)
            if bucket >= moved, let index = index(of: key, hash, from: oldBuckets[bucket]) { return index }
        }
        return index(of: key, hash, from: buckets[Int(hash) & (buckets.count &- 1)])
    }

    private func index(of key: ByteString, _ hash: UInt32, from head: Int32) -> Int? {
        var index = Int(head)
        while index >= 0 {
            let page = index &>> Self.pageShift
            let place = index & Self.pageMask
            if pages[page][place].hash == hash, pages[page][place].key == key { return index }
            index = Int(pages[page][place].next)
        }
        return nil
    }

    subscript(key: ByteString) -> Value? {
        get { index(of: key).map { self[$0].value } }
        set { if let newValue { set(key, newValue) } else { remove(key) } }
    }

    /// Every entry. Their order is that of no key, and depends on what was done to the table.
    var entries: FlattenSequence<ContiguousArray<ContiguousArray<Entry>>> { pages.joined() }
    var keys: [ByteString] { entries.map(\.key) }

    // MARK: Changing

    /// Adds a key that isn't there.
    @discardableResult
    mutating func insert(_ key: ByteString, _ value: Value) -> Int {
        growIfFull()
        step()
        let index = count
        let hash = hash(key)
        if index & Self.pageMask == 0 {
            pages.append([])
            // From the second page on pages are filled, and so made whole at once.
            if index > 0 { pages[pages.count - 1].reserveCapacity(Self.pageMask + 1) }
        }
        var next: Int32 = -1
        if !buckets.isEmpty {
            let bucket = Int(hash) & (buckets.count &- 1)
            next = buckets[bucket]
            buckets[bucket] = Int32(truncatingIfNeeded: index)
        }
        pages[index &>> Self.pageShift].append(Entry(key: key, value: value, hash: hash, next: next))
        count = index + 1
        keyBytes &+= key.count
        return index
    }

    /// Sets the value of a key; true: the key is new.
    @discardableResult
    mutating func set(_ key: ByteString, _ value: Value) -> Bool {
        if let index = index(of: key) {
            self[index].value = value
            return false
        }
        insert(key, value)
        return true
    }

    @discardableResult
    mutating func remove(_ key: ByteString) -> Value? {
        guard let index = index(of: key) else { return nil }
        return remove(at: index)
    }

    @discardableResult
    mutating func remove(at index: Int) -> Value {
        step()
        if !buckets.isEmpty { unlink(index) }
        let entry: Entry
        if count <= Self.orderedMaximum {
            entry = pages[0].remove(at: index)
            if index < count - 1 { renumber(above: index) }
        } else {
            let last = count - 1
            if index != last {
                relink(last, to: index)
                let mover = pages[pages.count - 1].removeLast()
                entry = self[index]
                self[index] = mover
            } else {
                entry = pages[pages.count - 1].removeLast()
            }
        }
        count -= 1
        keyBytes &-= entry.key.count
        if pages.last?.isEmpty == true { pages.removeLast() }
        shrinkIfSparse()
        return entry.value
    }

    mutating func removeAll() { self = HashTable(hash: hash) }

    /// Moves some more buckets, where the table is growing or shrinking.
    mutating func step(_ steps: Int = 1) {
        guard isMoving else { return }
        var left = steps
        // Empty buckets cost little, yet not nothing.
        var empty = steps &* 10
        while left > 0, empty > 0 {
            guard moved < oldBuckets.count else {
                oldBuckets = []
                moved = 0
                return
            }
            var index = Int(oldBuckets[moved])
            if index < 0 { empty &-= 1 } else { left &-= 1 }
            while index >= 0 {
                let next = Int(self[index].next)
                let bucket = Int(self[index].hash) & (buckets.count &- 1)
                self[index].next = buckets[bucket]
                buckets[bucket] = Int32(truncatingIfNeeded: index)
                index = next
            }
            oldBuckets[moved] = -1
            moved &+= 1
        }
        if moved == oldBuckets.count {
            oldBuckets = []
            moved = 0
        }
    }

    // MARK: Links

    /// Takes an entry out of its chain.
    private mutating func unlink(_ index: Int) { replaceLink(to: index, by: self[index].next) }

    /// Makes the chain that leads to `old` lead to `new`.
    private mutating func relink(_ old: Int, to new: Int) {
        replaceLink(to: old, by: Int32(truncatingIfNeeded: new))
    }

    private mutating func replaceLink(to index: Int, by next: Int32) {
        let hash = Int(self[index].hash)
        if isMoving {
            let bucket = hash & (oldBuckets.count &- 1)
            if bucket >= moved {
                if Int(oldBuckets[bucket]) == index {
                    oldBuckets[bucket] = next
                    return
                }
                if replaceLink(after: oldBuckets[bucket], to: index, by: next) { return }
            }
        }
        let bucket = hash & (buckets.count &- 1)
        if Int(buckets[bucket]) == index {
            buckets[bucket] = next
        } else {
            _ = replaceLink(after: buckets[bucket], to: index, by: next)
        }
    }

    private mutating func replaceLink(after head: Int32, to index: Int, by next: Int32) -> Bool {
        var walk = Int(head)
        while walk >= 0 {
            let following = Int(self[walk].next)
            if following == index {
                self[walk].next = next
                return true
            }
            walk = following
        }
        return false
    }

    /// Entries above `index` of the only page stand one lower than their links say.
    private mutating func renumber(above index: Int) {
        guard !buckets.isEmpty else { return }
        let limit = Int32(truncatingIfNeeded: index)
        for bucket in buckets.indices where buckets[bucket] > limit { buckets[bucket] &-= 1 }
        for bucket in oldBuckets.indices where oldBuckets[bucket] > limit { oldBuckets[bucket] &-= 1 }
        for place in pages[0].indices where pages[0][place].next > limit { pages[0][place].next &-= 1 }
    }

    // MARK: Growing and shrinking

    private mutating func growIfFull() {
        if buckets.isEmpty {
            guard count == Self.searchedMaximum else { return }
            buckets = Buckets(repeating: -1, count: 16)
            for index in 0..<count { linkFresh(index) }
        } else if count >= buckets.count, count < Int(Int32.max) / 4 {
            resize(to: buckets.count * 2)
        }
    }

    private mutating func shrinkIfSparse() {
        guard !isMoving, buckets.count > 16, count < buckets.count / 8 else { return }
        resize(to: buckets.count / 2)
    }

    private mutating func resize(to size: Int) {
        // The last move is done before the next one begins; there is seldom anything left of it.
        while isMoving { step(1 << 10) }
        oldBuckets = buckets
        moved = 0
        buckets = Buckets(repeating: -1, count: size)
    }

    private mutating func linkFresh(_ index: Int) {
        let bucket = Int(self[index].hash) & (buckets.count - 1)
        self[index].next = buckets[bucket]
        buckets[bucket] = Int32(truncatingIfNeeded: index)
    }

    // MARK: SCAN

    /// Visits the indices of one cursor step and returns the next cursor; zero: all is visited.
    func scan(_ cursor: UInt64, _ visit: (Int) -> Void) -> UInt64 {
        guard !buckets.isEmpty else {
            for index in 0..<count { visit(index) }
            return 0
        }
        let small = isMoving && oldBuckets.count < buckets.count ? oldBuckets : buckets
        let smallMask = UInt64(small.count - 1)
        var cursor = cursor
        guard isMoving else {
            walk(buckets[Int(cursor & smallMask)], visit)
            return HashTable.advanced(cursor, mask: smallMask)
        }
        let large = oldBuckets.count < buckets.count ? buckets : oldBuckets
        let largeMask = UInt64(large.count - 1)
        walk(small[Int(cursor & smallMask)], visit)
        // The buckets of the larger table that the smaller one's bucket stands for.
        repeat {
            walk(large[Int(cursor & largeMask)], visit)
            cursor = HashTable.advanced(cursor, mask: largeMask)
        } while cursor & (smallMask ^ largeMask) != 0
        return cursor
    }

    private func walk(_ head: Int32, _ visit: (Int) -> Void) {
        var index = Int(head)
        while index >= 0 {
            visit(index)
            index = Int(self[index].next)
        }
    }

    /// Adds one to the cursor's bits in reverse order.
    private static func advanced(_ cursor: UInt64, mask: UInt64) -> UInt64 {
        reversed(reversed(cursor | ~mask) &+ 1)
    }

    private static func reversed(_ word: UInt64) -> UInt64 {
        var word = word.byteSwapped
        word = (word >> 4 & 0x0F0F_0F0F_0F0F_0F0F) | (word & 0x0F0F_0F0F_0F0F_0F0F) << 4
        word = (word >> 2 & 0x3333_3333_3333_3333) | (word & 0x3333_3333_3333_3333) << 2
        return (word >> 1 & 0x5555_5555_5555_5555) | (word & 0x5555_5555_5555_5555) << 1
    }
}

extension HashTable.Entry: Sendable where Value: Sendable {}
extension HashTable: Sendable where Value: Sendable {}
