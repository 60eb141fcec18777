/*
 * Quantiles with a bounded relative error from integer counts in logarithmic
 * buckets (DDSketch: Masson, Rim, Lee, VLDB 2019). Merging is exact: any
 * order of adds and merges gives the same bits.
 *
 * 14 buckets an octave are a relative error of 2.5 %, kept from 64 us to 71
 * minutes; what is below or above falls into the first or last bucket. Two
 * octaves make a chunk, and chunks exist only where something was counted:
 * the latencies of one tick seldom span more than three.
 */
#ifndef TOCSIN_SKETCH_H
#define TOCSIN_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"

#define SKETCH_OCTAVE 14
#define SKETCH_CHUNK (2 * SKETCH_OCTAVE)
#define SKETCH_CHUNKS 13
#define SKETCH_BUCKETS (SKETCH_CHUNK * SKETCH_CHUNKS)

struct sketch {
    uint64_t count;                  /* sum of all buckets */
    uint32_t *chunks[SKETCH_CHUNKS]; /* in the arena; weights, saturating */
};

/* The bucket of a duration, to add it to several sketches. */
unsigned sketch_bucket(uint64_t us);

/* The lower end of a bucket, and the value that stands for it; us. */
double sketch_bucket_low(unsigned bucket);
double sketch_bucket_value(unsigned bucket);

/* 0, or -1 without a change when memory runs out. Weights in thousandths. */
int sketch_add(struct sketch *sketch, struct arena *arena, unsigned bucket,
               uint64_t weight);
int sketch_merge(struct sketch *into, struct arena *arena,
                 const struct sketch *from);

/* us; NaN when empty. q in [0, 1]. */
double sketch_quantile(const struct sketch *sketch, double q);

#endif
