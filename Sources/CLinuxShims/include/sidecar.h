// The sidecar's own. mallopt(3), accept4(2) and timerfd are outside glibc's module map.
#pragma once

/// One malloc arena, and thresholds that keep the data path's buffers from being unmapped each time.
void mesh_tune_allocator(void);

/// Gives the memory of freed buffers back to the kernel.
void mesh_trim_allocator(void);

/// accept4(2), non-blocking and close-on-exec: a connection, and its `struct sockaddr` of so many bytes. Those
/// that ended meanwhile are passed over. -1 with errno.
int mesh_accept_peer(int listener, void *address, unsigned *size);

/// A timerfd, non-blocking and close-on-exec, whose read fails with ECANCELED when the wall clock is set.
int mesh_clock_step_descriptor(void);
