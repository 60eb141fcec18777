/*
 * What a tick costs, room by room: score MODEL [SERIES [TICKS]].
 *
 * Every series counts one event a tick; then the tick is closed and goes
 * through features, scorer, detect and alert, as in the sidecar, on one
 * thread. Printed are shares of one core at ticks of 1 s (CPU time), and the
 * peak of memory in bytes, one "name value" a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "sidecar/alert/alert.h"
#include "sidecar/base/clock.h"
#include "sidecar/detect/detect.h"
#include "sidecar/features/features.h"
#include "sidecar/model/scorer.h"

#define TICK 1000000u
#define START 1700000000000u /* ms */
#define WARM 5               /* ticks that are not measured */

enum stage { EVENTS, CLOSE, FEATURES, SCORE, DETECT, ALERT, STAGES };

static const char *const names[STAGES] = {"events", "close",  "features",
                                          "score",  "detect", "alert"};

/* CPU time of each room without the rooms behind it, us. */
static uint64_t spent[STAGES];
static enum stage now_in;
static uint64_t since;

static struct features *features;
static struct scorer *scorer;
static struct detect *detect;
static struct alerts *alerts;

static enum stage enter(enum stage stage)
{
    enum stage before = now_in;
    uint64_t now = clock_thread_cpu();

    spent[before] += now - since;
    since = now;
    now_in = stage;
    return before;
}

static void fail(const struct err *err)
{
    fprintf(stderr, "score: %s\n", err->message);
    exit(1);
}

static void on_alert(void *ctx, const struct tocsin_alert *alert)
{
    (void)ctx;
    (void)alert;
}

static void on_verdicts(void *ctx, const struct verdict_batch *batch)
{
    enum stage before = enter(ALERT);

    (void)ctx;
    alerts_batch(alerts, batch);
    enter(before);
}

static void on_scored(void *ctx, const struct scored_batch *batch)
{
    enum stage before = enter(DETECT);

    (void)ctx;
    detect_batch(detect, batch);
    enter(before);
}

static void on_batch(void *ctx, const struct feature_batch *batch)
{
    enum stage before = enter(SCORE);
    struct err err;

    (void)ctx;
    if (scorer_batch(scorer, batch, &err) != 0) {
        fail(&err);
    }
    enter(before);
}

static void on_tick(void *ctx, const struct series_tick *tick)
{
    enum stage before = enter(FEATURES);

    (void)ctx;
    features_tick(features, tick);
    enter(before);
}

static void on_leave(void *ctx, const struct identity *identity)
{
    (void)ctx;
    (void)identity;
}

static unsigned recent(void *ctx, uint32_t slot, unsigned column,
                       unsigned count, float *values)
{
    (void)ctx;
    return features_recent(features, slot, column, count, values);
}

static void make_features(const struct model_shape *shape, uint32_t max)
{
    struct features_options options = {
        .column_count = shape->feature_count,
        .season_column_count = shape->season_feature_count,
        .lag_count = shape->lag_count,
        .season_count = shape->season_count,
        .tick = TICK,
        .max = max,
        .window = 256,
    };
    struct features_sink sink = {NULL, on_batch};
    struct err err;

    for (unsigned i = 0; i < shape->feature_count; i++) {
        options.columns[i] = feature_by_name(shape->features[i]);
        for (unsigned j = 0; j < shape->season_feature_count; j++) {
            if (strcmp(shape->features[i], shape->season_features[j]) == 0) {
                options.season_columns[j] = i;
            }
        }
    }
    for (unsigned i = 0; i < shape->lag_count; i++) {
        options.lags[i] = shape->lags[i];
    }
    for (unsigned i = 0; i < shape->season_count; i++) {
        options.seasons[i] = shape->seasons[i] * CLOCK_SECOND;
    }
    features = features_create(&options, sink, &err);
    if (features == NULL) {
        fail(&err);
    }
}

static void make_rooms(const char *path, uint32_t max)
{
    struct detect_options judge = {
        .false_alarms_per_day = 1,
        .min_requests_per_minute = 20,
        .clear = 10,
        .tick = TICK,
        .max = max,
    };
    struct scorer_options scoring = {.max = max};
    struct alert_options tell = {.tick = TICK, .max = max};
    struct err err;
    struct model *model = model_load(path, &err);
    const struct model_shape *shape;

    if (model == NULL) {
        fail(&err);
    }
    model_threads(1);
    shape = model_describe(model);
    make_features(shape, max);
    scoring.columns = shape->feature_count;
    scorer = scorer_create(model, &scoring,
                           (struct scorer_sink){NULL, on_scored}, &err);
    detect = detect_create(&judge, shape,
                           (struct detect_sink){NULL, on_verdicts}, &err);
    alerts = alerts_create(&tell, (struct alert_history){NULL, recent},
                           (struct alert_sink){NULL, on_alert}, &err);
    if (scorer == NULL || detect == NULL || alerts == NULL) {
        fail(&err);
    }
}

static struct series *make_series(uint32_t max)
{
    struct series_options options = {
        .sets = {{"server", "route"}},
        .set_sizes = {2},
        .set_count = 1,
        .tick = TICK,
        .lateness = TICK / 2,
        .idle = 3600u * (uint64_t)TICK,
        .max = max,
    };
    struct err err;
    struct series *series = series_create(
        &options, (struct series_sink){NULL, on_tick, on_leave}, &err);

    if (series == NULL) {
        fail(&err);
    }
    return series;
}

static void run_tick(struct series *series, uint32_t max, unsigned tick)
{
    char route[32];
    struct tocsin_event ev;

    now_in = EVENTS;
    since = clock_thread_cpu();
    for (uint32_t i = 0; i < max; i++) {
        tocsin_event_init(&ev, TOCSIN_REQUEST);
        snprintf(route, sizeof(route), "/%u", i);
        ev.server = TOCSIN_SPAN("s");
        ev.route = tocsin_span_str(route);
        ev.status = 200;
        ev.seq = (uint64_t)tick * max + i;
        ev.dur = 1000 + (i * 2654435761u + tick * 40503u) % 4000;
        ev.ts = (START + (uint64_t)tick * 1000) * 1000;
        series_event(series, &ev, START + (uint64_t)tick * 1000 + 500);
    }
    enter(CLOSE);
    series_time(series, START + (uint64_t)tick * 1000 + 1500);
    enter(EVENTS);
}

int main(int argc, char **argv)
{
    uint32_t max = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10000;
    unsigned ticks = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 30;
    struct rusage usage;
    struct series *series;
    double total = 0;

    if (argc < 2 || max == 0 || ticks == 0) {
        fputs("usage: score MODEL [SERIES [TICKS]]\n", stderr);
        return 2;
    }
    make_rooms(argv[1], max);
    series = make_series(max);
    for (unsigned tick = 0; tick < ticks + WARM; tick++) {
        if (tick == WARM) {
            memset(spent, 0, sizeof(spent));
        }
        run_tick(series, max, tick);
    }
    for (unsigned stage = 0; stage < STAGES; stage++) {
        double share = (double)spent[stage] / ticks / TICK;

        printf("%s %.5f\n", names[stage], share);
        total += stage == EVENTS ? 0 : share;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("tick %.5f\nmemory %.0f\n", total, (double)usage.ru_maxrss * 1024);
    series_destroy(series);
    alerts_destroy(alerts);
    detect_destroy(detect);
    scorer_destroy(scorer);
    features_destroy(features);
    return 0;
}
