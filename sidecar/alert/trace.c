/*
 * Evidence for the sparkline of an alert. The values come from the history
 * that the features room keeps; what was expected at the time is kept here,
 * from the onset on, since the model would answer differently now.
 */
#include "trace.h"

#include <inttypes.h>
#include <math.h>

void trace_init(struct trace *trace, struct band band)
{
    trace->ticks = 0;
    trace_add(trace, band);
}

void trace_add(struct trace *trace, struct band band)
{
    trace->bands[trace->ticks % TRACE_POINTS] = band;
    trace->ticks++;
}

struct band trace_last(const struct trace *trace)
{
    return trace->bands[(trace->ticks - 1) % TRACE_POINTS];
}

static struct band band_ago(const struct trace *trace, unsigned ago)
{
    unsigned kept = trace->ticks < TRACE_POINTS ? trace->ticks : TRACE_POINTS;

    if (ago >= kept) {
        ago = kept - 1;
    }
    return trace->bands[(trace->ticks - 1 - ago) % TRACE_POINTS];
}

static void put_real(struct buf *to, char before, float value)
{
    buf_putc(to, before);
    if (isfinite(value)) {
        buf_printf(to, "%.4g", (double)value);
    }
}

void trace_text(const struct trace *trace, const float *values, unsigned count,
                uint64_t end, uint64_t tick, struct buf *to)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        unsigned ago = count - 1 - i;
        struct band band = band_ago(trace, ago);

        if (i > 0) {
            buf_putc(to, ',');
        }
        buf_printf(to, "%" PRIu64, end - ago * tick);
        put_real(to, '=', values[i]);
        put_real(to, '=', band.expected);
        put_real(to, '=', band.low);
        put_real(to, '=', band.high);
    }
}

void trace_save(const struct trace *trace, struct buf *to)
{
    unsigned i;

    buf_put_u32(to, trace->ticks);
    for (i = 0; i < TRACE_POINTS; i++) {
        buf_put_f32(to, trace->bands[i].expected);
        buf_put_f32(to, trace->bands[i].low);
        buf_put_f32(to, trace->bands[i].high);
    }
}

void trace_restore(struct trace *trace, struct cursor *from)
{
    unsigned i;

    trace->ticks = cursor_u32(from);
    if (trace->ticks == 0) {
        from->failed = true; /* there is always one */
        trace->ticks = 1;
    }
    for (i = 0; i < TRACE_POINTS; i++) {
        trace->bands[i].expected = cursor_f32(from);
        trace->bands[i].low = cursor_f32(from);
        trace->bands[i].high = cursor_f32(from);
    }
}
