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
    const char *url;           /* as redis_url.h says */
    const char *username;      /* "" for the default user */
    const char *password_file; /* "" for none; read at every connect */
    unsigned timeout_ms;       /* of connecting and of one reply */
    struct redis_tls tls;      /* of rediss://, and of sentinel:// if given */
    unsigned sentinel;         /* to ask first; redis_connect() keeps it */
};

/* 0, or -1 with what is wrong in them and what was expected. */
int redis_options_check(const struct redis_options *options, struct err *err);

/* What came, for those who parse by themselves: waits up to timeout_ms; so many
 * bytes, 0 for none yet, -1 with *err when the connection is gone. */
ssize_t redis_read(struct redisContext *redis, char *to, size_t size,
                   int timeout_ms, struct err *err);

/* NULL and *err on failure. Free with redisFree(). What sentinels lead to has
 * said that it is a master. */
struct redisContext *redis_connect(struct redis_options *options,
                                   struct err *err);

/* Where sentinels led to it: is it a master still? -1 with *err if not, or if
 * it does not answer. */
int redis_still_master(struct redisContext *redis,
                       const struct redis_options *options, struct err *err);

/* Whom it leads to, until the next call in this thread. */
const char *redis_peer(const struct redisContext *redis);

/* As redisCommandArgv(), but a NULL reply, a broken connection or an error
 * reply is -1 with *err (ERR_NETWORK, or ERR_REFUSED with Redis' words).
 * *reply may be NULL if it is not wanted; else freeReplyObject() it. */
int redis_command(struct redisContext *redis, struct redisReply **reply,
                  struct err *err, int argc, const char **argv,
                  const size_t *lengths);

#endif
