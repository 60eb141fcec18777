/*
 * A blocking connection to Redis through hiredis: connects, authenticates,
 * selects; pipelines commands that are already encoded.
 */
#ifndef TOCSIN_REDIS_H
#define TOCSIN_REDIS_H

#include <stddef.h>
#include <sys/types.h>

#include "err.h"
#include "redis_tls.h"

struct redisContext;
struct redisReply;

struct redis_options {
    const char *url;           /* redis://, rediss://host:port/db, unix:/path */
    const char *username;      /* "" for the default user */
    const char *password_file; /* "" for none; read at every connect */
    unsigned timeout_ms;       /* of connecting and of one reply */
    struct redis_tls tls;      /* of rediss:// */
};

/* 0, or -1 with what is wrong in the URL and what was expected. */
int redis_url_check(const char *url, struct err *err);

/* What came, for those who parse by themselves: waits up to timeout_ms; so many
 * bytes, 0 for none yet, -1 with *err when the connection is gone. */
ssize_t redis_read(struct redisContext *redis, char *to, size_t size,
                   int timeout_ms, struct err *err);

/* NULL and *err on failure. Free with redisFree(). */
struct redisContext *redis_connect(const struct redis_options *options,
                                   struct err *err);

/* As redisCommandArgv(), but a NULL reply, a broken connection or an error
 * reply is -1 with *err (ERR_NETWORK, or ERR_REFUSED with Redis' words).
 * *reply may be NULL if it is not wanted; else freeReplyObject() it. */
int redis_command(struct redisContext *redis, struct redisReply **reply,
                  struct err *err, int argc, const char **argv,
                  const size_t *lengths);

#endif
