/*
 * Open-loop load: requests are due at fixed moments, whatever the answers do,
 * and how long one took counts from the moment at which it was due.
 *
 *     load PORT RATE PATH=WEIGHT...
 *
 * Keep-alive connections to 127.0.0.1, one request at a time on each. A
 * connection that the server closed between two requests is no failure: what
 * was sent on it, and not answered by a single byte, is sent once more, as any
 * client does. Each second a line of JSON tells what was answered. Ends with
 * standard input: no new requests, then the answers that are still due.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sidecar/base/clock.h"

#define CONNECTIONS 1000
#define QUEUE 131072 /* a power of two */
#define PATHS 8
#define ANSWER 4096
#define PATIENCE 20000000 /* us, for an answer to what was sent */
#define IDLE_TIME 2000000 /* us, after which a connection is closed */
#define SECOND 1000000
#define BUCKETS 256

struct request {
    uint64_t due; /* us */
    unsigned path;
    bool again;
};

enum state { FREE, CONNECTING, IDLE, BUSY };

struct connection {
    int fd;
    enum state state;
    bool fresh;    /* nothing was answered on it yet */
    uint64_t used; /* when it was opened, last asked or last answered */
    struct request request;
    size_t have, need; /* bytes of the answer; need 0: not known yet */
    char answer[ANSWER];
};

static struct connection connections[CONNECTIONS];
static unsigned idle[CONNECTIONS], idles;
static unsigned unused[CONNECTIONS], unuseds;
static struct request queue[QUEUE];
static unsigned first, queued, busy;

static char texts[PATHS][256];
static unsigned weights[PATHS], paths, weight;
static struct sockaddr_in server;
static int events;

static struct {
    uint64_t sent, ok, bad, closed, refused, late, overrun, again;
    uint64_t times[BUCKETS];
} told;

/* ----------------------------------------------------------------- figures */

/* Eight buckets for each power of two. */
static unsigned bucket_of(uint64_t us)
{
    unsigned power = 0;

    while (us >> power >= 16) {
        power++;
    }
    us = power * 8 + (us >> power);
    return us < BUCKETS ? (unsigned)us : BUCKETS - 1;
}

static uint64_t bucket_time(unsigned bucket)
{
    return bucket < 16 ? bucket
                       : (uint64_t)(bucket % 8 + 8) << (bucket / 8 - 1);
}

static uint64_t quantile(double share)
{
    uint64_t total = 0, below = 0;
    unsigned i;

    for (i = 0; i < BUCKETS; i++) {
        total += told.times[i];
    }
    for (i = 0; i < BUCKETS; i++) {
        below += told.times[i];
        if (below != 0 && (double)below >= share * (double)total) {
            return bucket_time(i);
        }
    }
    return 0;
}

static void tell(void)
{
    printf("{\"sent\": %lu, \"ok\": %lu, \"bad\": %lu, \"closed\": %lu, "
           "\"refused\": %lu, \"late\": %lu, \"overrun\": %lu, "
           "\"again\": %lu, \"p50\": %lu, \"p99\": %lu}\n",
           told.sent, told.ok, told.bad, told.closed, told.refused, told.late,
           told.overrun, told.again, quantile(0.5), quantile(0.99));
    fflush(stdout);
    memset(&told, 0, sizeof(told));
}

/* ------------------------------------------------------------- connections */

static void give_up(struct connection *c)
{
    unsigned number = (unsigned)(c - connections), i;

    if (c->state == IDLE) {
        for (i = 0; idle[i] != number; i++) {
        }
        idle[i] = idle[--idles];
    }
    busy -= c->state == BUSY || c->state == CONNECTING;
    close(c->fd);
    c->state = FREE;
    unused[unuseds++] = number;
}

static bool enqueue(struct request request)
{
    if (queued == QUEUE) {
        told.overrun++;
        return false;
    }
    queue[(first + queued++) % QUEUE] = request;
    return true;
}

/* The other end is gone, or never was there. */
static void lost(struct connection *c)
{
    struct request request = c->request;
    bool again = c->state == BUSY && !c->fresh && c->have == 0;
    bool refused = c->state == CONNECTING;
    bool waited = c->state != IDLE;

    give_up(c);
    if (again && !request.again) {
        request.again = true;
        told.again += enqueue(request);
    } else if (refused) {
        told.refused++;
    } else if (waited) {
        told.closed++;
    }
}

static void transmit(struct connection *c)
{
    const char *text = texts[c->request.path];
    size_t len = strlen(text);

    c->state = BUSY;
    c->used = clock_monotonic();
    c->have = c->need = 0;
    if (send(c->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len) {
        lost(c);
    }
}

static bool open_one(struct request request)
{
    struct connection *c = &connections[unused[unuseds - 1]];
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    int yes = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd == -1) {
        return false;
    }
    unuseds--;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    epoll_ctl(events, EPOLL_CTL_ADD, c->fd, &event);
    c->state = CONNECTING;
    c->fresh = true;
    c->used = clock_monotonic();
    c->request = request;
    busy++;
    if (connect(c->fd, (struct sockaddr *)&server, sizeof(server)) == -1 &&
        errno != EINPROGRESS) {
        lost(c);
    }
    return true;
}

static void serve_queue(void)
{
    struct connection *c;
    struct request request;

    while (queued != 0) {
        request = queue[first];
        if (request.again && unuseds == 0 && idles != 0) {
            give_up(&connections[idle[0]]); /* a new one is wanted */
        }
        if (idles != 0 && !request.again) {
            c = &connections[idle[--idles]];
            c->request = request;
            busy++;
            first = (first + 1) % QUEUE;
            queued--;
            transmit(c);
        } else if (unuseds != 0 && open_one(request)) {
            first = (first + 1) % QUEUE;
            queued--;
        } else {
            return; /* until one is answered */
        }
    }
}

/* ----------------------------------------------------------------- answers */

static void answered(struct connection *c)
{
    uint64_t now = clock_monotonic();
    long status = strtol(c->answer + 9, NULL, 10);

    if (status >= 200 && status < 400) {
        told.ok++;
    } else {
        told.bad++;
    }
    told.times[bucket_of(now - c->request.due)]++;
    c->used = now;
    c->fresh = false;
    c->state = IDLE;
    busy--;
    idle[idles++] = (unsigned)(c - connections);
    if (strcasestr(c->answer, "\r\nConnection: close\r\n") != NULL) {
        give_up(c);
    }
}

/* The head is whole: how long is the answer? 0 if it is not to be known. */
static size_t length_of(const char *answer, const char *end)
{
    const char *length = strcasestr(answer, "\r\nContent-Length:");

    if (length == NULL || length >= end || end - answer < 12) {
        return 0;
    }
    return (size_t)(end - answer) + 4 + strtoul(length + 17, NULL, 10);
}

static void receive(struct connection *c)
{
    const char *end;
    ssize_t n = recv(c->fd, c->answer + c->have, ANSWER - 1 - c->have, 0);

    if (n == -1 && errno == EAGAIN) {
        return;
    }
    if (n <= 0 || c->state != BUSY) {
        lost(c);
        return;
    }
    c->have += (size_t)n;
    c->answer[c->have] = '\0';
    if (c->need == 0) {
        end = strstr(c->answer, "\r\n\r\n");
        if (end != NULL) {
            c->need = length_of(c->answer, end);
            if (c->need == 0 || c->need >= ANSWER) {
                lost(c); /* not one of the answers that are asked for */
                return;
            }
        }
    }
    if (c->need != 0 && c->have >= c->need) {
        answered(c);
    }
}

static void on_event(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    socklen_t size = sizeof(int);
    int error = 0;

    if (c->state == FREE) {
        return;
    }
    if (c->state != CONNECTING) {
        receive(c);
        return;
    }
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        lost(c);
        return;
    }
    epoll_ctl(events, EPOLL_CTL_MOD, c->fd, &event);
    transmit(c);
}

/* Answers that do not come, connections that are not needed any more. */
static void look_around(uint64_t now)
{
    struct connection *c;

    for (c = connections; c < connections + CONNECTIONS; c++) {
        if (c->state == IDLE && now > c->used + IDLE_TIME) {
            give_up(c);
        } else if ((c->state == BUSY || c->state == CONNECTING) &&
                   now > c->used + PATIENCE) {
            told.late++;
            give_up(c);
        }
    }
}

/* -------------------------------------------------------------------- main */

static unsigned choose(void)
{
    static uint64_t random = 88172645463325252;
    unsigned rest, path;

    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    rest = (unsigned)(random % weight);
    for (path = 0; rest >= weights[path]; path++) {
        rest -= weights[path];
    }
    return path;
}

static bool input_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte;

    return poll(&input, 1, 0) == 1 && read(STDIN_FILENO, &byte, 1) <= 0;
}

static void run(uint64_t rate)
{
    uint64_t began = clock_monotonic(), second = began, issued = 0, now = began;
    struct epoll_event ready[256];
    bool ending = false;
    int i, n;

    while (!ending || busy != 0 || queued != 0) {
        n = epoll_wait(events, ready, 256, 1);
        for (i = 0; i < n; i++) {
            on_event(ready[i].data.ptr);
        }
        now = clock_monotonic();
        while (!ending && began + issued * SECOND / rate <= now) {
            told.sent++;
            enqueue((struct request){began + issued * SECOND / rate, choose(),
                                     false});
            issued++;
        }
        serve_queue();
        if (now >= second + SECOND) {
            second += SECOND;
            look_around(now);
            tell();
            ending = ending || input_ended();
        }
    }
    tell();
}

static bool add_path(const char *port, char *word)
{
    char *equals = strrchr(word, '=');

    if (paths == PATHS || equals == NULL) {
        return false;
    }
    *equals = '\0';
    weights[paths] = (unsigned)strtoul(equals + 1, NULL, 10);
    weight += weights[paths];
    snprintf(texts[paths], sizeof(texts[paths]),
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n", word, port);
    paths++;
    return true;
}

int main(int argc, char **argv)
{
    unsigned long rate = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    int i;

    for (i = 3; i < argc; i++) {
        if (!add_path(argv[1], argv[i])) {
            paths = 0;
            break;
        }
    }
    if (weight == 0 || rate == 0) {
        fprintf(stderr, "usage: load PORT RATE PATH=WEIGHT...\n");
        return 2;
    }
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (i = 0; i < CONNECTIONS; i++) {
        unused[unuseds++] = (unsigned)i;
    }
    events = epoll_create1(0);
    run(rate);
    return 0;
}
