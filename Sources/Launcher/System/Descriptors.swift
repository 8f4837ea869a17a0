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

    /// Drops what the caller left open, which is nobody's business here, and fills standard streams that it
    /// closed, so that nothing of ours gets their numbers.
    static func tidy() {
        _ = mesh_close_range(3, .max)
        for stream: Int32 in 0...2 where fcntl(stream, F_GETFD) < 0 {
            // The lowest free number is this stream's.
            _ = open("/dev/null", O_RDWR)
        }
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
