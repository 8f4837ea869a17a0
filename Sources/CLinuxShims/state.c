#define _GNU_SOURCE
#include "state.h"

#include <fcntl.h>
#include <unistd.h>

int mesh_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK); }
