/*
 * The life of an alert: pending, firing, resolved. Groups the series that one
 * cause explains, blames the highest level that explains them, and tells
 * each change of state to the stream, the board and the notifiers.
 */
#ifndef TOCSIN_ALERT_H
#define TOCSIN_ALERT_H

#include "../base/buf.h"
#include "../base/err.h"
#include "../detect/detect.h"
#include "shared/alert_codec.h"

struct alert_options {
    uint64_t tick; /* us */
    uint32_t max;
};

struct alert_sink {
    void *ctx;
    /* A change of state, or news of one that lasts (every 30 s). */
    void (*changed)(void *ctx, const struct tocsin_alert *alert);
};

/* How the alert room gets at history: evidence and sparklines. */
struct alert_history {
    void *ctx;
    unsigned (*recent)(void *ctx, uint32_t slot, unsigned column,
                       unsigned count, float *values);
};

struct alerts;

struct alerts *alerts_create(const struct alert_options *options,
                             struct alert_history history,
                             struct alert_sink sink, struct err *err);
void alerts_destroy(struct alerts *alerts);
void alerts_batch(struct alerts *alerts, const struct verdict_batch *batch);
void alerts_leave(struct alerts *alerts, const struct identity *who);

/* Fills `active`, `rollups` and `rows` of a board; the texts live until the
 * next call. */
void alerts_board(struct alerts *alerts, struct tocsin_board *board);

void alerts_save(const struct alerts *alerts, struct buf *to);
int alerts_restore(struct alerts *alerts, struct cursor *from, struct err *err);

#endif
