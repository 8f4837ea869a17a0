// Who gets a signal that the launcher received.
//
// Theory of operation
//
//   Launcher, init and workload are one process group, so what the terminal sends (^C, ^Z, a new size)
//   reaches all three by itself, and must not be sent again. What kill(2) sent to the launcher alone is
//   the program's. kill(2) to the whole group looks the same to the launcher; there, init knows better:
//   it got the same signal itself. See `DirectSignals`.

import Glibc

package enum SignalRoute: Equatable, Sendable {
    /// A child changed its state.
    case reap
    /// The whole group has it already.
    case ignore
    /// It is the program's.
    case forward
    /// The program has it, unless it left the group; then only the launcher was told.
    case forwardToStranger

    /// - Parameters:
    ///   - code: `si_code`; what the kernel itself sends has SI_KERNEL, what kill(2) sends at most 0.
    package init(signal: Int32, code: Int32) {
        let isFromKernel = code > 0
        switch signal {
        case SIGCHLD: self = isFromKernel ? .reap : .forward
        case SIGHUP where isFromKernel: self = .forwardToStranger
        case SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGWINCH:
            self = isFromKernel ? .ignore : .forward
        // Timers and limits of the launcher's own process: set by whoever became mesh-launch by exec.
        default: self = .forward
        }
    }

    /// Whether the default action of a signal ends a process.
    package static func endsByDefault(_ signal: Int32) -> Bool {
        ![SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGTSTP, SIGTTIN, SIGTTOU].contains(signal)
    }

    package static func stopsByDefault(_ signal: Int32) -> Bool {
        [SIGTSTP, SIGTTIN, SIGTTOU].contains(signal)
    }
}

/// The signals that init received itself a moment ago: its group was meant, and so the workload, being in
/// it, has them as well.
package struct DirectSignals: Sendable {
    /// For how long a signal of the launcher is taken for the same one, in nanoseconds. Two signals of one
    /// number so close together may be merged by the kernel as well.
    package static let window: UInt64 = 100_000_000

    private var times: [Int32: UInt64] = [:]

    package init() {}

    package mutating func note(_ signal: Int32, at nanoseconds: UInt64) { times[signal] = nanoseconds }

    /// Whether this signal, which the launcher passes on, was also init's own; counts once.
    package mutating func consume(_ signal: Int32, at nanoseconds: UInt64) -> Bool {
        guard let time = times.removeValue(forKey: signal) else { return false }
        return nanoseconds &- time <= DirectSignals.window
    }
}
