/*
 * Connections to Redis, for intake, the outbox and the commands of operators:
 * this is the only place that makes them. They block, with a time-out on
 * everything, since each has a thread or a moment of its own. Secrets come from
 * a file at every connect, so that a rotated password needs no restart, and are
 * wiped at once.
 *
 * Where the URL names sentinels, they are asked one after the other, beginning
 * with the one that was of use last. Who they name is asked for its role before
 * it is used; a sentinel may be stale. All of that together takes two time-outs
 * at most: whoever calls has a watchdog to feed.
 */
#include "redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "clock.h"
#include "file.h"
#include "redis_sentinel.h"
#include "redis_url.h"

static enum err_code redis_code(const redisContext *redis)
{
    return redis->err == REDIS_ERR_PROTOCOL ? ERR_INPUT : ERR_NETWORK;
}

int redis_command(redisContext *redis, redisReply **reply, struct err *err,
                  int argc, const char **argv, const size_t *lengths)
{
    redisReply *got = redisCommandArgv(redis, argc, argv, lengths);

    if (reply != NULL) {
        *reply = NULL;
    }
    if (got == NULL) {
        return err_set(err, redis_code(redis), "redis: %s: %s", argv[0],
                       redis->err != 0 ? redis->errstr : "no reply");
    }
    if (got->type == REDIS_REPLY_ERROR) {
        err_set(err, ERR_REFUSED, "redis: %s: %s", argv[0], got->str);
        freeReplyObject(got);
        return -1;
    }
    if (reply != NULL) {
        *reply = got;
    } else {
        freeReplyObject(got);
    }
    return 0;
}

/* Of a connection without TLS: what hiredis does depends on its version. */
static ssize_t redis_receive(redisContext *redis, char *to, size_t size)
{
#ifdef TOCSIN_TLS
    if (redis->privdata != NULL) {
        return redis->funcs->read(redis, to, size);
    }
#endif
    return read(redis->fd, to, size);
}

ssize_t redis_read(redisContext *redis, char *to, size_t size, int timeout_ms,
                   struct err *err)
{
    struct pollfd pollfd = {redis->fd, POLLIN, 0};
    ssize_t n;

    if (!redis_tls_pending(redis) && poll(&pollfd, 1, timeout_ms) <= 0) {
        return 0;
    }
    errno = 0;
    n = redis_receive(redis, to, size);
    if (n > 0) {
        return n;
    }
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return 0;
    }
    if (n < 0 && redis->err != 0) {
        return err_set(err, ERR_NETWORK, "%s", redis->errstr);
    }
    return err_set(err, ERR_NETWORK, "%s",
                   n == 0 ? "closed the connection" : strerror(errno));
}

static int redis_authenticate(redisContext *redis,
                              const struct redis_options *options,
                              struct err *err)
{
    const char *argv[3] = {"AUTH", NULL, NULL};
    struct buf secret;
    int argc = 1;
    int rc;

    if (options->password_file == NULL || *options->password_file == '\0') {
        return 0;
    }
    buf_init(&secret, 8192);
    rc = file_read_secret(options->password_file, &secret, err);
    if (rc == 0) {
        if (options->username != NULL && *options->username != '\0') {
            argv[argc++] = options->username;
        }
        argv[argc++] = secret.data;
        rc = redis_command(redis, NULL, err, argc, argv, NULL);
    }
    file_forget(&secret);
    return rc;
}

static int redis_select(redisContext *redis, unsigned db, struct err *err)
{
    const char *argv[2] = {"SELECT", NULL};
    char number[16];

    if (db == 0) {
        return 0;
    }
    snprintf(number, sizeof(number), "%u", db);
    argv[1] = number;
    return redis_command(redis, NULL, err, 2, argv, NULL);
}

/* ---------------------------------------------------------- connecting */

/* Puts "redis: where: " before a message, which may begin with "redis: ". */
static int redis_place(struct err *err, const char *where)
{
    static const char room[] = "redis: ";

    if (err != NULL && strncmp(err->message, room, sizeof(room) - 1) == 0) {
        memmove(err->message, err->message + sizeof(room) - 1,
                strlen(err->message + sizeof(room) - 1) + 1);
    }
    return err_prefix(err, "redis: %s", where);
}

static int redis_place_host(struct err *err, const char *what,
                            const struct redis_host *host)
{
    char where[REDIS_HOST_MAX + 64];

    snprintf(where, sizeof(where), "%s %s:%u", what, host->name, host->port);
    return redis_place(err, where);
}

struct attempt {
    struct redis_options *options;
    const struct redis_url *url;
    uint64_t deadline; /* us, monotonic; 0 for none */
};

/* How long the next step may take. */
static struct timeval redis_patience(const struct attempt *attempt)
{
    uint64_t us = (uint64_t)attempt->options->timeout_ms * 1000;
    uint64_t now = clock_monotonic();

    if (attempt->deadline != 0) {
        uint64_t left = attempt->deadline > now ? attempt->deadline - now : 1;

        us = left < us ? left : us;
    }
    return (struct timeval){.tv_sec = (time_t)(us / 1000000),
                            .tv_usec = (suseconds_t)(us % 1000000)};
}

static redisContext *redis_open(const struct attempt *attempt,
                                const struct redis_host *host)
{
    struct timeval timeout = redis_patience(attempt);

    if (attempt->url->local) {
        return redisConnectUnixWithTimeout(host->name, timeout);
    }
    return redisConnectWithTimeout(host->name, (int)host->port, timeout);
}

/* A connection with its time-outs, by TLS where that is due. */
static redisContext *redis_dial(const struct attempt *attempt,
                                const struct redis_host *host, struct err *err)
{
    redisContext *redis = redis_open(attempt, host);

    if (redis == NULL || redis->err != 0) {
        err_set(err, ERR_NETWORK, "%s",
                redis != NULL ? redis->errstr : "out of memory");
        goto fail;
    }
    if (redisSetTimeout(redis, redis_patience(attempt)) != REDIS_OK) {
        err_set(err, ERR_SYSTEM, "no time-out could be set");
        goto fail;
    }
    if (!attempt->url->local) {
        redisEnableKeepAlive(redis);
    }
    if (attempt->url->tls &&
        redis_tls_start(redis, &attempt->options->tls, host->name, err) != 0) {
        goto fail;
    }
    return redis;

fail:
    if (redis != NULL) {
        redisFree(redis);
    }
    return NULL;
}

/* A connection that may be used: authenticated, the database selected. */
static redisContext *redis_greet(const struct attempt *attempt,
                                 const struct redis_host *host, struct err *err)
{
    redisContext *redis = redis_dial(attempt, host, err);

    if (redis == NULL) {
        return NULL;
    }
    if (redis_authenticate(redis, attempt->options, err) == 0 &&
        redis_select(redis, attempt->url->db, err) == 0) {
        return redis;
    }
    redisFree(redis);
    return NULL;
}

/* The master that one sentinel names. */
static redisContext *redis_follow(const struct attempt *attempt,
                                  const struct redis_host *sentinel,
                                  struct err *err)
{
    const char *master = attempt->url->master;
    redisContext *redis = redis_dial(attempt, sentinel, err);
    struct redis_host host;
    int rc;

    if (redis == NULL) {
        return NULL;
    }
    rc = redis_sentinel_ask(redis, master, &host, err);
    redisFree(redis);
    if (rc != 0) {
        return NULL;
    }
    redis = redis_greet(attempt, &host, err);
    if (redis != NULL && redis_role_ask(redis, master, err) != 0) {
        redisFree(redis);
        redis = NULL;
    }
    if (redis == NULL) {
        redis_place_host(err, "its master", &host);
    }
    return redis;
}

static redisContext *redis_search(struct attempt *attempt, struct err *err)
{
    struct redis_options *options = attempt->options;
    unsigned count = attempt->url->count, i;
    redisContext *redis = NULL;

    attempt->deadline =
        clock_monotonic() + 2 * (uint64_t)options->timeout_ms * 1000;
    for (i = 0; i < count && redis == NULL; i++) {
        const struct redis_host *sentinel;

        if (i != 0 && clock_monotonic() >= attempt->deadline) {
            break; /* the next call goes on from here */
        }
        sentinel = &attempt->url->hosts[options->sentinel % count];
        redis = redis_follow(attempt, sentinel, err);
        if (redis == NULL) {
            redis_place_host(err, "sentinel", sentinel);
            options->sentinel = (options->sentinel + 1) % count;
        }
    }
    if (redis != NULL) {
        attempt->deadline = 0;
        redisSetTimeout(redis, redis_patience(attempt));
    }
    return redis;
}

static bool given(const char *text)
{
    return text != NULL && *text != '\0';
}

/* What sentinels tell are addresses, which stand in no certificate. */
static int redis_want_tls(const struct redis_options *options,
                          struct redis_url *url, struct err *err)
{
    const struct redis_tls *tls = &options->tls;

    if (*url->master == '\0' || (!given(tls->ca) && !given(tls->cert) &&
                                 !given(tls->key) && !given(tls->name))) {
        return 0;
    }
    if (!given(tls->name)) {
        return err_set(err, ERR_USAGE,
                       "redis.tls_name is missing: TLS with sentinels, which "
                       "tell addresses, needs the name in all certificates");
    }
    if (redis_tls_missing() != NULL) {
        return err_set(err, ERR_USAGE, "redis.tls_name with sentinel://: %s",
                       redis_tls_missing());
    }
    url->tls = true;
    return 0;
}

int redis_options_check(const struct redis_options *options, struct err *err)
{
    struct redis_url url;

    if (redis_url_parse(options->url, &url, err) != 0) {
        return -1;
    }
    return redis_want_tls(options, &url, err);
}

redisContext *redis_connect(struct redis_options *options, struct err *err)
{
    struct redis_url url;
    struct attempt attempt = {.options = options, .url = &url};
    redisContext *redis;

    if (redis_url_parse(options->url, &url, err) != 0 ||
        redis_want_tls(options, &url, err) != 0) {
        return NULL;
    }
    if (*url.master != '\0') {
        return redis_search(&attempt, err);
    }
    redis = redis_greet(&attempt, &url.hosts[0], err);
    if (redis == NULL) {
        redis_place(err, options->url);
    }
    return redis;
}

int redis_still_master(redisContext *redis, const struct redis_options *options,
                       struct err *err)
{
    struct redis_url url;

    if (!redis_url_sentinels(options->url)) {
        return 0;
    }
    if (redis_url_parse(options->url, &url, err) != 0 ||
        redis_role_ask(redis, url.master, err) != 0) {
        return redis_place(err, redis_peer(redis));
    }
    return 0;
}

const char *redis_peer(const redisContext *redis)
{
    static _Thread_local char text[REDIS_HOST_MAX + 16];

    if (redis->connection_type == REDIS_CONN_UNIX) {
        return redis->unix_sock.path;
    }
    snprintf(text, sizeof(text), "%.255s:%d", redis->tcp.host, redis->tcp.port);
    return text;
}
