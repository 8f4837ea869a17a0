// Many TCP flows of one program that know when their last byte came, and how they ended. IPv4, one thread.
//
//   flows serve PORT REPORT
//       sends every byte back.
//   flows hold HOST PORT COUNT PER-SECOND REPORT
//       opens COUNT connections, moves a message on each, prints "open", and then sends so many messages of 16
//       bytes each second, on one flow after the other. What comes back is compared with what was sent.
//
// SIGUSR2 has it forget the flows that have ended, and open as many anew, which it says again. SIGUSR1 has it
// write REPORT, a line for each flow that it knows, with 0 for what never came:
//
//       PORT LAST END HOW SENT RECEIVED WRONG SLOWEST
//
// the caller's port; when the last byte was read and when the end was seen, in ns of CLOCK_BOOTTIME; `open`,
// `reset`, `end` or an errno; bytes; bytes that weren't those sent; and the slowest answer in µs.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { BILLION = 1000000000, MESSAGE = 16, FLOWS_MAXIMUM = 400000 };

struct flow {
    int descriptor;
    /// An errno, or -1 for an end in order; 0 while it is open.
    int end_reason;
    uint16_t port;
    int64_t last, end, asked, slowest;
    uint64_t sent, received, wrong;
};

static struct flow *flows[FLOWS_MAXIMUM];
static int flow_count, living, answered, poller;
static int is_server;
static const char *report;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (int64_t)time.tv_sec * BILLION + time.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "flows: %s: %s\n", what, strerror(errno));
    exit(1);
}

/// The byte at one place of every flow's stream.
static uint8_t byte_at(uint64_t place) { return (uint8_t)(place * 131 >> 3); }

static struct flow *add(int descriptor, uint16_t port) {
    if (flow_count == FLOWS_MAXIMUM) {
        errno = ENOSPC;
        fail("flow");
    }
    struct flow *flow = calloc(1, sizeof *flow);
    int one = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    flow->descriptor = descriptor;
    flow->port = port;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = flow};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) != 0) fail("epoll_ctl");
    flows[flow_count++] = flow;
    living++;
    return flow;
}

static void end(struct flow *flow, int reason) {
    flow->end = now();
    flow->end_reason = reason;
    close(flow->descriptor);
    living--;
}

/// Whoever sends first hears of a reset first, and what came before it is still there to be read.
static void give_up(struct flow *flow, int reason) {
    uint8_t bytes[65536];
    ssize_t count;
    while ((count = recv(flow->descriptor, bytes, sizeof bytes, 0)) > 0) {
        flow->received += count;
        flow->last = now();
    }
    end(flow, reason);
}

static void receive(struct flow *flow) {
    uint8_t bytes[65536];
    if (flow->end != 0) return;
    ssize_t count = recv(flow->descriptor, bytes, sizeof bytes, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return end(flow, count == 0 ? -1 : errno);
    flow->last = now();
    if (is_server) {
        flow->received += count;
        // Messages are few and small: the socket has room for them, or the flow is cut.
        ssize_t sent = send(flow->descriptor, bytes, count, MSG_NOSIGNAL);
        if (sent > 0) flow->sent += sent;
        if (sent < 0 && errno != EAGAIN) give_up(flow, errno);
        return;
    }
    if (flow->received == 0) answered++;
    for (ssize_t index = 0; index < count; index++)
        if (bytes[index] != byte_at(flow->received + index)) flow->wrong++;
    flow->received += count;
    if (flow->received == flow->sent && flow->last - flow->asked > flow->slowest)
        flow->slowest = flow->last - flow->asked;
}

static void ask(struct flow *flow) {
    uint8_t message[MESSAGE];
    // A flow that awaits its answer isn't asked again, so that what it lacks at the end can be told.
    if (flow->end != 0 || flow->received != flow->sent) return;
    for (int index = 0; index < MESSAGE; index++) message[index] = byte_at(flow->sent + index);
    flow->asked = now();
    ssize_t sent = send(flow->descriptor, message, MESSAGE, MSG_NOSIGNAL);
    if (sent > 0) flow->sent += sent;
    if (sent < 0 && errno != EAGAIN) give_up(flow, errno);
}

// MARK: Ends of the program

static void write_report(void) {
    char partial[4096];
    snprintf(partial, sizeof partial, "%s.partial", report);
    FILE *out = fopen(partial, "w");
    if (out == NULL) fail(partial);
    for (int index = 0; index < flow_count; index++) {
        struct flow *flow = flows[index];
        char how[32];
        snprintf(
            how, sizeof how, "%s", flow->end == 0 ? "open" : flow->end_reason == -1 ? "end" : "reset");
        if (flow->end_reason > 0 && flow->end_reason != ECONNRESET)
            snprintf(how, sizeof how, "%d", flow->end_reason);
        fprintf(
            out, "%u %lld %lld %s %llu %llu %llu %lld\n", flow->port, (long long)flow->last,
            (long long)flow->end, how, (unsigned long long)flow->sent, (unsigned long long)flow->received,
            (unsigned long long)flow->wrong, (long long)(flow->slowest / 1000));
    }
    if (fclose(out) != 0 || rename(partial, report) != 0) fail(report);
}

static int signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int descriptor = signalfd(-1, &set, SFD_NONBLOCK);
    if (descriptor < 0) fail("signalfd");
    return descriptor;
}

static void watch(int descriptor) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    event.data.u64 = (uint64_t)descriptor << 1 | 1;  // Odd, and so no flow's address.
    if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) != 0) fail("epoll_ctl");
}

// MARK: The two programs

static int listener = -1;

static void accept_all(void) {
    while (1) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        int descriptor = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
        if (descriptor < 0) return;
        add(descriptor, ntohs(peer.sin_port));
    }
}

static void listen_on(const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    int one = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) fail("bind");
    if (listen(listener, 4096) != 0) fail("listen");
    watch(listener);
}

static void forget_ended(void) {
    int kept = 0;
    for (int index = 0; index < flow_count; index++) {
        if (flows[index]->end == 0) flows[kept++] = flows[index];
        else free(flows[index]);
    }
    flow_count = kept;
}

/// So many at once wait for their first answer: the kernel accepts at once, and the mesh has a limit.
enum { OPENING_MAXIMUM = 64 };

static char **words;

/// A flow that waits for its first answer. A callee that refuses now may take it a moment later.
static void dial(const struct addrinfo *to) {
    for (int attempt = 0; attempt < 500; attempt++) {
        int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (descriptor < 0) fail("socket");
        if (connect(descriptor, to->ai_addr, to->ai_addrlen) == 0) {
            struct sockaddr_in own;
            socklen_t length = sizeof own;
            getsockname(descriptor, (struct sockaddr *)&own, &length);
            return ask(add(descriptor, ntohs(own.sin_port)));
        }
        int code = errno;
        close(descriptor);
        errno = code;
        if (code != ECONNREFUSED) break;
        usleep(20000);
    }
    fail("connect");
}

static void open_flows(void) {
    int count = atoi(words[4]);
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(words[2], words[3], &hints, &found) != 0) fail(words[2]);
    answered = flow_count;
    while (answered < count) {
        while (flow_count < count && flow_count - answered < OPENING_MAXIMUM) dial(found);
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, 20000);
        if (ready <= 0) {
            errno = ETIMEDOUT;
            fail("first answers");
        }
        for (int index = 0; index < ready; index++)
            if ((events[index].data.u64 & 1) == 0) receive(events[index].data.ptr);
        if (living < flow_count) {
            errno = ECONNRESET;
            fail("a flow ended before all were open");
        }
    }
    freeaddrinfo(found);
    for (int index = 0; index < flow_count; index++) flows[index]->slowest = 0;
    printf("open\n");
}

static void run(int rate) {
    struct epoll_event events[512];
    int wake = signals(), clock = -1, turn = 0;
    int64_t start = now(), asked = 0;
    watch(wake);
    if (rate > 0) {
        struct itimerspec tick = {{0, 1000000}, {0, 1000000}};
        clock = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        timerfd_settime(clock, 0, &tick, NULL);
        watch(clock);
    }
    while (1) {
        int ready = epoll_wait(poller, events, 512, -1);
        for (int index = 0; index < ready; index++) {
            uint64_t tag = events[index].data.u64, word;
            if ((tag & 1) == 0) {
                receive(events[index].data.ptr);
            } else if ((int)(tag >> 1) == listener) {
                accept_all();
            } else if ((int)(tag >> 1) == clock) {
                if (read(clock, &word, sizeof word) < 0) continue;
                int64_t due = (now() - start) / 1000 * rate / 1000000;
                // Half a second at most is made up for.
                if (due - asked > rate / 2) asked = due - rate / 2;
                for (; asked < due; asked++) ask(flows[turn++ % flow_count]);
            } else {
                struct signalfd_siginfo information;
                if (read(wake, &information, sizeof information) < 0) continue;
                if (information.ssi_signo == SIGUSR1) {
                    write_report();
                } else {
                    forget_ended();
                    if (!is_server) open_flows();
                    // The events at hand may be of flows that are forgotten.
                    break;
                }
            }
        }
    }
}

int main(int count, char **arguments) {
    words = arguments;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    setvbuf(stdout, NULL, _IOLBF, 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (count == 4 && strcmp(words[1], "serve") == 0) {
        is_server = 1;
        report = words[3];
        listen_on(words[2]);
        run(0);
    }
    if (count == 7 && strcmp(words[1], "hold") == 0) {
        report = words[6];
        open_flows();
        run(atoi(words[5]));
    }
    fprintf(stderr, "usage: flows serve PORT REPORT | hold HOST PORT COUNT PER-SECOND REPORT\n");
    return 2;
}
