/*
 * How large a change must be before it is worth waking anybody, however
 * certain it is; and how each feature is looked at.
 *
 *     SHARE   bad events out of events: Poisson statistics against the usual
 *             share; harm is more than add above it and times of it
 *     LEVEL   logarithm of value + floor against its usual level and spread
 *     STREAM  events themselves: only falling silent counts (silence.h)
 *     IGNORE  a change alone is no harm
 */
#ifndef TOCSIN_EFFECT_H
#define TOCSIN_EFFECT_H

#include "../base/feature_table.h"

enum effect_style { EFFECT_SHARE, EFFECT_LEVEL, EFFECT_STREAM, EFFECT_IGNORE };

/*
 *     X(FEATURE, style, add, times, floor, spread)
 *
 * add, floor in the unit of the feature. SHARE: floor is the share expected
 * of a series that nothing is known of, spread has no meaning. LEVEL: spread
 * is the deviation of the logarithm that is expected of such a series.
 *
 * Reasons: nobody gets up for 0.1 % errors or 2 ms; one in a hundred
 * requests failing, or half as long again for the slow ones, is felt. 4xx are
 * mostly the clients' own; a share of a tenth more is a broken deployment or
 * an attack. What is in flight and its age vary most, and matter when a peer
 * swallows requests.
 */
#define EFFECTS(X)                                                             \
    X(RATE, STREAM, 0, 1, 0, 0)                                                \
    X(ERRORS, SHARE, 0.01, 1.5, 0.002, 0)                                      \
    X(CLIENT_ERRORS, SHARE, 0.10, 2, 0.02, 0)                                  \
    X(LOCAL_ERRORS, SHARE, 0.01, 1.5, 0.002, 0)                                \
    X(LATENCY_P50, LEVEL, 0.020, 1.4, 0.001, 0.3)                              \
    X(LATENCY_P95, LEVEL, 0.030, 1.5, 0.001, 0.4)                              \
    X(INFLIGHT, LEVEL, 5, 2, 1, 0.5)                                           \
    X(OLDEST, LEVEL, 1.5, 3, 0.010, 0.8)                                       \
    X(BYTES, IGNORE, 0, 1, 0, 0)                                               \
    X(CONNECT, LEVEL, 0.030, 2, 0.001, 0.4)                                    \
    X(HEADER, LEVEL, 0.020, 1.5, 0.001, 0.3)                                   \
    X(RETRIES, SHARE, 0.05, 1.5, 0.005, 0)                                     \
    X(CACHE_HITS, SHARE, 0.20, 1.3, 0.02, 0)

/* What is counted follows the statistics of counting whatever else happens;
 * what is measured does not. So they are compared with noise of their own. */
enum effect_family { EFFECT_COUNTED, EFFECT_MEASURED, EFFECT_FAMILIES };

struct effect {
    enum effect_style style;
    double add, times, floor, spread;
};

extern const struct effect effect_table[FEATURE_COUNT];

static inline enum effect_family effect_family_of(enum feature feature)
{
    enum effect_style style = effect_table[feature].style;

    return style == EFFECT_SHARE || style == EFFECT_STREAM ? EFFECT_COUNTED
                                                           : EFFECT_MEASURED;
}

#endif
