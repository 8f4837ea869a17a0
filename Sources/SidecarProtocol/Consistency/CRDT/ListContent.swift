/// The elements of a list, in the order of their places, found by place and by index in O(log n).
///
/// They lie in leaves of at most `leafMaximum`; a binary indexed tree counts the elements of the leaves. An
/// insertion moves one leaf's elements; a split or a merge, which comes once in many insertions, counts anew.
struct ListContent: Sendable {
    static let leafMaximum = 128

    struct Element: Sendable {
        var place: ListPlace
        var cell: Cell<ByteString>
    }

    private var leaves: [[Element]] = []
    private var counts = IndexedCounts()
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    init() {}

    /// - Parameter elements: in order.
    init(_ elements: [Element]) {
        var start = 0
        while start < elements.count {
            let end = min(start + ListContent.leafMaximum / 2, elements.count)
            leaves.append(Array(elements[start..<end]))
            start = end
        }
        count = elements.count
        counts = IndexedCounts(leaves.map(\.count))
    }

    var elements: [Element] { leaves.flatMap { $0 } }

    func shown(_ replicas: ReplicaTable) -> [ByteString] {
        leaves.flatMap { $0.compactMap { $0.cell.winner(replicas)?.value } }
    }

    subscript(index: Int) -> Element {
        let (leaf, offset) = counts.locate(index)
        return leaves[leaf][offset]
    }
}

// MARK: - Changes

extension ListContent {
    mutating func apply(_ change: Change, _ mutations: inout [Mutation]) {
        switch change.operation.action {
        case .insert(let path, let values):
            guard let place = ListPlace(path, change.replicas) else { return }
            for (distance, value) in values.enumerated() {
                let register = Register(dot: change.dot, time: change.time, value: value)
                put(register, at: place.advanced(by: distance), change, &mutations)
            }
        case .setElement(let path, let value):
            guard let place = ListPlace(path, change.replicas) else { return }
            put(Register(dot: change.dot, time: change.time, value: value), at: place, change, &mutations)
        case .removeElements(let paths):
            for path in paths {
                guard let place = ListPlace(path, change.replicas) else { continue }
                remove(place, change, &mutations)
            }
        default: break
        }
    }

    private mutating func put(
        _ register: Register<ByteString>, at place: ListPlace, _ change: Change,
        _ mutations: inout [Mutation]
    ) {
        let key = change.operation.key
        let (leaf, offset, isThere) = search(place, ListOrder(replicas: change.replicas))
        guard isThere else {
            insert(Element(place: place, cell: .one(register)), leaf, offset)
            if change.reports {
                mutations.noteInsertion(key, index(of: place, change.replicas), register.value)
            }
            return
        }
        let before = leaves[leaf][offset].cell.winner(change.replicas)?.value
        leaves[leaf][offset].cell.put(register, change.context)
        let after = leaves[leaf][offset].cell.winner(change.replicas)?.value
        guard change.reports, let after, after != before else { return }
        mutations.append(.setElement(key, index: counts.before(leaf) + offset, after))
    }

    private mutating func remove(_ place: ListPlace, _ change: Change, _ mutations: inout [Mutation]) {
        let (leaf, offset, isThere) = search(place, ListOrder(replicas: change.replicas))
        guard isThere else { return }
        let before = leaves[leaf][offset].cell.winner(change.replicas)?.value
        leaves[leaf][offset].cell.remove(change.context)
        let index = counts.before(leaf) + offset
        if leaves[leaf][offset].cell.isEmpty {
            removeElement(leaf, offset)
            if change.reports { mutations.noteRemoval(change.operation.key, index) }
        } else if change.reports, let after = leaves[leaf][offset].cell.winner(change.replicas)?.value,
            after != before
        {
            mutations.append(.setElement(change.operation.key, index: index, after))
        }
    }

    /// Takes away what the context covers, of every element.
    mutating func removeAll(_ change: Change, _ mutations: inout [Mutation]) {
        guard count > 0 else { return }
        var left: [Element] = []
        for element in elements {
            var element = element
            let before = element.cell.winner(change.replicas)?.value
            element.cell.remove(change.context)
            if element.cell.isEmpty {
                if change.reports { mutations.noteRemoval(change.operation.key, left.count) }
                continue
            }
            if change.reports, let after = element.cell.winner(change.replicas)?.value, after != before {
                mutations.append(.setElement(change.operation.key, index: left.count, after))
            }
            left.append(element)
        }
        self = ListContent(left)
    }
}

// MARK: - Leaves

extension ListContent {
    /// Where the place is, or would be inserted.
    private func search(_ place: ListPlace, _ order: ListOrder) -> (leaf: Int, offset: Int, isThere: Bool) {
        // The last leaf that doesn't begin behind the place.
        var (low, high) = (0, leaves.count)
        while low < high {
            let middle = (low + high) / 2
            if order.precedes(place, leaves[middle][0].place) { high = middle } else { low = middle + 1 }
        }
        guard low > 0 else { return (0, 0, false) }
        let leaf = low - 1
        (low, high) = (0, leaves[leaf].count)
        while low < high {
            let middle = (low + high) / 2
            if order.precedes(leaves[leaf][middle].place, place) { low = middle + 1 } else { high = middle }
        }
        let isThere = low < leaves[leaf].count && order.compare(leaves[leaf][low].place, place) == 0
        return (leaf, low, isThere)
    }

    private func index(of place: ListPlace, _ replicas: ReplicaTable) -> Int {
        let (leaf, offset, _) = search(place, ListOrder(replicas: replicas))
        return counts.before(leaf) + offset
    }

    private mutating func insert(_ element: Element, _ leaf: Int, _ offset: Int) {
        count += 1
        guard leaf < leaves.count else {
            leaves.append([element])
            counts = IndexedCounts(leaves.map(\.count))
            return
        }
        leaves[leaf].insert(element, at: offset)
        guard leaves[leaf].count > ListContent.leafMaximum else { return counts.add(1, at: leaf) }
        // What is pushed at the end leaves a full leaf behind.
        let isAtEnd = leaf == leaves.count - 1 && offset == leaves[leaf].count - 1
        let half = isAtEnd ? leaves[leaf].count - 1 : leaves[leaf].count / 2
        leaves.insert(Array(leaves[leaf][half...]), at: leaf + 1)
        leaves[leaf].removeSubrange(half...)
        counts = IndexedCounts(leaves.map(\.count))
    }

    private mutating func removeElement(_ leaf: Int, _ offset: Int) {
        count -= 1
        leaves[leaf].remove(at: offset)
        counts.add(-1, at: leaf)
        let next = leaf + 1
        if leaves[leaf].isEmpty {
            leaves.remove(at: leaf)
        } else if next < leaves.count, leaves[leaf].count + leaves[next].count <= ListContent.leafMaximum / 2
        {
            leaves[leaf] += leaves[next]
            leaves.remove(at: next)
        } else {
            return
        }
        counts = IndexedCounts(leaves.map(\.count))
    }
}

extension [Mutation] {
    fileprivate mutating func noteInsertion(_ key: ByteString, _ index: Int, _ value: ByteString) {
        if case .insertElements(key, index: let start, var values)? = last, start + values.count == index {
            removeLast()
            values.append(value)
            append(.insertElements(key, index: start, values))
        } else {
            append(.insertElements(key, index: index, [value]))
        }
    }

    fileprivate mutating func noteRemoval(_ key: ByteString, _ index: Int) {
        if case .removeElements(key, index: index, let count)? = last {
            removeLast()
            append(.removeElements(key, index: index, count: count + 1))
        } else {
            append(.removeElements(key, index: index, count: 1))
        }
    }
}

/// Counts in a row, their sums from the start, and the place of the nth of all: a binary indexed tree (Fenwick).
struct IndexedCounts: Sendable {
    private var tree: [Int] = []

    init() {}

    init(_ counts: [Int]) {
        tree = counts
        for index in tree.indices {
            let parent = index | (index + 1)
            if parent < tree.count { tree[parent] += tree[index] }
        }
    }

    mutating func add(_ amount: Int, at index: Int) {
        var index = index
        while index < tree.count {
            tree[index] += amount
            index |= index + 1
        }
    }

    /// The sum of those before `index`.
    func before(_ index: Int) -> Int {
        var sum = 0
        var end = index
        while end > 0 {
            sum += tree[end - 1]
            end &= end - 1
        }
        return sum
    }

    /// Which count the `index`th of all lies in, and where.
    func locate(_ index: Int) -> (place: Int, offset: Int) {
        var place = 0
        var rest = index
        var step = 1
        while step * 2 <= tree.count { step *= 2 }
        while step > 0 {
            let next = place + step
            if next <= tree.count, tree[next - 1] <= rest {
                rest -= tree[next - 1]
                place = next
            }
            step /= 2
        }
        return (place, rest)
    }
}
