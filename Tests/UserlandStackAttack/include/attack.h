#pragma once
#include <sys/types.h>

/// Tries what an attacker inside the userland stack would, `sidecar` being whom it would read and `secret`
/// an address in both processes. Writes a line a try: "NAME allowed" or "NAME denied".
void attack(pid_t sidecar, void *secret);
