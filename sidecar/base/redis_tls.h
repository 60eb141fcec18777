/*
 * TLS to Redis, through hiredis_ssl where there is one (hiredis 1.1 or newer);
 * elsewhere the program is built without, and says so.
 */
#ifndef TOCSIN_REDIS_TLS_H
#define TOCSIN_REDIS_TLS_H

#include <stdbool.h>

#include "err.h"

struct redisContext;

struct redis_tls {
    const char *ca;   /* file of the CAs to trust; "" for the system's */
    const char *cert; /* what we show a Redis that asks; "" for nothing */
    const char *key;
    const char *name; /* that its certificate must bear; "" for its host */
};

/* NULL, or why there is no TLS in this build. */
const char *redis_tls_missing(void);

/* Shakes hands over a connection that is open and has its time-outs, and
 * proves that it leads to `host` (or tls->name), a name or an address: nothing
 * is sent to another one. -1 with *err. */
int redis_tls_start(struct redisContext *redis, const struct redis_tls *tls,
                    const char *host, struct err *err);

/* Are there bytes that were taken from the socket, but not read? */
bool redis_tls_pending(const struct redisContext *redis);

#endif
