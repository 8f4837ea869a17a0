#define _GNU_SOURCE
#include "userland_stack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peer_process.h"
#include "seccomp.h"

int mesh_tap_hardware_address(int tap, uint8_t address[6]) {
    struct ifreq request = {0};
    // On the descriptor itself: the device lies in another network namespace.
    if (ioctl(tap, SIOCGIFHWADDR, &request) < 0) {
        return -1;
    }
    memcpy(address, request.ifr_hwaddr.sa_data, 6);
    return 0;
}

int mesh_epoll_want(int epoll, int descriptor, uint32_t events, int is_known) {
    if (events == 0) {
        return epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL);
    }
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    return epoll_ctl(epoll, is_known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor, &event);
}

int mesh_epoll_want_once(int epoll, int descriptor) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = descriptor};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) == 0) {
        return 0;
    }
    return errno == ENOENT ? epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) : -1;
}

int mesh_epoll_ready(int epoll, struct mesh_readiness *ready, int capacity, int milliseconds) {
    struct epoll_event events[128];
    if (capacity > 128) {
        capacity = 128;
    }
    int count;
    do {
        count = epoll_wait(epoll, events, capacity, milliseconds);
    } while (count < 0 && errno == EINTR);
    for (int index = 0; index < count; index++) {
        ready[index].descriptor = events[index].data.fd;
        ready[index].events = events[index].events;
    }
    return count;
}

int mesh_accept_own(int listener) {
    int flow = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (flow < 0) {
        return -1;
    }
    pid_t process;
    uid_t user;
    if (mesh_peer_credentials(flow, &process, &user) == 0 && process == getpid()) {
        return flow;
    }
    close(flow);
    errno = EPERM;
    return -1;
}

static int option_is(int descriptor, int option, int wanted) {
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

int mesh_is_unix_stream(int descriptor) {
    return option_is(descriptor, SO_DOMAIN, AF_UNIX) && option_is(descriptor, SO_TYPE, SOCK_STREAM) &&
           option_is(descriptor, SO_ACCEPTCONN, 0) &&
           fcntl(descriptor, F_SETFL, O_RDWR | O_NONBLOCK) == 0;
}

int mesh_is_own_address(uint32_t address) {
    // The route to a host's own address has that address as its source. Nothing is sent.
    struct sockaddr_in remote = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = address};
    struct sockaddr_in local = {0};
    socklen_t size = sizeof local;
    int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return -1;
    }
    int result = 0;
    if (connect(probe, (struct sockaddr *)&remote, sizeof remote) == 0) {
        result = getsockname(probe, (struct sockaddr *)&local, &size);
        if (result == 0) {
            result = local.sin_addr.s_addr == address;
        }
    }
    close(probe);
    return result;
}

void mesh_map_large_buffers(void) {
    // libslirp's ring buffers are of 128 KiB each, two a connection. As mappings of their own they take memory
    // as far as they were used, and give it back when they go: 100 flows measured 7.3 MB, and 13.6 in the
    // heap, at the price of six calls of the kernel's a connection. A threshold that is set no longer grows.
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TOP_PAD, 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 4 * 1024 * 1024);
}

void mesh_return_memory(void) { malloc_trim(0); }

#define ALWAYS(name) {.number = SYS_##name}
#define WHERE(name, index, bits, wanted) \
    {.number = SYS_##name, .conditions = 1, .condition = {{index, bits, wanted}}}
#define SOCKET(domain, type) \
    {.number = SYS_socket, \
     .conditions = 2, \
     .condition = {{0, ~0u, domain}, {1, ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), type}}}

int mesh_seccomp_userland_stack(int makes_unix_sockets) {
    struct mesh_syscall_rule rules[] = {
        // The TAP, by read(2) and write(2); the log, which GLib writes by parts.
        ALWAYS(read), ALWAYS(write), ALWAYS(writev), ALWAYS(close),
        // The sidecar's socket, and libslirp's sockets. It looks at the size of a datagram by FIONREAD.
        ALWAYS(sendmsg), ALWAYS(recvmsg), ALWAYS(sendto), ALWAYS(recvfrom), ALWAYS(connect),
        ALWAYS(accept4), ALWAYS(shutdown), ALWAYS(getsockname), ALWAYS(getpeername), ALWAYS(getsockopt),
        ALWAYS(setsockopt), ALWAYS(fcntl), WHERE(ioctl, 1, ~0u, FIONREAD),
        SOCKET(AF_INET, SOCK_STREAM), SOCKET(AF_INET, SOCK_DGRAM),
        // Waiting.
        ALWAYS(epoll_ctl), ALWAYS(epoll_pwait), ALWAYS(restart_syscall),
#ifdef SYS_epoll_wait
        ALWAYS(epoll_wait),
#endif
        // Clocks, where the vDSO doesn't serve them.
        ALWAYS(clock_gettime), ALWAYS(gettimeofday),
        // Memory, never executable.
        ALWAYS(brk), ALWAYS(munmap), ALWAYS(mremap), ALWAYS(madvise),
        WHERE(mmap, 2, PROT_EXEC, 0), WHERE(mprotect, 2, PROT_EXEC, 0), ALWAYS(futex),
        ALWAYS(getrandom),
        // The identity of those who connect to the listener, and the end: exit, or abort by a signal to
        // itself.
        ALWAYS(getpid), ALWAYS(gettid), WHERE(tgkill, 0, ~0u, (uint32_t)getpid()),
        ALWAYS(rt_sigprocmask), ALWAYS(rt_sigaction), ALWAYS(rt_sigreturn), ALWAYS(exit),
        ALWAYS(exit_group),
        // Last, so that it can be left out: libslirp connects to our own listener.
        SOCKET(AF_UNIX, SOCK_STREAM),
    };
    size_t count = sizeof rules / sizeof *rules;
    return mesh_seccomp_allow(rules, makes_unix_sockets ? count : count - 1);
}
