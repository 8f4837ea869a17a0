import Glibc
import SidecarProtocol
import Transport

/// The userland stack's process, as the sidecar sees it from outside.
struct StackProcess {
    let id: pid_t
    /// The sidecar's end of the channel.
    let channel: Int32

    /// Starts `executable userland-stack DATAPATH ADDRESS` with the channel's other end as descriptor 3, the
    /// TAP as 4 and `log` as standard error.
    static func start(
        executable: String, datapath: WorkloadConfiguration.Datapath, own: IPv4Address, tap: Int32, log: Int32
    ) throws(SystemError) -> StackProcess {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_SEQPACKET.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw SystemError("socketpair") }
        defer { close(ends[1]) }
        let words = [executable, UserlandStackProcess.verb, datapath.rawValue, own.description]
        let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        let environment: [UnsafeMutablePointer<CChar>?] = environment().map { strdup($0) } + [nil]
        defer { for text in arguments + environment { free(text) } }
        var process: pid_t = 0
        let code = withActions(channel: ends[1], tap: tap, log: log) { actions, attributes in
            posix_spawn(&process, executable, &actions, &attributes, arguments, environment)
        }
        guard code == 0 else {
            close(ends[0])
            throw SystemError("posix_spawn(\(executable))", code: code)
        }
        return StackProcess(id: process, channel: ends[0])
    }

    /// Nothing of the workload's environment, which may hold secrets; and no tracer that Swift would start
    /// after a crash, which the sandbox wouldn't let it.
    private static func environment() -> [String] {
        var environment = ["SWIFT_BACKTRACE=enable=no"]
        if let path = getenv("LD_LIBRARY_PATH") {
            environment.append("LD_LIBRARY_PATH=" + String(cString: path))
        }
        return environment
    }

    private static func withActions(
        channel: Int32, tap: Int32, log: Int32,
        _ spawn: (inout posix_spawn_file_actions_t, inout posix_spawnattr_t) -> Int32
    ) -> Int32 {
        // Numbers out of the way of those that they become.
        let sources = [channel, tap, log].map { fcntl($0, F_DUPFD_CLOEXEC, 10) }
        defer { for source in sources where source >= 0 { close(source) } }
        guard !sources.contains(-1) else { return errno }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, 0, 1)
        posix_spawn_file_actions_adddup2(&actions, sources[2], 2)
        posix_spawn_file_actions_adddup2(&actions, sources[0], UserlandStackProcess.channelDescriptor)
        posix_spawn_file_actions_adddup2(&actions, sources[1], UserlandStackProcess.tapDescriptor)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        return spawn(&actions, &attributes)
    }

    /// Ends the process whatever it is doing.
    func end() { kill(id, SIGKILL) }

    /// Whether the kernel keeps nothing of the process any more.
    func isReaped() -> Bool {
        let result = waitpid(id, nil, WNOHANG)
        return result == id || result < 0 && errno == ECHILD
    }
}
