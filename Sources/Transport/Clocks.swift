import Glibc
import SidecarProtocol

extension Now {
    /// Both clocks of this host. CLOCK_BOOTTIME goes on while the machine sleeps, as leases must.
    package static func current() -> Now {
        var monotonic = timespec()
        var wall = timespec()
        clock_gettime(CLOCK_BOOTTIME, &monotonic)
        clock_gettime(CLOCK_REALTIME, &wall)
        return Now(
            monotonic: MonotonicTime(
                nanoseconds: UInt64(monotonic.tv_sec) * 1_000_000_000 + UInt64(monotonic.tv_nsec)),
            wall: WallTime(
                milliseconds: Int64(wall.tv_sec) * 1000 + Int64(wall.tv_nsec) / 1_000_000))
    }
}
