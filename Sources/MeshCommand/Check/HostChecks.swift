// The rest of the host: kernel, clock, limits, programs.

import CLinuxShims
import Glibc

enum HostChecks {
    static func findings() -> [Finding] {
        [kernel(), seccomp(), clock(WallClock.now()), descriptors(), lockedMemory(), programs()]
    }

    /// Without it every process but the userland stack runs, less well closed in.
    private static func seccomp() -> Finding {
        guard mesh_seccomp_is_supported() == 1 else {
            return .note(
                "seccomp", "this kernel filters no system calls: no egress, and processes less closed in",
                fix: "use a kernel with CONFIG_SECCOMP_FILTER")
        }
        return .ok("seccomp", "system calls can be filtered")
    }

    /// A sidecar locks two pages, and one more for each 63 sessions; node and issuer lock two each.
    private static func lockedMemory() -> Finding {
        var limit = rlimit()
        // RLIMIT_MEMLOCK, which Swift doesn't see.
        getrlimit(__rlimit_resource_t(8), &limit)
        let most = limit.rlim_cur
        guard most >= 65_536 else {
            return .note(
                "locked memory", "a process may lock \(most) bytes, so that keys may be swapped out",
                fix: "raise the limit of memlock (ulimit -l) to 64 KiB or more")
        }
        return .ok("locked memory", most == .max ? "without limit" : "a process may lock \(most / 1024) KiB")
    }

    /// Linux 5.9 brought the last call that mesh needs, close_range(2).
    private static func kernel() -> Finding {
        var names = utsname()
        uname(&names)
        let release = withUnsafeBytes(of: names.release) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        let numbers = release.split { $0 == "." || $0 == "-" }.prefix(2).compactMap { Int($0) }
        guard numbers.count == 2, (numbers[0], numbers[1]) >= (5, 9) else {
            return .bad("kernel", "Linux \(release) is too old", fix: "use Linux 5.9 or later")
        }
        return .ok("kernel", "Linux \(release)")
    }

    /// Certificates last an hour, so that a clock that is wrong by more than that ends every flow.
    static func clock(_ now: Int) -> Finding {
        let text = WallClock.rfc3339(now)
        // 2025-01-01 and 2100-01-01.
        guard (1_735_689_600..<4_102_444_800).contains(now) else {
            return .bad("clock", "it is \(text), which can't be", fix: "set the clock")
        }
        guard mesh_clock_is_kept() != 0 else {
            return .note(
                "clock", "\(text), kept in step by nobody, which matters between hosts",
                fix: "run chrony or systemd-timesyncd")
        }
        return .ok("clock", "\(text), kept in step")
    }

    /// A flow takes up to three descriptors of its sidecar, and 10,000 flows are the limit.
    private static func descriptors() -> Finding {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let most = limit.rlim_max
        guard most >= 32_768 else {
            return .note(
                "descriptors", "a process may have \(most), so a sidecar holds about \(most / 3) flows",
                fix: "raise the hard limit of nofile (ulimit -Hn) to 32768")
        }
        return .ok("descriptors", "a process may have \(most)")
    }

    /// The programs lie beside this one, or on the PATH.
    private static func programs() -> Finding {
        let path = realpath("/proc/self/exe", nil)
        defer { free(path) }
        let own = path.map { String(cString: $0) } ?? ""
        let folder = own.lastIndex(of: "/").map { String(own[..<$0]) } ?? "/"
        let missing = ["mesh-launch", "mesh-sidecar", "mesh-node"].filter {
            access("\(folder)/\($0)", X_OK) != 0
        }
        guard missing.isEmpty else {
            return .bad(
                "programs", "\(missing.joined(separator: ", ")) can't be found in \(folder)",
                fix: "install mesh with make install")
        }
        return .ok("programs", "all in \(folder)")
    }
}
