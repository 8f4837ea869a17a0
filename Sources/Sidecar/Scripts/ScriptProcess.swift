// The process `mesh-sidecar scripts`, which runs the scripts of one workload's state.

import CLinuxShims
import CLua
import Glibc
import SidecarProtocol
import Transport

enum ScriptProcess {
    private static let channel = ScriptLaunch.channelDescriptor

    /// Serves until the sidecar closes the channel. The libraries are loaded first; then the process is closed
    /// in, and only then reads.
    ///
    /// - Returns: the exit code.
    static func run() -> Int32 {
        mesh_set_parent_death_signal(SIGKILL)
        signal(SIGPIPE, SIG_IGN)
        _ = mesh_close_range(UInt32(channel) + 1, .max)
        let missing = mesh_lua_load().map { String(cString: $0) }
        if let reason = missing ?? confine() {
            mesh_lua_refuse(channel, reason)
            return 125
        }
        return mesh_lua_serve(channel, Limits.scriptInstructionsMaximum)
    }

    /// An empty root, no rights, bounded memory, and few system calls. Returns what didn't hold.
    private static func confine() -> String? {
        var listener: Int32 = -1
        var step: UnsafePointer<CChar>?
        // One more than it has: Landlock's rules are a descriptor while they are put in force.
        let result = mesh_sandbox(UInt32(channel) + 2, nil, &listener, &step)
        // The change of user namespace may have cleared it.
        mesh_set_parent_death_signal(SIGKILL)
        guard result == 0 else {
            let failed = step.map { String(cString: $0) } ?? "enter the sandbox"
            return "no scripts without their sandbox: can't \(failed): \(SystemError("its process"))"
        }
        var memory = rlimit(rlim_cur: Limits.scriptMemoryMaximum, rlim_max: Limits.scriptMemoryMaximum)
        guard setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &memory) == 0 else {
            return "no scripts without a limit of memory: \(SystemError("setrlimit"))"
        }
        return Confinement.enterAsScripts().first.map { "no scripts without their sandbox: \($0)" }
    }
}

extension Confinement {
    package static let scriptsCalls = SystemCalls.scripts

    package static func enterAsScripts() -> [SystemError] { enter(keeping: 0, scriptsCalls) }
}

extension SystemCalls {
    /// It has one thread, its channel and its memory.
    static let scripts: [SystemCall] = [
        SystemCall("read", SYS_read, because: "the channel to the sidecar"),
        SystemCall("write", SYS_write, because: "the channel to the sidecar, the log"),
        SystemCall("writev", SYS_writev, because: "what libc says when it aborts"),
        SystemCall("brk", SYS_brk, because: "malloc's heap"),
        SystemCall("mmap", SYS_mmap, .lacks(2, PROT_EXEC), only: "not executable", because: "malloc"),
        SystemCall("munmap", SYS_munmap, because: "malloc"),
        SystemCall("mremap", SYS_mremap, because: "realloc"),
        SystemCall("madvise", SYS_madvise, because: "malloc gives memory back"),
        SystemCall(
            "mprotect", SYS_mprotect, .lacks(2, PROT_EXEC), only: "not executable", because: "malloc"),
        SystemCall("futex", SYS_futex, because: "locks"),
        SystemCall("getrandom", SYS_getrandom, because: "malloc's and Swift's hash seeds"),
        SystemCall("getpid", SYS_getpid, because: "abort raises its own signal"),
        SystemCall("gettid", SYS_gettid, because: "abort raises its own signal"),
        SystemCall(
            "tgkill", SYS_tgkill, .is(0, getpid()), only: "itself", because: "abort raises its own signal"),
        SystemCall("rt_sigprocmask", SYS_rt_sigprocmask, because: "abort raises its own signal"),
        SystemCall("rt_sigaction", SYS_rt_sigaction, because: "abort raises its own signal"),
        SystemCall("restart_syscall", SYS_restart_syscall, because: "a wait goes on after a stop"),
        SystemCall("exit_group", SYS_exit_group, because: "the process's end"),
    ]
}
