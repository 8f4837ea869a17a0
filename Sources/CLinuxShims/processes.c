#define _GNU_SOURCE
#include "processes.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/capability.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t mesh_fork(void) { return fork(); }

int mesh_set_parent_death_signal(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }

int mesh_set_dumpable(int is_dumpable) { return prctl(PR_SET_DUMPABLE, is_dumpable, 0, 0, 0); }

int mesh_set_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

int mesh_drop_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    return (int)syscall(SYS_capset, &header, none);
}

int mesh_keep_capabilities(uint64_t kept) {
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long capability = 0; capability < 64; capability++) {
        if ((kept >> capability & 1) == 0 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) break;
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, sets) < 0) return -1;
    for (int half = 0; half < _LINUX_CAPABILITY_U32S_3; half++) {
        sets[half].permitted &= (uint32_t)(kept >> 32 * half);
        sets[half].effective = sets[half].permitted;
        sets[half].inheritable = 0;
    }
    return (int)syscall(SYS_capset, &header, sets);
}

void mesh_reset_signals(const sigset_t *mask, const sigset_t *ignored) {
    for (int signal = 1; signal < NSIG; signal++) {
        if (signal == SIGKILL || signal == SIGSTOP) {
            continue;
        }
        struct sigaction action = {0};
        action.sa_handler = sigismember(ignored, signal) == 1 ? SIG_IGN : SIG_DFL;
        sigaction(signal, &action, NULL);
    }
    sigprocmask(SIG_SETMASK, mask, NULL);
}

int mesh_read_signal(int descriptor, struct mesh_signal *signal) {
    struct signalfd_siginfo info;
    ssize_t size;
    do {
        size = read(descriptor, &info, sizeof info);
    } while (size < 0 && errno == EINTR);
    if (size != sizeof info) {
        return -1;
    }
    signal->number = (int)info.ssi_signo;
    signal->code = info.ssi_code;
    signal->process = (int)info.ssi_pid;
    signal->value = (long)info.ssi_ptr;
    return 0;
}

int mesh_queue_signal(pid_t process, int signal, long value) {
    union sigval payload = {.sival_ptr = (void *)value};
    return sigqueue(process, signal, payload);
}

int mesh_execute(const char *file, char *const *arguments, char *const *environment) {
    return execvpe(file, arguments, environment);
}

int mesh_execute_descriptor(int descriptor, char *const *arguments, char *const *environment) {
    return (int)syscall(SYS_execveat, descriptor, "", arguments, environment, AT_EMPTY_PATH);
}

static int release_code(struct dl_phdr_info *object, size_t size, void *unused) {
    (void)size;
    (void)unused;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[index];
        // A segment that can't be written to holds nothing but the file's own bytes.
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) {
            continue;
        }
        uintptr_t begin = (object->dlpi_addr + segment->p_vaddr) & ~page;
        uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~page;
        if (begin < end) {
            madvise((void *)begin, end - begin, MADV_DONTNEED);
        }
    }
    return 0;
}

void mesh_release_start_memory(void) {
    malloc_trim(0);
    dl_iterate_phdr(release_code, NULL);
}
