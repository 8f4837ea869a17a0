#define _GNU_SOURCE
#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "CLinuxShims.h"

static int passed(long result) { return result >= 0 || errno != EPERM; }

static void *nothing(void *argument) { return argument; }

static int try_thread(void) {
    pthread_t thread;
    return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

static int try_read(void) { return passed(syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY)); }
static int try_memory(void) {
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}
static int try_tcp(void) { return passed(socket(AF_INET, SOCK_STREAM, 0)); }
static int try_unix(void) { return passed(socket(AF_UNIX, SOCK_STREAM, 0)); }
static int try_ping(void) { return passed(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }
static int try_raw(void) { return passed(socket(AF_INET, SOCK_RAW, IPPROTO_TCP)); }
static int try_packet(void) { return passed(socket(AF_PACKET, SOCK_RAW, 0)); }
static int try_vsock(void) { return passed(socket(AF_VSOCK, SOCK_STREAM, 0)); }
static int try_audit(void) { return passed(socket(AF_NETLINK, SOCK_RAW, 9)); }
static int try_crypto(void) { return passed(socket(AF_ALG, SOCK_SEQPACKET, 0)); }

static int try_code(void) {
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}
static int try_late_code(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}
static int try_memory_file(void) { return passed(syscall(SYS_memfd_create, "x", 0)); }

static int try_fork(void) {
    long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) _exit(0);
    return child > 0;
}
static int try_new_process(void) {
    uint64_t arguments[11] = {[4] = SIGCHLD};
    long child = syscall(SYS_clone3, arguments, sizeof arguments);
    if (child == 0) _exit(0);
    return child > 0;
}
static int end(void *argument) { _exit(argument != NULL); }
static int try_spawn(void) {
    static _Alignas(16) char stack[65536];
    return clone(end, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL) > 0;
}
static int try_kill(void) { return passed(kill(getppid(), 0)); }
static int try_stop(void) { return passed(syscall(SYS_tgkill, getppid(), getppid(), 0)); }

static int try_dumpable(void) { return prctl(PR_SET_DUMPABLE, 1) == 0; }
static int try_core(void) {
    struct rlimit most = {RLIM_INFINITY, RLIM_INFINITY};
    return setrlimit(RLIMIT_CORE, &most) == 0;
}
static int try_user(void) { return passed(syscall(SYS_setuid, 0)); }
static int try_owner(void) { return passed(syscall(SYS_fchownat, AT_FDCWD, "/nowhere", 0, 0, 0)); }
static int try_device(void) { return passed(syscall(SYS_mknodat, AT_FDCWD, "/nowhere/x", 0600, 0)); }
static int try_link(void) { return passed(syscall(SYS_symlinkat, "/nowhere", AT_FDCWD, "/nowhere/x")); }
static int try_attribute(void) { return passed(syscall(SYS_setxattr, "/nowhere", "user.x", "", 0, 0)); }
static int try_user_namespace(void) { return passed(syscall(SYS_setns, 0, CLONE_NEWUSER)); }
static int try_mount_namespace(void) { return passed(syscall(SYS_setns, 0, CLONE_NEWNS)); }
static int try_shared_memory(void) { return passed(syscall(SYS_shmget, 0, 4096, 0600)); }
static int try_trace_log(void) { return passed(syscall(SYS_inotify_init1, 0)); }
static int try_ioctl(void) { return passed(syscall(SYS_ioctl, 0, 0x5412, "x")); }

static int has_capability(unsigned capability) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {0};
    syscall(SYS_capget, &header, sets);
    return sets[capability / 32].permitted >> capability % 32 & 1;
}
static int try_override(void) { return has_capability(CAP_DAC_OVERRIDE); }
static int try_network_administration(void) { return has_capability(CAP_NET_ADMIN); }
static int try_modules(void) { return has_capability(CAP_SYS_MODULE); }

static const struct {
    const char *name;
    int (*make)(void);
} attempts[] = {
    {"thread", try_thread}, {"read", try_read}, {"memory", try_memory}, {"tcp", try_tcp}, {"unix", try_unix},
    {"ping", try_ping}, {"raw", try_raw}, {"packet", try_packet}, {"vsock", try_vsock}, {"audit", try_audit},
    {"crypto", try_crypto}, {"code", try_code}, {"late-code", try_late_code},
    {"memory-file", try_memory_file}, {"child", try_fork}, {"new-process", try_new_process},
    {"spawn", try_spawn}, {"kill", try_kill}, {"stop", try_stop}, {"dumpable", try_dumpable},
    {"core", try_core}, {"user", try_user}, {"owner", try_owner}, {"device", try_device},
    {"link", try_link}, {"attribute", try_attribute}, {"user-namespace", try_user_namespace},
    {"mount-namespace", try_mount_namespace}, {"shared-memory", try_shared_memory},
    {"watch-files", try_trace_log}, {"type-for-user", try_ioctl}, {"override", try_override},
    {"network-administration", try_network_administration}, {"modules", try_modules},
};

enum { COUNT = sizeof attempts / sizeof *attempts };

const char *attempt_name(size_t index) {
    int number;
    return index < COUNT ? attempts[index].name : mesh_seccomp_deadly(index - COUNT, &number);
}

int attempt(size_t index) {
    if (index < COUNT) return attempts[index].make();
    int number;
    if (mesh_seccomp_deadly(index - COUNT, &number) == NULL) return 0;
    return passed(syscall(number, 0, 0, 0, 0, 0, 0));
}

int is_filtered(void) { return prctl(PR_GET_SECCOMP) != 0; }
