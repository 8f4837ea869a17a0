import Glibc
import Sidecar
import SidecarProtocol
import Synchronization
import Transport

/// Starts the stack's process for a client, as the launcher does for a sidecar.
final class StackSpawner: StackStarter, Sendable {
    private let executable: String
    private let tap: Int32
    private let running = Mutex<pid_t>(0)

    init(executable: String, tap: Int32) {
        self.executable = executable
        self.tap = tap
    }

    deinit { endStack() }

    func startStack(channel: CInt) throws(SystemError) {
        endStack()
        let words = [executable, StackLaunch.verb, "slirp", UserlandStackTests.own.description]
        let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        let variables = ["SWIFT_BACKTRACE=enable=no"] + libraryPath
        let environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
        defer { for text in arguments + environment { free(text) } }
        var process: pid_t = 0
        let code = withActions(channel: channel) { (actions, attributes) -> Int32 in
            posix_spawn(&process, executable, &actions, &attributes, arguments, environment)
        }
        if code != 0 { throw SystemError("posix_spawn(\(executable))", code: code) }
        let started = process
        running.withLock { $0 = started }
    }

    func endStack() {
        let process = running.withLock { running in
            defer { running = 0 }
            return running
        }
        guard process > 0 else { return }
        Glibc.kill(process, SIGKILL)
        waitpid(process, nil, 0)
    }

    /// As a fault of its own would end it.
    func kill() {
        let process = running.withLock { $0 }
        if process > 0 { Glibc.kill(process, SIGKILL) }
    }

    private var libraryPath: [String] {
        getenv("LD_LIBRARY_PATH").map { ["LD_LIBRARY_PATH=" + String(cString: $0)] } ?? []
    }

    private func withActions(
        channel: Int32, _ spawn: (inout posix_spawn_file_actions_t, inout posix_spawnattr_t) -> Int32
    ) -> Int32 {
        // Numbers out of the way of those that they become.
        let sources = [channel, tap].map { fcntl($0, F_DUPFD_CLOEXEC, 10) }
        defer { for source in sources where source >= 0 { close(source) } }
        guard !sources.contains(-1) else { return errno }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, 0, 1)
        posix_spawn_file_actions_adddup2(&actions, sources[0], StackLaunch.channelDescriptor)
        posix_spawn_file_actions_adddup2(&actions, sources[1], StackLaunch.tapDescriptor)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        return spawn(&actions, &attributes)
    }
}
