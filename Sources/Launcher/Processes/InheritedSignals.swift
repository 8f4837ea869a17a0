// The signal state that the launcher found, which is the workload's.

import CLinuxShims
import Glibc

struct InheritedSignals {
    let mask: sigset_t
    let ignored: sigset_t

    /// Blocks every signal, so that each is read from a descriptor, and remembers how things stood.
    static func takeOver() -> InheritedSignals {
        var all = sigset_t()
        var mask = sigset_t()
        var ignored = sigset_t()
        sigfillset(&all)
        sigprocmask(SIG_SETMASK, &all, &mask)
        sigemptyset(&ignored)
        for signal: Int32 in 1...64 {
            var action = sigaction()
            guard sigaction(signal, nil, &action) == 0 else { continue }
            if unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1 {
                sigaddset(&ignored, signal)
            }
        }
        // With SIGCHLD ignored the kernel would reap children, and their statuses would be lost.
        signal(SIGCHLD, SIG_DFL)
        return InheritedSignals(mask: mask, ignored: ignored)
    }

    func ignores(_ signal: Int32) -> Bool {
        var ignored = ignored
        return sigismember(&ignored, signal) == 1
    }

    static func descriptor() throws(LaunchFailure) -> Int32 {
        var all = sigset_t()
        sigfillset(&all)
        return try checked(mesh_signal_descriptor(&all), "signalfd")
    }

    /// For the workload, right before it is executed.
    func restore() {
        var mask = mask
        var ignored = ignored
        mesh_reset_signals(&mask, &ignored)
    }

    /// For a process of ours: nothing blocked, nothing ignored.
    static func reset() {
        var none = sigset_t()
        sigemptyset(&none)
        mesh_reset_signals(&none, &none)
    }

    static func set(of signal: Int32) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, signal)
        return set
    }
}
