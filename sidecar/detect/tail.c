/*
 * Calibration to a rate of false alarms.
 *
 * Near the middle the tail is the histogram of standardised block maxima of
 * all series, to which a Gumbel distribution contributes as much as PRIOR
 * blocks: so there is an answer from the first tick. Beyond the KNEE highest
 * ones it goes on exponentially with their mean excess, as maxima of anything
 * with an exponential tail do (Gumbel 1935; Pickands 1975 for the excess).
 *
 * One series' own maxima move its location and scale with weight n against
 * some blocks' worth of the pool's, the fewer the more the series differ among
 * themselves: a noisy series raises its own bar within minutes, and a quiet
 * one is not made deaf by its neighbours.
 *
 * The order in which slots are learned is that of the batch, so the same
 * stream gives the same bits.
 */
#include "tail.h"

#include <math.h>
#include <stdlib.h>

#define BINS 512
#define BIN 0.125
#define LOWEST -4.0
#define PRIOR 200.0
#define KNEE 20.0
#define SLOPE_MIN 0.5
#define SLOPE_MAX 6.0
#define SHRINK 20.0 /* most blocks that the pool's location is worth... */
#define SHRINK_MIN 0.5
#define SHRINK_SCALE 10.0 /* ...and those that its scale is worth */
#define MATURE 5          /* blocks of a series before it speaks for others */
#define MEMORY 1440.0     /* blocks of one series */
#define POOL 200000.0     /* blocks of all, then the older half counts half */

#define EULER 0.57722
#define GUMBEL_SCALE 0.77970 /* of a Gumbel's deviation: sqrt(6) / pi */

struct tail_slot {
    float mean, square; /* of the maxima; square: about the mean */
    float highest;      /* of the block that is being filled */
    float location, scale;
    uint32_t ticks, blocks;
};

struct pool {
    double mean, square, blocks; /* square: within a series */
    double around;               /* of all values around the pool's mean */
    double bins[BINS]; /* maxima whose standardised value falls there */
    double total;
};

struct tail {
    struct tail_options options;
    struct tail_slot *slots;
    struct pool pool;
    double above[BINS]; /* maxima at or above the bin's lower end, and prior */
    double knee, knee_rate, slope; /* rate: per block */
    uint8_t stale;
};

static double lower_end(unsigned bin)
{
    return LOWEST + BIN * bin;
}

static unsigned bin_of(double z)
{
    double bin = (z - LOWEST) / BIN;

    return bin <= 0 ? 0 : bin >= BINS - 1 ? BINS - 1 : (unsigned)bin;
}

/* Chance that a standard Gumbel variable is above z. */
static double gumbel_above(double z)
{
    return z > 30 ? exp(-z) : -expm1(-exp(-z));
}

static void set_fit(struct tail *tail)
{
    const struct pool *pool = &tail->pool;
    double sum = 0, moment = 0, excess;
    unsigned i = BINS, knee = 0;

    while (i-- > 0) {
        sum += pool->bins[i];
        tail->above[i] = sum + PRIOR * gumbel_above(lower_end(i));
        if (knee == 0 && tail->above[i] >= KNEE) {
            knee = i;
        }
    }
    tail->knee = lower_end(knee);
    sum = 0;
    for (i = knee; i < BINS; i++) {
        sum += pool->bins[i];
        moment += pool->bins[i] * (lower_end(i) + BIN / 2 - tail->knee);
    }
    excess = KNEE + moment; /* the prior's own mean excess is 1 */
    tail->slope = fmin(fmax(excess / (KNEE + sum), SLOPE_MIN), SLOPE_MAX);
    tail->knee_rate =
        -log1p(-fmin(tail->above[knee] / (PRIOR + pool->total), 0.999));
    tail->stale = 0;
}

/* Blocks that the pool's mean is worth: the variance within series against
 * that between them (James and Stein 1961). */
static double worth_of_pool(const struct tail *tail, double within)
{
    double between = tail->pool.around - within;

    if (tail->pool.blocks < SHRINK || between <= 0) {
        return SHRINK;
    }
    return fmin(fmax(within / between, SHRINK_MIN), SHRINK);
}

static double blend(double value, double weight, double prior, double worth)
{
    return (value * weight + prior * worth) / (weight + worth);
}

static void set_slot(const struct tail *tail, struct tail_slot *slot)
{
    const struct tail_options *options = &tail->options;
    const struct pool *pool = &tail->pool;
    double deviation = options->scale / GUMBEL_SCALE;
    double n = fmin(slot->blocks, MEMORY), mean, square;

    mean = blend(pool->mean, pool->blocks,
                 options->location + EULER * options->scale, SHRINK);
    square = blend(pool->square, pool->blocks, deviation * deviation, SHRINK);
    mean = blend((double)slot->mean, n, mean, worth_of_pool(tail, square));
    square = blend((double)slot->square, n, square, SHRINK_SCALE);
    slot->scale = (float)fmax(GUMBEL_SCALE * sqrt(square), options->scale_min);
    slot->location = (float)(mean - EULER * (double)slot->scale);
}

struct tail *tail_create(const struct tail_options *options, struct err *err)
{
    struct tail *tail = calloc(1, sizeof(*tail));
    uint32_t i;

    if (tail == NULL ||
        (tail->slots = calloc(options->max, sizeof(*tail->slots))) == NULL) {
        free(tail);
        err_set(err, ERR_SYSTEM, "no memory for %u series", options->max);
        return NULL;
    }
    tail->options = *options;
    /* Of shorter blocks the maxima of a Gumbel are lower, and as wide. */
    tail->options.location -=
        options->scale * log(TAIL_BLOCK / (double)options->block);
    for (i = 0; i < options->max; i++) {
        tail_reset(tail, i);
    }
    set_fit(tail);
    return tail;
}

void tail_destroy(struct tail *tail)
{
    if (tail != NULL) {
        free(tail->slots);
        free(tail);
    }
}

void tail_reset(struct tail *tail, uint32_t slot)
{
    tail->slots[slot] = (struct tail_slot){.highest = -INFINITY};
    set_slot(tail, &tail->slots[slot]);
}

static double standard(const struct tail *tail, uint32_t slot, double value)
{
    const struct tail_slot *s = &tail->slots[slot];

    return (value - (double)s->location) / (double)s->scale;
}

double tail_rate(const struct tail *tail, uint32_t slot, double value)
{
    double z = standard(tail, slot, value), share, rate;

    if (isnan(z)) {
        return 1;
    }
    if (z >= tail->knee) {
        rate = tail->knee_rate * exp(-(z - tail->knee) / tail->slope);
    } else {
        share = tail->above[bin_of(z)] / (PRIOR + tail->pool.total);
        rate = -log1p(-fmin(share, 0.999999));
    }
    return fmin(rate / tail->options.block, 1);
}

double tail_value(const struct tail *tail, uint32_t slot, double rate)
{
    const struct tail_slot *s = &tail->slots[slot];
    double per_block = rate * tail->options.block, z = tail->knee;
    double wanted = -expm1(-per_block) * (PRIOR + tail->pool.total);

    if (per_block < tail->knee_rate) {
        z += tail->slope * log(tail->knee_rate / per_block);
    } else {
        while (z > LOWEST && tail->above[bin_of(z)] < wanted) {
            z -= BIN;
        }
    }
    return (double)s->location + (double)s->scale * z;
}

/* Spread within a series, and of all around the mean of all. */
static void pool_spread(struct pool *pool, const struct tail_slot *slot,
                        double value)
{
    double far = value - pool->mean, own = value - (double)slot->mean;
    double n = fmin(slot->blocks, MEMORY);

    pool->around += (far * far - pool->around) / pool->blocks;
    pool->square += (own * own * n / (n + 1) - pool->square) / pool->blocks;
}

static void pool_tail(struct pool *pool, double z)
{
    unsigned i;

    pool->bins[bin_of(z)] += 1;
    pool->total += 1;
    if (pool->total > POOL) {
        for (i = 0; i < BINS; i++) {
            pool->bins[i] /= 2;
        }
        pool->total /= 2;
    }
}

static void pool_add(struct tail *tail, const struct tail_slot *slot, double z,
                     double value)
{
    struct pool *pool = &tail->pool;

    pool->blocks = fmin(pool->blocks + 1, POOL);
    pool->mean += (value - pool->mean) / pool->blocks;
    if (slot->blocks > 0) {
        pool_spread(pool, slot, value);
    }
    if (slot->blocks >= MATURE) {
        pool_tail(pool, z);
    }
}

static void end_block(struct tail *tail, uint32_t slot, double value)
{
    struct tail_slot *s = &tail->slots[slot];
    double distance, rate;

    pool_add(tail, s, standard(tail, slot, value), value);
    s->blocks++;
    rate = fmax(1.0 / s->blocks, 1 / MEMORY);
    distance = value - (double)s->mean;
    s->mean = (float)((double)s->mean + rate * distance);
    s->square =
        (float)((1 - rate) * ((double)s->square + rate * distance * distance));
    s->ticks = 0;
    s->highest = -INFINITY;
    set_slot(tail, s);
    tail->stale = 1;
}

void tail_learn(struct tail *tail, uint32_t slot, double value, double ceiling)
{
    struct tail_slot *s = &tail->slots[slot];

    if (isnan(value)) {
        return;
    }
    s->highest = fmaxf(s->highest, (float)fmin(value, ceiling));
    if (++s->ticks >= tail->options.block) {
        end_block(tail, slot, (double)s->highest);
    }
}

void tail_fit(struct tail *tail)
{
    if (tail->stale) {
        set_fit(tail);
    }
}

void tail_save(const struct tail *tail, const uint8_t *used, struct buf *to)
{
    const struct pool *pool = &tail->pool;
    uint32_t i;

    for (i = 0; i < BINS; i++) {
        buf_put_f64(to, pool->bins[i]);
    }
    buf_put_f64(to, pool->total);
    buf_put_f64(to, pool->mean);
    buf_put_f64(to, pool->square);
    buf_put_f64(to, pool->around);
    buf_put_f64(to, pool->blocks);
    for (i = 0; i < tail->options.max; i++) {
        const struct tail_slot *s = &tail->slots[i];

        if (used[i]) {
            buf_put_f32(to, s->mean);
            buf_put_f32(to, s->square);
            buf_put_f32(to, s->highest);
            buf_put_f32(to, s->location);
            buf_put_f32(to, s->scale);
            buf_put_u32(to, s->ticks);
            buf_put_u32(to, s->blocks);
        }
    }
}

int tail_restore(struct tail *tail, const uint8_t *used, struct cursor *from,
                 struct err *err)
{
    struct pool *pool = &tail->pool;
    uint32_t i;

    for (i = 0; i < BINS; i++) {
        pool->bins[i] = cursor_f64(from);
    }
    pool->total = cursor_f64(from);
    pool->mean = cursor_f64(from);
    pool->square = cursor_f64(from);
    pool->around = cursor_f64(from);
    pool->blocks = cursor_f64(from);
    for (i = 0; i < tail->options.max; i++) {
        struct tail_slot *s = &tail->slots[i];

        tail_reset(tail, i);
        if (used[i]) {
            s->mean = cursor_f32(from);
            s->square = cursor_f32(from);
            s->highest = cursor_f32(from);
            s->location = cursor_f32(from);
            s->scale = cursor_f32(from);
            s->ticks = cursor_u32(from);
            s->blocks = cursor_u32(from);
            if (!(s->scale > 0) || s->ticks >= tail->options.block) {
                return err_set(err, ERR_INPUT, "calibration of slot %u is off",
                               i);
            }
        }
    }
    set_fit(tail);
    return 0;
}
