/* The ticks that events may still fall into, and what they counted so far. */
#ifndef TOCSIN_TICKS_H
#define TOCSIN_TICKS_H

#include "series.h"

/* Longest lateness, in ticks. */
#define TICKS_LATENESS_MAX 16
/* Those that are late, the present one, the next, and one of rounding. */
#define TICKS_OPEN_MAX (TICKS_LATENESS_MAX + 3)

struct open_tick {
    struct arena arena;
    struct aggregate **of; /* [max] by slot; NULL where nothing was counted */
    uint32_t *touched;     /* [max] slots, in the order of their first count */
    uint32_t touched_count;
};

struct ticks {
    struct open_tick open[TICKS_OPEN_MAX]; /* by index modulo count */
    unsigned count;
    uint32_t max;
    uint64_t first; /* index of the oldest; ticks cover
                       [index * length, (index + 1) * length) us */
};

int ticks_init(struct ticks *ticks, unsigned count, uint32_t max,
               struct err *err);
void ticks_release(struct ticks *ticks);
void ticks_clear(struct ticks *ticks);

/* NULL when the tick is not open. */
struct open_tick *ticks_find(struct ticks *ticks, uint64_t index);

/* The aggregate of a slot, made when there is none; NULL without memory. */
struct aggregate *open_tick_aggregate(struct open_tick *tick, uint32_t slot);

/* Empties the oldest and opens one behind the newest. */
void ticks_shift(struct ticks *ticks);

#endif
