import SidecarProtocol

/// What is to happen, the earliest first; of one moment, in the order in which it was added.
///
/// The heap holds the events' places, so that it moves small numbers and no events.
package struct EventQueue<Event> {
    private struct Entry {
        let time: MonotonicTime
        let number: UInt64
        let place: Int
    }

    private var heap: [Entry] = []
    private var events: [Event?] = []
    private var free: [Int] = []
    private var added: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { heap.isEmpty }
    package var count: Int { heap.count }
    package var next: MonotonicTime? { heap.first?.time }

    package mutating func add(_ event: Event, at time: MonotonicTime) {
        added += 1
        let entry = Entry(time: time, number: added, place: keep(event))
        heap.append(entry)
        var child = heap.count - 1
        while child > 0, precedes(entry, heap[(child - 1) / 2]) {
            heap[child] = heap[(child - 1) / 2]
            child = (child - 1) / 2
        }
        heap[child] = entry
    }

    private mutating func keep(_ event: Event) -> Int {
        guard let place = free.popLast() else {
            events.append(event)
            return events.count - 1
        }
        events[place] = event
        return place
    }

    package mutating func popFirst() -> (time: MonotonicTime, event: Event)? {
        guard let first = heap.first, let last = heap.popLast(), let event = events[first.place] else {
            return nil
        }
        events[first.place] = nil
        free.append(first.place)
        if !heap.isEmpty { sink(last) }
        return (first.time, event)
    }

    /// Puts an entry where the first was, and those before it up.
    private mutating func sink(_ entry: Entry) {
        var parent = 0
        while 2 * parent + 1 < heap.count {
            var child = 2 * parent + 1
            if child + 1 < heap.count, precedes(heap[child + 1], heap[child]) { child += 1 }
            guard precedes(heap[child], entry) else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = entry
    }

    private func precedes(_ one: Entry, _ other: Entry) -> Bool {
        one.time == other.time ? one.number < other.number : one.time < other.time
    }
}
