// Descriptors and messages that carry them. CMSG_* are macros, ioctl(2) is variadic.
#pragma once
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MESH_DESCRIPTORS_MAXIMUM = 16 };

/// Sends one packet with `count` (at most MESH_DESCRIPTORS_MAXIMUM) descriptors beside it.
/// Returns the bytes sent, or -1 with errno (EPIPE, never SIGPIPE).
ssize_t mesh_send(int socket, const void *bytes, size_t size, const int *descriptors, size_t count);

/// Receives one packet. Descriptors arrive close-on-exec; those past `capacity` are closed, and
/// EMSGSIZE is returned if bytes or descriptors were cut off by the kernel.
/// `sender` gets the sender's process id, as this process sees it, where SO_PASSCRED is set; else 0.
ssize_t mesh_receive(int socket, void *bytes, size_t size, int *descriptors, size_t capacity,
                     size_t *count, pid_t *sender);

/// Closes every descriptor from `first` to `last`, both included.
int mesh_close_range(unsigned first, unsigned last);

/// Opens a TAP device (IFF_NO_PI, non-blocking) of this name in the caller's network namespace;
/// -1 with errno.
int mesh_open_tap(const char *name);

/// Lets a TAP device live on after its last descriptor is closed, until its network namespace ends.
int mesh_keep_tap(int tap);

/// signalfd(2), non-blocking and close-on-exec.
int mesh_signal_descriptor(const sigset_t *signals);

/// memfd_create(2), close-on-exec.
int mesh_memory_file(const char *name);
