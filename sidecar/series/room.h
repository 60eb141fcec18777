/* What series.c and state.c share. */
#ifndef TOCSIN_SERIES_ROOM_H
#define TOCSIN_SERIES_ROOM_H

#include "inflight.h"
#include "label_sets.h"
#include "resolver.h"
#include "roster.h"
#include "series.h"
#include "ticks.h"

struct series {
    uint64_t tick, lateness, idle; /* us */
    struct label_sets sets;
    struct roster roster;
    struct ticks ticks;
    struct inflight inflight;
    struct resolver *resolver;
    struct series_sink sink;
    struct series_row *rows; /* [max] */
    struct series_stats stats;
    bool started;
    uint64_t now;  /* stream time, us */
    uint64_t sign; /* stream time of the last sign of life, us */
    uint64_t told; /* stream time of the last word on a wrong clock, us */
};

/* Forgets all series and ticks. */
void series_clear(struct series *series);

#endif
