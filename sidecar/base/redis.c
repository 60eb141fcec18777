/*
 * Connections to Redis, for intake, the outbox and the commands of operators.
 * They block, with a time-out on everything, since each has a thread or a
 * moment of its own. Secrets come from a file at every connect, so that a
 * rotated password needs no restart, and are wiped at once.
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

#include "file.h"

#define REDIS_HOST_MAX 256
#define REDIS_PORT_DEFAULT 6379
#define REDIS_DB_MAX 65535

#define REDIS_URL_FORMS                                                        \
    "expected redis://host:port/db, rediss://host:port/db or unix:/path, "     \
    "unix:/path?db=N"

struct redis_url {
    bool local, tls;
    char host[REDIS_HOST_MAX]; /* or path */
    unsigned port, db;
};

static int redis_url_number(const char *text, unsigned max, unsigned *number)
{
    unsigned long value;
    char *end;

    if (*text < '0' || *text > '9') {
        return -1;
    }
    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || value > max) {
        return -1;
    }
    *number = (unsigned)value;
    return 0;
}

static int redis_url_local(const char *rest, struct redis_url *to,
                           struct err *err)
{
    const char *query = strstr(rest, "?db=");
    size_t len = query != NULL ? (size_t)(query - rest) : strlen(rest);

    to->local = true;
    if (*rest != '/' || len > 107) { /* sun_path */
        return err_set(err, ERR_USAGE,
                       "\"unix:%s\": not an absolute path of at most 107 "
                       "bytes, " REDIS_URL_FORMS,
                       rest);
    }
    memcpy(to->host, rest, len);
    to->host[len] = '\0';
    if (query != NULL &&
        redis_url_number(query + 4, REDIS_DB_MAX, &to->db) != 0) {
        return err_set(err, ERR_USAGE, "\"%s\": not a database number",
                       query + 4);
    }
    return 0;
}

/* host, host:port, [v6], [v6]:port */
static int redis_url_host(char *authority, struct redis_url *to,
                          struct err *err)
{
    char *host = authority;
    char *end, *port;

    if (*host == '[') {
        end = strchr(++host, ']');
        port = end != NULL && end[1] == ':' ? end + 1 : NULL;
        if (end == NULL || (port == NULL && end[1] != '\0')) {
            return err_set(err, ERR_USAGE,
                           "\"%s\": not an address in "
                           "brackets, " REDIS_URL_FORMS,
                           authority);
        }
        *end = '\0';
    } else {
        port = strchr(host, ':');
    }
    if (port != NULL) {
        *port++ = '\0';
        if (redis_url_number(port, 65535, &to->port) != 0 || to->port == 0) {
            return err_set(err, ERR_USAGE,
                           "\"%s\": not a port, " REDIS_URL_FORMS, port);
        }
    }
    if (*host == '\0') {
        return err_set(err, ERR_USAGE, "no host, " REDIS_URL_FORMS);
    }
    snprintf(to->host, sizeof(to->host), "%s", host);
    return 0;
}

static int redis_url_parse(const char *url, struct redis_url *to,
                           struct err *err)
{
    static const char scheme[] = "redis://", tls_scheme[] = "rediss://";
    char authority[REDIS_HOST_MAX];
    const char *rest, *slash;
    size_t len;

    memset(to, 0, sizeof(*to));
    to->port = REDIS_PORT_DEFAULT;
    if (strncmp(url, "unix:", 5) == 0) {
        return redis_url_local(url + 5, to, err);
    }
    to->tls = strncmp(url, tls_scheme, sizeof(tls_scheme) - 1) == 0;
    if (!to->tls && strncmp(url, scheme, sizeof(scheme) - 1) != 0) {
        return err_set(err, ERR_USAGE, "\"%s\": " REDIS_URL_FORMS, url);
    }
    if (to->tls && redis_tls_missing() != NULL) {
        return err_set(err, ERR_USAGE, "rediss://: %s", redis_tls_missing());
    }
    rest = url + (to->tls ? sizeof(tls_scheme) : sizeof(scheme)) - 1;
    slash = strchr(rest, '/');
    len = slash != NULL ? (size_t)(slash - rest) : strlen(rest);
    if (len >= sizeof(authority)) {
        return err_set(err, ERR_USAGE, "host longer than %d bytes",
                       REDIS_HOST_MAX - 1);
    }
    memcpy(authority, rest, len);
    authority[len] = '\0';
    if (strchr(authority, '@') != NULL) {
        return err_set(err, ERR_USAGE,
                       "the URL must not hold a user or a password: use "
                       "redis.username and redis.password_file");
    }
    if (slash != NULL && slash[1] != '\0' &&
        redis_url_number(slash + 1, REDIS_DB_MAX, &to->db) != 0) {
        return err_set(err, ERR_USAGE,
                       "\"%s\": not a database number, " REDIS_URL_FORMS,
                       slash + 1);
    }
    return redis_url_host(authority, to, err);
}

int redis_url_check(const char *url, struct err *err)
{
    struct redis_url parsed;

    return redis_url_parse(url, &parsed, err);
}

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

static redisContext *redis_open(const struct redis_url *url,
                                struct timeval timeout)
{
    if (url->local) {
        return redisConnectUnixWithTimeout(url->host, timeout);
    }
    return redisConnectWithTimeout(url->host, (int)url->port, timeout);
}

redisContext *redis_connect(const struct redis_options *options,
                            struct err *err)
{
    struct timeval timeout = {
        .tv_sec = options->timeout_ms / 1000,
        .tv_usec = options->timeout_ms % 1000 * 1000,
    };
    struct redis_url url;
    redisContext *redis;

    if (redis_url_parse(options->url, &url, err) != 0) {
        return NULL;
    }
    redis = redis_open(&url, timeout);
    if (redis == NULL || redis->err != 0) {
        err_set(err, ERR_NETWORK, "redis: %s: %s", options->url,
                redis != NULL ? redis->errstr : "out of memory");
        goto fail;
    }
    if (redisSetTimeout(redis, timeout) != REDIS_OK) {
        err_set(err, ERR_SYSTEM, "redis: %s: no time-out could be set",
                options->url);
        goto fail;
    }
    if (!url.local) {
        redisEnableKeepAlive(redis);
    }
    if (url.tls && redis_tls_start(redis, &options->tls, url.host, err) != 0) {
        goto fail;
    }
    if (redis_authenticate(redis, options, err) != 0 ||
        redis_select(redis, url.db, err) != 0) {
        goto fail;
    }
    return redis;

fail:
    if (redis != NULL) {
        redisFree(redis);
    }
    return NULL;
}
