// Who is at the other end of a unix socket, and waiting for the end of processes that aren't our children.
#pragma once
#include <stdint.h>
#include <sys/types.h>

// SO_PEERCRED: struct ucred is hidden without _GNU_SOURCE.
int mesh_peer_credentials(int socket, pid_t *process, uid_t *user);

// A descriptor of the process that connected a unix socket, readable once it has ended. SO_PEERPIDFD
// (Linux 6.5) can't name a process that reused the id; before it, pidfd_open of SO_PEERCRED's id.
// Close-on-exec. pidfd_open is outside glibc's module map.
int mesh_peer_pidfd(int socket);
int mesh_pidfd_open(pid_t process);

// epoll is outside glibc's module map. `token` comes back when `descriptor` is readable.
int mesh_epoll_create(void);
int mesh_epoll_add(int epoll, int descriptor, uint64_t token);
int mesh_epoll_remove(int epoll, int descriptor);
// Returns the count of tokens written, 0 after `milliseconds` (-1: never). Retries EINTR.
int mesh_epoll_wait(int epoll, uint64_t *tokens, int capacity, int milliseconds);

// This process's environment, for a child. environ is a mutable global, which Swift refuses.
char **mesh_environment(void);
