#define _GNU_SOURCE
#include "namespace_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"

/// RTM_NEWLINK with IFLA_LINKINFO{IFLA_INFO_KIND "veth"}; the kernel names both ends.
struct veth_request {
    struct nlmsghdr header;
    struct ifinfomsg link;
    struct rtattr info;
    struct rtattr kind;
    char name[4];
};

static int make_veth(void) {
    struct veth_request request = {
        .header = {.nlmsg_len = sizeof request,
                   .nlmsg_type = RTM_NEWLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
        .info = {.rta_len = 2 * sizeof(struct rtattr) + 4, .rta_type = IFLA_LINKINFO},
        .kind = {.rta_len = sizeof(struct rtattr) + 4, .rta_type = IFLA_INFO_KIND},
        .name = {'v', 'e', 't', 'h'},
    };
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[1024];
    } answer = {0};
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (netlink < 0) return errno;
    int result = EPROTO;
    if (send(netlink, &request, sizeof request, 0) < 0 || recv(netlink, &answer, sizeof answer, 0) < 0) {
        result = errno;
    } else if (answer.header.nlmsg_type == NLMSG_ERROR) {
        result = -answer.error.error;
    }
    close(netlink);
    return result;
}

/// In the child: tries each step.
static void attempt(struct mesh_namespace_probe *probe) {
    int kinds = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID;
    probe->namespaces = unshare(kinds) == 0 ? 0 : errno;
    if (probe->namespaces != 0) return;
    probe->veth = make_veth();
    probe->tap = mesh_open_tap("probe0") >= 0 ? 0 : errno;
    // The next child is the first process of the new process-id namespace.
    pid_t first = fork();
    if (first == 0) {
        int is_mounted = mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
        _exit(is_mounted ? 0 : errno);
    }
    int status = 0;
    if (first < 0) {
        probe->proc = errno;
    } else if (waitpid(first, &status, 0) == first && WIFEXITED(status)) {
        probe->proc = WEXITSTATUS(status);
    }
}

int mesh_probe_namespaces(struct mesh_namespace_probe *probe) {
    *probe = (struct mesh_namespace_probe){-1, -1, -1, -1};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    pid_t child = fork();
    if (child == 0) {
        attempt(probe);
        _exit(write(ends[1], probe, sizeof *probe) == sizeof *probe ? 0 : 1);
    }
    int error = errno;
    close(ends[1]);
    // Shorter than PIPE_BUF, so it comes in one piece or not at all.
    struct mesh_namespace_probe found;
    if (child > 0 && read(ends[0], &found, sizeof found) == sizeof found) *probe = found;
    close(ends[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    errno = error;
    return child > 0 ? 0 : -1;
}
