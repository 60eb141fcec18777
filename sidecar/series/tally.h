/* What one event adds to an aggregate. */
#ifndef TOCSIN_TALLY_H
#define TOCSIN_TALLY_H

#include "series.h"

#define TALLY_NO_BUCKET UINT32_MAX

/* Worked out once, added to the series of every label set. */
struct tally {
    uint64_t weight, errors, client_errors, local_errors, aborted, retries;
    uint64_t bytes, cacheable, cache_hits, connects, connect_sum;
    uint32_t duration, header; /* buckets, or TALLY_NO_BUCKET */
};

void tally_event(struct tally *tally, const struct tocsin_event *ev);

/* 0, or -1 when memory for a sketch ran out: all else was counted. */
int tally_add(const struct tally *tally, struct aggregate *aggregate,
              struct arena *arena);

#endif
