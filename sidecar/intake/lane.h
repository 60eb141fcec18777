/*
 * One stream on its way through the merge: entries that were read but may not
 * be delivered yet, since another stream may still have older ones.
 */
#ifndef TOCSIN_LANE_H
#define TOCSIN_LANE_H

#include "../base/buf.h"
#include "reply.h"
#include "shared/event_codec.h"

#define LANE_KEY_MAX 320
#define LANE_ENTRIES_MAX 65536u
#define LANE_MARKS 64

struct held {
    struct stream_id id;
    size_t at, len; /* of its fields, in bytes */
    uint32_t pairs;
};

struct lane {
    char key[LANE_KEY_MAX];
    enum tocsin_stream kind;
    struct stream_id read;      /* last entry that was read */
    struct stream_id delivered; /* last entry that was delivered */
    uint64_t complete_ms;       /* all entries below it have been read */
    bool delivered_any;         /* `delivered` is an entry that we had */
    bool began;                 /* `read` is an entry that we had */
    bool asked;                 /* by the command that is under way */
    bool full;                  /* its last reply held as many as may be */
    uint32_t got;               /* entries of the reply that is under way */
    struct stream_id again;     /* what comes up to there may be a repeat */

    /* Where `read` was of late, once a survey; the newest is the last. */
    struct stream_id marks[LANE_MARKS];
    unsigned mark_count;

    struct buf bytes;
    struct held *entries;
    uint32_t head, count, room; /* those held are [head, count) */
};

void lane_init(struct lane *lane);
void lane_release(struct lane *lane);

/* Drops what is held. */
void lane_clear(struct lane *lane);

uint32_t lane_held(const struct lane *lane);

static inline bool stream_id_less(struct stream_id a, struct stream_id b)
{
    return a.ms < b.ms || (a.ms == b.ms && a.n < b.n);
}

/* Remembers where it is. */
void lane_mark(struct lane *lane);

/* Goes back to `id`: what was read behind it may come once more. What is held
 * stays. */
void lane_rewind(struct lane *lane, struct stream_id id);

/* Copies an entry to the end; -1 and *err when a cap was reached. */
int lane_push(struct lane *lane, struct stream_id id, struct tocsin_span fields,
              uint32_t pairs, struct err *err);

/* The oldest held, or NULL. Its fields stay until the next lane_push(). */
const struct held *lane_head(const struct lane *lane);
struct tocsin_span lane_fields(const struct lane *lane,
                               const struct held *entry);
void lane_pop(struct lane *lane);

#endif
