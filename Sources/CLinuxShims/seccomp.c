#define _GNU_SOURCE
#include "seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

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

enum { PER_CONDITION = 3, PER_RULE_MAXIMUM = 2 + 2 * PER_CONDITION + 1 };

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

int mesh_seccomp_allow(const struct mesh_syscall_rule *rules, size_t count) {
    static struct sock_filter code[5 + MESH_SYSCALL_RULES_MAXIMUM * PER_RULE_MAXIMUM + 1];
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
        if (rules[index].conditions > 2) {
            errno = EINVAL;
            return -1;
        }
        size += write_rule(code + size, &rules[index]);
    }
    code[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog program = {.len = (unsigned short)size, .filter = code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
