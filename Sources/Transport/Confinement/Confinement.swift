// Giving up what a process won't need again, once it is set up and before it hears from anybody.
//
// Theory of operation
//
//   `enter` is called while the process has one thread; those that it starts later inherit everything. In
//   this order: no core file and no tracer of the same user; no capability but those named; no new
//   privileges by an exec; and at last the list of system calls, without which what follows can't be
//   undone. A call that isn't on the list fails with EPERM, and the kernel logs it. One that no honest code
//   of ours makes, and an attacker needs (`docs/CONFINEMENT.md`), ends the process.
//
//   What a kernel doesn't have is left out and reported, never silently: mesh runs, less well closed in.

import CLinuxShims
import Glibc

package enum Confinement {
    /// - Parameters:
    ///   - capabilities: those to be kept, as bits of 1 << CAP_….
    ///   - calls: all that the process and its children will make.
    /// - Returns: what didn't hold, for the log.
    package static func enter(keeping capabilities: UInt64, _ calls: [SystemCall]) -> [SystemError] {
        var failures: [SystemError] = []
        func attempt(_ stage: String, _ result: Int32) {
            if result != 0 { failures.append(SystemError(stage)) }
        }
        attempt("forbid tracing", mesh_set_dumpable(0))
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        attempt("forbid core files", setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none))
        attempt("give capabilities up", mesh_keep_capabilities(capabilities))
        attempt("forbid new privileges", mesh_set_no_new_privileges())
        attempt("filter system calls", filter(calls))
        return failures
    }

    private static func filter(_ calls: [SystemCall]) -> Int32 {
        let rules = calls.map(\.rule)
        return mesh_seccomp_allow_or_die(rules, rules.count)
    }
}
