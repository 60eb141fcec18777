/* What each producer's last beat told of exchanges in flight. */
#ifndef TOCSIN_INFLIGHT_H
#define TOCSIN_INFLIGHT_H

#include "series.h"
#include "shared/names.h"

/* Producers beyond that are not listened to, and counted. */
#define INFLIGHT_PRODUCERS_MAX 4096

struct contribution {
    uint32_t slot, generation;
    uint64_t count;
    uint64_t oldest; /* us */
};

struct producer {
    char src[TOCSIN_TEXT_MAX + 1];
    uint32_t src_len;
    uint64_t hash;
    uint64_t beat; /* us: when the last one came, by stream time */
    struct contribution *items;
    uint32_t count, room;
};

struct inflight {
    struct producer *producers;
    uint32_t count, room;
};

void inflight_release(struct inflight *inflight);

/* The producer of a beat, with what it told before forgotten; NULL when there
 * are too many or memory ran out. */
struct producer *inflight_beat(struct inflight *inflight,
                               struct tocsin_span src, uint64_t us);
int producer_add(struct producer *producer, const struct contribution *item);

/* Forgets producers whose last beat is older than `since`. */
void inflight_expire(struct inflight *inflight, uint64_t since);

#endif
