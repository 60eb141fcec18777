/*
 * A ring of open ticks. Each has an arena for its aggregates and a table from
 * slot to aggregate, so that counting is two look-ups, and closing a tick
 * costs what the tick counted.
 */
#include "ticks.h"

#include <stdlib.h>
#include <string.h>

int ticks_init(struct ticks *ticks, unsigned count, uint32_t max,
               struct err *err)
{
    memset(ticks, 0, sizeof(*ticks));
    ticks->count = count;
    ticks->max = max;
    for (unsigned i = 0; i < count; i++) {
        struct open_tick *tick = &ticks->open[i];

        arena_init(&tick->arena);
        tick->of = calloc(max, sizeof(struct aggregate *));
        tick->touched = calloc(max, sizeof(*tick->touched));
        if (tick->of == NULL || tick->touched == NULL) {
            ticks_release(ticks);
            return err_set(err, ERR_SYSTEM, "no memory for %u open ticks",
                           count);
        }
    }
    return 0;
}

void ticks_release(struct ticks *ticks)
{
    for (unsigned i = 0; i < ticks->count; i++) {
        arena_release(&ticks->open[i].arena);
        free(ticks->open[i].of);
        free(ticks->open[i].touched);
    }
    memset(ticks, 0, sizeof(*ticks));
}

static void clear_tick(struct open_tick *tick)
{
    for (uint32_t i = 0; i < tick->touched_count; i++) {
        tick->of[tick->touched[i]] = NULL;
    }
    tick->touched_count = 0;
    arena_clear(&tick->arena);
}

void ticks_clear(struct ticks *ticks)
{
    for (unsigned i = 0; i < ticks->count; i++) {
        clear_tick(&ticks->open[i]);
    }
    ticks->first = 0;
}

struct open_tick *ticks_find(struct ticks *ticks, uint64_t index)
{
    if (index < ticks->first || index - ticks->first >= ticks->count) {
        return NULL;
    }
    return &ticks->open[index % ticks->count];
}

struct aggregate *open_tick_aggregate(struct open_tick *tick, uint32_t slot)
{
    struct aggregate *aggregate = tick->of[slot];

    if (aggregate == NULL) {
        aggregate = arena_alloc(&tick->arena, sizeof(*aggregate));
        if (aggregate != NULL) {
            tick->of[slot] = aggregate;
            tick->touched[tick->touched_count++] = slot;
        }
    }
    return aggregate;
}

void ticks_shift(struct ticks *ticks)
{
    clear_tick(&ticks->open[ticks->first % ticks->count]);
    ticks->first++;
}
