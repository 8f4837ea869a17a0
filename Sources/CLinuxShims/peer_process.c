#define _GNU_SOURCE
#include "peer_process.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

int mesh_peer_credentials(int socket, pid_t *process, uid_t *user) {
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return -1;
    *process = credentials.pid;
    *user = credentials.uid;
    return 0;
}

int mesh_pidfd_open(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

int mesh_peer_pidfd(int socket) {
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0) return pidfd;
    if (errno != ENOPROTOOPT) return -1;
    pid_t process;
    uid_t user;
    if (mesh_peer_credentials(socket, &process, &user) != 0) return -1;
    return mesh_pidfd_open(process);
}

int mesh_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int mesh_epoll_add(int epoll, int descriptor, uint64_t token) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = token};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

int mesh_epoll_remove(int epoll, int descriptor) {
    return epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL);
}

int mesh_epoll_wait(int epoll, uint64_t *tokens, int capacity, int milliseconds) {
    struct epoll_event events[64];
    if (capacity > 64) capacity = 64;
    int count;
    do count = epoll_wait(epoll, events, capacity, milliseconds);
    while (count < 0 && errno == EINTR);
    for (int index = 0; index < count; index++) tokens[index] = events[index].data.u64;
    return count;
}

char **mesh_environment(void) { return environ; }
