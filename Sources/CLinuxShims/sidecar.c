#define _GNU_SOURCE
#include "sidecar.h"

#include <errno.h>
#include <malloc.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

void mesh_tune_allocator(void) {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 16 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
}

void mesh_trim_allocator(void) { malloc_trim(0); }

int mesh_accept_peer(int listener, void *address, unsigned *size) {
    unsigned capacity = *size;
    int connection;
    do {
        *size = capacity;
        connection = accept4(listener, address, size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (connection < 0 && (errno == ECONNABORTED || errno == EINTR || errno == EPROTO));
    return connection;
}

int mesh_clock_step_descriptor(void) {
    int timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer < 0) return -1;
    // A point that never comes: only the cancellation is of interest.
    struct itimerspec never = {.it_value = {.tv_sec = (time_t)1 << 40}};
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0) {
        int code = errno;
        close(timer);
        errno = code;
        return -1;
    }
    return timer;
}
