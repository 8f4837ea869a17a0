// The client that no package brings: small HTTP requests at a fixed rate, idle connections, and the moment of
// a server's first byte. IPv4, one thread.
//
//   client rate HOST PORT CONNECTIONS PER-SECOND SECONDS
//       requests on a fixed timetable, so that a slow answer delays no other request; the time of an answer
//       counts from when its request was due. Prints {"requests":…,"p50":…,"p99":…,"max":…}, in µs.
//   client hold HOST PORT CONNECTIONS
//       opens them, one request on each, prints "holding", and holds them until its input ends.
//   client first HOST PORT SECONDS
//       prints "waiting", asks until an answer's first byte comes, and prints when: ns of CLOCK_MONOTONIC.

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { BILLION = 1000000000, WAITING_MAXIMUM = 1 << 16 };

static char request[256];
static int request_length;
/// Of every answer: the server gives always the same one.
static size_t answer_length;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * BILLION + time.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
    exit(1);
}

/// A connected socket, or -1.
static int try_dial(const char *host, const char *port) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, port, &hints, &found) != 0) return -1;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (descriptor >= 0 && connect(descriptor, found->ai_addr, found->ai_addrlen) != 0) {
        close(descriptor);
        descriptor = -1;
    }
    freeaddrinfo(found);
    if (descriptor >= 0) setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return descriptor;
}

static int dial(const char *host, const char *port) {
    int descriptor = try_dial(host, port);
    if (descriptor < 0) fail("connect");
    return descriptor;
}

/// One request and its whole answer, whose length it learns.
static void ask(int descriptor) {
    char answer[4096];
    size_t count = 0;
    if (write(descriptor, request, request_length) != request_length) fail("write");
    while (1) {
        ssize_t got = read(descriptor, answer + count, sizeof answer - 1 - count);
        if (got <= 0) fail("read");
        count += got;
        answer[count] = 0;
        char *body = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "content-length:");
        if (body == NULL || length == NULL) continue;
        answer_length = body + 4 - answer + strtoul(length + 15, NULL, 10);
        if (count >= answer_length) return;
    }
}

// MARK: rate

struct connection {
    int descriptor;
    size_t received;
    /// When the requests that are under way were due; a ring.
    int64_t due[1024];
    unsigned asked, answered;
};

static int compare(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

static int64_t *times;
static size_t times_count, times_capacity;

static void receive(struct connection *one) {
    char bytes[WAITING_MAXIMUM];
    ssize_t got = read(one->descriptor, bytes, sizeof bytes);
    if (got <= 0) fail("read");
    int64_t moment = now();
    one->received += got;
    while (one->received >= answer_length) {
        one->received -= answer_length;
        int64_t due = one->due[one->answered++ % 1024];
        if (times_count < times_capacity) times[times_count++] = moment - due;
    }
}

static void rate(const char *host, const char *port, int connections, int per_second, int seconds) {
    struct connection *all = calloc(connections, sizeof *all);
    int queue = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    for (int index = 0; index < connections; index++) {
        all[index].descriptor = dial(host, port);
        ask(all[index].descriptor);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
        epoll_ctl(queue, EPOLL_CTL_ADD, all[index].descriptor, &event);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    epoll_ctl(queue, EPOLL_CTL_ADD, timer, &event);
    int64_t total = (int64_t)per_second * seconds, step = BILLION / per_second, sent = 0;
    times_capacity = total;
    times = malloc(total * sizeof *times);
    int64_t next = now() + step, end = next + total * step + 5LL * BILLION;
    while ((int64_t)times_count < total && now() < end) {
        struct itimerspec at = {.it_value = {next / BILLION, next % BILLION}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        struct epoll_event events[64];
        int ready = epoll_wait(queue, events, 64, 1000);
        for (int index = 0; index < ready; index++)
            if (events[index].data.u32 != UINT32_MAX) receive(&all[events[index].data.u32]);
        for (; sent < total && next <= now(); sent++, next += step) {
            struct connection *one = &all[sent % connections];
            if (one->asked - one->answered >= 1024) { errno = ETIMEDOUT; fail("answers stay out"); }
            one->due[one->asked++ % 1024] = next;
            if (write(one->descriptor, request, request_length) != request_length) fail("write");
        }
        if (sent == total) next = now() + BILLION;
    }
    if ((int64_t)times_count < total) { errno = ETIMEDOUT; fail("answers are missing"); }
    qsort(times, times_count, sizeof *times, compare);
    printf("{\"requests\":%zu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}\n", times_count,
        times[times_count / 2] / 1e3, times[times_count * 99 / 100] / 1e3, times[times_count - 1] / 1e3);
}

// MARK: hold, first

static void hold(const char *host, const char *port, int connections) {
    for (int index = 0; index < connections; index++) ask(dial(host, port));
    printf("holding\n");
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {}
}

static void first(const char *host, const char *port, int seconds) {
    int64_t end = now() + (int64_t)seconds * BILLION;
    printf("waiting\n");
    fflush(stdout);
    for (; now() < end; usleep(500)) {
        int descriptor = try_dial(host, port);
        if (descriptor < 0) continue;
        char byte;
        // An answer that stays out for so long has been lost.
        struct timeval patience = {.tv_sec = 3};
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (send(descriptor, request, request_length, MSG_NOSIGNAL) == request_length &&
            recv(descriptor, &byte, 1, 0) == 1) {
            printf("%lld\n", (long long)now());
            return;
        }
        close(descriptor);
    }
    errno = ETIMEDOUT;
    fail("no answer");
}

int main(int count, char **arguments) {
    const char *mode = count > 3 ? arguments[1] : "";
    int numbers[3] = {0};
    for (int index = 0; index < 3 && index + 4 < count; index++) numbers[index] = atoi(arguments[index + 4]);
    if (count > 3)
        request_length = snprintf(
            request, sizeof request, "GET / HTTP/1.1\r\nHost: %.100s\r\n\r\n", arguments[2]);
    if (strcmp(mode, "rate") == 0 && numbers[0] > 0 && numbers[1] > 0 && numbers[2] > 0)
        rate(arguments[2], arguments[3], numbers[0], numbers[1], numbers[2]);
    else if (strcmp(mode, "hold") == 0 && numbers[0] > 0)
        hold(arguments[2], arguments[3], numbers[0]);
    else if (strcmp(mode, "first") == 0 && numbers[0] > 0)
        first(arguments[2], arguments[3], numbers[0]);
    else {
        fprintf(stderr, "usage: client rate|hold|first HOST PORT NUMBER…\n");
        return 64;
    }
    return 0;
}
