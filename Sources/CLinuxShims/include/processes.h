// Processes. fork(2) is hidden from Swift, prctl(2) is variadic.
#pragma once
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

/// fork(2), for processes that are single-threaded.
pid_t mesh_fork(void);

/// The caller gets `signal` when its parent dies. A change of credentials clears it.
int mesh_set_parent_death_signal(int signal);

int mesh_set_dumpable(int is_dumpable);

int mesh_set_no_new_privileges(void);

/// Gives up every capability. The bounding set stays: without it, programs with capabilities of their
/// own, such as ping, couldn't even be executed.
int mesh_drop_capabilities(void);

/// Keeps those capabilities (bits of 1 << CAP_…) that the process has and `kept` names, and gives up the
/// others for good: ambient and inheritable ones, and the bounding set as far as it may. For a process that
/// executes nothing that needs more. 0, or -1 with errno.
int mesh_keep_capabilities(uint64_t kept);

enum {
    MESH_CAN_BIND_LOW_PORTS = 10,
    MESH_CAN_OPEN_RAW_SOCKETS = 13,
    MESH_CAN_READ_ALL = 2,
    MESH_CAN_TRACE = 19,
    MESH_CAN_ADMINISTER = 21,
};

/// Every signal to its default action, but those in `ignored`, and the mask to `mask`.
void mesh_reset_signals(const sigset_t *mask, const sigset_t *ignored);

/// What signalfd(2) delivered, as Swift can read it.
struct mesh_signal {
    int number;
    int code;
    int process;
    /// The value of sigqueue(3).
    long value;
};

/// Reads one signal from a signalfd; 0, or -1 with errno.
int mesh_read_signal(int descriptor, struct mesh_signal *signal);

/// sigqueue(3), whose union argument Swift can't build.
int mesh_queue_signal(pid_t process, int signal, long value);

/// execvpe(3), which is outside glibc's module map; returns only to fail.
int mesh_execute(const char *file, char *const *arguments, char *const *environment);

/// Becomes the program that the descriptor is open to (execveat(2)); returns -1 with errno where that fails.
int mesh_execute_descriptor(int descriptor, char *const *arguments, char *const *environment);

/// Gives back memory that a process needed to start, and will hardly need while it waits: freed heap, and
/// the pages of its code, which the kernel maps again from the page cache when they are run.
void mesh_release_start_memory(void);
