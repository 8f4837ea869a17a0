import CLinuxShims
import Glibc

enum Descriptors {
    /// Closes every descriptor above the standard streams, but these.
    static func closeAll(but kept: [Int32]) {
        var first: UInt32 = 3
        for descriptor in kept.sorted() where descriptor >= 3 {
            let number = UInt32(descriptor)
            if number > first { _ = mesh_close_range(first, number - 1) }
            first = number + 1
        }
        _ = mesh_close_range(first, .max)
    }

    static func makeNonBlocking(_ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }
}

enum Clock {
    /// Of a clock that never steps.
    static func nanoseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_BOOTTIME, &now)
        return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
    }
}
