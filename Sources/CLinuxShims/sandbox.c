#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "processes.h"

// Newer than the headers of some hosts.
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif

static int write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) {
        return -1;
    }
    ssize_t written = write(file, text, strlen(text));
    int failure = errno;
    close(file);
    errno = failure;
    return written == (ssize_t)strlen(text) ? 0 : -1;
}

/// A mount namespace: of the caller's user namespace where it may, else of a new one that maps the caller
/// to itself.
static int enter_mount_namespace(const char **step) {
    *step = "make a mount namespace";
    if (unshare(CLONE_NEWNS) == 0) {
        return 0;
    }
    if (errno != EPERM) {
        return -1;
    }
    *step = "make a user namespace";
    char users[64];
    char groups[64];
    snprintf(users, sizeof users, "%u %u 1", geteuid(), geteuid());
    snprintf(groups, sizeof groups, "%u %u 1", getegid(), getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
        return -1;
    }
    *step = "map the user into its namespace";
    if (write_file("/proc/self/setgroups", "deny") < 0 && errno != ENOENT) {
        return -1;
    }
    return write_file("/proc/self/uid_map", users) < 0 ? -1 : write_file("/proc/self/gid_map", groups);
}

/// An empty tmpfs becomes the root; nothing of the old tree stays.
static int change_root(const char **step) {
    *step = "make mounts private";
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        return -1;
    }
    *step = "mount an empty root";
    static const char *const folders[] = {"/tmp", "/run", "/proc", "/dev", "/etc"};
    const char *folder = NULL;
    for (size_t index = 0; index < sizeof folders / sizeof *folders && folder == NULL; index++) {
        if (mount("none", folders[index], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                  "mode=0700,size=64k,nr_inodes=8") == 0) {
            folder = folders[index];
        }
    }
    if (folder == NULL || chdir(folder) < 0) {
        return -1;
    }
    *step = "change the root";
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0) {
        return -1;
    }
    return chdir("/");
}

static int listen_in_root(const char *name, int *listener, const char **step) {
    *step = "listen on a socket in the empty root";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(name);
    if (size + 2 > sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    address.sun_path[0] = '/';
    memcpy(address.sun_path + 1, name, size);
    *listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*listener < 0 || bind(*listener, (struct sockaddr *)&address, sizeof address) < 0) {
        return -1;
    }
    return listen(*listener, 1024);
}

/// Best effort: older kernels have no Landlock, or none with scopes (Linux 6.12).
static void restrict_scope(void) {
    struct {
        uint64_t files, network, scopes;
    } rules = {.files = (1 << 13) - 1, .network = 0, .scopes = 3};
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 6) {
        return;
    }
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
    if (ruleset >= 0) {
        syscall(SYS_landlock_restrict_self, ruleset, 0);
        close(ruleset);
    }
}

int mesh_sandbox(unsigned descriptors, const char *socket_name, int *listener, const char **step) {
    if (enter_mount_namespace(step) < 0 || change_root(step) < 0) {
        return -1;
    }
    if (socket_name != NULL && listen_in_root(socket_name, listener, step) < 0) {
        return -1;
    }
    *step = "make the empty root read-only";
    unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount(NULL, "/", NULL, flags, NULL) < 0) {
        return -1;
    }
    *step = "make a user namespace without capabilities";
    // The root is the namespace's own now, so that the kernel doesn't take the process for chrooted.
    if (unshare(CLONE_NEWUSER) < 0 || mesh_drop_capabilities() < 0) {
        return -1;
    }
    *step = "set the limits of the process";
    struct rlimit files = {.rlim_cur = descriptors, .rlim_max = descriptors};
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &none) < 0) {
        return -1;
    }
    *step = "forbid tracing and new privileges";
    if (mesh_set_dumpable(0) < 0 || mesh_set_no_new_privileges() < 0) {
        return -1;
    }
    restrict_scope();
    return 0;
}
