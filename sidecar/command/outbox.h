/*
 * What the sidecar writes to Redis: alerts, each exactly once and in order,
 * and the board, of which only the newest counts. While Redis is away alerts
 * wait, up to a cap; what waits is part of the checkpoint.
 */
#ifndef TOCSIN_COMMAND_OUTBOX_H
#define TOCSIN_COMMAND_OUTBOX_H

#include "../base/buf.h"
#include "../base/err.h"
#include "../base/redis.h"
#include "shared/alert_codec.h"

struct outbox_options {
    struct redis_options redis; /* its texts outlive the outbox */
    const char *prefix;
    uint32_t max; /* alerts that may wait */
};

struct outbox_stats {
    uint64_t written; /* alerts that Redis acknowledged */
    uint64_t known;   /* alerts that it had already: of a replay */
    uint64_t dropped; /* alerts lost since too many waited */
    uint32_t waiting;
    bool connected;
};

struct outbox;

struct outbox *outbox_create(const struct outbox_options *options,
                             struct err *err);
void outbox_destroy(struct outbox *outbox);

/* Queues an alert. False if the stream holds it already, since a run before
 * this one had come further than its checkpoint: then it is no news. */
bool outbox_alert(struct outbox *outbox, const struct tocsin_alert *alert);

/* Queues the board, in place of one that still waits. */
void outbox_board(struct outbox *outbox, const struct tocsin_board *board);

/* Writes what waits; connects first, with back-off, where there is no
 * connection. -1 and *err when something could not be written now. */
int outbox_flush(struct outbox *outbox, struct err *err);

/* Whether the stream has been read back once: before that, alerts of a replay
 * cannot be told from news. */
bool outbox_ready(const struct outbox *outbox);

const struct outbox_stats *outbox_stats(const struct outbox *outbox);

void outbox_save(const struct outbox *outbox, struct buf *to);
int outbox_restore(struct outbox *outbox, struct cursor *from, struct err *err);

#endif
