/*
 * What sentinels say, and what is asked of the Redis that they name. A sentinel
 * may be cut off and stale, so nobody is taken for a master on its word alone.
 */
#ifndef TOCSIN_REDIS_SENTINEL_H
#define TOCSIN_REDIS_SENTINEL_H

#include "err.h"
#include "redis_url.h"

struct redisContext;
struct redisReply;

/* Reads a reply to SENTINEL GET-MASTER-ADDR-BY-NAME. */
int redis_sentinel_address(const struct redisReply *reply, const char *master,
                           struct redis_host *to, struct err *err);

/* Asks a sentinel over its connection. */
int redis_sentinel_ask(struct redisContext *sentinel, const char *master,
                       struct redis_host *to, struct err *err);

/* Reads a reply to ROLE: 0 for that of a master, else -1 and what it is. */
int redis_role_check(const struct redisReply *reply, const char *master,
                     struct err *err);

/* Asks a Redis for its role. */
int redis_role_ask(struct redisContext *redis, const char *master,
                   struct err *err);

#endif
