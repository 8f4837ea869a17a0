// The course of a drill: open canary flows, withdraw their permission, see when they are cut.
//
// Theory of operation
//
//   preparing ──▶ opening ──▶ flowing ──▶ withdrawn ──▶ quiet ──┐
//       ▲                                                       │  until there are enough samples
//       └──────────────── permission given back ◀───────────────┘
//
//   In turn the caller's and the callee's own permission is withdrawn: by its config, as a reload does.
//   A sample is one flow: the time from the withdrawal until both of its ends were cut. No byte may move
//   at either end after that, and bytes that did are counted. `CutDrill` is told what happens and what
//   time it is, and says what to do next.

package struct CutDrill: Sendable {
    package enum Side: Int, Sendable, CaseIterable {
        case caller
        case callee

        package var other: Side { self == .caller ? .callee : .caller }
    }

    package enum Step: Hashable, Sendable {
        case wait
        /// Open so many canary flows.
        case open(Int)
        /// Take the permission away at this side, and call `withdrew` right before.
        case withdraw(Side)
        /// Give it back.
        case restore(Side)
        case finish
        case fail(String)
    }

    /// What one canary flow went through.
    private struct Canary {
        var hasMoved = [false, false]
        var cutAt: [MonotonicTime?] = [nil, nil]
        var lastByte: MonotonicTime?
    }

    private enum Phase {
        case preparing
        case opening
        case flowing(until: MonotonicTime)
        case withdrawn(MonotonicTime)
        case quiet(until: MonotonicTime)
    }

    package let wanted: Int
    private var phase = Phase.preparing
    private var phaseStart: MonotonicTime
    private var canaries: [UInt64: Canary] = [:]
    private var side = Side.caller
    /// Nanoseconds from the withdrawal to the later of the two cuts, of each flow.
    package private(set) var samples: [UInt64] = []
    /// The longest time from a withdrawal to a byte that still moved.
    package private(set) var lastByteMaximum: UInt64 = 0
    /// Bytes that moved at an end after it was cut. None may.
    package private(set) var bytesAfterCut: UInt64 = 0

    package init(samples: Int, at now: MonotonicTime) {
        wanted = min(max(1, samples), Limits.drillSamplesMaximum)
        phaseStart = now
    }

    // MARK: What happens

    package mutating func opened(_ flow: UInt64) { canaries[flow] = Canary() }

    package mutating func moved(_ count: Int, flow: UInt64, at side: Side, _ now: MonotonicTime) {
        guard canaries[flow] != nil else { return }
        if canaries[flow]?.cutAt[side.rawValue] != nil {
            bytesAfterCut &+= UInt64(truncatingIfNeeded: count)
        }
        canaries[flow]?.hasMoved[side.rawValue] = true
        canaries[flow]?.lastByte = now
    }

    package mutating func cut(_ flow: UInt64, at side: Side, _ now: MonotonicTime) {
        if canaries[flow]?.cutAt[side.rawValue] == nil { canaries[flow]?.cutAt[side.rawValue] = now }
    }

    /// To be called right before the permission is taken away.
    package mutating func withdrew(at now: MonotonicTime) { enter(.withdrawn(now), at: now) }

    // MARK: What to do

    /// - Parameter isPermitted: whether the caller knows that it may open the flows.
    package mutating func next(isPermitted: Bool, at now: MonotonicTime) -> Step {
        guard now - phaseStart < Limits.drillPatience else {
            return .fail("the canary flows were \(what) for \(Limits.drillPatience.milliseconds) ms")
        }
        switch phase {
        case .preparing:
            guard isPermitted else { return .wait }
            canaries = [:]
            enter(.opening, at: now)
            return .open(min(Limits.drillFlowsMaximum, wanted - samples.count))
        case .opening:
            guard !canaries.values.contains(where: { $0.cutAt != [nil, nil] }) else {
                // It was too early: what the caller knew of its permission was old.
                enter(.preparing, at: now)
                return .wait
            }
            let isOpen = !canaries.isEmpty && canaries.values.allSatisfy { $0.hasMoved == [true, true] }
            guard isOpen else { return .wait }
            enter(.flowing(until: now + CutDrill.flowing), at: now)
            return .wait
        case .flowing(let end): return end <= now ? .withdraw(side) : .wait
        case .withdrawn(let start):
            guard canaries.values.allSatisfy({ !$0.cutAt.contains(nil) }) else { return .wait }
            take(since: start)
            enter(.quiet(until: now + CutDrill.quiet), at: now)
            return .wait
        case .quiet(let end):
            guard end <= now else { return .wait }
            guard samples.count < wanted else { return .finish }
            enter(.preparing, at: now)
            defer { side = side.other }
            return .restore(side)
        }
    }

    private static let flowing = MonotonicTime.Span.milliseconds(5)
    private static let quiet = MonotonicTime.Span.milliseconds(10)

    private mutating func enter(_ phase: Phase, at now: MonotonicTime) {
        self.phase = phase
        phaseStart = now
    }

    private mutating func take(since start: MonotonicTime) {
        for canary in canaries.values {
            let end = canary.cutAt.compactMap { $0 }.max() ?? start
            samples.append((end - start).nanoseconds)
            lastByteMaximum = max(lastByteMaximum, ((canary.lastByte ?? start) - start).nanoseconds)
        }
    }

    private var what: String {
        switch phase {
        case .preparing: "not permitted"
        case .opening: "not open"
        case .flowing: "not cut"
        case .withdrawn: "not cut at both ends"
        case .quiet: "not done"
        }
    }
}

/// Order statistics of a drill's samples.
package struct DrillFigures: Hashable, Sendable {
    package let samples: Int
    /// Nanoseconds; of the nearest rank, so that each is a sample.
    package let p50: UInt64
    package let p99: UInt64
    package let maximum: UInt64

    /// Nil without samples.
    package init?(_ samples: [UInt64]) {
        let sorted = samples.sorted()
        guard let last = sorted.last else { return nil }
        func rank(_ percent: Int) -> UInt64 { sorted[max(0, (sorted.count * percent + 99) / 100 - 1)] }
        self.samples = sorted.count
        p50 = rank(50)
        p99 = rank(99)
        maximum = last
    }
}

extension Limits {
    /// Cuts that one drill measures.
    package static let drillSamplesMaximum = 1_000
    /// Canary flows at once.
    package static let drillFlowsMaximum = 8
    /// How long one step of a drill may take.
    package static let drillPatience = MonotonicTime.Span.seconds(5)
}
