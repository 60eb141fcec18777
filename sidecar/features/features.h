/*
 * From ticks to tensors: x now, x at the model's lags, and the bins of a
 * season ago. Not observed is NaN, never 0. The same code feeds training,
 * scoring and backtests.
 *
 * History per series: max(lags) + window ticks and one week of bins of
 * max(tick, 5 min), in half precision (`wide`: in single). A bin is the mean
 * of what was observed in it. Season p is the bin (that of the tick) -
 * seasons[p] / bin, in whole bins; it is always a complete one.
 *
 * Ticks are told by their end, so a skipped one is a gap in the history, and
 * lags and seasons count in time, not in calls. One thread.
 */
#ifndef TOCSIN_FEATURES_H
#define TOCSIN_FEATURES_H

#include "../base/buf.h"
#include "../base/err.h"
#include "../base/feature_table.h"
#include "../series/series.h"

#define FEATURES_LAGS_MAX 32
#define FEATURES_SEASONS_MAX 8
#define FEATURES_COLUMNS_MAX 32

struct features_options {
    /* From the model's description. */
    enum feature columns[FEATURES_COLUMNS_MAX];
    unsigned column_count;                  /* F */
    unsigned season_columns[2];             /* indexes into columns */
    unsigned season_column_count;           /* Q */
    unsigned lags[FEATURES_LAGS_MAX];       /* ticks */
    unsigned lag_count;                     /* K */
    uint64_t seasons[FEATURES_SEASONS_MAX]; /* us */
    unsigned season_count;                  /* P */
    uint64_t tick;                          /* us */
    uint32_t max;                           /* series */
    unsigned window; /* ticks of x kept beyond max(lags), for training */
    bool wide; /* single precision: values of unknown range, as of files */
};

struct feature_batch {
    uint64_t end, length; /* of the tick, us */
    uint32_t count;       /* B */
    unsigned column_count, lag_count, season_count, season_column_count;
    /* The arrays have room, and NaN, up to the next multiple of 64 rows. */
    const struct series_row *rows; /* [B] */
    const float *x;                /* [B][F] */
    const float *past;             /* [B][K][F] */
    const float *season;           /* [B][P][Q] */
    const enum feature *columns;   /* [F] */
};

struct features_sink {
    void *ctx;
    void (*batch)(void *ctx, const struct feature_batch *batch);
};

struct features;

struct features *features_create(const struct features_options *options,
                                 struct features_sink sink, struct err *err);
void features_destroy(struct features *features);

void features_tick(struct features *features, const struct series_tick *tick);

/* The same for values that come as they are: x [count][F]. */
void features_values(struct features *features, const struct series_tick *tick,
                     const float *x);
void features_leave(struct features *features, const struct identity *who);

/* One aggregate -> the value of one feature; rate is in weighted events a
 * second. */
float feature_value(const struct aggregate *aggregate, enum feature feature,
                    uint64_t length, bool of_requests);

/* Last `count` values of a column, oldest first, NaN where there is none;
 * returns how many were written: fewer if the series is younger or the history
 * shorter. For sparklines and evidence. */
unsigned features_recent(const struct features *features, uint32_t slot,
                         unsigned column, unsigned count, float *values);

/*
 * A training window of T ticks of one series that ended `ago` ticks ago:
 * x [T][F], past [T][K][F], season [T][P][Q]. 0, or -1 when the history does
 * not reach back far enough or the series is younger than the window.
 */
int features_window(const struct features *features, uint32_t slot,
                    unsigned ago, unsigned T, float *x, float *past,
                    float *season);

/* Restoring replaces everything, and wants the options that the history was
 * saved with, but for max. On failure the history is empty. */
void features_save(const struct features *features, struct buf *to);
int features_restore(struct features *features, struct cursor *from,
                     struct err *err);

#endif
