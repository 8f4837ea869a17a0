// Own files and folders: logs, records, addresses, sockets' names; and those of the host's resolver.

import CLinuxShims
import Glibc

extension SystemCalls {
    package static let files: [SystemCall] =
        [
            SystemCall("openat", SYS_openat, because: "logs, records, own state; the resolver's files"),
            SystemCall("newfstatat", SYS_newfstatat, because: "whose a file is"),
            SystemCall("fstat", SYS_fstat, because: "the size of a file"),
            SystemCall("statx", SYS_statx, because: "whose a file is"),
            SystemCall("statfs", SYS_statfs, because: "room on a disk"),
            SystemCall("fstatfs", SYS_fstatfs, because: "room on a disk"),
            SystemCall("lseek", SYS_lseek, because: "the end of a records file"),
            SystemCall("pread64", SYS_pread64, because: "records; libraries that are loaded late"),
            SystemCall("pwrite64", SYS_pwrite64, because: "records"),
            SystemCall("fsync", SYS_fsync, because: "files that must last"),
            SystemCall("fdatasync", SYS_fdatasync, because: "files that must last"),
            SystemCall("ftruncate", SYS_ftruncate, because: "the torn end of a records file"),
            SystemCall("fallocate", SYS_fallocate, because: "room that is taken beforehand"),
            SystemCall("flock", SYS_flock, because: "one writer at a time"),
            SystemCall("renameat", SYS_renameat, because: "files are replaced whole; rotation"),
            SystemCall("renameat2", SYS_renameat2, because: "files are replaced whole; rotation"),
            SystemCall("unlinkat", SYS_unlinkat, because: "sockets' names, old records"),
            SystemCall("mkdirat", SYS_mkdirat, because: "folders for records"),
            SystemCall("getdents64", SYS_getdents64, because: "what lies in an own folder"),
            SystemCall("faccessat", SYS_faccessat, because: "whether a file is there"),
            SystemCall("faccessat2", SYS_faccessat2, because: "whether a file is there"),
            SystemCall("readlinkat", SYS_readlinkat, because: "its own executable; the resolver's files"),
            SystemCall("fchmod", SYS_fchmod, because: "sockets for their user alone"),
            SystemCall("fchmodat", SYS_fchmodat, because: "sockets for their user alone"),
            SystemCall("umask", SYS_umask, because: "sockets for their user alone"),
            SystemCall("dup", SYS_dup, because: "a log for the userland stack"),
            SystemCall("dup3", SYS_dup3, because: "the log is rotated"),
        ] + oldFiles

    // Calls that libc still makes where the kernel has them.
    #if arch(x86_64)
        private static let oldFiles: [SystemCall] = [
            SystemCall("open", SYS_open, because: "the resolver's modules"),
            SystemCall("stat", SYS_stat, because: "whose a file is"),
            SystemCall("lstat", SYS_lstat, because: "whose a file is"),
            SystemCall("access", SYS_access, because: "whether a file is there"),
            SystemCall("rename", SYS_rename, because: "files are replaced whole; rotation"),
            SystemCall("unlink", SYS_unlink, because: "sockets' names, old records"),
            SystemCall("mkdir", SYS_mkdir, because: "folders for records"),
            SystemCall("rmdir", SYS_rmdir, because: "the folder of an ended instance"),
            SystemCall("readlink", SYS_readlink, because: "its own executable; the resolver's files"),
            SystemCall("chmod", SYS_chmod, because: "sockets for their user alone"),
            SystemCall("dup2", SYS_dup2, because: "the log is rotated"),
        ]
    #else
        private static let oldFiles: [SystemCall] = []
    #endif
}
