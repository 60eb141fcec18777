/*
 * One batched step a tick for all series: keeps each slot's state, pads the
 * batch to a multiple of 64, so that neighbours never change a row's bits. The
 * band is a part that can be left out of the step, by whoever knows better what
 * is expected of a feature.
 */
#ifndef TOCSIN_SCORER_H
#define TOCSIN_SCORER_H

#include <stdbool.h>

#include "../base/buf.h"
#include "../features/features.h"
#include "model.h"

struct scored_batch {
    const struct feature_batch *batch;
    const struct model_shape *shape;
    unsigned evidence_count;
    const float *expected, *low, *high; /* [B][F]; NULL: no band */
    const float *evidence;              /* [B][E] */
    const uint32_t *age;                /* [B]: ticks since the series began */
};

struct scorer_options {
    unsigned columns;
    uint32_t max; /* slots */
    bool band;    /* expected, low and high are wanted */
};

struct scorer_sink {
    void *ctx;
    void (*scored)(void *ctx, const struct scored_batch *batch);
};

struct scorer;

/* Takes the model over, and frees it where it fails. */
struct scorer *scorer_create(struct model *model,
                             const struct scorer_options *options,
                             struct scorer_sink sink, struct err *err);
void scorer_destroy(struct scorer *scorer);

int scorer_batch(struct scorer *scorer, const struct feature_batch *batch,
                 struct err *err);
void scorer_leave(struct scorer *scorer, const struct identity *who);

/* Swaps to a model of the same shape and frees the old one; states are kept
 * where the contract's state size is the same. */
int scorer_swap(struct scorer *scorer, struct model *model, struct err *err);
struct model *scorer_model(struct scorer *scorer);

void scorer_save(const struct scorer *scorer, struct buf *to);
int scorer_restore(struct scorer *scorer, struct cursor *from, struct err *err);

#endif
