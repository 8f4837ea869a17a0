import SidecarProtocol

/// The clocks of one machine, as the world's true time has them: they run too fast or too slow, and the
/// wall clock is off, and is stepped.
package struct SimulatedClock {
    /// Parts in a million by which it runs fast.
    package private(set) var drift: Int64
    /// Milliseconds by which the wall clock is ahead, besides its drift.
    package private(set) var offset: Int64
    private var start: MonotonicTime
    private var local: UInt64

    /// True time zero is this moment of the wall.
    package static let epoch: Int64 = 1_800_000_000_000

    package init(
        drift: Int64 = 0, offset: Int64 = 0, from start: MonotonicTime = MonotonicTime(nanoseconds: 0)
    ) {
        self.drift = drift
        self.offset = offset
        self.start = start
        local = start.nanoseconds
    }

    package func now(at time: MonotonicTime) -> Now {
        let passed = (time - start).nanoseconds
        let gained = Int64(clamping: passed) / 1_000_000 * drift
        let nanoseconds = UInt64(clamping: Int64(clamping: local &+ passed) + gained)
        return Now(
            monotonic: MonotonicTime(nanoseconds: nanoseconds),
            wall: WallTime(
                milliseconds: SimulatedClock.epoch + offset + Int64(clamping: nanoseconds / 1_000_000)))
    }

    /// The first moment of true time at which the machine's clock shows `deadline`, or shortly after it.
    package func time(of deadline: MonotonicTime, after now: MonotonicTime) -> MonotonicTime {
        let ahead = (deadline - self.now(at: now).monotonic).nanoseconds
        let slack = ahead / 1_000_000 * UInt64(abs(drift) + 1) + 2_000
        return now + MonotonicTime.Span(nanoseconds: drift >= 0 && ahead == 0 ? 0 : ahead &+ slack)
    }

    package mutating func step(by milliseconds: Int64) { offset += milliseconds }

    package mutating func setDrift(_ drift: Int64, at time: MonotonicTime) {
        local = now(at: time).monotonic.nanoseconds
        start = time
        self.drift = drift
    }
}
