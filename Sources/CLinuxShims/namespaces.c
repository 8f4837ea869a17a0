#define _GNU_SOURCE
#include "namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#endif

int mesh_unshare(int namespaces) { return unshare(namespaces); }

int mesh_enter_namespace(int descriptor, int namespaces) { return setns(descriptor, namespaces); }

pid_t mesh_clone(uint64_t flags, int exit_signal) {
    // clone3(2) would be the newer call, but container engines' seccomp profiles refuse it.
    return (pid_t)syscall(SYS_clone, (unsigned long)(flags | (uint64_t)exit_signal), 0, 0, 0, 0);
}

int mesh_open_tree(const char *path, int is_recursive) {
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (is_recursive ? AT_RECURSIVE : 0);
    return (int)syscall(SYS_open_tree, AT_FDCWD, path, flags);
}

int mesh_move_mount(int tree, const char *path) {
    return (int)syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
}
