// The child that alone reads the issuer key: started with the node, started again when it dies.

import CLinuxShims
import Glibc
import Logging

/// Starts `mesh-node issuer`. The child finds its listening socket as descriptor 3, and writes its log to
/// standard error, a pipe whose lines the node puts into its own log. The listening socket outlives a
/// child: those who connect while none runs are served by the next.
struct IssuerProcess {
    static let listenerDescriptor: Int32 = 3

    private let listener: Int32
    private let logPipe: Int32
    private(set) var token: ProcessWatch.Token?
    private var processID: pid_t = 0

    /// - Parameters:
    ///   - listener: the bound socket, close-on-exec.
    ///   - logPipe: where the child writes lines.
    init(listener: Int32, logPipe: Int32) {
        self.listener = listener
        self.logPipe = logPipe
    }

    mutating func start(_ watch: ProcessWatch) throws(FileError) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, logPipe, STDERR_FILENO)
        posix_spawn_file_actions_adddup2(&actions, listener, IssuerProcess.listenerDescriptor)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // SIGTERM stays blocked in us; the child must be able to get it.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let arguments = [strdup("mesh-node"), strdup("issuer"), nil]
        defer { for argument in arguments { free(argument) } }
        let code = posix_spawn(
            &processID, "/proc/self/exe", &actions, &attributes, arguments, mesh_environment())
        guard code == 0 else { throw FileError("/proc/self/exe", call: "posix_spawn", code) }
        let pidfd = mesh_pidfd_open(processID)
        guard pidfd >= 0, let token = watch.watch(pidfd: pidfd) else {
            throw FileError("issuer process \(processID)", call: "pidfd_open")
        }
        self.token = token
    }

    /// Takes the ended child's status.
    mutating func reap() -> Int32 {
        var status: Int32 = 0
        while waitpid(processID, &status, 0) < 0 && errno == EINTR {}
        processID = 0
        token = nil
        return status
    }

    func stop() {
        if processID > 0 { kill(processID, SIGTERM) }
    }
}
