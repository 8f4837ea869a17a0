// Strangers at a sidecar's port, as many as one core can send: flood PORT RECORDED SECONDS KIND
//
// KIND: bogus (first flights of the right form with wrong tags), silent (connections that say nothing), slow (a
// byte each, and never the rest), replay (the recorded flight again), mixed (each in turn). Each connection comes
// from another address of 127/8. Prints how many connections it made.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FLIGHT = 120, HELD = 2000 };
static const char *const kinds[] = {"bogus", "silent", "slow", "replay", "mixed"};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int open_connection(int port, unsigned number) {
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connection < 0) return -1;
    int one = 1;
    struct linger reset = {1, 0};
    setsockopt(connection, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(connection, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    struct timeval patience = {1, 0};
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7F010000u + (number * 7919u & 0xFFFFFFu) % 0xFE0000u)};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(0x7F000001)};
    if (bind(connection, (struct sockaddr *)&from, sizeof from) < 0 ||
        connect(connection, (struct sockaddr *)&to, sizeof to) < 0) {
        close(connection);
        return -1;
    }
    return connection;
}

int main(int count, char **words) {
    if (count != 5) return 2;
    struct rlimit files = {8192, 8192};
    setrlimit(RLIMIT_NOFILE, &files);
    int port = atoi(words[1]), kind = 0;
    while (kind < 5 && strcmp(kinds[kind], words[4]) != 0) kind++;
    unsigned char recorded[FLIGHT], flight[FLIGHT];
    int file = open(words[2], O_RDONLY);
    if (kind == 5 || file < 0 || read(file, recorded, FLIGHT) != FLIGHT) return 2;
    static int held[HELD];
    memset(held, -1, sizeof held);
    double end = now() + atof(words[3]);
    unsigned long made = 0, failed = 0;
    for (unsigned number = 0; now() < end; number++) {
        int connection = open_connection(port, number);
        if (connection < 0) {
            failed++;
            continue;
        }
        made++;
        int what = kind == 4 ? (int)(number % 4) : kind;
        const unsigned char *bytes = recorded;
        size_t size = what == 1 ? 0 : what == 2 ? 5 : FLIGHT;
        if (what == 0) {
            memcpy(flight, recorded, 56);
            for (int at = 56; at < FLIGHT; at++) flight[at] = (unsigned char)rand();
            bytes = flight;
        }
        if (size > 0) send(connection, bytes, size, MSG_NOSIGNAL);
        if (what == 1 || what == 2) {
            int *place = &held[number % HELD];
            if (*place >= 0) close(*place);
            *place = connection;
        } else {
            close(connection);
        }
    }
    printf("%lu %lu\n", made, failed);
    return 0;
}
