// Seccomp filters, built by hand: a list of the calls that a process may make. prctl(2) is variadic.
#pragma once
#include <stddef.h>
#include <stdint.h>
// For the numbers of the calls, which the tables in Swift name.
#include <sys/syscall.h>

/// One argument that must have `value` in the bits of `mask`. Only its lower 32 bits are looked at, so it
/// must be an int, or the bits asked for must lie there.
struct mesh_syscall_condition {
    int argument;
    uint32_t mask;
    uint32_t value;
};

/// One call that is allowed, where its conditions hold. Several rules of one number add up.
struct mesh_syscall_rule {
    int number;
    size_t conditions;
    struct mesh_syscall_condition condition[3];
};

enum { MESH_SYSCALL_RULES_MAXIMUM = 192 };

/// From now on every other call of this process's threads, and of its children, fails with EPERM, and the
/// kernel logs it; a call by another architecture's table ends the process. clone3(2), whose flags lie where
/// no filter can look, is one that this kernel doesn't know: libc then uses clone(2). Needs no_new_privs.
/// 0, or -1 with errno.
int mesh_seccomp_allow(const struct mesh_syscall_rule *rules, size_t count);

/// The same, but where one of the calls that no honest code of ours ever makes ends the process
/// (mesh_seccomp_is_deadly), unless `rules` allow it.
int mesh_seccomp_allow_or_die(const struct mesh_syscall_rule *rules, size_t count);

/// The name of the `index`th call that ends the process, NULL past the last, and its number.
const char *mesh_seccomp_deadly(size_t index, int *number);

/// Whether the kernel filters system calls.
int mesh_seccomp_is_supported(void);
