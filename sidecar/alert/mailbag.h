/*
 * What is to be told to whom: the newest state of each alert, and how much of
 * it each receiver knows. Not thread safe: notify.c holds the lock.
 */
#ifndef TOCSIN_MAILBAG_H
#define TOCSIN_MAILBAG_H

#include <stdbool.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "shared/alert_codec.h"

#define MAILBAG_RECEIVERS_MAX 33

enum receiver_kind { RECEIVER_ALERTMANAGER, RECEIVER_WEBHOOK, RECEIVER_SMTP };

struct mailbag_item {
    struct tocsin_alert alert; /* its texts are in `texts` */
    char *texts;
    bool over;       /* resolved */
    bool muted;      /* silenced: told to nobody, but its end to the told */
    uint64_t serial; /* no other item had it */
    uint64_t heard;  /* when we last heard of it, monotonic us */
    uint64_t ended;  /* when we heard of its end; 0: it fires */
    uint32_t change; /* number of its last change of state */
    uint32_t told[MAILBAG_RECEIVERS_MAX]; /* the change each knows of */
    uint64_t sent[MAILBAG_RECEIVERS_MAX]; /* when it was last told */
    bool unsure[MAILBAG_RECEIVERS_MAX];   /* it may have heard, though it did
                                             not say so */
};

struct mailbag {
    struct mailbag_item **items; /* [max]; NULL: free */
    uint32_t max, receivers;
    enum receiver_kind kinds[MAILBAG_RECEIVERS_MAX];
    uint64_t keys[MAILBAG_RECEIVERS_MAX]; /* by which one is known again */
    uint64_t resend;                      /* us */
    uint64_t serial;                      /* items so far */
    uint64_t dropped; /* for want of room, or after a day without a word */
};

int mailbag_init(struct mailbag *mailbag, uint32_t max, struct err *err);
void mailbag_release(struct mailbag *mailbag);

/* Copies; -1 when there is no room (counted). */
int mailbag_put(struct mailbag *mailbag, const struct tocsin_alert *alert,
                bool muted, uint64_t now);

/* An alert falls silent, or may be told again. */
void mailbag_mute(struct mailbag *mailbag, struct tocsin_span id, bool muted);

/* When this receiver is to be told of that item; UINT64_MAX: never. */
uint64_t mailbag_due(const struct mailbag *mailbag,
                     const struct mailbag_item *item, uint32_t receiver);

/* Forgets what everybody knows of, and (counted) what somebody waits for in
 * vain for a day. */
void mailbag_sweep(struct mailbag *mailbag, uint64_t now);

/* All items and who knows of them. Restored, the empty mailbag goes on with
 * those receivers that it has as well; the others know of nothing. -1 and *err
 * leave it empty. */
void mailbag_save(const struct mailbag *mailbag, struct buf *to);
int mailbag_restore(struct mailbag *mailbag, struct cursor *from, uint64_t now,
                    struct err *err);

#endif
