// The status that wait(2) gives; its macros can't be seen from Swift.

import Glibc

package enum WaitStatus: Equatable, Sendable {
    case exited(code: Int32)
    case killed(signal: Int32)
    case stopped(signal: Int32)
    case continued

    package init(raw: Int32) {
        if raw == 0xFFFF {
            self = .continued
        } else if raw & 0xFF == 0x7F {
            self = .stopped(signal: raw >> 8 & 0xFF)
        } else if raw & 0x7F == 0 {
            self = .exited(code: raw >> 8 & 0xFF)
        } else {
            self = .killed(signal: raw & 0x7F)
        }
    }

    package var text: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .killed(let signal): "signal \(signal)"
        case .stopped(let signal): "stop by signal \(signal)"
        case .continued: "continued"
        }
    }

    /// Waits for one child, and reaps it.
    static func wait(for child: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        return status
    }
}
