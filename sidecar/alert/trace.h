/* The last points of an alert's feature with the band that was expected. */
#ifndef TOCSIN_TRACE_H
#define TOCSIN_TRACE_H

#include <stdint.h>

#include "../base/buf.h"

#define TRACE_POINTS 60

struct band {
    float expected, low, high;
};

/* Bands of the last ticks; older ones are as the oldest that is known. */
struct trace {
    struct band bands[TRACE_POINTS];
    uint32_t ticks; /* since the alert began */
};

void trace_init(struct trace *trace, struct band band);
void trace_add(struct trace *trace, struct band band);
struct band trace_last(const struct trace *trace);

/* "ts=observed=expected=low=high,...": values are those of the last count
 * ticks, the newest of which ended at `end`. */
void trace_text(const struct trace *trace, const float *values, unsigned count,
                uint64_t end, uint64_t tick, struct buf *to);

void trace_save(const struct trace *trace, struct buf *to);
void trace_restore(struct trace *trace, struct cursor *from);

#endif
