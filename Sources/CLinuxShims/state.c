#define _GNU_SOURCE
#include "state.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int mesh_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK); }

int mesh_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }
