/*
 * One series under watch: the baselines of its features, how busy it is, and
 * which feature of each family speaks most against "as usual" in this tick.
 */
#ifndef TOCSIN_WATCH_H
#define TOCSIN_WATCH_H

#include "../model/scorer.h"
#include "baseline.h"
#include "silence.h"

#define WATCH_NONE UINT32_MAX

struct watch {
    struct silence silence;
    float minute; /* requests of about the last minute */
    float weight; /* requests that one event stands for */
    struct baseline baselines[FEATURE_COUNT];
};

struct watch_options {
    double min_requests_per_minute;
    uint64_t tick; /* us */
};

/* What the features of one family say. */
struct voice {
    double nats;     /* of the harmful column that tells most, or 0 */
    double loudest;  /* of any column, whether it matters or not */
    uint32_t column; /* of `nats`; WATCH_NONE if none */
};

/* What one tick says. */
struct sight {
    bool observed;    /* anything at all */
    bool busy;        /* enough of it for harm to matter */
    bool harmful;     /* some column tells of a change that matters */
    uint32_t column;  /* to be told; WATCH_NONE if none */
    uint32_t harming; /* mask of columns that do harm */
    uint32_t now;     /* mask of those that matter by this tick alone */
    struct voice voices[EFFECT_FAMILIES];
    struct finding findings[FEATURES_COLUMNS_MAX];
};

void watch_init(struct watch *watch);

/* frozen: mask of columns that are not to be learned. */
void watch_look(struct watch *watch, const struct watch_options *options,
                const struct feature_batch *batch, uint32_t row,
                uint32_t frozen, struct sight *sight);

/* Takes what is seen lately in these columns for the new normal. */
void watch_accept(struct watch *watch, const struct feature_batch *batch,
                  uint32_t columns);

void watch_save(const struct watch *watch, struct buf *to);
void watch_restore(struct watch *watch, struct cursor *from);

#endif
