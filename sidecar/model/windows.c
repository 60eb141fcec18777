/*
 * Every fifth window that comes is held back: training never sees it. Both
 * rings forget their oldest, so what is learned and what is judged by are of
 * the same time.
 */
#include "windows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOWS_HELD_EVERY 5u
#define WINDOWS_BATCH_MAX 64u

struct ring {
    float *data; /* [room][size] */
    unsigned room, count, next;
};

struct windows {
    unsigned columns, ticks;
    size_t x_size, past_size, season_size, size; /* floats of one window */
    struct ring train, held;
    uint64_t added;
    float *batch; /* [BATCH_MAX][size], as x, past and season one by one */
};

static bool ring_init(struct ring *ring, unsigned room, size_t size)
{
    ring->room = room > 0 ? room : 1;
    ring->data = calloc(ring->room, size * sizeof(float));
    return ring->data != NULL;
}

struct windows *windows_create(const struct model_shape *shape,
                               unsigned columns, unsigned ticks,
                               unsigned capacity)
{
    struct windows *w;
    unsigned seasonal = shape->season_feature_count;
    unsigned held = capacity / WINDOWS_HELD_EVERY;

    if (columns < seasonal) {
        seasonal = columns;
    }
    w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return NULL;
    }
    w->columns = columns;
    w->ticks = ticks;
    w->x_size = (size_t)ticks * columns;
    w->past_size = w->x_size * shape->lag_count;
    w->season_size = (size_t)ticks * shape->season_count * seasonal;
    w->size = w->x_size + w->past_size + w->season_size;
    w->batch = calloc(WINDOWS_BATCH_MAX, w->size * sizeof(float));
    if (w->batch == NULL || !ring_init(&w->train, capacity - held, w->size) ||
        !ring_init(&w->held, held, w->size)) {
        windows_destroy(w);
        return NULL;
    }
    return w;
}

void windows_destroy(struct windows *windows)
{
    if (windows != NULL) {
        free(windows->train.data);
        free(windows->held.data);
        free(windows->batch);
        free(windows);
    }
}

/* At least half of the ticks calm, with something observed in them. */
static bool windows_fit(const struct windows *w, const float *x,
                        const unsigned char *calm)
{
    unsigned t, c, good = 0;

    for (t = 0; t < w->ticks; t++) {
        if (calm != NULL && calm[t] == 0) {
            continue;
        }
        for (c = 0; c < w->columns; c++) {
            if (isfinite(x[(size_t)t * w->columns + c])) {
                good++;
                break;
            }
        }
    }
    return 2 * good >= w->ticks;
}

static float *windows_slot(struct windows *w)
{
    struct ring *ring;
    float *slot;

    ring = w->added++ % WINDOWS_HELD_EVERY == WINDOWS_HELD_EVERY - 1
               ? &w->held
               : &w->train;
    slot = ring->data + ring->next * w->size;
    ring->next = (ring->next + 1) % ring->room;
    if (ring->count < ring->room) {
        ring->count++;
    }
    return slot;
}

bool windows_add(struct windows *windows, const float *x, const float *past,
                 const float *season, const unsigned char *calm)
{
    struct windows *w = windows;
    float *slot;
    unsigned t, c;

    if (!windows_fit(w, x, calm)) {
        return false;
    }
    slot = windows_slot(w);
    memcpy(slot, x, w->x_size * sizeof(float));
    if (w->past_size > 0) {
        memcpy(slot + w->x_size, past, w->past_size * sizeof(float));
    }
    if (w->season_size > 0) {
        memcpy(slot + w->x_size + w->past_size, season,
               w->season_size * sizeof(float));
    }
    for (t = 0; calm != NULL && t < w->ticks; t++) {
        for (c = 0; calm[t] == 0 && c < w->columns; c++) {
            slot[(size_t)t * w->columns + c] = NAN;
        }
    }
    return true;
}

void windows_move(struct windows *to, struct windows *from)
{
    /* The inbox holds its windows in two rings; the order of arrival is lost
     * between them, not within. What was held back stays held back. */
    struct ring *rings[] = {&from->train, &from->held};
    struct ring *into[] = {&to->train, &to->held};
    unsigned k, i, first;

    for (k = 0; k < 2; k++) {
        first = (rings[k]->next + rings[k]->room - rings[k]->count) %
                rings[k]->room;
        for (i = 0; i < rings[k]->count; i++) {
            memcpy(into[k]->data + into[k]->next * to->size,
                   rings[k]->data + (first + i) % rings[k]->room * from->size,
                   to->size * sizeof(float));
            into[k]->next = (into[k]->next + 1) % into[k]->room;
            if (into[k]->count < into[k]->room) {
                into[k]->count++;
            }
        }
        rings[k]->count = 0;
        rings[k]->next = 0;
    }
}

unsigned windows_count(const struct windows *windows)
{
    return windows->train.count + windows->held.count;
}

unsigned windows_held(const struct windows *windows)
{
    return windows->held.count;
}

/* Where in the ring a window stands decides when it is drawn. */
static void ring_save(const struct ring *ring, size_t size, struct buf *to)
{
    buf_put_u32(to, ring->count);
    buf_put_u32(to, ring->next);
    buf_put_f32s(to, ring->data, ring->count * size);
}

/* The bytes of a ring, if they are those of one like this; NULL if not. */
static const char *ring_find(const struct ring *ring, size_t size,
                             struct cursor *from, unsigned *count,
                             unsigned *next)
{
    *count = cursor_u32(from);
    *next = cursor_u32(from);
    if (from->failed || *count > ring->room || *next >= ring->room) {
        return NULL;
    }
    return cursor_bytes(from, *count * size * sizeof(float));
}

static void ring_restore(struct ring *ring, size_t size, const char *bytes,
                         unsigned count, unsigned next)
{
    struct cursor from = {bytes, count * size * sizeof(float), false};

    cursor_f32s(&from, ring->data, count * size);
    ring->count = count;
    ring->next = next;
}

void windows_clear(struct windows *windows)
{
    windows->train.count = windows->train.next = 0;
    windows->held.count = windows->held.next = 0;
    windows->added = 0;
}

void windows_save(const struct windows *windows, struct buf *to)
{
    buf_put_u64(to, windows->size);
    buf_put_u64(to, windows->added);
    ring_save(&windows->train, windows->size, to);
    ring_save(&windows->held, windows->size, to);
}

int windows_restore(struct windows *windows, struct cursor *from,
                    struct err *err)
{
    struct ring *rings[] = {&windows->train, &windows->held};
    uint64_t size = cursor_u64(from), added = cursor_u64(from);
    unsigned count[2], next[2], k;
    const char *bytes[2];

    if (size != windows->size) {
        return err_set(err, ERR_INPUT, "windows of %llu numbers, expected %zu",
                       (unsigned long long)size, windows->size);
    }
    for (k = 0; k < 2; k++) {
        bytes[k] = ring_find(rings[k], size, from, &count[k], &next[k]);
        if (bytes[k] == NULL) {
            return err_set(err, ERR_INPUT,
                           "%u windows from the %u. on, expected at most %u",
                           count[k], next[k], rings[k]->room);
        }
    }
    for (k = 0; k < 2; k++) {
        ring_restore(rings[k], size, bytes[k], count[k], next[k]);
    }
    windows->added = added;
    return 0;
}

void windows_batch(struct windows *windows, bool held, const unsigned *which,
                   unsigned count, struct model_windows *batch)
{
    const struct windows *w = windows;
    const struct ring *ring = held ? &w->held : &w->train;
    float *x = w->batch;
    float *past = x + (size_t)count * w->x_size;
    float *season = past + (size_t)count * w->past_size;
    const float *from;
    unsigned i;

    for (i = 0; i < count; i++) {
        from = ring->data + which[i] % ring->room * w->size;
        memcpy(x + i * w->x_size, from, w->x_size * sizeof(float));
        memcpy(past + i * w->past_size, from + w->x_size,
               w->past_size * sizeof(float));
        memcpy(season + i * w->season_size, from + w->x_size + w->past_size,
               w->season_size * sizeof(float));
    }
    *batch = (struct model_windows){
        .batch = count,
        .ticks = w->ticks,
        .columns = w->columns,
        .x = x,
        .past = past,
        .season = season,
    };
}
