#define _GNU_SOURCE
#include "seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
// Numbers from here on are x32's.
#define NUMBER_LIMIT 0x40000000u
#elif defined(__aarch64__)
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#define NUMBER_LIMIT 0xFFFFFFFFu
#else
#error "seccomp.c knows no audit architecture for this processor"
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "seccomp.c reads the lower half of arguments as a little-endian machine lays it"
#endif

#define FIELD(name) ((uint32_t)offsetof(struct seccomp_data, name))

enum { CONDITIONS_MAXIMUM = 3, PER_CONDITION = 3 };
enum { PER_RULE_MAXIMUM = 2 + CONDITIONS_MAXIMUM * PER_CONDITION + 1 };

// The accumulator holds the call's number before each rule and after it.
static size_t write_rule(struct sock_filter *code, const struct mesh_syscall_rule *rule) {
    size_t size = 0;
    size_t rest = PER_CONDITION * rule->conditions + (rule->conditions > 0 ? 2 : 1);
    code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)rule->number, 0,
                                                (uint8_t)rest);
    for (size_t index = 0; index < rule->conditions; index++) {
        const struct mesh_syscall_condition *condition = &rule->condition[index];
        uint32_t argument = FIELD(args) + 8 * (uint32_t)condition->argument;
        // Where it doesn't hold: over the conditions that follow and the verdict, to the reload.
        size_t left = PER_CONDITION * (rule->conditions - index - 1) + 1;
        code[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument);
        code[size++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, condition->mask);
        code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, condition->value, 0,
                                                    (uint8_t)left);
    }
    code[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    if (rule->conditions > 0) {
        code[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(nr));
    }
    return size;
}

// Calls that read or change other processes, the kernel, the mounts or the namespaces, or that make this one
// something else: what an attacker needs who has taken this process over. One that is tried ends it.
#define DEADLY(name) {#name, SYS_##name}
static const struct {
    const char *name;
    int number;
} deadly[] = {
    // Other processes' memory and descriptors.
    DEADLY(ptrace), DEADLY(process_vm_readv), DEADLY(process_vm_writev), DEADLY(pidfd_getfd), DEADLY(kcmp),
    DEADLY(process_madvise), DEADLY(perf_event_open), DEADLY(userfaultfd),
    // Another program in this process.
    DEADLY(execve), DEADLY(execveat),
    // Namespaces and mounts.
    DEADLY(unshare), DEADLY(mount), DEADLY(umount2), DEADLY(pivot_root), DEADLY(chroot), DEADLY(move_mount),
    DEADLY(open_tree), DEADLY(fsopen), DEADLY(fsconfig), DEADLY(fsmount), DEADLY(fspick),
    DEADLY(open_by_handle_at),
    // The kernel: code, keys, rings that pass the filter by.
    DEADLY(bpf), DEADLY(io_uring_setup), DEADLY(io_uring_enter), DEADLY(io_uring_register),
    DEADLY(init_module), DEADLY(finit_module), DEADLY(delete_module), DEADLY(kexec_load),
    DEADLY(keyctl), DEADLY(add_key), DEADLY(request_key), DEADLY(seccomp),
    // The host.
    DEADLY(reboot), DEADLY(swapon), DEADLY(swapoff), DEADLY(acct), DEADLY(quotactl), DEADLY(settimeofday),
    DEADLY(clock_settime), DEADLY(sethostname), DEADLY(setdomainname), DEADLY(syslog), DEADLY(personality),
#if defined(__x86_64__)
    DEADLY(iopl), DEADLY(ioperm), DEADLY(modify_ldt), DEADLY(kexec_file_load), DEADLY(fork), DEADLY(vfork),
    DEADLY(uselib),
#endif
};

enum { DEADLY_COUNT = sizeof deadly / sizeof *deadly };

const char *mesh_seccomp_deadly(size_t index, int *number) {
    if (index >= DEADLY_COUNT) return NULL;
    *number = deadly[index].number;
    return deadly[index].name;
}

static struct sock_filter *write_verdict(struct sock_filter *code, int number, uint32_t verdict) {
    *code++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1);
    *code++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);
    return code;
}

/// Puts the filter in force for all threads. What a kernel doesn't know of the flags it can do without.
static int install(struct sock_fprog *program, unsigned log) {
    const unsigned flags[] = {
        // No mitigation for code that isn't ours: there is none in these processes, and it would cost the
        // data path.
        SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW | log,
        SECCOMP_FILTER_FLAG_TSYNC | log,
        SECCOMP_FILTER_FLAG_TSYNC,
    };
    for (size_t index = 0; index < sizeof flags / sizeof *flags; index++) {
        long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[index], program);
        if (result == 0) return 0;
        // A thread that can't follow: it has a filter of its own.
        if (result > 0) errno = EBUSY;
        if (result > 0 || errno != EINVAL) break;
    }
    return errno == ENOSYS ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) : -1;
}

/// libc tries clone3(2) for every thread. A filter of its own, so that this alone isn't logged: of several
/// filters the strictest decides, and whether it logs.
static int hide_clone3(void) {
    struct sock_filter code[4] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(nr))};
    struct sock_filter *end = write_verdict(code + 1, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
    *end = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = 4, .filter = code};
    return install(&program, 0);
}

static int allow(const struct mesh_syscall_rule *rules, size_t count, int is_deadly) {
    static struct sock_filter
        code[8 + MESH_SYSCALL_RULES_MAXIMUM * PER_RULE_MAXIMUM + 2 * DEADLY_COUNT + 1];
    if (count > MESH_SYSCALL_RULES_MAXIMUM) {
        errno = E2BIG;
        return -1;
    }
    size_t size = 0;
    code[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(arch));
    code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 0, 2);
    code[size++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIELD(nr));
    code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, NUMBER_LIMIT, 0, 1);
    code[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    for (size_t index = 0; index < count; index++) {
        if (rules[index].conditions > CONDITIONS_MAXIMUM) {
            errno = EINVAL;
            return -1;
        }
        size += write_rule(code + size, &rules[index]);
    }
    struct sock_filter *end = write_verdict(code + size, SYS_clone3, SECCOMP_RET_ALLOW);
    for (size_t index = 0; is_deadly && index < DEADLY_COUNT; index++) {
        end = write_verdict(end, deadly[index].number, SECCOMP_RET_KILL_PROCESS);
    }
    *end++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog program = {.len = (unsigned short)(end - code), .filter = code};
    return hide_clone3() < 0 ? -1 : install(&program, SECCOMP_FILTER_FLAG_LOG);
}

int mesh_seccomp_allow(const struct mesh_syscall_rule *rules, size_t count) {
    return allow(rules, count, 0);
}

int mesh_seccomp_allow_or_die(const struct mesh_syscall_rule *rules, size_t count) {
    return allow(rules, count, 1);
}

int mesh_seccomp_is_supported(void) {
    // Without a filter to read, a kernel that has filters says EFAULT, and one that hasn't EINVAL.
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) < 0 && errno == EFAULT;
}
