// Seccomp filters, built by hand: a list of the calls that a process may make. prctl(2) is variadic.
#pragma once
#include <stddef.h>
#include <stdint.h>

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
    struct mesh_syscall_condition condition[2];
};

enum { MESH_SYSCALL_RULES_MAXIMUM = 128 };

/// From now on every other call of this thread, and of threads that it starts, fails with EPERM; a call by
/// another architecture's table ends the process. Needs no_new_privs. 0, or -1 with errno.
int mesh_seccomp_allow(const struct mesh_syscall_rule *rules, size_t count);
