/*
 * Wiring. Each room gets an options struct made from the configuration and
 * the model's description, and the function that takes its output:
 *
 *     intake --event, time--> series --tick--> features --batch--> scorer
 *         --scored--> detect --verdicts--> alerts --changed--> the caller
 *
 * Everything behind intake runs in the thread that polls, within the call of
 * the event that closes a tick, so the state of all rooms between two polls is
 * that of one position in the streams: what a checkpoint needs. A challenger
 * that won is swapped in after the tick it was taken at, never within it.
 */
#include "pipeline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../alert/alert.h"
#include "../base/checkpoint.h"
#include "../base/clock.h"
#include "../base/log.h"
#include "../model/scorer.h"
#include "command.h"
#include "serving.h"
#include "shared/names.h"

#define ROOM "run"
#define SPARK_WINDOW 60 /* ticks that alerts and the board show */

struct pipeline {
    struct config config;
    struct pipeline_sink sink;
    struct intake *intake;
    struct series *series;
    struct features *features;
    struct scorer *scorer;
    struct detect *detect;
    struct alerts *alerts;
    struct learner *learner; /* NULL where model.train is false */
    struct serving serving;
    struct err failure;
    struct buf fingerprint; /* what a checkpoint must have been made with */
};

/* --------------------------------------------------------- between the rooms
 */

static void on_event(void *ctx, const struct tocsin_event *ev, uint64_t id_ms)
{
    struct pipeline *pipeline = ctx;

    series_event(pipeline->series, ev, id_ms);
}

static void on_time(void *ctx, uint64_t id_ms)
{
    struct pipeline *pipeline = ctx;

    series_time(pipeline->series, id_ms);
}

static void on_tick(void *ctx, const struct series_tick *tick)
{
    struct pipeline *pipeline = ctx;

    features_tick(pipeline->features, tick);
    serving_tick(&pipeline->serving, pipeline->scorer, pipeline->learner,
                 tick->end);
}

static void on_leave(void *ctx, const struct identity *who)
{
    struct pipeline *pipeline = ctx;

    alerts_leave(pipeline->alerts, who);
    detect_leave(pipeline->detect, who);
    scorer_leave(pipeline->scorer, who);
    features_leave(pipeline->features, who);
    if (pipeline->learner != NULL) {
        learner_leave(pipeline->learner, who);
    }
}

static void on_batch(void *ctx, const struct feature_batch *batch)
{
    struct pipeline *pipeline = ctx;
    struct err err;

    if (scorer_batch(pipeline->scorer, batch, &err) != 0 &&
        pipeline->failure.code == ERR_NONE) {
        pipeline->failure = err;
    }
}

static void on_scored(void *ctx, const struct scored_batch *batch)
{
    struct pipeline *pipeline = ctx;

    detect_batch(pipeline->detect, batch);
}

static void on_verdicts(void *ctx, const struct verdict_batch *batch)
{
    struct pipeline *pipeline = ctx;

    alerts_batch(pipeline->alerts, batch);
    if (pipeline->learner != NULL) {
        learner_tick(pipeline->learner, pipeline->features, batch,
                     &pipeline->serving.winner);
    }
}

static void on_changed(void *ctx, const struct tocsin_alert *alert)
{
    struct pipeline *pipeline = ctx;

    pipeline->sink.alert(pipeline->sink.ctx, alert);
}

static unsigned on_recent(void *ctx, uint32_t slot, unsigned column,
                          unsigned count, float *values)
{
    struct pipeline *pipeline = ctx;

    return features_recent(pipeline->features, slot, column, count, values);
}

/* ------------------------------------------------------------------ creation
 */

static int find_columns(const struct model_shape *shape,
                        struct features_options *options, struct err *err)
{
    unsigned i, j;

    if (shape->feature_count > FEATURES_COLUMNS_MAX ||
        shape->lag_count > FEATURES_LAGS_MAX ||
        shape->season_count > FEATURES_SEASONS_MAX) {
        return err_set(err, ERR_MODEL, "model %s wants more than is kept",
                       shape->version);
    }
    for (i = 0; i < shape->feature_count; i++) {
        options->columns[i] = feature_by_name(shape->features[i]);
        if (options->columns[i] == FEATURE_COUNT) {
            return err_set(err, ERR_MODEL,
                           "model %s wants the feature \"%s\", which nothing "
                           "measures",
                           shape->version, shape->features[i]);
        }
    }
    for (i = 0; i < shape->season_feature_count; i++) {
        for (j = 0; j < shape->feature_count &&
                    strcmp(shape->features[j], shape->season_features[i]) != 0;
             j++) {
        }
        if (j == shape->feature_count) {
            return err_set(err, ERR_MODEL,
                           "model %s: \"%s\" is not among its features",
                           shape->version, shape->season_features[i]);
        }
        options->season_columns[i] = j;
    }
    return 0;
}

static struct learner_options learning(const struct pipeline *pipeline)
{
    const struct config *config = &pipeline->config;

    return (struct learner_options){
        .dir = *config->state_dir != '\0' ? config->state_dir : NULL,
        .share = config->model_train_share,
        .every = config->model_train_every,
        .max = (uint32_t)config->series_max,
        .seed = 1,
        .wait = pipeline->sink.wait,
        .ctx = pipeline->sink.ctx,
    };
}

static struct features *make_features(struct pipeline *pipeline,
                                      const struct model_shape *shape,
                                      struct err *err)
{
    struct features_sink sink = {pipeline, on_batch};
    struct learner_options learner = learning(pipeline);
    struct features_options options = {
        .column_count = shape->feature_count,
        .season_column_count = shape->season_feature_count,
        .lag_count = shape->lag_count,
        .season_count = shape->season_count,
        .tick = pipeline->config.series_tick,
        .max = (uint32_t)pipeline->config.series_max,
    };
    unsigned i;

    if (find_columns(shape, &options, err) != 0) {
        return NULL;
    }
    for (i = 0; i < shape->lag_count; i++) {
        options.lags[i] = shape->lags[i];
    }
    for (i = 0; i < shape->season_count; i++) {
        options.seasons[i] = shape->seasons[i] * CLOCK_SECOND;
    }
    options.window =
        pipeline->config.model_train ? learner_window(&learner) : SPARK_WINDOW;
    return features_create(&options, sink, err);
}

static struct series *make_series(struct pipeline *pipeline, struct err *err)
{
    const struct config *config = &pipeline->config;
    struct series_sink sink = {pipeline, on_tick, on_leave};
    struct series_options options = {
        .set_count = config->series_by.count,
        .tick = config->series_tick,
        .lateness = config->intake_lateness,
        .idle = config->series_idle,
        .max = (uint32_t)config->series_max,
    };
    unsigned set, i;

    for (set = 0; set < options.set_count; set++) {
        options.set_sizes[set] = config->series_by.sizes[set];
        for (i = 0; i < options.set_sizes[set]; i++) {
            options.sets[set][i] = config->series_by.label[set][i];
        }
    }
    return series_create(&options, sink, err);
}

static struct intake *make_intake(struct pipeline *pipeline, struct err *err)
{
    const struct config *config = &pipeline->config;
    struct intake_sink sink = pipeline_entrance(pipeline);
    struct intake_options options = {
        .redis = command_redis(config),
        .prefix = config->redis_prefix,
        .shards = (unsigned)config->redis_shards,
        .backlog = config->intake_backlog,
    };

    return intake_create(&options, sink, err);
}

/* A checkpoint of other ticks, label sets or columns is of no use. */
static void make_fingerprint(struct pipeline *pipeline,
                             const struct model_shape *shape)
{
    const struct config_sets *sets = &pipeline->config.series_by;
    struct buf *text = &pipeline->fingerprint;
    unsigned set, i;

    buf_init(text, 65536);
    buf_printf(text, "tick=%llu by=",
               (unsigned long long)pipeline->config.series_tick);
    for (set = 0; set < sets->count; set++) {
        for (i = 0; i < sets->sizes[set]; i++) {
            buf_printf(text, "%s%s", sets->label[set][i],
                       i + 1 == sets->sizes[set] ? ";" : "+");
        }
    }
    buf_puts(text, " features=");
    for (i = 0; i < shape->feature_count; i++) {
        buf_printf(text, "%s;", shape->features[i]);
    }
    buf_printf(text, " train=%d", pipeline->config.model_train);
}

static int make_rooms(struct pipeline *pipeline, struct err *err)
{
    const struct config *config = &pipeline->config;
    uint32_t max = (uint32_t)config->series_max;
    struct scorer_sink scored = {pipeline, on_scored};
    struct detect_sink verdicts = {pipeline, on_verdicts};
    struct alert_sink changed = {pipeline, on_changed};
    struct alert_history history = {pipeline, on_recent};
    struct detect_options detect = {
        .false_alarms_per_day = config->detect_false_alarms_per_day,
        .min_requests_per_minute = config->detect_min_requests_per_minute,
        .clear = (unsigned)config->detect_clear,
        .tick = config->series_tick,
        .max = max,
    };
    struct alert_options alert = {.tick = config->series_tick, .max = max};
    struct scorer_options scoring = {.max = max};
    struct learner_options learner = learning(pipeline);
    struct model *model = serving_load(&pipeline->serving, err);
    const struct model_shape *shape;

    if (model == NULL) {
        return -1;
    }
    shape = model_describe(model);
    make_fingerprint(pipeline, shape);
    scoring.columns = shape->feature_count;
    pipeline->scorer = scorer_create(model, &scoring, scored, err);
    if (pipeline->scorer == NULL) {
        return -1;
    }
    pipeline->features = make_features(pipeline, shape, err);
    pipeline->detect = detect_create(&detect, shape, verdicts, err);
    if (pipeline->features == NULL || pipeline->detect == NULL) {
        return -1;
    }
    pipeline->alerts = alerts_create(&alert, history, changed, err);
    if (pipeline->alerts == NULL) {
        return -1;
    }
    if (config->model_train) {
        pipeline->learner =
            learner_create(&learner, scorer_model(pipeline->scorer), err);
        if (pipeline->learner == NULL) {
            return -1;
        }
    }
    pipeline->series = make_series(pipeline, err);
    if (pipeline->series == NULL) {
        return -1;
    }
    pipeline->intake = make_intake(pipeline, err);
    return pipeline->intake == NULL ? -1 : 0;
}

struct pipeline *pipeline_create(const struct config *config,
                                 struct pipeline_sink sink, struct err *err)
{
    struct pipeline *pipeline = calloc(1, sizeof(*pipeline));

    if (pipeline == NULL) {
        err_set(err, ERR_LIMIT, "out of memory");
        return NULL;
    }
    pipeline->config = *config;
    pipeline->sink = sink;
    serving_init(&pipeline->serving,
                 *config->state_dir != '\0' ? pipeline->config.state_dir : NULL,
                 pipeline->config.model_path);
    model_threads(1);
    if (make_rooms(pipeline, err) != 0) {
        pipeline_destroy(pipeline);
        return NULL;
    }
    return pipeline;
}

void pipeline_destroy(struct pipeline *pipeline)
{
    if (pipeline == NULL) {
        return;
    }
    intake_destroy(pipeline->intake);
    series_destroy(pipeline->series);
    learner_destroy(pipeline->learner);
    alerts_destroy(pipeline->alerts);
    detect_destroy(pipeline->detect);
    features_destroy(pipeline->features);
    scorer_destroy(pipeline->scorer);
    serving_release(&pipeline->serving);
    buf_release(&pipeline->fingerprint);
    free(pipeline);
}

/* ------------------------------------------------------------------- running
 */

int pipeline_poll(struct pipeline *pipeline, int timeout_ms, struct err *err)
{
    return intake_poll(pipeline->intake, timeout_ms, err);
}

int pipeline_write_model(struct pipeline *pipeline, const char *path,
                         struct err *err)
{
    struct model *model = scorer_model(pipeline->scorer);
    const char *version = model_describe(model)->version;

    if (pipeline->learner == NULL ||
        learner_stats(pipeline->learner)->won == 0) {
        return err_set(err, ERR_MODEL, "no challenger was better than %s",
                       version);
    }
    return model_save(model, path, version, err);
}

void pipeline_leave_out(struct pipeline *pipeline, unsigned parts)
{
    detect_leave_out(pipeline->detect, parts);
}

struct intake_sink pipeline_entrance(struct pipeline *pipeline)
{
    return (struct intake_sink){pipeline, on_event, on_time};
}

int pipeline_leave(struct pipeline *pipeline, struct tocsin_span version,
                   struct err *err)
{
    return serving_leave(&pipeline->serving, pipeline->scorer, version, err);
}

int pipeline_failed(const struct pipeline *pipeline, struct err *err)
{
    if (pipeline->failure.code == ERR_NONE) {
        return 0;
    }
    *err = pipeline->failure;
    return -1;
}

const struct intake_stats *pipeline_intake(const struct pipeline *pipeline)
{
    return intake_stats(pipeline->intake);
}

const struct series_stats *pipeline_series(const struct pipeline *pipeline)
{
    return series_stats(pipeline->series);
}

void pipeline_board(struct pipeline *pipeline, struct tocsin_board *board)
{
    const struct intake_stats *in = intake_stats(pipeline->intake);
    const struct series_stats *series = series_stats(pipeline->series);
    struct model *model = scorer_model(pipeline->scorer);

    tocsin_board_init(board);
    board->v = TOCSIN_SCHEMA_VERSION;
    board->ts = clock_now();
    board->tick = series->tick;
    board->tick_length = pipeline->config.series_tick;
    board->lag = intake_lag(in) * 1000;
    board->version = TOCSIN_SPAN(TOCSIN_VERSION);
    board->model = tocsin_span_str(model_describe(model)->version);
    board->model_ts = pipeline->serving.since;
    if (pipeline->learner != NULL) {
        board->trained = learner_stats(pipeline->learner)->rounds;
        board->swapped = learner_stats(pipeline->learner)->won;
    }
    if (pipeline->serving.rounds.data != NULL) {
        board->rounds = tocsin_span_of(pipeline->serving.rounds.data,
                                       pipeline->serving.rounds.len);
    }
    board->series = series->series;
    board->series_evicted = series->evicted;
    board->events = in->events;
    board->late = series->late;
    board->duplicates = in->duplicates;
    board->gaps = in->gaps;
    board->malformed = in->malformed;
    alerts_board(pipeline->alerts, board);
}

/* ---------------------------------------------------------------- checkpoint
 */

static void save_run(const struct pipeline *pipeline, struct buf *to)
{
    buf_put_u64(to, pipeline->serving.since);
    buf_put(to, pipeline->fingerprint.data, pipeline->fingerprint.len);
}

static int restore_run(struct pipeline *pipeline, struct cursor *from,
                       struct err *err)
{
    uint64_t model_since = cursor_u64(from);
    const struct buf *own = &pipeline->fingerprint;

    if (from->failed || from->len != own->len ||
        memcmp(from->data, own->data, own->len) != 0) {
        return err_set(err, ERR_INPUT,
                       "made with another series.tick, series.by, model.train "
                       "or other features of the model");
    }
    pipeline->serving.since = model_since;
    return 0;
}

/* What is learned is no reason to forget all else. */
static void restore_model(struct pipeline *pipeline, const char *data,
                          size_t len)
{
    struct cursor from;
    struct err err;

    if (checkpoint_find(data, len, "model", &from, &err) != 0 ||
        serving_restore(&pipeline->serving, pipeline->scorer, pipeline->learner,
                        &from, &err) != 0) {
        log_warn(ROOM, "which model served then is not known: %s", err.message);
    }
}

static void restore_learner(struct pipeline *pipeline, const char *data,
                            size_t len)
{
    struct cursor from;
    struct err err;

    if (pipeline->learner != NULL &&
        (checkpoint_find(data, len, "learner", &from, &err) != 0 ||
         learner_restore(pipeline->learner, &from, &err) != 0)) {
        log_warn(ROOM, "what to learn from is collected anew: %s", err.message);
    }
}

void pipeline_save(const struct pipeline *pipeline, struct buf *to)
{
    size_t at;

#define SAVE(name, call)                                                       \
    at = checkpoint_begin(to, name);                                           \
    call;                                                                      \
    checkpoint_end(to, at)

    SAVE("run", save_run(pipeline, to));
    SAVE("intake", intake_save(pipeline->intake, to));
    SAVE("series", series_save(pipeline->series, to));
    SAVE("features", features_save(pipeline->features, to));
    SAVE("scorer", scorer_save(pipeline->scorer, to));
    SAVE("detect", detect_save(pipeline->detect, to));
    SAVE("alerts", alerts_save(pipeline->alerts, to));
    SAVE("model", serving_save(&pipeline->serving, pipeline->scorer, to));
    if (pipeline->learner != NULL) {
        SAVE("learner", learner_save(pipeline->learner, to));
    }
#undef SAVE
}

int pipeline_restore(struct pipeline *pipeline, const char *data, size_t len,
                     struct err *err)
{
    struct cursor from;

#define RESTORE(name, call)                                                    \
    if (checkpoint_find(data, len, name, &from, err) != 0 || (call) != 0) {    \
        return err_prefix(err, "section %s", name);                            \
    }

    RESTORE("run", restore_run(pipeline, &from, err));
    restore_model(pipeline, data, len);
    RESTORE("series", series_restore(pipeline->series, &from, err));
    RESTORE("features", features_restore(pipeline->features, &from, err));
    RESTORE("scorer", scorer_restore(pipeline->scorer, &from, err));
    RESTORE("detect", detect_restore(pipeline->detect, &from, err));
    RESTORE("alerts", alerts_restore(pipeline->alerts, &from, err));
    RESTORE("intake", intake_restore(pipeline->intake, &from, err));
#undef RESTORE
    restore_learner(pipeline, data, len);
    return 0;
}
