// The sidecar's own. mallopt(3) and timerfd are outside glibc's module map.
#pragma once

/// One malloc arena, and thresholds that keep the data path's buffers from being unmapped each time.
void mesh_tune_allocator(void);

/// Gives the memory of freed buffers back to the kernel.
void mesh_trim_allocator(void);

/// A timerfd, non-blocking and close-on-exec, whose read fails with ECANCELED when the wall clock is set.
int mesh_clock_step_descriptor(void);
