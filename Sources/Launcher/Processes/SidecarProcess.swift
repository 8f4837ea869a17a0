// Starting mesh-sidecar: the first time from the builder, which is in A already; later by the launcher,
// which enters A for it.

import CLinuxShims
import Glibc

/// What a process needs to become a sidecar.
struct SidecarSeed {
    let executable: String
    /// The sidecar's end of the control socket.
    let control: Int32
    /// Standard output and error; nil to keep the launcher's.
    let log: Int32?
    let launcher: pid_t

    /// The sidecar finds the control socket here.
    static let controlDescriptor: Int32 = 3
    /// What was meant for the workload alone.
    private static let withheld = [
        "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID",
    ]

    /// Becomes the sidecar; called in a child that is in A.
    func become() -> Never {
        // A group of its own: what the terminal sends isn't for it.
        setpgid(0, 0)
        let null = open("/dev/null", O_RDONLY)
        dup2(null, 0)
        if let log {
            dup2(log, 1)
            dup2(log, 2)
        }
        if control == SidecarSeed.controlDescriptor {
            _ = fcntl(control, F_SETFD, 0)
        } else {
            dup2(control, SidecarSeed.controlDescriptor)
        }
        _ = mesh_close_range(4, .max)
        for name in SidecarSeed.withheld { unsetenv(name) }
        // Swift would start a tracer after a crash, which the sidecar's filter doesn't let it.
        setenv("SWIFT_BACKTRACE", "enable=no", 1)
        InheritedSignals.reset()
        mesh_set_parent_death_signal(SIGTERM)
        // The launcher may have died before the line above.
        guard getppid() == launcher else { _exit(ExitCode.ownFailure) }
        let arguments = CStrings([executable])
        execv(executable, arguments.pointers)
        StandardStreams.complain("can't execute \(executable): \(errorText(errno))")
        _exit(ExitCode.notExecutable)
    }

    /// Starts a sidecar from outside A.
    func start(in userNamespace: Int32) throws(LaunchFailure) -> pid_t {
        let child = try checked(mesh_fork(), "can't start \(executable)", fix: ProcessLimits.fix)
        guard child == 0 else { return child }
        guard mesh_enter_namespace(userNamespace, Int32(MESH_NEW_USER)) == 0 else {
            StandardStreams.complain("can't enter the user namespace: \(errorText(errno))")
            _exit(ExitCode.ownFailure)
        }
        become()
    }
}
