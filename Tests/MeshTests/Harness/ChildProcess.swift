// One real process: started, watched, and ended by its id.

import Foundation
import Glibc
import Synchronization

/// How a process ended, exactly.
enum Ending: Equatable, CustomStringConvertible {
    case exited(Int32)
    case killed(Int32)

    init(status: Int32) {
        // As WIFEXITED and its relatives read it.
        self = status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : .killed(status & 0x7f)
    }

    var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .killed(let signal): "signal \(signal)"
        }
    }
}

/// What a test couldn't even begin with; a failure of its own kind, to be read as it stands.
struct HarnessError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A child of this process. Its output lies in files, so that nothing here must be read to keep it going.
final class ChildProcess: Sendable {
    /// Where its three standard descriptors lead.
    struct Streams {
        var input = "/dev/null"
        var output = "/dev/null"
        var error = "/dev/null"
        /// A terminal's path: becomes all three, and the controlling terminal of a session of its own.
        var terminal: String?
        /// A descriptor of ours for standard input, instead of `input`.
        var inputDescriptor: Int32?
    }

    /// POSIX_SPAWN_SETSID, a GNU extension of <spawn.h> that Swift's Glibc leaves out.
    private static let newSession: Int32 = 0x80

    let pid: pid_t
    private let ending = Mutex<Ending?>(nil)

    /// - Parameter words: the program's path or name, looked up on the environment's PATH, and its arguments.
    init(_ words: [String], environment: [String: String], folder: String, streams: Streams) throws {
        // env(1) enters the folder, and becomes the program.
        let words = ["/usr/bin/env", "-C", folder] + words
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let terminal = streams.terminal {
            for number: Int32 in 0...2 {
                posix_spawn_file_actions_addopen(&actions, number, terminal, O_RDWR, 0)
            }
        } else {
            if let descriptor = streams.inputDescriptor {
                posix_spawn_file_actions_adddup2(&actions, descriptor, 0)
            } else {
                posix_spawn_file_actions_addopen(&actions, 0, streams.input, O_RDONLY, 0)
            }
            let mode = O_WRONLY | O_CREAT | O_APPEND
            posix_spawn_file_actions_addopen(&actions, 1, streams.output, mode, 0o644)
            posix_spawn_file_actions_addopen(&actions, 2, streams.error, mode, 0o644)
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A job of its own, as a shell starts it, with no signal blocked or ignored by inheritance.
        var flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        flags |= streams.terminal == nil ? POSIX_SPAWN_SETPGROUP : ChildProcess.newSession
        posix_spawnattr_setflags(&attributes, Int16(flags))
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for signal: Int32 in 1...31 where signal != SIGKILL && signal != SIGSTOP {
            sigaddset(&signals, signal)
        }
        posix_spawnattr_setsigdefault(&attributes, &signals)

        var arguments = words.map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in arguments + variables { free(pointer) } }
        var started: pid_t = 0
        let code = posix_spawn(&started, words[0], &actions, &attributes, &arguments, &variables)
        guard code == 0 else {
            throw HarnessError(
                "\(words.joined(separator: " ")) can't be started: \(String(cString: strerror(code)))")
        }
        pid = started
    }

    /// How it ended, or nil while it runs.
    var ended: Ending? {
        ending.withLock { ending in
            if let ending { return ending }
            var status: Int32 = 0
            guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
            ending = Ending(status: status)
            return ending
        }
    }

    /// Sends a signal, unless the process was reaped: its number may be another's by now.
    func signal(_ number: Int32) {
        ending.withLock { ending in
            if ending == nil { kill(pid, number) }
        }
    }

    /// The same for its whole process group, as a terminal does.
    func signalGroup(_ number: Int32) {
        ending.withLock { ending in
            if ending == nil { kill(-pid, number) }
        }
    }
}
