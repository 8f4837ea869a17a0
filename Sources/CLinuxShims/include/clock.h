// The state of the system's clock. adjtimex(2) is outside glibc's module map.
#pragma once

/// Whether something (an NTP daemon, the hypervisor) keeps the clock in step; -1 with errno.
int mesh_clock_is_kept(void);
