/*
 * <prefix>:commands. The subcommands write to it; the sidecar reads it over a
 * connection of its own, from where the last checkpoint left off, or from its
 * beginning: then all silences come back.
 */
#ifndef TOCSIN_COMMAND_ORDERS_H
#define TOCSIN_COMMAND_ORDERS_H

#include <hiredis/hiredis.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "../base/redis.h"
#include "shared/alert_codec.h"

#define ORDERS_MAXLEN "10000" /* of the stream */

/* Puts a command into the stream: who gives it, when and that it comes from
 * the command line is filled in. */
int orders_send(redisContext *redis, const char *prefix,
                struct tocsin_command *command, struct err *err);

/* Who runs this program; "" if nobody knows. */
const char *orders_user(void);

struct orders_options {
    struct redis_options redis; /* its texts outlive the orders */
    const char *prefix;
};

struct orders_sink {
    void *ctx;
    void (*command)(void *ctx, const struct tocsin_command *command);
};

struct orders;

struct orders *orders_create(const struct orders_options *options,
                             struct orders_sink sink, struct err *err);
void orders_destroy(struct orders *orders);

/* Takes what is there, at most a few hundred; does not wait for more. How
 * many; -1 and *err without Redis, which is asked again with pauses. */
int orders_poll(struct orders *orders, struct err *err);

bool orders_connected(const struct orders *orders);

void orders_save(const struct orders *orders, struct buf *to);
int orders_restore(struct orders *orders, struct cursor *from, struct err *err);

#endif
