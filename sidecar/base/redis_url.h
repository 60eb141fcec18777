/*
 * Where Redis is: the grammar of redis.url, the same as that of tocsin_redis.
 *
 *     redis://HOST[:PORT][/DB]
 *     rediss://HOST[:PORT][/DB]                      by TLS
 *     sentinel://MASTER@HOST[:PORT][,HOST...][/DB]   sentinels know the address
 *     unix:/PATH[?db=DB]
 */
#ifndef TOCSIN_REDIS_URL_H
#define TOCSIN_REDIS_URL_H

#include <stdbool.h>

#include "err.h"

#define REDIS_HOST_MAX 256
#define REDIS_SENTINELS_MAX 16

struct redis_host {
    char name[REDIS_HOST_MAX]; /* an address or a name; the path of a socket */
    unsigned port;
};

struct redis_url {
    bool local, tls;
    char master[REDIS_HOST_MAX]; /* "", unless hosts are sentinels */
    struct redis_host hosts[REDIS_SENTINELS_MAX];
    unsigned count; /* of them; 1 without sentinels */
    unsigned db;
};

/* -1 with what is wrong in the URL and what was expected. */
int redis_url_parse(const char *url, struct redis_url *to, struct err *err);

/* The same, for those who only want to know. */
int redis_url_check(const char *url, struct err *err);

/* Does it name sentinels? */
bool redis_url_sentinels(const char *url);

/* Reads a whole number from 0 to max, and nothing behind it; -1 if not. */
int redis_url_number(const char *text, unsigned max, unsigned *number);

#endif
