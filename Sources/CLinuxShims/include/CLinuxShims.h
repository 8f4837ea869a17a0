// What Swift can't reach on Linux: variadic calls, macros with casts, calls outside glibc's module map.
// Each header says which of these is its reason. Errors are -1 with errno, as in libc.
#pragma once
#include <stdint.h>
#include <sys/types.h>

#include "clock.h"
#include "descriptors.h"
#include "namespace_probe.h"
#include "namespaces.h"
#include "processes.h"
#include "peer_process.h"
#include "sidecar.h"
#include "sandbox.h"
#include "seccomp.h"
#include "state.h"
#include "userland_stack.h"
