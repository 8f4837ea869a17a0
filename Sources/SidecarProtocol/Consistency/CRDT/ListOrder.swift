// Where the elements of a list stand, for good and at every replica.
//
// Theory of operation
//
//   An element's place is a path of steps, compared step by step, a path before those that go on from it. The
//   last step carries the dot of the insertion, so that no two places are equal. Places name no neighbours;
//   so nothing is kept of elements that are gone.
//
//   What is pushed at an end gets the hybrid time as its digit, positive on the right and negative on the
//   left: concurrent pushes end up in the order of their times. What is inserted between two elements gets a
//   digit between theirs, or goes on from the left one's path. Elements inserted at once share a path and
//   count `offset`, so that two concurrent runs never interleave.

/// A `ListPath` with the dots of one store.
struct ListPlace: Sendable {
    struct Step: Sendable {
        var digit: Int64
        var dot: LocalDot
        var offset: UInt64
    }

    var first: Step
    /// The steps after the first, which most elements do without.
    var rest: [Step]?

    init(first: Step, rest: [Step]? = nil) {
        self.first = first
        self.rest = rest
    }

    init(_ steps: [Step]) {
        first = steps[0]
        rest = steps.count > 1 ? Array(steps.dropFirst()) : nil
    }

    /// Nil for a path without steps, or one that names a replica which isn't known.
    init?(_ path: ListPath, _ replicas: ReplicaTable) {
        var steps: [Step] = []
        for step in path.steps {
            let dot = replicas.local(step.dot)
            guard dot != .none else { return nil }
            steps.append(Step(digit: step.digit, dot: dot, offset: step.offset))
        }
        guard !steps.isEmpty else { return nil }
        self.init(steps)
    }

    var count: Int { 1 + (rest?.count ?? 0) }

    subscript(index: Int) -> Step { index == 0 ? first : rest?[index - 1] ?? first }

    var steps: [Step] { [first] + (rest ?? []) }

    /// The place `distance` further on in the same run.
    func advanced(by distance: Int) -> ListPlace {
        var copy = self
        if let last = rest?.indices.last {
            copy.rest?[last].offset &+= UInt64(distance)
        } else {
            copy.first.offset &+= UInt64(distance)
        }
        return copy
    }

    func path(_ replicas: ReplicaTable) -> ListPath {
        ListPath(
            steps: steps.map {
                ListPath.Step(digit: $0.digit, dot: replicas.dot($0.dot), offset: $0.offset)
            })
    }
}

/// The order of places.
struct ListOrder {
    let replicas: ReplicaTable

    func precedes(_ left: ListPlace, _ right: ListPlace) -> Bool { compare(left, right) < 0 }

    /// Below zero, zero, above zero: as the left place stands before, at or behind the right.
    func compare(_ left: ListPlace, _ right: ListPlace) -> Int {
        for index in 0..<min(left.count, right.count) {
            let order = compare(left[index], right[index])
            if order != 0 { return order }
        }
        return left.count - right.count
    }

    private func compare(_ left: ListPlace.Step, _ right: ListPlace.Step) -> Int {
        if left.digit != right.digit { return left.digit < right.digit ? -1 : 1 }
        if left.dot != right.dot { return replicas.dot(left.dot) < replicas.dot(right.dot) ? -1 : 1 }
        if left.offset != right.offset { return left.offset < right.offset ? -1 : 1 }
        return 0
    }

    /// A place between two neighbours, nil at an end, for what is inserted at `time` by the change `dot`.
    func between(
        _ left: ListPlace?, _ right: ListPlace?, _ dot: LocalDot, _ time: HybridTime
    ) -> ListPlace {
        let now = Int64(truncatingIfNeeded: time.raw)
        guard let left else {
            let digit = right.map { min($0.first.digit &- 1, 0 &- now) } ?? now
            return ListPlace(first: .init(digit: digit, dot: dot, offset: 0))
        }
        guard let right else {
            return ListPlace(first: .init(digit: max(left.first.digit &+ 1, now), dot: dot, offset: 0))
        }
        var common = 0
        while common < min(left.count, right.count), compare(left[common], right[common]) == 0 { common += 1 }
        var steps = left.steps
        if common == left.count {
            // The right one goes on from the left.
            steps.append(.init(digit: right[common].digit &- 1, dot: dot, offset: 0))
        } else if left.count - 1 > common || right[common].digit &- left[common].digit >= 2 {
            let last = steps.count - 1
            steps[last] = .init(digit: steps[last].digit &+ 1, dot: dot, offset: 0)
        } else {
            steps.append(.init(digit: 0, dot: dot, offset: 0))
        }
        return ListPlace(steps)
    }
}
