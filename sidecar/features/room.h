/* What features.c and state.c share. */
#ifndef TOCSIN_FEATURES_ROOM_H
#define TOCSIN_FEATURES_ROOM_H

#include "features.h"
#include "store.h"

#define FEATURES_NOBODY UINT64_MAX

/* One slot. */
struct occupant {
    uint64_t born; /* tick; FEATURES_NOBODY: the slot is free */
    float sums[2]; /* of the open bin */
    uint32_t counts[2];
};

struct features {
    struct features_options options;
    struct features_sink sink;
    uint64_t bin;         /* us */
    struct store ticks;   /* [F] by number of the tick */
    struct store bins;    /* [Q] by number of the bin */
    struct occupant *who; /* [max] */
    uint32_t high;        /* no slot >= high was ever used */
    bool started;
    uint64_t tick; /* number of the last tick: end / length */
    uint64_t open; /* number of the bin that it fell into */
    float *x, *past, *season;
};

void features_clear(struct features *features);

#endif
