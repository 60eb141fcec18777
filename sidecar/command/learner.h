/*
 * What the trainer learns from: remembers in which ticks each series was in
 * alarm, hands windows of calm traffic to the trainer, starts its rounds at
 * ticks that are multiples of model.train_every, and takes what wins.
 */
#ifndef TOCSIN_COMMAND_LEARNER_H
#define TOCSIN_COMMAND_LEARNER_H

#include "../detect/detect.h"
#include "../features/features.h"
#include "../model/trainer.h"

struct learner_options {
    const char *dir; /* state.dir */
    double share;    /* of one core */
    uint64_t every;  /* us between rounds */
    uint64_t tick;   /* us */
    uint32_t max;    /* series */
};

struct learner_stats {
    uint64_t rounds, won;
    uint64_t swapped_at; /* us of the tick at which the last one won */
};

struct learner;

/* The features keep at least learner_window() ticks beyond the lags. */
unsigned learner_window(unsigned columns);

struct learner *learner_create(const struct learner_options *options,
                               const struct model *champion, struct err *err);
void learner_destroy(struct learner *learner);

/* After every tick. A winner is the caller's: *winner, or NULL. */
void learner_tick(struct learner *learner, const struct features *features,
                  const struct verdict_batch *batch, struct model **winner);

/* Between two rounds another champion may be given: coming rounds start from
 * it. */
bool learner_idle(const struct learner *learner);
int learner_champion(struct learner *learner, const struct model *champion,
                     struct err *err);

void learner_leave(struct learner *learner, const struct identity *who);

const struct learner_stats *learner_stats(const struct learner *learner);

#endif
