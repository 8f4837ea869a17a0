// Starting processes for a sidecar, whose filter of system calls lets it execute nothing: the userland stack,
// and what runs scripts.

import CLinuxShims
import Glibc
import SidecarProtocol

/// What a process needs to become one of those.
struct SidecarChildSeed {
    /// The executable's path and its arguments.
    let command: [String]
    /// What it finds as descriptors 3 and following; first its end of its channel to the sidecar.
    let descriptors: [Int32]
    let log: Int32
    let launcher: pid_t

    /// Starts it inside A, where the sidecar is, since it makes its namespaces below that one. It is this
    /// process's child.
    func start(in userNamespace: Int32) throws(LaunchFailure) -> pid_t {
        let child = try checked(mesh_fork(), "can't start \(command[0])", fix: ProcessLimits.fix)
        guard child == 0 else { return child }
        guard mesh_enter_namespace(userNamespace, Int32(MESH_NEW_USER)) == 0 else {
            fail("can't enter the user namespace: \(errorText(errno))")
        }
        become()
    }

    private func become() -> Never {
        // A group of its own: what the terminal sends isn't for it.
        setpgid(0, 0)
        let null = open("/dev/null", O_RDWR)
        // Numbers out of the way of those that they become.
        let sources = ([log] + descriptors).map { fcntl($0, F_DUPFD_CLOEXEC, 16) }
        guard null >= 0, !sources.contains(-1) else { fail("no descriptors: \(errorText(errno))") }
        dup2(null, 0)
        dup2(null, 1)
        for (index, source) in sources.enumerated() { dup2(source, Int32(index) + 2) }
        _ = mesh_close_range(UInt32(sources.count) + 2, .max)
        InheritedSignals.reset()
        mesh_set_parent_death_signal(SIGKILL)
        guard getppid() == launcher else { _exit(ExitCode.ownFailure) }
        execve(
            command[0], CStrings(command).pointers, CStrings(SidecarChildSeed.environment()).pointers)
        StandardStreams.complain("can't execute \(command[0]): \(errorText(errno))")
        _exit(ExitCode.notExecutable)
    }

    private func fail(_ why: String) -> Never {
        dup2(log, 2)
        StandardStreams.complain(why)
        _exit(ExitCode.ownFailure)
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
}
