import SidecarProtocol

/// What is to happen, the earliest first; of one moment, in the order in which it was added.
package struct EventQueue<Event> {
    private var heap: [(time: MonotonicTime, number: UInt64, event: Event)] = []
    private var added: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { heap.isEmpty }
    package var count: Int { heap.count }
    package var next: MonotonicTime? { heap.first?.time }

    package mutating func add(_ event: Event, at time: MonotonicTime) {
        added += 1
        heap.append((time, added, event))
        var child = heap.count - 1
        while child > 0, precedes(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    package mutating func popFirst() -> (time: MonotonicTime, event: Event)? {
        guard !heap.isEmpty else { return nil }
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && precedes(child, least) { least = child }
            if least == parent { return (first.time, first.event) }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func precedes(_ left: Int, _ right: Int) -> Bool {
        let (a, b) = (heap[left], heap[right])
        return a.time == b.time ? a.number < b.number : a.time < b.time
    }
}
