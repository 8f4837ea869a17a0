// What the state's thread needs of Linux: calls that are outside glibc's module map.
#pragma once

/// A pipe, close-on-exec and non-blocking at both ends. 0, or -1 with errno.
int mesh_pipe(int ends[2]);
