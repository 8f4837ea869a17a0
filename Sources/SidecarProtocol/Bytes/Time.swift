// Time as the core sees it: an argument, never something it reads.

/// Nanoseconds of a clock that never steps (CLOCK_BOOTTIME in the shells, virtual in the simulator).
package struct MonotonicTime: Hashable, Comparable, Sendable {
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    package static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    package static func + (time: MonotonicTime, span: Span) -> MonotonicTime {
        MonotonicTime(nanoseconds: time.nanoseconds &+ span.nanoseconds)
    }

    /// The span from `earlier` to `later`; zero where they stand the other way round.
    package static func - (later: MonotonicTime, earlier: MonotonicTime) -> Span {
        Span(nanoseconds: later > earlier ? later.nanoseconds - earlier.nanoseconds : 0)
    }

    /// A length of time, never negative.
    package struct Span: Hashable, Comparable, Sendable {
        package var nanoseconds: UInt64
        package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }
        package static func milliseconds(_ count: UInt64) -> Span { Span(nanoseconds: count * 1_000_000) }
        package static func seconds(_ count: UInt64) -> Span { Span(nanoseconds: count * 1_000_000_000) }
        package static func < (left: Span, right: Span) -> Bool { left.nanoseconds < right.nanoseconds }
        /// Stops at the end of the scale.
        package static func + (left: Span, right: Span) -> Span {
            let (sum, over) = left.nanoseconds.addingReportingOverflow(right.nanoseconds)
            return Span(nanoseconds: over ? .max : sum)
        }
        package static func * (span: Span, factor: UInt64) -> Span {
            Span(nanoseconds: span.nanoseconds * factor)
        }
        package static func / (span: Span, divisor: UInt64) -> Span {
            Span(nanoseconds: span.nanoseconds / divisor)
        }
        package var milliseconds: UInt64 { nanoseconds / 1_000_000 }
        package var seconds: Double { Double(nanoseconds) / 1e9 }
    }
}

extension MonotonicTime? {
    /// nil is later than any time.
    static func earlier(_ one: MonotonicTime?, _ other: MonotonicTime?) -> MonotonicTime? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }
}

/// Milliseconds since 1970-01-01 UTC, as certificates and records use them. It may step.
package struct WallTime: Hashable, Comparable, Sendable {
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }
    package init(seconds: Int64) { milliseconds = seconds * 1000 }

    package var seconds: Int64 { milliseconds / 1000 }

    /// Stops at the ends of the scale, rather than run over them.
    package static func + (time: WallTime, span: MonotonicTime.Span) -> WallTime {
        let (sum, over) = time.milliseconds.addingReportingOverflow(Int64(span.milliseconds))
        return WallTime(milliseconds: over ? .max : sum)
    }

    package static func - (time: WallTime, span: MonotonicTime.Span) -> WallTime {
        let (difference, over) = time.milliseconds.subtractingReportingOverflow(Int64(span.milliseconds))
        return WallTime(milliseconds: over ? .min : difference)
    }

    package static func < (left: WallTime, right: WallTime) -> Bool {
        left.milliseconds < right.milliseconds
    }
}

/// Both clocks, read together at one input.
package struct Now: Hashable, Sendable {
    package var monotonic: MonotonicTime
    package var wall: WallTime

    package init(monotonic: MonotonicTime, wall: WallTime) {
        self.monotonic = monotonic
        self.wall = wall
    }
}
