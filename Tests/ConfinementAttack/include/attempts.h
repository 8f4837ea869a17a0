// What somebody would try who has taken one of mesh's processes over.
#pragma once
#include <stddef.h>

/// The name of the `index`th attempt, NULL past the last. The calls that end a process come last, by their
/// own names.
const char *attempt_name(size_t index);

/// Makes it. 1 where it succeeded, or failed for want of anything but permission; 0 where it was refused.
int attempt(size_t index);

/// Whether this process has a filter.
int is_filtered(void);
