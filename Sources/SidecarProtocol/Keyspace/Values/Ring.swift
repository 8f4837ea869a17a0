/// A list's elements: a ring that grows at both ends.
struct Ring: Sendable {
    private var slots: ContiguousArray<ByteString> = []
    private var head = 0
    private(set) var count = 0
    /// Sum of the elements' lengths, in bytes.
    private(set) var elementBytes = 0

    init() {}

    var isEmpty: Bool { count == 0 }

    /// The element at `index`, 0 ..< count.
    subscript(index: Int) -> ByteString {
        get { slots[slot(index)] }
        set {
            elementBytes += newValue.count - slots[slot(index)].count
            slots[slot(index)] = newValue
        }
    }

    @inline(__always)
    private func slot(_ index: Int) -> Int { (head &+ index) & (slots.count &- 1) }

    mutating func append(_ element: ByteString) {
        growIfFull()
        slots[slot(count)] = element
        count += 1
        elementBytes += element.count
    }

    mutating func prepend(_ element: ByteString) {
        growIfFull()
        head = (head &- 1) & (slots.count &- 1)
        slots[head] = element
        count += 1
        elementBytes += element.count
    }

    mutating func popFirst() -> ByteString {
        let element = slots[head]
        slots[head] = ByteString([])
        head = (head + 1) & (slots.count - 1)
        count -= 1
        elementBytes -= element.count
        shrinkIfSparse()
        return element
    }

    mutating func popLast() -> ByteString {
        let last = slot(count - 1)
        let element = slots[last]
        slots[last] = ByteString([])
        count -= 1
        elementBytes -= element.count
        shrinkIfSparse()
        return element
    }

    /// Inserts before `index`, 0 ... count; the shorter side makes room.
    mutating func insert(_ element: ByteString, at index: Int) {
        if index < count / 2 {
            prepend(element)
            for place in 0..<index { slots.swapAt(slot(place), slot(place + 1)) }
        } else {
            append(element)
            var place = count - 1
            while place > index {
                slots.swapAt(slot(place), slot(place - 1))
                place -= 1
            }
        }
    }

    /// Removes `range`, which lies within 0 ..< count; the shorter side closes the gap.
    mutating func remove(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        if range.lowerBound < count - range.upperBound {
            var place = range.lowerBound - 1
            while place >= 0 {
                slots.swapAt(slot(place), slot(place + range.count))
                place -= 1
            }
            for _ in range { dropFirst() }
        } else {
            for place in range.upperBound..<count { slots.swapAt(slot(place), slot(place - range.count)) }
            for _ in range { dropLast() }
        }
        shrinkIfSparse()
    }

    private mutating func dropFirst() {
        elementBytes -= slots[head].count
        slots[head] = ByteString([])
        head = (head + 1) & (slots.count - 1)
        count -= 1
    }

    private mutating func dropLast() {
        let last = slot(count - 1)
        elementBytes -= slots[last].count
        slots[last] = ByteString([])
        count -= 1
    }

    private mutating func growIfFull() {
        if count == slots.count { resize(to: max(4, slots.count * 2)) }
    }

    private mutating func shrinkIfSparse() {
        if slots.count > 16, count < slots.count / 4 { resize(to: slots.count / 2) }
    }

    private mutating func resize(to capacity: Int) {
        var larger: ContiguousArray<ByteString> = []
        larger.reserveCapacity(capacity)
        for index in 0..<count { larger.append(self[index]) }
        for _ in count..<capacity { larger.append(Ring.vacant) }
        slots = larger
        head = 0
    }

    private static let vacant: ByteString = ByteString([])
}
