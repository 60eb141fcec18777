/*
 * A file's rows become ticks. How long a tick is, nobody says: it is the median
 * of the first eight intervals between rows, and before there are eight, of
 * those there are. So a row's score looks at rows before it only, and the
 * output for the first rows of a file is the first rows of its output. While
 * the estimate changes the rooms begin anew and what was read so far is put
 * into the history again.
 *
 * A row's tick is its time, rounded. Where rows are missing, ticks are missing:
 * lags and seasons go by time. Rows at the same time, or before the last one
 * (summer time ends, clocks are set), belong to the last one's tick. The model
 * takes one step a row.
 */
#include "track.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define INTERVALS 8
#define INTERVAL_FIRST 60000000u /* us: until a second row has come */
#define TICK_ZERO 1000000u       /* number of the first row's tick, at least */

struct outcome {
    float anomaly, incident;
    bool alert;
};

struct track {
    struct table table;
    struct track_options options;
    struct features *features;
    struct detect *detect;
    struct learner *learner; /* NULL: it does not learn */
    struct model *winner;    /* of a round, nobody took it yet; or NULL */
    struct identity identity;
    struct series_row row;
    unsigned columns;
    size_t next;       /* row */
    uint64_t interval; /* us: the length of a tick */
    uint64_t tick;     /* number of that of the last row */
    struct feature_batch batch;
    struct outcome *outcomes;
    struct outcome *outcome; /* of the row that is being judged */
};

/* Any number of events: no traffic is too little to judge. */
static const struct aggregate plenty = {
    .events = 1000000, .weight = 1000000000, .alive = true};

static void on_batch(void *ctx, const struct feature_batch *batch)
{
    struct track *track = ctx;

    track->batch = *batch;
}

static void on_verdicts(void *ctx, const struct verdict_batch *batch)
{
    struct track *track = ctx;
    const struct verdict *verdict = &batch->verdicts[0];

    track->outcome->anomaly = verdict->anomaly_raw;
    track->outcome->incident = verdict->incident_raw;
    track->outcome->alert = verdict->alarm;
    if (track->learner != NULL && track->next < track->table.rows) {
        learner_tick(track->learner, track->features, batch, &track->winner);
    }
}

/* The model takes as many columns as it has features for those, by name; a
 * file's columns are of no known kind. */
static unsigned columns_for(const struct table *table,
                            const struct model_shape *shape)
{
    return table->columns + (table->columns == shape->feature_count);
}

static struct learner_options learning(const struct track *track)
{
    return (struct learner_options){
        .rows = track->options.train,
        .columns = track->columns,
        .max = 1,
        .seed = track->options.seed,
    };
}

static int make_learner(struct track *track, struct err *err)
{
    struct learner_options options = learning(track);

    if (options.rows == 0) {
        return 0;
    }
    track->learner = learner_create(&options, track->options.champion, err);
    return track->learner != NULL ? 0 : -1;
}

static int make_features(struct track *track, struct err *err)
{
    const struct model_shape *shape = track->options.shape;
    struct learner_options learner = learning(track);
    struct features_sink sink = {track, on_batch};
    struct features_options options = {
        .column_count = track->columns,
        .season_columns = {0, 1},
        .season_column_count = track->columns < shape->season_feature_count
                                   ? track->columns
                                   : shape->season_feature_count,
        .lag_count = shape->lag_count,
        .season_count = shape->season_count,
        .tick = track->interval,
        .max = 1,
        .window = learner.rows != 0 ? learner_window(&learner) : 0,
        .wide = true,
    };

    if (shape->lag_count > FEATURES_LAGS_MAX ||
        shape->season_count > FEATURES_SEASONS_MAX) {
        return err_set(err, ERR_MODEL, "the model looks back too often");
    }
    for (unsigned i = 0; i < FEATURES_COLUMNS_MAX; i++) {
        options.columns[i] = FEATURE_COUNT;
    }
    for (unsigned i = 0; i < shape->lag_count; i++) {
        options.lags[i] = shape->lags[i];
    }
    for (unsigned i = 0; i < shape->season_count; i++) {
        options.seasons[i] = shape->seasons[i] * 1000000;
    }
    features_destroy(track->features);
    track->features = features_create(&options, sink, err);
    return track->features != NULL ? 0 : -1;
}

static int make_detect(struct track *track, struct err *err)
{
    struct detect_sink sink = {track, on_verdicts};
    struct detect_options options = {
        .false_alarms_per_day = track->options.false_alarms_per_day,
        .min_requests_per_minute = track->options.min_requests_per_minute,
        .clear = track->options.clear,
        .tick = track->interval,
        .max = 1,
        .without = track->options.without,
    };

    detect_destroy(track->detect);
    track->detect = detect_create(&options, track->options.shape, sink, err);
    return track->detect != NULL ? 0 : -1;
}

struct track *track_create(struct table *table,
                           const struct track_options *options, struct err *err)
{
    struct track *track = calloc(1, sizeof(*track));

    if (track == NULL) {
        table_release(table);
        err_set(err, ERR_SYSTEM, "out of memory");
        return NULL;
    }
    track->table = *table;
    memset(table, 0, sizeof(*table));
    track->options = *options;
    track->columns = columns_for(&track->table, options->shape);
    track->identity.scope = SCOPE_COLUMN;
    track->identity.labels = "";
    track->row = (struct series_row){&track->identity, &plenty};
    track->outcomes = calloc(track->table.rows + 1, sizeof(*track->outcomes));
    if (track->outcomes == NULL) {
        err_set(err, ERR_SYSTEM, "out of memory");
    } else if (make_learner(track, err) == 0) {
        return track;
    }
    track_destroy(track);
    return NULL;
}

void track_destroy(struct track *track)
{
    if (track != NULL) {
        features_destroy(track->features);
        detect_destroy(track->detect);
        learner_destroy(track->learner);
        model_free(track->winner);
        table_release(&track->table);
        free(track->outcomes);
        free(track);
    }
}

unsigned track_columns(const struct track *track)
{
    return track->columns;
}

size_t track_rows(const struct track *track)
{
    return track->table.rows;
}

struct model *track_winner(struct track *track)
{
    struct model *winner = track->winner;

    track->winner = NULL;
    return winner;
}

const struct learner_stats *track_learned(const struct track *track)
{
    return track->learner != NULL ? learner_stats(track->learner) : NULL;
}

/* The median of the intervals up to a row, of the first few. */
static uint64_t interval_at(const struct track *track, size_t row)
{
    uint64_t intervals[INTERVALS];
    unsigned count = 0;

    for (size_t i = 1; i <= row && count < INTERVALS; i++) {
        int64_t step = track->table.times[i] - track->table.times[i - 1];
        unsigned at = count;

        if (step <= 0) {
            continue;
        }
        for (; at > 0 && intervals[at - 1] > (uint64_t)step; at--) {
            intervals[at] = intervals[at - 1];
        }
        intervals[at] = (uint64_t)step;
        count++;
    }
    return count != 0 ? intervals[(count - 1) / 2] : INTERVAL_FIRST;
}

/* Counted from far enough above 0 that no look back falls below it. */
static uint64_t tick_of(const struct track *track, size_t row)
{
    double since = (double)(track->table.times[row] - track->table.times[0]);
    double first = fmod((double)track->table.times[0], 7 * 86400e6);
    double number = floor(since / (double)track->interval + 0.5) +
                    floor(first / (double)track->interval);

    return number > -(double)TICK_ZERO ? (uint64_t)(number + TICK_ZERO) : 0;
}

static void put_row(struct track *track, size_t row)
{
    float x[FEATURES_COLUMNS_MAX];
    uint64_t number = tick_of(track, row);
    struct series_tick tick = {0, track->interval, &track->row, 1};

    track->tick = number > track->tick ? number : track->tick;
    tick.end = (track->tick + 1) * track->interval;
    for (unsigned i = 0; i < track->columns; i++) {
        x[i] = i < track->table.columns
                   ? track->table.values[row * track->table.columns + i]
                   : NAN;
    }
    features_values(track->features, &tick, x);
}

/* Another interval than was thought: begins anew with the rows so far. */
static int restart(struct track *track, uint64_t interval, struct err *err)
{
    track->interval = interval;
    track->tick = 0;
    if (make_features(track, err) != 0 || make_detect(track, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < track->next; i++) {
        put_row(track, i);
    }
    return 0;
}

int track_next(struct track *track, const struct feature_batch **batch,
               struct err *err)
{
    uint64_t interval;

    if (track->next == track->table.rows) {
        return 0;
    }
    interval = interval_at(track, track->next);
    if (interval != track->interval && restart(track, interval, err) != 0) {
        return -1;
    }
    put_row(track, track->next);
    track->outcome = &track->outcomes[track->next++];
    *batch = &track->batch;
    return 1;
}

void track_judge(struct track *track, const struct scored_batch *scored,
                 uint32_t index)
{
    size_t at = (size_t)index * track->columns;
    struct scored_batch own = {
        .batch = &track->batch,
        .shape = scored->shape,
        .evidence_count = scored->evidence_count,
        .expected = scored->expected + at,
        .low = scored->low + at,
        .high = scored->high + at,
        .evidence = scored->evidence + (size_t)index * scored->evidence_count,
        .age = scored->age + index,
    };

    detect_batch(track->detect, &own);
}

int track_events(const struct track *track, struct events *events,
                 struct err *err)
{
    const struct table *table = &track->table;
    struct events_row *rows;

    if (table->labels == NULL) {
        return 0;
    }
    rows = events_add(events, table->rows, err);
    if (rows == NULL) {
        return -1;
    }
    for (size_t i = 0; i < table->rows; i++) {
        rows[i].score = track->outcomes[i].anomaly;
        rows[i].label = table->labels[i] != 0;
        rows[i].alert = track->outcomes[i].alert;
    }
    return 0;
}

/* --------------------------------------------------------------- writing */

static int make_directories(const char *path, struct err *err)
{
    char part[4096];

    if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part)) {
        return err_set(err, ERR_USAGE, "%s: the path is too long", path);
    }
    for (char *at = part + 1; *at != '\0'; at++) {
        if (*at != '/') {
            continue;
        }
        *at = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            return err_set_errno(err, "%s", part);
        }
        *at = '/';
    }
    return 0;
}

static void print_rows(const struct track *track, FILE *to)
{
    const struct table *table = &track->table;

    fwrite(table->header.data, 1, table->header.len, to);
    fputs(",anomaly_score,incident_score,alert\n", to);
    for (size_t i = 0; i < table->rows; i++) {
        const struct outcome *outcome = &track->outcomes[i];

        fwrite(table->raw[i].data, 1, table->raw[i].len, to);
        fprintf(to, ",%.9g,%.9g,%d\n", (double)outcome->anomaly,
                (double)outcome->incident, outcome->alert);
    }
}

int track_write(const struct track *track, const char *path, struct err *err)
{
    char temporary[4096 + 8];
    FILE *to;
    int rc;

    if (make_directories(path, err) != 0) {
        return -1;
    }
    snprintf(temporary, sizeof(temporary), "%s.part", path);
    to = fopen(temporary, "w");
    if (to == NULL) {
        return err_set_errno(err, "%s", temporary);
    }
    print_rows(track, to);
    rc = ferror(to);
    if (fclose(to) != 0 || rc != 0 || rename(temporary, path) != 0) {
        err_set_errno(err, "%s", path);
        unlink(temporary);
        return -1;
    }
    return 0;
}
