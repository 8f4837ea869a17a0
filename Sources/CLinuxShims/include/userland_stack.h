// What the userland stack's process needs of Linux. epoll is outside glibc's module map, ioctl(2) variadic.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// The hardware address that the TAP has in its network namespace, as six bytes. 0, or -1 with errno.
int mesh_tap_hardware_address(int tap, uint8_t address[6]);

/// The kernel's EPOLL* bits, and the descriptor they are of.
struct mesh_readiness {
    int descriptor;
    uint32_t events;
};

enum { MESH_READY_IN = 1, MESH_READY_PRI = 2, MESH_READY_OUT = 4, MESH_READY_ERR = 8, MESH_READY_HUP = 16 };

/// Asks for `events` of `descriptor`; 0 takes it out. Returns 0, or -1 with errno.
int mesh_epoll_want(int epoll, int descriptor, uint32_t events, int is_known);

/// Asks for one readability of `descriptor`, once; again by calling it again.
int mesh_epoll_want_once(int epoll, int descriptor);

/// Waits at most `milliseconds` (-1: as long as it takes). Retries EINTR. Returns a count, or -1.
int mesh_epoll_ready(int epoll, struct mesh_readiness *ready, int capacity, int milliseconds);

/// Accepts a connection that this very process made to its own `listener`; close-on-exec, non-blocking.
/// EPERM where another process made it. -1 with errno.
int mesh_accept_own(int listener);

/// 1 where `descriptor` is a unix stream socket, which it makes non-blocking; 0 for anything else.
int mesh_is_unix_stream(int descriptor);

/// 1 where `address` (network order) is one of this host's, 0 where not, -1 with errno.
int mesh_is_own_address(uint32_t address);

/// Takes each large buffer as a mapping of its own: memory that was never used is never had.
void mesh_map_large_buffers(void);

/// Gives the kernel back what is free on the heap.
void mesh_return_memory(void);

/// Allows the calls of the userland stack and no others; unix sockets only where `makes_unix_sockets`.
int mesh_seccomp_userland_stack(int makes_unix_sockets);
