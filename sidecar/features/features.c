/*
 * The features room: takes ticks from the series room (or plain values from a
 * backtest), keeps what the model may want to look back at, and hands on one
 * batch a tick.
 *
 * What must stay true: a batch depends on this tick and earlier ones alone;
 * a slot's new series never sees what its old one left behind (everything
 * before its birth is NaN); and a window for training is what scoring saw, up
 * to the precision of the history.
 *
 * Ticks are numbered by end / length and bins by start of the tick / bin. A
 * bin is stored when the first tick behind it comes, so what is stored is
 * complete.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "room.h"

#define BIN_MIN 300000000u /* us: 5 min */
#define WEEK 604800000000u /* us */
#define BATCH_MULTIPLE 64

/* Powers of two that bring a feature into the range of a half. */
static float scale_of(enum feature feature)
{
    if (feature >= FEATURE_COUNT) {
        return 1.0f;
    }
    switch (feature_table[feature].kind) {
    case KIND_TIME:
        return 16.0f; /* 4 us to 68 min */
    case KIND_RATE:
        return 1.0f / 16.0f; /* to a million a second */
    case KIND_SIZE:
        return 1.0f / 65536.0f; /* 4 bytes to 4 GB */
    case KIND_COUNT:
    case KIND_SHARE:
        break;
    }
    return 1.0f;
}

static unsigned longest_lag(const struct features_options *options)
{
    unsigned longest = 0;

    for (unsigned i = 0; i < options->lag_count; i++) {
        longest = options->lags[i] > longest ? options->lags[i] : longest;
    }
    return longest;
}

static int check_options(const struct features_options *options,
                         struct err *err)
{
    if (options->column_count == 0 ||
        options->column_count > FEATURES_COLUMNS_MAX ||
        options->lag_count > FEATURES_LAGS_MAX ||
        options->season_count > FEATURES_SEASONS_MAX ||
        options->season_column_count > 2 || options->tick == 0 ||
        options->max == 0) {
        return err_set(err, ERR_USAGE,
                       "features: %u columns, %u lags, %u seasons of %u "
                       "columns: expected at most %d, %d, %d of 2",
                       options->column_count, options->lag_count,
                       options->season_count, options->season_column_count,
                       FEATURES_COLUMNS_MAX, FEATURES_LAGS_MAX,
                       FEATURES_SEASONS_MAX);
    }
    for (unsigned i = 0; i < options->season_column_count; i++) {
        if (options->season_columns[i] >= options->column_count) {
            return err_set(err, ERR_USAGE, "features: season of column %u",
                           options->season_columns[i]);
        }
    }
    for (unsigned i = 0; i < options->season_count; i++) {
        if (options->seasons[i] > WEEK) {
            return err_set(err, ERR_USAGE,
                           "features: a season of %llu s: expected at most a "
                           "week",
                           (unsigned long long)options->seasons[i] / 1000000);
        }
    }
    return 0;
}

static int init_stores(struct features *features, struct err *err)
{
    const struct features_options *options = &features->options;
    float scale[FEATURES_COLUMNS_MAX], season_scale[2] = {1.0f, 1.0f};
    uint64_t bins = WEEK / features->bin + 1;

    for (unsigned i = 0; i < options->column_count; i++) {
        scale[i] = scale_of(options->columns[i]);
    }
    for (unsigned i = 0; i < options->season_column_count; i++) {
        season_scale[i] = scale[options->season_columns[i]];
    }
    if (options->season_count == 0 || options->season_column_count == 0) {
        bins = 1;
    }
    if (store_init(&features->ticks, options->max,
                   longest_lag(options) + options->window + 1,
                   options->column_count, options->wide, scale, err) != 0) {
        return -1;
    }
    return store_init(&features->bins, options->max, (unsigned)bins,
                      options->season_column_count, options->wide, season_scale,
                      err);
}

static float *new_floats(size_t rows, size_t width)
{
    return calloc(rows * width + 1, sizeof(float));
}

static int init(struct features *features, struct err *err)
{
    const struct features_options *options = &features->options;
    size_t rows = ((size_t)options->max + BATCH_MULTIPLE - 1) / BATCH_MULTIPLE *
                  BATCH_MULTIPLE;
    size_t width = options->column_count;

    if (check_options(options, err) != 0) {
        return -1;
    }
    features->bin = options->tick > BIN_MIN ? options->tick : BIN_MIN;
    if (init_stores(features, err) != 0) {
        return -1;
    }
    features->who = calloc(options->max, sizeof(*features->who));
    features->x = new_floats(rows, width);
    features->past = new_floats(rows, width * options->lag_count);
    features->season = new_floats(rows, (size_t)options->season_count *
                                            options->season_column_count);
    if (features->who == NULL || features->x == NULL ||
        features->past == NULL || features->season == NULL) {
        return err_set(err, ERR_SYSTEM, "no memory for features of %u series",
                       options->max);
    }
    features->high = options->max; /* who[] is still zero */
    features_clear(features);
    return 0;
}

struct features *features_create(const struct features_options *options,
                                 struct features_sink sink, struct err *err)
{
    struct features *features = calloc(1, sizeof(*features));

    if (features == NULL) {
        err_set(err, ERR_SYSTEM, "out of memory");
        return NULL;
    }
    features->options = *options;
    features->sink = sink;
    if (init(features, err) != 0) {
        features_destroy(features);
        return NULL;
    }
    return features;
}

void features_destroy(struct features *features)
{
    if (features == NULL) {
        return;
    }
    store_release(&features->ticks);
    store_release(&features->bins);
    free(features->who);
    free(features->x);
    free(features->past);
    free(features->season);
    free(features);
}

static void vacate(struct occupant *occupant)
{
    memset(occupant, 0, sizeof(*occupant));
    occupant->born = FEATURES_NOBODY;
}

void features_clear(struct features *features)
{
    for (uint32_t i = 0; i < features->high; i++) {
        vacate(&features->who[i]);
    }
    store_clear(&features->ticks);
    store_clear(&features->bins);
    features->high = 0;
    features->started = false;
    features->tick = features->open = 0;
}

void features_leave(struct features *features, const struct identity *who)
{
    vacate(&features->who[who->slot]);
}

/* ------------------------------------------------------------- history */

static uint64_t bin_of(const struct features *features, uint64_t tick)
{
    return (tick - 1) * features->options.tick / features->bin;
}

/* The open bin is complete: stores its means. */
static void store_bin(struct features *features)
{
    unsigned columns = features->options.season_column_count;

    if (columns == 0 || features->options.season_count == 0) {
        return;
    }
    store_open(&features->bins, features->open, features->high);
    for (uint32_t slot = 0; slot < features->high; slot++) {
        struct occupant *occupant = &features->who[slot];
        float means[2];

        if (occupant->born == FEATURES_NOBODY) {
            continue;
        }
        for (unsigned i = 0; i < columns; i++) {
            means[i] = occupant->counts[i] != 0
                           ? occupant->sums[i] / (float)occupant->counts[i]
                           : NAN;
            occupant->sums[i] = 0;
            occupant->counts[i] = 0;
        }
        store_put(&features->bins, features->open, slot, means);
    }
}

static void begin_tick(struct features *features, uint64_t tick)
{
    uint64_t bin = bin_of(features, tick);

    if (features->started && bin != features->open) {
        store_bin(features);
    }
    features->started = true;
    features->tick = tick;
    features->open = bin;
}

/* Takes in a row of values; a slot that was free begins its history here. */
static void keep(struct features *features, uint32_t slot, const float *x)
{
    const struct features_options *options = &features->options;
    struct occupant *occupant = &features->who[slot];

    if (occupant->born == FEATURES_NOBODY) {
        occupant->born = features->tick;
    }
    store_put(&features->ticks, features->tick, slot, x);
    for (unsigned i = 0; i < options->season_column_count; i++) {
        float value = x[options->season_columns[i]];

        if (!isnan(value)) {
            occupant->sums[i] += value;
            occupant->counts[i]++;
        }
    }
}

/* -------------------------------------------------------------- batches */

static void fill_nan(float *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = NAN;
    }
}

/* Copies a row's values of `width` columns for every row of the batch into
 * places `stride` floats apart. Who was not born when `first` began has none.
 */
static void spread(const struct features *features, const float *row,
                   const struct series_tick *tick, float *to, size_t width,
                   size_t stride, uint64_t id, bool of_bins)
{
    for (uint32_t i = 0; i < tick->count; i++, to += stride) {
        uint32_t slot = tick->rows[i].identity->slot;
        uint64_t born = features->who[slot].born;

        if (row == NULL || id < (of_bins ? bin_of(features, born) : born)) {
            fill_nan(to, width);
        } else {
            memcpy(to, row + slot * width, width * sizeof(*to));
        }
    }
}

static void fill_past(struct features *features, const struct series_tick *tick)
{
    const struct features_options *options = &features->options;
    size_t width = options->column_count;

    for (unsigned k = 0; k < options->lag_count; k++) {
        uint64_t id = features->tick - options->lags[k];

        spread(features,
               options->lags[k] < features->tick
                   ? store_row(&features->ticks, id, features->high)
                   : NULL,
               tick, features->past + k * width, width,
               width * options->lag_count, id, false);
    }
}

/* The bin that season p of a tick looks at, or STORE_NONE. */
static uint64_t season_bin(const struct features *features, uint64_t tick,
                           unsigned p)
{
    uint64_t bin = bin_of(features, tick);
    uint64_t ago = features->options.seasons[p] / features->bin;

    return ago != 0 && ago <= bin ? bin - ago : STORE_NONE;
}

static void fill_season(struct features *features,
                        const struct series_tick *tick)
{
    const struct features_options *options = &features->options;
    size_t width = options->season_column_count;

    for (unsigned p = 0; p < options->season_count && width != 0; p++) {
        uint64_t id = season_bin(features, features->tick, p);

        spread(features, store_row(&features->bins, id, features->high), tick,
               features->season + p * width, width,
               width * options->season_count, id, true);
    }
}

static void hand_on(struct features *features, const struct series_tick *tick)
{
    const struct features_options *options = &features->options;
    size_t pad =
        (BATCH_MULTIPLE - tick->count % BATCH_MULTIPLE) % BATCH_MULTIPLE;
    size_t width = options->column_count, past = width * options->lag_count;
    size_t season =
        (size_t)options->season_count * options->season_column_count;
    struct feature_batch batch = {
        .end = tick->end,
        .length = tick->length,
        .count = tick->count,
        .column_count = options->column_count,
        .lag_count = options->lag_count,
        .season_count = options->season_count,
        .season_column_count = options->season_column_count,
        .rows = tick->rows,
        .x = features->x,
        .past = features->past,
        .season = features->season,
        .columns = options->columns,
    };

    fill_nan(features->x + tick->count * width, pad * width);
    fill_nan(features->past + tick->count * past, pad * past);
    fill_nan(features->season + tick->count * season, pad * season);
    features->sink.batch(features->sink.ctx, &batch);
}

static void take(struct features *features, const struct series_tick *tick)
{
    size_t width = features->options.column_count;

    for (uint32_t i = 0; i < tick->count; i++) {
        uint32_t slot = tick->rows[i].identity->slot;

        features->high = slot < features->high ? features->high : slot + 1;
    }
    begin_tick(features, tick->end / tick->length);
    store_open(&features->ticks, features->tick, features->high);
    for (uint32_t i = 0; i < tick->count; i++) {
        keep(features, tick->rows[i].identity->slot, features->x + i * width);
    }
    fill_past(features, tick);
    fill_season(features, tick);
    hand_on(features, tick);
}

void features_tick(struct features *features, const struct series_tick *tick)
{
    const struct features_options *options = &features->options;
    float *x = features->x;

    for (uint32_t i = 0; i < tick->count; i++) {
        const struct series_row *row = &tick->rows[i];

        for (unsigned k = 0; k < options->column_count; k++) {
            *x++ = feature_value(row->aggregate, options->columns[k],
                                 tick->length, row->identity->of_requests);
        }
    }
    take(features, tick);
}

void features_values(struct features *features, const struct series_tick *tick,
                     const float *x)
{
    memcpy(features->x, x,
           tick->count * features->options.column_count * sizeof(*x));
    take(features, tick);
}

/* --------------------------------------------------------- looking back */

static bool born_by(const struct features *features, uint32_t slot,
                    uint64_t tick)
{
    return slot < features->high &&
           features->who[slot].born != FEATURES_NOBODY &&
           features->who[slot].born <= tick;
}

unsigned features_recent(const struct features *features, uint32_t slot,
                         unsigned column, unsigned count, float *values)
{
    uint64_t age;

    if (column >= features->options.column_count ||
        !born_by(features, slot, features->tick)) {
        return 0;
    }
    age = features->tick - features->who[slot].born + 1;
    count = count < features->ticks.rows ? count : features->ticks.rows;
    count = count < age ? count : (unsigned)age;
    for (unsigned i = 0; i < count; i++) {
        values[i] = store_get(&features->ticks,
                              features->tick - (count - 1 - i), slot, column);
    }
    return count;
}

static void window_tick(const struct features *features, uint32_t slot,
                        uint64_t tick, float *x, float *past, float *season)
{
    const struct features_options *options = &features->options;
    uint64_t born = features->who[slot].born;

    for (unsigned f = 0; f < options->column_count; f++) {
        x[f] = store_get(&features->ticks, tick, slot, f);
        for (unsigned k = 0; k < options->lag_count; k++) {
            uint64_t id = tick - options->lags[k];

            past[k * options->column_count + f] =
                options->lags[k] < tick && id >= born
                    ? store_get(&features->ticks, id, slot, f)
                    : NAN;
        }
    }
    for (unsigned p = 0; p < options->season_count; p++) {
        uint64_t id = season_bin(features, tick, p);

        for (unsigned q = 0; q < options->season_column_count; q++) {
            season[p * options->season_column_count + q] =
                id >= bin_of(features, born)
                    ? store_get(&features->bins, id, slot, q)
                    : NAN;
        }
    }
}

int features_window(const struct features *features, uint32_t slot,
                    unsigned ago, unsigned T, float *x, float *past,
                    float *season)
{
    const struct features_options *options = &features->options;
    uint64_t reach = (uint64_t)ago + T + longest_lag(options), first;

    if (T == 0 || reach > features->ticks.rows || reach > features->tick) {
        return -1;
    }
    first = features->tick - ago - (T - 1);
    if (!born_by(features, slot, first)) {
        return -1;
    }
    for (unsigned t = 0; t < T; t++) {
        window_tick(features, slot, first + t, x, past, season);
        x += options->column_count;
        past += (size_t)options->lag_count * options->column_count;
        season += (size_t)options->season_count * options->season_column_count;
    }
    return 0;
}
