/*
 * What is measured of a series in one tick. A model names in its attribute
 * `features` those it wants, in its own order.
 *
 *     X(NAME, name, unit, kind, harm, words, help)
 *
 * kind: COUNT, SHARE (0..1), TIME (seconds), RATE, SIZE. harm: which way does
 * it hurt - UP, DOWN, NEVER (a change alone is no harm). words: what it is
 * called where people read; the page has the same.
 */
#ifndef TOCSIN_FEATURE_TABLE_H
#define TOCSIN_FEATURE_TABLE_H

#define FEATURES(X)                                                            \
    X(RATE, "rate", "1/s", RATE, DOWN, "request rate", "exchanges a second")   \
    X(ERRORS, "errors", "1", SHARE, UP, "server errors",                       \
      "share with status 5xx or no answer")                                    \
    X(CLIENT_ERRORS, "client_errors", "1", SHARE, UP, "client errors",         \
      "share with status 4xx")                                                 \
    X(LOCAL_ERRORS, "local_errors", "1", SHARE, UP, "failed attempts",         \
      "share of attempts without a whole answer: refused, timed out, reset")   \
    X(LATENCY_P50, "latency_p50", "s", TIME, UP, "median latency",             \
      "median duration")                                                       \
    X(LATENCY_P95, "latency_p95", "s", TIME, UP, "95th percentile latency",    \
      "95th percentile of duration")                                           \
    X(INFLIGHT, "inflight", "1", COUNT, UP, "requests in flight",              \
      "exchanges in flight")                                                   \
    X(OLDEST, "oldest", "s", TIME, UP, "age of the oldest request",            \
      "age of the oldest one in flight")                                       \
    X(BYTES, "bytes", "By", SIZE, NEVER, "bytes sent", "bytes sent, mean")     \
    X(CONNECT, "connect", "s", TIME, UP, "connect time",                       \
      "time to connect, mean")                                                 \
    X(HEADER, "header", "s", TIME, UP, "time to first byte",                   \
      "time to the header, median")                                            \
    X(RETRIES, "retries", "1", COUNT, UP, "retries",                           \
      "attempts beyond the first, mean")                                       \
    X(CACHE_HITS, "cache_hits", "1", SHARE, DOWN, "cache hits",                \
      "share served by the cache")

enum feature {
#define X(NAME, name, unit, kind, harm, words, help) FEATURE_##NAME,
    FEATURES(X)
#undef X
        FEATURE_COUNT
};

enum feature_kind { KIND_COUNT, KIND_SHARE, KIND_TIME, KIND_RATE, KIND_SIZE };
enum feature_harm { HARM_UP, HARM_DOWN, HARM_NEVER };

struct feature_row {
    const char *name, *unit, *words, *help;
    enum feature_kind kind;
    enum feature_harm harm;
};

extern const struct feature_row feature_table[FEATURE_COUNT];

/* FEATURE_COUNT if no feature has that name. */
enum feature feature_by_name(const char *name);

#endif
