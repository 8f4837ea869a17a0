// Giving up what a process doesn't need. unshare(2), pivot_root(2) and capset(2) lie outside glibc's module
// map.
#pragma once
#include <sys/types.h>

/// Puts this process, which must be single-threaded, into an empty, read-only root in a mount namespace of
/// its own, and into a user namespace of its own in which it holds no capability either. It can't be
/// dumped or traced by its equals, gains nothing by an exec, and holds at most `descriptors` descriptors.
/// Where the kernel has Landlock with scopes, abstract sockets and signals of others are out of its reach
/// too.
///
/// @param socket_name  where not NULL: a unix socket of this name listens in the root, and is returned in
///                     `listener`, non-blocking.
/// @param step         names what failed.
/// @return 0, or -1 with errno: the process is in no known state and must end.
int mesh_sandbox(unsigned descriptors, const char *socket_name, int *listener, const char **step);
