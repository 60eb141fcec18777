/*
 * How every series stood in the last tick: what the board shows and what
 * grouping looks at. Indexed by slot.
 */
#ifndef TOCSIN_STANDING_H
#define TOCSIN_STANDING_H

#include "../base/err.h"
#include "../detect/detect.h"

#define STANDING_NONE UINT32_MAX

struct standing {
    const struct identity *identity; /* NULL: the slot is free */
    bool alarm, sudden;
    bool harmed;       /* in alarm, for what is seen in this very tick */
    bool bad;          /* in alarm, or harmed enough to be on its way there */
    bool observed;     /* it had traffic enough to be judged, or is in alarm */
    bool spoilt;       /* its alert blames a narrower series, or its routes */
    uint32_t owner;    /* index of the alert that explains it; STANDING_NONE */
    uint32_t orphan;   /* ticks in alarm that no alert explains */
    uint32_t harm;     /* a bit for each tick in alarm that had traffic, the
                          latest the lowest: did it do harm? */
    uint32_t accepted; /* mask of columns: see struct verdict */
    uint64_t since;
    enum feature feature;
    unsigned column;
    float score, incident;
    float observed_value, expected, low, high; /* of that feature */
    float rate, errors, latency_p50, latency_p95, inflight;
    uint64_t requests; /* of this tick, in thousandths */
};

struct standings {
    struct standing *rows; /* [max] */
    uint32_t max;
    uint32_t alarms, orphans; /* series in alarm; those without an alert */
    uint32_t spark[2]; /* columns of latency_p95 and rate; STANDING_NONE */
    enum feature columns[FEATURES_COLUMNS_MAX];
    unsigned column_count;
};

#define STANDING_RIPE 2u /* ticks as an orphan before blame is laid */

/* Harm lasts if it was seen in so many of the last five ticks with traffic. */
#define LASTING_TICKS 3u
#define LASTING_WINDOW 0x1fu

/* Bits of those five. */
static inline unsigned standing_ticks(uint32_t harm)
{
    unsigned ticks = 0;

    for (harm &= LASTING_WINDOW; harm != 0; harm &= harm - 1) {
        ticks++;
    }
    return ticks;
}

/* It does harm, and has for a while. */
static inline bool standing_lasts(const struct standing *row)
{
    return (row->harm & 1u) != 0 && standing_ticks(row->harm) >= LASTING_TICKS;
}

/* Is what a column did in the last alarm normal now? */
static inline bool standing_accepts(const struct standing *row, unsigned column)
{
    return column < 32 && (row->accepted >> column & 1) != 0;
}

int standings_init(struct standings *standings, uint32_t max, struct err *err);
void standings_release(struct standings *standings);

/* Takes a batch over; owners stay. */
void standings_take(struct standings *standings,
                    const struct verdict_batch *batch);

#endif
