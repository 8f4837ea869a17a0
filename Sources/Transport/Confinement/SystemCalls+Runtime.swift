// What libc and Swift's runtime need in every process of ours, whatever it does.

import CLinuxShims
import Glibc

extension SystemCalls {
    package static let runtime = memory + threads + signals + time + itself

    private static let memory: [SystemCall] = [
        SystemCall("brk", SYS_brk, because: "malloc's heap"),
        SystemCall(
            "mmap", SYS_mmap, .lacks(2, PROT_EXEC), only: "not executable",
            because: "malloc, stacks of threads"),
        SystemCall(
            "mmap", SYS_mmap, .lacks(2, PROT_WRITE), .lacks(3, MAP_ANONYMOUS), only: "a file, not writable",
            because: "libcrypto, and modules of the host's resolver, are loaded when they are first needed"),
        SystemCall(
            "mprotect", SYS_mprotect, .lacks(2, PROT_EXEC), only: "not executable",
            because: "malloc, guard pages, relocations of a loaded library"),
        SystemCall("munmap", SYS_munmap, because: "malloc, stacks of threads"),
        SystemCall("mremap", SYS_mremap, because: "realloc"),
        SystemCall("madvise", SYS_madvise, because: "malloc, stacks of ended threads, memory without dumps"),
        SystemCall("mlock", SYS_mlock, because: "keys that are never swapped out"),
        SystemCall("munlock", SYS_munlock, because: "keys that are never swapped out"),
        SystemCall("getrandom", SYS_getrandom, because: "keys, hash seeds"),
    ]

    /// CLONE_THREAD | CLONE_VM, without which clone(2) would make a process.
    private static let threadFlags: Int32 = 0x0001_0000 | 0x0000_0100

    /// CLONE_NEW… of every kind.
    private static let namespaceFlags: Int32 = 0x7E02_0000

    private static let threads: [SystemCall] = [
        SystemCall(
            "clone", SYS_clone, .has(0, threadFlags), .lacks(0, namespaceFlags), only: "threads",
            because: "threads"),
        SystemCall("futex", SYS_futex, because: "locks"),
        SystemCall("set_robust_list", SYS_set_robust_list, because: "a thread's start"),
        SystemCall("rseq", SYS_rseq, because: "a thread's start"),
        SystemCall("sched_getaffinity", SYS_sched_getaffinity, because: "the number of processors"),
        SystemCall("sched_yield", SYS_sched_yield, because: "locks"),
        SystemCall("gettid", SYS_gettid, because: "a thread's number"),
        SystemCall(
            "prctl", SYS_prctl, .is(0, 15), only: "PR_SET_NAME", because: "names of threads"),
        SystemCall("exit", SYS_exit, because: "a thread's end"),
        SystemCall("exit_group", SYS_exit_group, because: "the process's end"),
    ]

    private static let signals: [SystemCall] = [
        SystemCall("rt_sigaction", SYS_rt_sigaction, because: "signals that are ignored"),
        SystemCall(
            "rt_sigprocmask", SYS_rt_sigprocmask, because: "signals are blocked while a thread starts"),
        SystemCall("rt_sigreturn", SYS_rt_sigreturn, because: "the end of a handler"),
        SystemCall("sigaltstack", SYS_sigaltstack, because: "a stack for the handler of a crash"),
        SystemCall(
            "tgkill", SYS_tgkill, .is(0, getpid()), only: "itself", because: "abort raises its own signal"),
        SystemCall("restart_syscall", SYS_restart_syscall, because: "a wait goes on after a stop"),
    ]

    /// The vDSO serves clocks mostly.
    private static let time: [SystemCall] = [
        SystemCall("clock_gettime", SYS_clock_gettime, because: "clocks"),
        SystemCall("clock_getres", SYS_clock_getres, because: "clocks"),
        SystemCall("gettimeofday", SYS_gettimeofday, because: "clocks"),
        SystemCall("clock_nanosleep", SYS_clock_nanosleep, because: "a pause"),
        SystemCall("nanosleep", SYS_nanosleep, because: "a pause"),
    ]

    private static let itself: [SystemCall] = [
        SystemCall("getpid", SYS_getpid, because: "its number, for status and peers on unix sockets"),
        SystemCall("getppid", SYS_getppid, because: "its parent's number"),
        SystemCall("getuid", SYS_getuid, because: "its user"),
        SystemCall("geteuid", SYS_geteuid, because: "its user"),
        SystemCall("getgid", SYS_getgid, because: "its group"),
        SystemCall("getegid", SYS_getegid, because: "its group"),
        SystemCall("uname", SYS_uname, because: "the host's name"),
        SystemCall("sysinfo", SYS_sysinfo, because: "the size of memory, by which libc tunes itself"),
        SystemCall(
            "ioctl", SYS_ioctl, .is(1, 0x5401), only: "TCGETS",
            because: "stdio asks whether it writes to a terminal"),
        SystemCall("getrusage", SYS_getrusage, because: "metrics"),
        SystemCall(
            "prlimit64", SYS_prlimit64, .is(0, 0), only: "itself",
            because: "the size of stacks, and how many descriptors and bytes of locked memory it may have"),
    ]
}
