// What node and issuer keep once they are set up, and before they hear from anybody.

import CLinuxShims
import Glibc
import Transport

extension Confinement {
    /// With exec, for the issuer and the compiler of the config file: both inherit the list, and so they can
    /// do no more than the node.
    package static let nodeCalls =
        SystemCalls.runtime + SystemCalls.eventLoop + SystemCalls.network + SystemCalls.files
        + SystemCalls.processes + SystemCalls.programs

    /// Without network and without exec.
    package static let issuerCalls =
        SystemCalls.runtime + SystemCalls.eventLoop + SystemCalls.files + SystemCalls.processes

    /// Root's issuer looks at the programs of other users that ask for names.
    private static let issuerCapabilities: UInt64 =
        1 << UInt64(MESH_CAN_TRACE) | 1 << UInt64(MESH_CAN_READ_ALL)

    /// The issuer's, which a child can't have more of than its parent.
    private static let nodeCapabilities = issuerCapabilities | 1 << UInt64(MESH_CAN_BIND_LOW_PORTS)

    package static func enterAsNode() -> [SystemError] { enter(keeping: nodeCapabilities, nodeCalls) }
    package static func enterAsIssuer() -> [SystemError] { enter(keeping: issuerCapabilities, issuerCalls) }
}

extension SystemCalls {
    /// Waiting for the ends of processes (ProcessWatch).
    fileprivate static let processes: [SystemCall] = [
        SystemCall("pidfd_open", SYS_pidfd_open, because: "the end of a launcher or sidecar is waited for"),
        SystemCall("signalfd4", SYS_signalfd4, because: "signals are read"),
        SystemCall(
            "setpriority", SYS_setpriority, .is(0, 0), .is(1, 0), only: "the calling thread",
            because: "an event loop ends on a thread of libdispatch's, which gives itself a priority"),
    ]

    /// Starting a program (IssuerProcess, NodeConfigurationFile), and what it needs before its own list.
    fileprivate static let programs: [SystemCall] =
        [
            SystemCall(
                "clone", SYS_clone, .has(0, 0x0000_4100), .lacks(0, 0x7E02_0000), only: "posix_spawn",
                because: "issuer, config compiler"),
            SystemCall("execve", SYS_execve, because: "issuer, config compiler"),
            SystemCall("wait4", SYS_wait4, because: "their ends"),
            SystemCall(
                "kill", SYS_kill, .is(0, getpid()), only: "itself",
                because: "a reload, asked for by a message"),
            SystemCall("pipe2", SYS_pipe2, because: "what they say"),
            SystemCall("set_tid_address", SYS_set_tid_address, because: "a program's start"),
            SystemCall(
                "prctl", SYS_prctl, .is(0, 1), only: "PR_SET_PDEATHSIG",
                because: "an issuer ends with its node"),
            SystemCall(
                "prctl", SYS_prctl, .is(0, 4), .is(1, 0), only: "PR_SET_DUMPABLE to 0",
                because: "the issuer closes itself in"),
            SystemCall(
                "prctl", SYS_prctl, .is(0, 38), only: "PR_SET_NO_NEW_PRIVS",
                because: "the issuer closes itself in"),
            SystemCall(
                "prctl", SYS_prctl, .is(0, 24), only: "PR_CAPBSET_DROP",
                because: "the issuer closes itself in"),
            SystemCall(
                "prctl", SYS_prctl, .is(0, 47), .is(1, 4), only: "PR_CAP_AMBIENT_CLEAR_ALL",
                because: "the issuer closes itself in"),
            SystemCall("capget", SYS_capget, because: "the issuer closes itself in"),
            SystemCall("capset", SYS_capset, because: "the issuer closes itself in"),
            SystemCall("seccomp", SYS_seccomp, because: "the issuer closes itself in"),
        ] + oldPrograms

    #if arch(x86_64)
        private static let oldPrograms: [SystemCall] = [
            SystemCall("arch_prctl", SYS_arch_prctl, because: "a program's start"),
            SystemCall("pipe", SYS_pipe, because: "what they say"),
        ]
    #else
        private static let oldPrograms: [SystemCall] = []
    #endif
}
