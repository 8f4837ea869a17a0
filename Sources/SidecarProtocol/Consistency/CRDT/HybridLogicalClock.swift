/// A point of hybrid time: milliseconds since 1970 above 16 bits that count changes of one millisecond.
///
/// (Kulkarni et al., "Logical physical clocks", 2014.)
package struct HybridTime: Hashable, Comparable, Sendable {
    package let raw: UInt64

    package init(raw: UInt64) { self.raw = raw }

    package init(_ wall: WallTime) {
        raw = UInt64(max(0, min(wall.milliseconds, HybridTime.millisecondsMaximum))) << 16
    }

    static let millisecondsMaximum: Int64 = 1 << 47

    package var milliseconds: Int64 { Int64(raw >> 16) }

    package static func < (left: HybridTime, right: HybridTime) -> Bool { left.raw < right.raw }
}

package enum ClockError: Error, Equatable, Sendable {
    /// A replica's time lies further ahead of our clock than we follow.
    case ahead(milliseconds: Int64, bound: Int64)
}

/// Time that never goes back, and is later than every change that was seen.
package struct HybridLogicalClock: Sendable {
    package private(set) var latest = HybridTime(raw: 0)

    package init() {}

    /// A time for a change of one's own, later than all before.
    package mutating func tick(_ wall: WallTime) -> HybridTime {
        let physical = HybridTime(wall)
        latest = physical > latest ? physical : HybridTime(raw: latest.raw &+ 1)
        return latest
    }

    /// Another replica's time has been seen. Refused where it lies beyond the bound: it would take our own
    /// changes along into the future.
    package mutating func observe(_ time: HybridTime, _ wall: WallTime) throws(ClockError) {
        let ahead = time.milliseconds - HybridTime(wall).milliseconds
        let bound = Int64(Limits.replicaClockSkew.milliseconds)
        guard ahead <= bound || time <= latest else { throw .ahead(milliseconds: ahead, bound: bound) }
        latest = max(latest, time)
    }

    /// What was seen before the last start.
    package mutating func restore(_ time: HybridTime) { latest = max(latest, time) }
}
