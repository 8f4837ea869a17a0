/// Deadlines by name, the earliest first. Setting a name again moves its deadline; a moved or removed
/// one stays in the heap until it comes up, and is then passed over.
struct TimerQueue<Name: Hashable> {
    private var heap: [(time: MonotonicTime, name: Name)] = []
    private var deadlines: [Name: MonotonicTime] = [:]

    subscript(name: Name) -> MonotonicTime? { deadlines[name] }

    /// The earliest deadline.
    var next: MonotonicTime? {
        mutating get {
            dropStale()
            return heap.first?.time
        }
    }

    mutating func set(_ name: Name, at time: MonotonicTime) {
        guard deadlines[name] != time else { return }
        deadlines[name] = time
        heap.append((time, name))
        siftUp(heap.count - 1)
        if heap.count > 64, heap.count > deadlines.count * 4 { rebuild() }
    }

    mutating func remove(_ name: Name) { deadlines[name] = nil }

    /// Takes the earliest name whose deadline isn't after `now`.
    mutating func popDue(at now: MonotonicTime) -> Name? {
        dropStale()
        guard let first = heap.first, first.time <= now else { return nil }
        removeFirst()
        deadlines[first.name] = nil
        return first.name
    }

    private mutating func dropStale() {
        while let first = heap.first, deadlines[first.name] != first.time { removeFirst() }
    }

    private mutating func rebuild() {
        heap = deadlines.map { ($0.value, $0.key) }.sorted { $0.0 < $1.0 }
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].time < heap[least].time { least = child }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0, heap[child].time < heap[(child - 1) / 2].time {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }
}
