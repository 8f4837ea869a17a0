// Namespaces and mounts. Calls outside glibc's module map, flags that are macros.
#pragma once
#include <stdint.h>
#include <sys/types.h>

enum {
    MESH_NEW_MOUNTS = 0x00020000,
    MESH_NEW_USER = 0x10000000,
    MESH_NEW_PROCESS_IDS = 0x20000000,
    MESH_NEW_NETWORK = 0x40000000,
    /// The child becomes a child of the caller's parent.
    MESH_SIBLING = 0x00008000,
    /// The caller goes on once the child has executed another program, or ended.
    MESH_AFTER_EXECUTION = 0x00004000,
};

int mesh_unshare(int namespaces);

/// @param namespaces the kinds to check for, or 0 for whatever `descriptor` is.
int mesh_enter_namespace(int descriptor, int namespaces);

/// clone(2) without shared memory; returns twice, as fork(2) does, so the caller must be
/// single-threaded. `exit_signal` must be 0 with MESH_SIBLING, which inherits the caller's.
pid_t mesh_clone(uint64_t flags, int exit_signal);

/// A detached copy of the mount tree at `path`; -1 with errno.
int mesh_open_tree(const char *path, int is_recursive);

/// Attaches what mesh_open_tree returned.
int mesh_move_mount(int tree, const char *path);
