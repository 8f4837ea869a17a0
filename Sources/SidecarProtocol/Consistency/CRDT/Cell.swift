// One value that several replicas may write: a string, a field, a member, a score, an expiry.
//
// Theory of operation
//
//   A cell holds the values that no change has overwritten (one, or as many as were written concurrently),
//   each with its dot, and sums. A sum is one replica's: only that replica adds to it, so two states of it
//   are ordered by its last change, and the later includes the earlier.
//
//   A write or a removal takes away what lies below its context. Of a sum that goes on beyond it, it takes
//   away as much as it had seen (`floor`); hence ZADD 4.1, then ZREM ∥ ZINCRBY 2 leaves 2. A sum of which
//   nothing is left is hollow: invisible, but kept until its replica knows of the removal and so begins a new
//   one, since until then that replica goes on counting from the old.

/// What a cell can hold, and how its sums add.
protocol CellValue: Hashable, Sendable {
    static func add(_ left: UInt64, _ right: UInt64) -> UInt64
    static func subtract(_ left: UInt64, _ right: UInt64) -> UInt64
    /// Whether a concurrent value wins whatever the times of the two are; nil: the later one does.
    func precedes(_ other: Self) -> Bool?
    func combine(into hash: inout StableHash)
}

struct Register<Value: CellValue>: Sendable {
    var dot: LocalDot
    var time: HybridTime
    var value: Value
}

struct Sum: Hashable, Sendable {
    /// The first change of the sum, which names it.
    var start: LocalDot
    /// The value that is added to; `none`: nothing.
    var base: LocalDot
    var last: UInt64
    var total: UInt64
    /// The last change that a removal has seen, and the total then; 0: none has.
    var floor: UInt64 = 0
    var floorTotal: UInt64 = 0

    var isHollow: Bool { floor >= last }
}

/// What a change had seen.
struct Context {
    /// By the replica's place in the store's table.
    var counters: [UInt64]
    /// Whose change it is, and whose store it comes to.
    var actor: Int
    var own: Int
    /// One's own change: everything has been seen.
    var isLocal = false
    /// What had been seen of sums that may have gone on since, by their start.
    var resets: [LocalDot: (last: UInt64, total: UInt64)] = [:]

    func covers(_ dot: LocalDot) -> Bool {
        isLocal || (dot.replica < counters.count && counters[dot.replica] >= dot.counter)
    }
}

enum Cell<Value: CellValue>: Sendable {
    case one(Register<Value>)
    case many(Parts)

    struct Parts: Sendable {
        var registers: [Register<Value>] = []
        var sums: [Sum] = []
    }

    init(_ parts: Parts) {
        self = parts.sums.isEmpty && parts.registers.count == 1 ? .one(parts.registers[0]) : .many(parts)
    }

    var parts: Parts {
        switch self {
        case .one(let register): Parts(registers: [register])
        case .many(let parts): parts
        }
    }

    /// Nothing at all is left of it.
    var isEmpty: Bool {
        if case .many(let parts) = self { return parts.registers.isEmpty && parts.sums.isEmpty }
        return false
    }

    /// Somebody may see it.
    var isLive: Bool {
        if case .many(let parts) = self {
            return !parts.registers.isEmpty || parts.sums.contains { !$0.isHollow }
        }
        return true
    }

    /// The value that is shown, where there is one.
    func winner(_ replicas: ReplicaTable) -> Register<Value>? {
        switch self {
        case .one(let register): return register
        case .many(let parts):
            guard var best = parts.registers.first else { return nil }
            for register in parts.registers.dropFirst() where replicas.prefers(register, to: best) {
                best = register
            }
            return best
        }
    }

    /// The sums that count: those of the shown value, and those whose value is no more.
    func countedSums(_ replicas: ReplicaTable) -> [Sum] {
        guard case .many(let parts) = self, !parts.sums.isEmpty else { return [] }
        let shown = winner(replicas)?.dot ?? .none
        return parts.sums.filter { sum in
            !sum.isHollow
                && (sum.base == shown || !parts.registers.contains { $0.dot == sum.base })
        }
    }

    /// What a removal of it must say of its sums.
    func resets(_ replicas: ReplicaTable) -> [Reset] {
        guard case .many(let parts) = self else { return [] }
        return parts.sums.map {
            Reset(start: replicas.dot($0.start), last: $0.last, total: $0.total)
        }
    }
}

// MARK: - Changes

extension Cell {
    /// Takes away what the context covers.
    mutating func remove(_ context: Context) {
        guard case .many(var parts) = self else {
            if case .one(let register) = self, context.covers(register.dot) { self = .many(Parts()) }
            return
        }
        parts.registers.removeAll { context.covers($0.dot) }
        parts.sums = parts.sums.compactMap { Cell.reset($0, context) }
        self = Cell(parts)
    }

    mutating func put(_ register: Register<Value>, _ context: Context) {
        if case .one(let old) = self, context.covers(old.dot) || old.dot == register.dot {
            self = .one(register)
            return
        }
        remove(context)
        var parts = parts
        if !parts.registers.contains(where: { $0.dot == register.dot }) { parts.registers.append(register) }
        self = Cell(parts)
    }

    /// What is left of a sum; nil: nothing that need be kept.
    private static func reset(_ sum: Sum, _ context: Context) -> Sum? {
        guard context.covers(sum.start) else { return sum }
        var sum = sum
        if context.covers(LocalDot(sum.start.replica, sum.last)) {
            // Its own replica, be it the actor or this one, begins a new sum after this.
            let begins = sum.start.replica == context.actor || sum.start.replica == context.own
            return begins ? nil : sum.hollow
        }
        if let seen = context.resets[sum.start], seen.last > sum.floor, seen.last < sum.last {
            sum.floor = seen.last
            sum.floorTotal = seen.total
        }
        return sum
    }

    /// - Parameter dot: of the change.
    mutating func add(_ increment: Increment, base: LocalDot, dot: LocalDot) {
        var parts = parts
        let start = LocalDot(dot.replica, increment.start)
        let total = Value.add(increment.before, increment.amount)
        if let index = parts.sums.firstIndex(where: { $0.start == start }) {
            guard parts.sums[index].last < dot.counter else { return }
            parts.sums[index].last = dot.counter
            parts.sums[index].total = total
        } else {
            var sum = Sum(start: start, base: base, last: dot.counter, total: total)
            if start != dot {
                // All of it that came before has been removed here.
                sum.floor = dot.counter - 1
                sum.floorTotal = increment.before
            }
            parts.sums.append(sum)
        }
        self = Cell(parts)
    }
}

extension Sum {
    fileprivate var hollow: Sum {
        var sum = self
        sum.floor = last
        sum.floorTotal = total
        return sum
    }
}
