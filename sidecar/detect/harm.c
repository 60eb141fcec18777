/*
 * Learning takes the loudest column of a family, so that a bar is known before
 * something that matters comes; judging takes the harmful one.
 */
#include "harm.h"

#include <math.h>
#include <stdlib.h>

#include "tail.h"

#define SUDDEN 0.1 /* of the rate, for a single tick */

/* Priors of block maxima, from series of synthetic traffic. */
static const struct tail_options tail_pair = {0, 3.0, 1.2, 1.0, 0};
static const struct tail_options tail_tick = {0, 5.0, 1.5, 1.0, 0};

struct noise {
    struct tail *pair, *tick;
};

struct harm {
    struct noise noise[EFFECT_FAMILIES];
};

static struct tail *make_tail(const struct tail_options *prior, uint32_t max,
                              unsigned block, struct err *err)
{
    struct tail_options options = *prior;

    options.max = max;
    options.block = block;
    return tail_create(&options, err);
}

struct harm *harm_create(uint32_t max, unsigned block, struct err *err)
{
    struct harm *harm = calloc(1, sizeof(*harm));
    unsigned k;

    if (harm == NULL) {
        err_set(err, ERR_SYSTEM, "no memory");
        return NULL;
    }
    for (k = 0; k < EFFECT_FAMILIES; k++) {
        struct noise *noise = &harm->noise[k];

        if ((noise->pair = make_tail(&tail_pair, max, block, err)) == NULL ||
            (noise->tick = make_tail(&tail_tick, max, block, err)) == NULL) {
            harm_destroy(harm);
            return NULL;
        }
    }
    return harm;
}

void harm_destroy(struct harm *harm)
{
    unsigned k;

    if (harm == NULL) {
        return;
    }
    for (k = 0; k < EFFECT_FAMILIES; k++) {
        tail_destroy(harm->noise[k].pair);
        tail_destroy(harm->noise[k].tick);
    }
    free(harm);
}

void harm_reset(struct harm *harm, uint32_t slot, struct harm_past *past)
{
    unsigned k;

    *past = (struct harm_past){{0}};
    for (k = 0; k < EFFECT_FAMILIES; k++) {
        tail_reset(harm->noise[k].pair, slot);
        tail_reset(harm->noise[k].tick, slot);
    }
}

static struct harm_finding judge(const struct noise *noise, uint32_t slot,
                                 const struct voice *voice, double model,
                                 double before)
{
    double strength = voice->nats + model;
    double pair = fmin(strength, before);
    double single = tail_rate(noise->tick, slot, strength) / SUDDEN;

    return (struct harm_finding){
        .chance = fmin(tail_rate(noise->pair, slot, pair), single),
        .single = single,
        .column = voice->column,
    };
}

static void learn(struct noise *noise, uint32_t slot, double loud,
                  double before, double rate)
{
    tail_learn(noise->pair, slot, fmin(loud, before),
               tail_value(noise->pair, slot, rate));
    tail_learn(noise->tick, slot, loud,
               tail_value(noise->tick, slot, rate * SUDDEN));
}

/* Who harms is asked before who does not. */
static bool is_rarer(const struct harm_finding *a, const struct harm_finding *b)
{
    bool harms = a->column != WATCH_NONE;

    return harms != (b->column != WATCH_NONE) ? harms : a->chance < b->chance;
}

struct harm_finding harm_judge(struct harm *harm, uint32_t slot,
                               struct harm_past *past,
                               const struct harm_trial *trial)
{
    struct harm_finding found = {.column = WATCH_NONE}, one;
    unsigned k;

    for (k = 0; k < EFFECT_FAMILIES; k++) {
        const struct voice *voice = &trial->sight->voices[k];
        double loud = voice->loudest + trial->model;
        double before = (double)past->loudest[k];

        one = judge(&harm->noise[k], slot, voice, trial->model, before);
        if (trial->learn) {
            learn(&harm->noise[k], slot, loud, before, trial->rate);
        }
        past->loudest[k] = (float)loud;
        if (k == 0 || is_rarer(&one, &found)) {
            found = one;
        }
    }
    /* Each family may raise false alarms. */
    found.chance = fmin(found.chance * EFFECT_FAMILIES, 1);
    found.single *= EFFECT_FAMILIES;
    return found;
}

void harm_fit(struct harm *harm)
{
    unsigned k;

    for (k = 0; k < EFFECT_FAMILIES; k++) {
        tail_fit(harm->noise[k].pair);
        tail_fit(harm->noise[k].tick);
    }
}

void harm_save(const struct harm *harm, const uint8_t *used, struct buf *to)
{
    unsigned k;

    for (k = 0; k < EFFECT_FAMILIES; k++) {
        tail_save(harm->noise[k].pair, used, to);
        tail_save(harm->noise[k].tick, used, to);
    }
}

int harm_restore(struct harm *harm, const uint8_t *used, struct cursor *from,
                 struct err *err)
{
    unsigned k;

    for (k = 0; k < EFFECT_FAMILIES; k++) {
        if (tail_restore(harm->noise[k].pair, used, from, err) != 0 ||
            tail_restore(harm->noise[k].tick, used, from, err) != 0) {
            return -1;
        }
    }
    return 0;
}

void harm_past_save(const struct harm_past *past, struct buf *to)
{
    unsigned k;

    for (k = 0; k < EFFECT_FAMILIES; k++) {
        buf_put_f32(to, past->loudest[k]);
    }
}

void harm_past_restore(struct harm_past *past, struct cursor *from)
{
    unsigned k;

    for (k = 0; k < EFFECT_FAMILIES; k++) {
        past->loudest[k] = cursor_f32(from);
    }
}
