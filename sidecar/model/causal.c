/*
 * The statistics of causal.py, by the same names (read it first), sixteen rows
 * of one column at a time. Every loop is over LANES numbers without a branch,
 * so that the compiler makes vectors of it; all lanes are always computed,
 * those beyond the batch on nothing, so a row's bits are the same wherever it
 * stands. Contraction to fused multiply-adds is off (see the Makefile), so they
 * are the same on every machine too.
 */
#include "causal.h"

#include <string.h>

#include "lanes.h"

/* Channels of the state of one column. */
enum {
    COUNT = 0,
    MEAN = 1,     /* 4: of memories 3000, 150, 20; of the log domain */
    VARIANCE = 5, /* 4 */
    EWMA = 9,     /* 5: |step|, |x|, |step| (quick), zeros, x */
    FAST = 14,    /* 2: x, forgotten within 3 and 10 ticks */
    PREVIOUS = 16,
    HIGH = 17,
    LOW = 18,
    QUANTILE = 19, /* 3: .95, .5, .05 */
    FLAT = 22
};

/* Channels of the state of one column with seasons. */
enum { BIN = 0, SPREAD = 2, SEEN = 5 };

/* Inputs of the network that are named below. */
enum {
    IN_STEP = 4,
    IN_LEVEL = 6,
    IN_FAST = 7,
    IN_ABOVE = 9,
    IN_EXTREME = 11,
    IN_FLAT = 12,
    IN_AGE = 13,
    IN_VOLATILITY = 14,
    IN_ZERO = 15,
    IN_ZEROS = 16,
    IN_SEASONS = 17
};

/* One column of LANES rows. */
struct work {
    float *state[LANES]; /* where a row's is; of all columns */
    lanes x, seen;       /* seen: 1 or 0; x is 0 where it is not */
    lanes old[CAUSAL_COLUMN], new[CAUSAL_COLUMN];
    lanes bins[CAUSAL_SEASONS], kept[CAUSAL_SEASON];
    lanes inputs[CAUSAL_INPUTS], facts[CAUSAL_FACTS];
    lanes candidates[CAUSAL_CANDIDATES], scale, novelty;

    lanes begun, warm; /* any value before; more than 30 */
    lanes level[6];    /* previous, highest, lowest, quantiles */
    lanes rate[11];    /* of mean and variance, of ewma, of fast */
    lanes least, reach, extent, stride, step, moved;
    lanes spread[4], distance[4], width[2];
};

/* ------------------------------------------------------------ in and out */

/* Lanes beyond the rows read the first row's state, and nothing of theirs is
 * stored. */
STAGE place(struct work *w, const struct causal_step *in, size_t row,
            unsigned rows)
{
    size_t S = causal_state(in->columns, in->season_columns);

    EACH(i)
    {
        size_t at = i < rows ? row + i : row;

        w->state[i] = in->state + (in->slots != NULL ? in->slots[at] : at) * S;
    }
}

STAGE load(struct work *w, const struct causal_step *in, size_t row,
           unsigned rows, unsigned f)
{
    size_t F = in->columns;

    EACH(i)
    {
        float x = i < rows ? in->x[(row + i) * F + f] : NAN;

        w->seen[i] = x - x == 0.f ? 1.f : 0.f;
        w->x[i] = x - x == 0.f ? between(x, -1e15f, 1e15f) : 0.f;
    }
    for (unsigned c = 0; c < CAUSAL_COLUMN; c++) {
        EACH(i)
        {
            w->old[c][i] = w->state[i][c * F + f];
        }
    }
}

STAGE load_seasons(struct work *w, const struct causal_step *in, size_t row,
                   unsigned rows, unsigned f)
{
    size_t Q = in->season_columns, kept = in->columns * CAUSAL_COLUMN + f;
    const float *bins = in->season + row * CAUSAL_SEASONS * Q + f;

    EACH(i)
    {
        for (unsigned c = 0; c < CAUSAL_SEASONS; c++) {
            float x = i < rows ? bins[(i * CAUSAL_SEASONS + c) * Q] : NAN;

            w->bins[c][i] = x - x == 0.f ? between(x, -1e15f, 1e15f) : NAN;
        }
        for (unsigned c = 0; c < CAUSAL_SEASON; c++) {
            w->kept[c][i] = w->state[i][kept + c * Q];
        }
    }
}

STAGE store_state(const struct work *w, const struct causal_step *in,
                  unsigned rows, unsigned f)
{
    size_t F = in->columns, Q = in->season_columns;
    size_t kept = F * CAUSAL_COLUMN + f;

    for (unsigned i = 0; i < rows; i++) {
        float *s = w->state[i];

        for (unsigned c = 0; c < CAUSAL_COLUMN; c++) {
            s[c * F + f] = w->seen[i] > 0.f ? w->new[c][i] : w->old[c][i];
        }
        for (unsigned c = 0; f < Q && c < CAUSAL_SEASON; c++) {
            s[kept + c * Q] = w->kept[c][i];
        }
    }
}

STAGE store_channels(float *to, const lanes *from, unsigned channels,
                     size_t stride, unsigned rows)
{
    for (unsigned c = 0; c < channels; c++) {
        memcpy(to + c * stride, from[c],
               rows == LANES ? sizeof(lanes) : rows * sizeof(float));
    }
}

STAGE store(const struct work *w, const struct causal_step *out, size_t row,
            unsigned rows, unsigned f)
{
    size_t at = f * out->batch + row, stride = out->columns * out->batch;

    store_channels(out->inputs + at, w->inputs, CAUSAL_INPUTS, stride, rows);
    store_channels(out->novelty + at, &w->novelty, 1, stride, rows);
    if (out->facts == NULL) {
        return;
    }
    store_channels(out->facts + at, w->facts, CAUSAL_FACTS, stride, rows);
    store_channels(out->candidates + at, w->candidates, CAUSAL_CANDIDATES,
                   stride, rows);
    store_channels(out->scale + at, &w->scale, 1, stride, rows);
    store_channels(out->lowest + at, &w->old[LOW], 1, stride, rows);
}

/* ---------------------------------------------------------- one column */

/* Where the column stands before this value. */
STAGE begin(struct work *w, float floor)
{
    static const float memories[11] = {3000,  150, 20,   3000, 500, 1000,
                                       6.67f, 300, 1000, 3,    10};
    static const float log_floor[4] = {0, 0, 0, .02f};

    EACH(i)
    {
        float n = w->old[COUNT][i];
        float reach, least;

        w->begun[i] = n > 0.f ? 1.f : 0.f;
        w->warm[i] = n > 30.f ? 1.f : 0.f;
        for (unsigned c = 0; c < 6; c++) {
            w->level[c][i] = n > 0.f ? w->old[PREVIOUS + c][i] : w->x[i];
        }
        for (unsigned c = 0; c < 11; c++) {
            w->rate[c][i] = larger(1.f / (n + 1.f), 1.f / memories[c]);
        }
        reach = w->level[1][i] - w->level[2][i];
        least = larger(reach * 1e-3f, fabsf(w->old[MEAN][i]) * 1e-5f) + floor;
        w->least[i] = least;
        w->reach[i] = larger(reach, least);
        for (unsigned c = 0; c < 4; c++) {
            w->spread[c][i] = larger(sqrtf(w->old[VARIANCE + c][i]),
                                     c < 3 ? least : log_floor[c]);
        }
        w->extent[i] =
            (n > 0.f ? w->old[EWMA + 1][i] : fabsf(w->x[i])) * .2f + least;
        w->stride[i] = larger(w->old[EWMA][i], least * .3f);
        w->step[i] = w->x[i] - w->level[0][i];
        w->moved[i] = fabsf(w->step[i]);
        w->width[0][i] = w->level[3][i] - w->level[4][i];
        w->width[1][i] = w->level[4][i] - w->level[5][i];
    }
}

/* Distances from means and quantiles, and steps. */
STAGE distances(struct work *w)
{
    EACH(i)
    {
        float x = w->x[i], wide = w->spread[0][i], short_ = w->old[MEAN + 1][i];
        float above = x - w->level[4][i];

        for (unsigned c = 0; c < 3; c++) {
            w->distance[c][i] = x - w->old[MEAN + c][i];
        }
        w->distance[3][i] = asinh_of(x / w->extent[i]) - w->old[MEAN + 3][i];
        for (unsigned c = 0; c < 4; c++) {
            w->inputs[c][i] = w->distance[c][i] / w->spread[c][i];
        }
        w->inputs[IN_STEP][i] = w->step[i] / w->stride[i] * (1.f / 1.5f);
        w->inputs[IN_STEP + 1][i] = w->step[i] / wide;
        w->inputs[IN_LEVEL][i] = (w->old[MEAN + 2][i] - w->old[MEAN][i]) / wide;
        for (unsigned c = 0; c < 2; c++) {
            float fast = w->old[FAST + c][i];

            fast += (x - fast) * w->rate[9 + c][i];
            w->new[FAST + c][i] = fast;
            w->inputs[IN_FAST + c][i] =
                (fast - short_) / w->spread[1][i] * (c == 0 ? 2.24f : 4.36f);
        }
        w->inputs[IN_ABOVE][i] =
            larger(above, 0.f) / larger(w->width[0][i], w->least[i]);
        w->inputs[IN_ABOVE + 1][i] =
            larger(-above, 0.f) / larger(w->width[1][i], w->least[i]);
    }
}

/* Beyond what was ever seen; stillness; age; volatility; zeros. */
STAGE extremes(struct work *w)
{
    EACH(i)
    {
        float n = w->old[COUNT][i], x = w->x[i], tenth = w->least[i] * .1f;
        float beyond =
            (x - between(x, w->level[2][i], w->level[1][i])) / w->reach[i];
        float flat = w->moved[i] == 0.f ? w->old[FLAT][i] + 1.f : 0.f;
        float side = beyond > 0.f ? 1.f : beyond < 0.f ? -1.f : 0.f;
        float log_ratio =
            logarithm((w->old[EWMA + 2][i] + tenth) / (w->stride[i] + tenth));

        w->inputs[IN_EXTREME][i] =
            (logarithm(1.f + fabsf(beyond) * 8.f) + .2f) * side *
            between(n - 19.f, 0.f, 1.f);
        w->inputs[IN_FLAT][i] = logarithm(1.f + flat) * .25f;
        w->inputs[IN_AGE][i] = logarithm(1.f + n) * .125f;
        w->inputs[IN_VOLATILITY][i] = between(log_ratio, -3.f, 3.f);
        w->inputs[IN_ZERO][i] = x == 0.f ? 1.f : 0.f;
        w->inputs[IN_ZEROS][i] = w->old[EWMA + 3][i];
        w->novelty[i] = beyond * between(n - 99.f, 0.f, 1.f);
        w->new[FLAT][i] = flat;
    }
}

/* Means and variances: once warm, by a value cut off at five spreads. */
STAGE advance_means(struct work *w)
{
    for (unsigned c = 0; c < 4; c++) {
        EACH(i)
        {
            float cut = between(w->inputs[c][i], -5.f, 5.f) * w->spread[c][i];
            float move = w->warm[i] > 0.f ? cut : w->distance[c][i];
            float rate = w->rate[c][i], moving = rate * move;
            float variance = w->old[VARIANCE + c][i] + moving * move;

            w->new[MEAN + c][i] = w->old[MEAN + c][i] + moving;
            w->new[VARIANCE + c][i] = larger(variance * (1.f - rate), 1e-30f);
        }
    }
}

STAGE advance_averages(struct work *w)
{
    static const float caps[3] = {6, 25, 8};

    EACH(i)
    {
        float taken[5] = {w->moved[i], fabsf(w->x[i]), w->moved[i],
                          w->x[i] == 0.f ? 1.f : 0.f, w->x[i]};
        float unit[3] = {w->stride[i], w->extent[i], w->stride[i]};

        for (unsigned c = 0; c < 5; c++) {
            float old = w->old[EWMA + c][i], value = taken[c];

            if (c < 3) {
                value = smaller(value,
                                w->warm[i] > 0.f ? unit[c] * caps[c] : 1e30f);
            }
            w->new[EWMA + c][i] = old + (value - old) * w->rate[4 + c][i];
        }
    }
}

STAGE advance_levels(struct work *w)
{
    static const float aim[3] = {.95f, .5f, .05f};

    EACH(i)
    {
        float n = w->old[COUNT][i], x = w->x[i];
        float middle = w->new[EWMA + 4][i];
        float high = w->level[1][i], low = w->level[2][i];
        float pace = larger(w->rate[0][i] * 4.f, .02f) * w->spread[0][i];
        float first[3] = {larger(w->level[3][i], x), w->new[MEAN][i],
                          smaller(w->level[5][i], x)};

        w->new[COUNT][i] = n + 1.f;
        w->new[PREVIOUS][i] = x;
        w->new[HIGH][i] = larger(high + 1e-4f * (middle - high), x);
        w->new[LOW][i] = smaller(low + 1e-4f * (middle - low), x);
        for (unsigned c = 0; c < 3; c++) {
            float q = w->level[3 + c][i];
            float later = q + (aim[c] - (x <= q ? 1.f : 0.f)) * pace;

            w->new[QUANTILE + c][i] = n < 20.f ? first[c] : later;
        }
    }
}

/* ------------------------------------------------- the same times of days */

/* Of one and the same lane: day, week, and the median of up to four days. */
struct days {
    float centre[3], upper[3], lower[3];
};

static inline __attribute__((always_inline)) struct days
days_of(const struct work *w, unsigned i)
{
    struct days d;
    float count = 0.f, sum = 0.f, ends;

    for (unsigned k = 0; k < 2; k++) {
        float at = w->bins[2 + k][i], ahead = w->bins[k][i];

        d.centre[k] = at;
        d.upper[k] = larger_there(larger_there(at, ahead), w->kept[BIN + k][i]);
        d.lower[k] =
            smaller_there(smaller_there(at, ahead), w->kept[BIN + k][i]);
    }
    d.upper[2] = d.lower[2] = NAN;
    for (unsigned k = 2; k < CAUSAL_SEASONS; k++) {
        float day = w->bins[k][i];

        count += day == day ? 1.f : 0.f;
        sum += day == day ? day : 0.f;
        d.upper[2] = larger_there(d.upper[2], day);
        d.lower[2] = smaller_there(d.lower[2], day);
    }
    ends = (d.upper[2] + d.lower[2]) * between(count - 2.f, 0.f, 1.f);
    d.centre[2] = count > 1.f && d.centre[0] == d.centre[0]
                      ? (sum - ends) / (fabsf(count - 3.f) + 1.f)
                      : NAN;
    return d;
}

STAGE seasonal(struct work *w)
{
    EACH(i)
    {
        struct days d = days_of(w, i);
        float x = w->x[i], behind = w->kept[BIN][i], day = d.centre[0];
        float was = behind == behind ? behind : day;
        float scales[3], lives[3];

        for (unsigned k = 0; k < 3; k++) {
            float spread = w->kept[SPREAD + k][i];
            float times = w->kept[SEEN + k][i];
            float gap = x - d.centre[k], far = fabsf(gap);
            float out = x - between(x, d.lower[k], d.upper[k]);
            int there = d.centre[k] == d.centre[k] && w->seen[i] > 0.f;
            int live = there && times >= 5.f;
            float pull = larger(1.f / (times + 1.f), 1.f / 800.f);
            float cut = smaller(far, spread * 6.f + w->least[i]);

            scales[k] = larger(spread, w->least[i]);
            lives[k] = live ? 1.f : 0.f;
            w->inputs[IN_SEASONS + k][i] =
                live ? squash(gap / scales[k] * (1.f / 1.3f)) : 0.f;
            w->inputs[IN_SEASONS + 3 + k][i] =
                live ? squash(out / scales[k]) : 0.f;
            w->inputs[IN_SEASONS + 8 + k][i] = lives[k];
            w->candidates[2 + k][i] = live ? d.centre[k] : NAN;
            far = times >= 10.f ? cut : far;
            w->kept[SPREAD + k][i] =
                there ? spread + (far - spread) * pull : spread;
            w->kept[SEEN + k][i] = there ? times + 1.f : times;
        }
        w->inputs[IN_SEASONS + 6][i] =
            lives[0] > 0.f ? squash((day - w->old[MEAN][i]) / w->spread[0][i])
                           : 0.f;
        w->inputs[IN_SEASONS + 7][i] =
            lives[0] > 0.f ? squash((w->step[i] - (day - was)) / scales[0])
                           : 0.f;
        w->kept[BIN][i] = d.centre[0];
        w->kept[BIN + 1][i] = d.centre[1];
    }
}

STAGE without_seasons(struct work *w)
{
    EACH(i)
    {
        for (unsigned c = IN_SEASONS; c < CAUSAL_INPUTS; c++) {
            w->inputs[c][i] = 0.f;
        }
        for (unsigned c = 2; c < CAUSAL_CANDIDATES; c++) {
            w->candidates[c][i] = NAN;
        }
    }
}

/* -------------------------------------------------------------- results */

/* What the band is made from: nothing of this tick's value. */
STAGE facts(struct work *w)
{
    EACH(i)
    {
        float n = w->old[COUNT][i], mean = w->old[MEAN][i];
        float size = fabsf(mean), begun = between(n, 0.f, 1.f);
        float scale = (size + w->least[i]) / (n + 1.f) +
                      larger(w->spread[0][i], w->spread[1][i]);
        float told[CAUSAL_FACTS];

        w->candidates[0][i] = mean;
        w->candidates[1][i] = w->old[MEAN + 1][i];
        told[0] = (w->old[MEAN + 2][i] - mean) / scale;
        told[1] = (w->candidates[1][i] - mean) / scale;
        for (unsigned k = 0; k < 3; k++) {
            float centre = w->candidates[2 + k][i];

            told[2 + k] = centre == centre ? (centre - mean) / scale : 0.f;
            told[7 + k] = centre == centre ? 1.f : 0.f;
        }
        told[5] = w->width[0][i] / scale;
        told[6] = w->width[1][i] / scale;
        told[10] = w->inputs[IN_AGE][i];
        told[11] = w->spread[1][i] / scale;
        told[12] = scale / (size + scale);
        told[13] = w->old[EWMA + 3][i];
        for (unsigned c = 0; c < CAUSAL_FACTS; c++) {
            w->facts[c][i] = between(told[c], -4.f, 4.f) * begun;
        }
        w->scale[i] = scale;
    }
}

STAGE finish_inputs(struct work *w)
{
    for (unsigned c = 0; c < IN_EXTREME; c++) {
        EACH(i)
        {
            w->inputs[c][i] = squash(w->inputs[c][i]);
        }
    }
    for (unsigned c = 0; c < CAUSAL_INPUTS; c++) {
        EACH(i)
        {
            float told = between(w->old[COUNT][i], 0.f, 1.f) * w->seen[i];

            w->inputs[c][i] = between(w->inputs[c][i], -8.f, 8.f) * told;
        }
    }
}

STAGE all_columns(const struct causal_step *step, size_t row, unsigned rows)
{
    struct work w;

    place(&w, step, row, rows);
    for (unsigned f = 0; f < step->columns; f++) {
        load(&w, step, row, rows, f);
        begin(&w, step->floor[f]);
        distances(&w);
        extremes(&w);
        advance_means(&w);
        advance_averages(&w);
        advance_levels(&w);
        if (f < step->season_columns) {
            load_seasons(&w, step, row, rows, f);
            seasonal(&w);
        } else {
            without_seasons(&w);
        }
        if (step->facts != NULL) {
            facts(&w);
        }
        finish_inputs(&w);
        store_state(&w, step, rows, f);
        store(&w, step, row, rows, f);
    }
}

static void step_rows(const struct causal_step *step, size_t row, unsigned rows)
{
    all_columns(step, row, rows);
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) static void
step_rows_avx2(const struct causal_step *step, size_t row, unsigned rows)
{
    all_columns(step, row, rows);
}

#endif

size_t causal_state(unsigned columns, unsigned season_columns)
{
    return (size_t)columns * CAUSAL_COLUMN +
           (size_t)season_columns * CAUSAL_SEASON;
}

void causal_results(struct causal_step *step, float *memory, bool band)
{
    size_t area = step->columns * step->batch;

    step->inputs = memory;
    step->novelty = step->inputs + area * CAUSAL_INPUTS;
    if (!band) {
        step->facts = step->candidates = step->scale = step->lowest = NULL;
        return;
    }
    step->facts = step->novelty + area;
    step->candidates = step->facts + area * CAUSAL_FACTS;
    step->scale = step->candidates + area * CAUSAL_CANDIDATES;
    step->lowest = step->scale + area;
}

void causal_step(const struct causal_step *step)
{
    void (*some)(const struct causal_step *, size_t, unsigned) = step_rows;
    size_t row, rows;

#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        some = step_rows_avx2;
    }
#endif
    for (row = 0; row < step->batch; row += rows) {
        rows = step->batch - row < LANES ? step->batch - row : LANES;
        some(step, row, (unsigned)rows);
    }
}
