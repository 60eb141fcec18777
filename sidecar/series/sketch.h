/*
 * Quantiles with a bounded relative error from integer counts in logarithmic
 * buckets (DDSketch: Masson, Rim, Lee, VLDB 2019). Merging is exact: any
 * order of adds and merges gives the same bits.
 */
#ifndef TOCSIN_SKETCH_H
#define TOCSIN_SKETCH_H

#include <stdint.h>

/* 2.5 % relative error from 64 us to more than an hour in u32 counts. */
#define SKETCH_BUCKETS 256

struct sketch {
    uint64_t count; /* weighted, thousandths */
    uint32_t buckets[SKETCH_BUCKETS];
};

void sketch_add(struct sketch *sketch, uint64_t us, uint64_t weight);
void sketch_merge(struct sketch *into, const struct sketch *from);
/* us; NaN when empty. q in [0, 1]. */
double sketch_quantile(const struct sketch *sketch, double q);

#endif
