/*
 * What the trainer learns from: remembers in which ticks each series was in
 * alarm, hands windows of calm traffic to the trainer, starts its rounds (at
 * ticks that are multiples of model.train_every, or after so many rows of a
 * file), and takes what wins.
 *
 * A round is taken when a fifth of the interval to the next one has passed in
 * the stream, however soon it ended, so the position of a swap is a matter of
 * the stream. Where that is read faster than time goes by, learner_tick() waits
 * for the round, a minute at most; otherwise it never waits, and a round that
 * takes longer is taken when it has ended.
 */
#ifndef TOCSIN_COMMAND_LEARNER_H
#define TOCSIN_COMMAND_LEARNER_H

#include "../base/buf.h"
#include "../detect/detect.h"
#include "../features/features.h"
#include "../model/trainer.h"

struct learner_options {
    const char *dir;  /* state.dir; NULL: versions are not kept */
    double share;     /* of one core; 0: each round is made within the call of
                         learner_tick() that it begins in */
    uint64_t every;   /* us between rounds, of the stream */
    uint64_t rows;    /* or, where not 0, calls of learner_tick() */
    unsigned columns; /* of the series; 0: the features of the model */
    uint32_t max;     /* series */
    uint64_t seed;
    bool (*wait)(void *ctx); /* after each second of waiting; false: no longer.
                                NULL: it waits */
    void *ctx;
};

struct learner_stats {
    uint64_t rounds, won;
    uint64_t swapped_at; /* us of the tick at which the last one won */
};

struct learner;

/* The features keep at least learner_window() ticks beyond the lags. */
unsigned learner_window(const struct learner_options *options);

struct learner *learner_create(const struct learner_options *options,
                               const struct model *champion, struct err *err);
void learner_destroy(struct learner *learner);

/* After every tick; in files, after every row. A winner is the caller's:
 * *winner, or NULL. */
void learner_tick(struct learner *learner, const struct features *features,
                  const struct verdict_batch *batch, struct model **winner);

/* Between two rounds another champion may be given: coming rounds start from
 * it. */
bool learner_idle(const struct learner *learner);
int learner_champion(struct learner *learner, const struct model *champion,
                     struct err *err);

void learner_leave(struct learner *learner, const struct identity *who);

const struct learner_stats *learner_stats(const struct learner *learner);

/* All that is known, and the round that was begun: it is begun again from the
 * champion that is there. Into one that has done nothing yet; what does not fit
 * is refused, and it has still done nothing. */
void learner_save(const struct learner *learner, struct buf *to);
int learner_restore(struct learner *learner, struct cursor *from,
                    struct err *err);

#endif
