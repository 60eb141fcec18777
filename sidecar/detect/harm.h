/*
 * How rare is the harm that watch.h finds? Each family of features is compared
 * with noise of its own: latencies that wander must not deafen us to errors.
 *
 * The harm of two ticks in a row (the lesser of them) is one statistic, that
 * of a single tick another; the second has to be much rarer, and then needs no
 * second tick.
 */
#ifndef TOCSIN_HARM_H
#define TOCSIN_HARM_H

#include "watch.h"

struct harm;

/* What a series' last tick said, loud or not. */
struct harm_past {
    float loudest[EFFECT_FAMILIES];
};

struct harm_trial {
    const struct sight *sight;
    double model; /* nats that the model adds to those of every family */
    double rate;  /* that is allowed */
    bool learn;   /* nothing is wrong with the series */
};

struct harm_finding {
    double chance; /* rate of false alarms as strong as this */
    double single; /* of this tick alone, made dearer */
    uint32_t column;
};

/* NULL and *err when memory runs out. */
struct harm *harm_create(uint32_t max, unsigned block, struct err *err);
void harm_destroy(struct harm *harm);

/* A slot begins anew. */
void harm_reset(struct harm *harm, uint32_t slot, struct harm_past *past);

/* Of a tick; afterwards it is the past, and is learned from. */
struct harm_finding harm_judge(struct harm *harm, uint32_t slot,
                               struct harm_past *past,
                               const struct harm_trial *trial);

/* After each batch. */
void harm_fit(struct harm *harm);

void harm_save(const struct harm *harm, const uint8_t *used, struct buf *to);
int harm_restore(struct harm *harm, const uint8_t *used, struct cursor *from,
                 struct err *err);

void harm_past_save(const struct harm_past *past, struct buf *to);
void harm_past_restore(struct harm_past *past, struct cursor *from);

#endif
