/*
 * What one feature of one series usually is, and how strongly what is seen
 * now speaks against it, in nats: the log likelihood ratio of the best
 * explanation against "as usual". Only the harmful direction counts.
 */
#ifndef TOCSIN_BASELINE_H
#define TOCSIN_BASELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/buf.h"
#include "effect.h"

struct baseline {
    /* SHARE: bad events, events per tick. LEVEL: mean and variance of the
     * logarithm. Slowly forgotten. */
    float level, spread;
    /* The last ticks. SHARE: bad events of about 3 and about 20 ticks. LEVEL:
     * means of the standardised value over as many. */
    float fast, slow;
    /* SHARE: all events of as many. LEVEL: fast mean of the logarithm's
     * distance from its level; unused. */
    float fast_all, slow_all;
    float clean;    /* SHARE: events since the last bad one */
    uint32_t ticks; /* learned from */
};

struct look {
    double value;          /* NaN: not observed */
    double events;         /* that it was made of */
    double share_of_usual; /* events against the usual number, at most 1 */
    bool frozen; /* an alarm stands: what is seen is not to be learned */
};

struct finding {
    float nats;
    bool harmful; /* the effect is large enough to matter */
    bool now;     /* and so it is by this tick alone, without memory */
    float expected, low, high;
};

void baseline_init(struct baseline *baseline);
struct finding baseline_look(struct baseline *baseline, enum feature feature,
                             const struct look *look);

/* What was seen lately is the new normal. */
void baseline_accept(struct baseline *baseline, enum feature feature);

void baseline_save(const struct baseline *baseline, struct buf *to);
void baseline_restore(struct baseline *baseline, struct cursor *from);

#endif
