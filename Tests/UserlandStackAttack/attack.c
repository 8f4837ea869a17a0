#define _GNU_SOURCE
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *name, int succeeded) {
    char line[80];
    int size = snprintf(line, sizeof line, "%s %s\n", name, succeeded ? "allowed" : "denied");
    if (write(1, line, (size_t)size) != size) _exit(3);
}

/// Whether a descriptor came back; it is closed.
static int opened(long descriptor) {
    if (descriptor < 0) return 0;
    close((int)descriptor);
    return 1;
}

static void try_files(pid_t sidecar) {
    char path[64];
    say("open", opened(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY)));
    say("openat2", opened(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", (uint64_t[3]){0}, 24)));
    say("create", opened(syscall(SYS_openat, AT_FDCWD, "/", O_RDWR | O_TMPFILE, 0600)));
    snprintf(path, sizeof path, "/proc/%d/mem", sidecar);
    say("proc-mem", opened(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY)));
    snprintf(path, sizeof path, "/proc/%d/ns/net", sidecar);
    say("proc-ns", opened(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY)));
    say("memfd", opened(syscall(SYS_memfd_create, "x", 0)));
}

static void try_memory(pid_t sidecar, void *secret) {
    char copy[8];
    struct iovec local = {copy, sizeof copy};
    struct iovec remote = {secret, sizeof copy};
    say("process_vm_readv", syscall(SYS_process_vm_readv, sidecar, &local, 1, &remote, 1, 0) == 8);
    say("process_vm_writev", syscall(SYS_process_vm_writev, sidecar, &local, 1, &remote, 1, 0) == 8);
    int traces = ptrace(PTRACE_SEIZE, sidecar, NULL, NULL) == 0;
    if (traces) ptrace(PTRACE_DETACH, sidecar, NULL, NULL);
    say("ptrace", traces);
    int pidfd = (int)syscall(SYS_pidfd_open, sidecar, 0);
    say("pidfd_getfd", pidfd >= 0 && opened(syscall(SYS_pidfd_getfd, pidfd, 0, 0)));
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("mmap-exec", page != MAP_FAILED);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("mmap", page != MAP_FAILED);
    say("mprotect-exec", page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
}

static void try_processes(pid_t sidecar) {
    say("signal", kill(sidecar, 0) == 0);
    long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) _exit(0);
    if (child > 0) waitpid((pid_t)child, NULL, 0);
    say("fork", child > 0);
    say("exec", syscall(SYS_execve, "/nothing", NULL, NULL) < 0 && errno == ENOENT);
    say("prctl", prctl(PR_GET_DUMPABLE) >= 0);
    say("dumpable", prctl(PR_SET_DUMPABLE, 1) == 0);
}

static void try_namespaces(void) {
    say("unshare-user", unshare(CLONE_NEWUSER) == 0);
    say("unshare-mounts", unshare(CLONE_NEWNS) == 0);
    say("mount", mount("none", "/", "tmpfs", 0, NULL) == 0);
    say("chroot", chroot("/") == 0);
    say("io_uring", opened(syscall(SYS_io_uring_setup, 4, (uint64_t[15]){0})));
    say("bpf", syscall(SYS_bpf, 0, NULL, 0) == 0 || errno == EINVAL);
}

static void try_sockets(void) {
    say("tcp", opened(socket(AF_INET, SOCK_STREAM, 0)));
    say("udp", opened(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
    say("raw", opened(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)));
    say("packet", opened(socket(AF_PACKET, SOCK_RAW, 0)));
    say("netlink", opened(socket(AF_NETLINK, SOCK_RAW, 0)));
    say("ipv6", opened(socket(AF_INET6, SOCK_STREAM, 0)));
    say("unix", opened(socket(AF_UNIX, SOCK_STREAM, 0)));
    say("unix-datagram", opened(socket(AF_UNIX, SOCK_DGRAM, 0)));
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET};
    say("bind", bind(listener, (struct sockaddr *)&any, sizeof any) == 0);
    say("listen", listen(listener, 1) == 0);
    close(listener);
}

void attack(pid_t sidecar, void *secret) {
    try_files(sidecar);
    try_memory(sidecar, secret);
    try_sockets();
    try_processes(sidecar);
    // Last: what succeeds here changes the process.
    try_namespaces();
}
