/*
 * tocsin backtest: the rooms from the features' history on, over files.
 *
 * Up to 64 files go abreast: one row of each makes a batch, which the model
 * takes in one step, as it takes the series of a tick. All that differs from
 * file to file (history, calibration, alarms) is a track's own, and the scorer
 * fills batches up to a multiple of 64, so that a file's output is the same
 * whatever is scored beside it. Files with the same number of columns go
 * together, since the model takes one number of columns at a time.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../model/scorer.h"
#include "command.h"
#include "replay.h"
#include "track.h"

#define ABREAST 64

struct backtest {
    const char *name;
    const char *out;
    const char *root; /* what output paths leave out */
    char *const *paths;
    unsigned path_count;
    bool quiet;
    struct model *model;
    struct track_options options;
    struct events *events; /* of files with labels */
    size_t rows, files;    /* done */
};

/* Some files with the same number of columns. */
struct group {
    struct track *tracks[ABREAST];
    const char *paths[ABREAST];
    unsigned count, columns;
    bool seasonless;
    struct identity identities[ABREAST];
    struct scorer *scorer;

    /* The step that is being made: who takes part, and the rooms' arrays. */
    struct track *present[ABREAST];
    unsigned present_count;
    struct series_row rows[ABREAST];
    float *x, *past, *season;
    struct feature_batch batch;
};

static void on_scored(void *ctx, const struct scored_batch *scored)
{
    struct group *group = ctx;

    for (unsigned i = 0; i < group->present_count; i++) {
        track_judge(group->present[i], scored, i);
    }
}

static void release_group(struct group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        track_destroy(group->tracks[i]);
    }
    scorer_destroy(group->scorer);
    free(group->x);
    free(group->past);
    free(group->season);
    memset(group, 0, sizeof(*group));
}

static int start_group(struct backtest *backtest, struct group *group,
                       struct err *err)
{
    const struct model_shape *shape = backtest->options.shape;
    struct scorer_sink sink = {group, on_scored};
    struct scorer_options scoring = {
        .columns = group->columns, .max = ABREAST, .band = true};
    size_t past = (size_t)shape->lag_count * group->columns;
    size_t season = (size_t)shape->season_count * shape->season_feature_count;
    struct model *copy = model_copy(backtest->model, err);

    if (copy == NULL) {
        return -1;
    }
    group->scorer = scorer_create(copy, &scoring, sink, err);
    if (group->scorer == NULL) {
        return -1;
    }
    group->x = calloc(ABREAST, group->columns * sizeof(float));
    group->past = calloc(ABREAST, (past + 1) * sizeof(float));
    group->season = calloc(ABREAST, (season + 1) * sizeof(float));
    if (group->x == NULL || group->past == NULL || group->season == NULL) {
        return err_set(err, ERR_SYSTEM, "out of memory");
    }
    group->seasonless = backtest->options.seasonless;
    for (uint32_t i = 0; i < ABREAST; i++) {
        group->identities[i].slot = i;
        group->identities[i].labels = "";
        group->identities[i].scope = SCOPE_COLUMN;
    }
    return 0;
}

/* Puts a track's row behind those of the step. */
static void join(struct group *group, unsigned file,
                 const struct feature_batch *batch)
{
    unsigned at = group->present_count++;
    size_t past = (size_t)batch->lag_count * batch->column_count;
    size_t season = (size_t)batch->season_count * batch->season_column_count;

    group->present[at] = group->tracks[file];
    group->rows[at].identity = &group->identities[file];
    group->rows[at].aggregate = batch->rows[0].aggregate;
    memcpy(group->x + at * batch->column_count, batch->x,
           batch->column_count * sizeof(float));
    memcpy(group->past + at * past, batch->past, past * sizeof(float));
    memcpy(group->season + at * season, batch->season, season * sizeof(float));
    for (size_t i = 0; group->seasonless && i < season; i++) {
        group->season[at * season + i] = NAN;
    }
    if (at == 0) {
        group->batch = *batch; /* the shape is that of all */
    }
}

/* One row of every file that has one: how many, or -1. */
static int step(struct group *group, struct err *err)
{
    const struct feature_batch *batch;

    group->present_count = 0;
    for (unsigned i = 0; i < group->count; i++) {
        int more = track_next(group->tracks[i], &batch, err);

        if (more < 0) {
            return err_prefix(err, "%s", group->paths[i]);
        }
        if (more != 0) {
            join(group, i, batch);
        }
    }
    if (group->present_count == 0) {
        return 0;
    }
    group->batch.count = group->present_count;
    group->batch.rows = group->rows;
    group->batch.x = group->x;
    group->batch.past = group->past;
    group->batch.season = group->season;
    if (scorer_batch(group->scorer, &group->batch, err) != 0) {
        return -1;
    }
    return (int)group->present_count;
}

/* ----------------------------------------------------------------- paths */

/* What all paths have in common, up to a '/'. */
static size_t common_directory(char *const *paths, unsigned count)
{
    const char *slash = strrchr(paths[0], '/');
    size_t len = slash != NULL ? (size_t)(slash - paths[0]) + 1 : 0;

    for (unsigned i = 1; i < count; i++) {
        while (len > 0 && (strncmp(paths[0], paths[i], len) != 0 ||
                           paths[0][len - 1] != '/')) {
            len--;
        }
    }
    return len;
}

static int output_path(const struct backtest *backtest, const char *path,
                       char to[PATH_MAX], struct err *err)
{
    size_t common = common_directory(backtest->paths, backtest->path_count);
    const char *rest = path + common;

    if (backtest->root != NULL) {
        size_t len = strlen(backtest->root);

        while (len > 0 && backtest->root[len - 1] == '/') {
            len--;
        }
        if (strncmp(path, backtest->root, len) != 0 || path[len] != '/') {
            return err_set(err, ERR_USAGE, "%s is not under --root %s", path,
                           backtest->root);
        }
        rest = path + len + 1;
    }
    if (strncmp(rest, "../", 3) == 0 || strstr(rest, "/../") != NULL) {
        return err_set(err, ERR_USAGE, "%s: would be written outside %s", path,
                       backtest->out);
    }
    if (snprintf(to, PATH_MAX, "%s/%s", backtest->out, rest) >= PATH_MAX) {
        return err_set(err, ERR_USAGE, "%s: the path is too long", path);
    }
    return 0;
}

static int write_group(struct backtest *backtest, const struct group *group,
                       struct err *err)
{
    char path[PATH_MAX];

    for (unsigned i = 0; i < group->count; i++) {
        if (output_path(backtest, group->paths[i], path, err) != 0 ||
            track_write(group->tracks[i], path, err) != 0 ||
            track_events(group->tracks[i], backtest->events, err) != 0) {
            return -1;
        }
        backtest->files++;
    }
    return 0;
}

/* --------------------------------------------------------------- running */

static void show_progress(const struct backtest *backtest, size_t done,
                          size_t all)
{
    if (!backtest->quiet && isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%zu of %u files, %3.0f %% of the rows of the next",
                backtest->files, backtest->path_count,
                all != 0 ? 100.0 * (double)done / (double)all : 100.0);
    }
}

static int run_group(struct backtest *backtest, struct group *group,
                     struct err *err)
{
    size_t done = 0, all = 0;
    int rows;

    if (start_group(backtest, group, err) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < group->count; i++) {
        all += track_rows(group->tracks[i]);
    }
    for (unsigned steps = 0; (rows = step(group, err)) > 0; steps++) {
        done += (size_t)rows;
        if (steps % 256 == 0) {
            show_progress(backtest, done, all);
        }
    }
    backtest->rows += done;
    return rows < 0 ? -1 : write_group(backtest, group, err);
}

/* Adds a file to the group of its number of columns; runs a full one. */
static int add_file(struct backtest *backtest, struct group *groups,
                    const char *path, struct err *err)
{
    struct group *group;
    struct track *track;
    struct table table;
    unsigned columns;

    if (table_read(&table, path, err) != 0) {
        return -1;
    }
    track = track_create(&table, &backtest->options, err);
    if (track == NULL) {
        return -1;
    }
    columns = track_columns(track);
    group = &groups[columns];
    group->columns = columns;
    group->paths[group->count] = path;
    group->tracks[group->count++] = track;
    if (group->count < ABREAST) {
        return 0;
    }
    if (run_group(backtest, group, err) != 0) {
        return -1;
    }
    release_group(group);
    return 0;
}

static int run_files(struct backtest *backtest, struct group *groups,
                     struct err *err)
{
    for (unsigned i = 0; i < backtest->path_count; i++) {
        if (add_file(backtest, groups, backtest->paths[i], err) != 0) {
            return -1;
        }
    }
    for (unsigned i = 0; i <= FEATURES_COLUMNS_MAX; i++) {
        if (groups[i].count != 0 && run_group(backtest, &groups[i], err) != 0) {
            return -1;
        }
        release_group(&groups[i]);
    }
    return 0;
}

static int run(struct backtest *backtest, struct err *err)
{
    struct group *groups = calloc(FEATURES_COLUMNS_MAX + 1, sizeof(*groups));
    uint64_t began = clock_monotonic();
    double seconds;
    int rc;

    if (groups == NULL) {
        return err_set(err, ERR_SYSTEM, "out of memory");
    }
    rc = run_files(backtest, groups, err);
    for (unsigned i = 0; i <= FEATURES_COLUMNS_MAX; i++) {
        release_group(&groups[i]);
    }
    free(groups);
    if (rc == 0 && !backtest->quiet) {
        seconds = (double)(clock_monotonic() - began) * 1e-6;
        fprintf(stderr, "%s%zu files, %zu rows in %.2f s: %.0f rows/s\n",
                isatty(STDERR_FILENO) ? "\r\033[K" : "", backtest->files,
                backtest->rows, seconds,
                seconds > 0 ? (double)backtest->rows / seconds : 0);
    }
    return rc;
}

/* -------------------------------------------------------------- by labels */

static void print_tally(const char *by, const struct events_tally *tally)
{
    printf("%s: F1 %.3f, precision %.3f, recall %.3f, %zu false alerts, "
           "median delay ",
           by, events_f1(tally), events_precision(tally), events_recall(tally),
           tally->wrong);
    if (isnan(tally->delay)) {
        printf("none\n");
    } else {
        printf("%g rows\n", tally->delay);
    }
}

/* Where files carry labels: how well they were told. */
static int report_events(const struct backtest *backtest, struct err *err)
{
    struct events_tally scores, alerts;
    float threshold;
    char by[64];

    if (backtest->quiet || events_rows(backtest->events) == 0) {
        return 0;
    }
    if (events_scores(backtest->events, &scores, &threshold, err) != 0 ||
        events_alerts(backtest->events, &alerts, err) != 0) {
        return -1;
    }
    printf("labels: %zu events in %zu rows\n", scores.events,
           events_rows(backtest->events));
    snprintf(by, sizeof(by), "anomaly_score, best threshold %.4g",
             (double)threshold);
    print_tally(by, &scores);
    print_tally("alert", &alerts);
    return 0;
}

/* Comma-separated parts, to see what each is worth. */
static int read_without(struct track_options *options, const char *list)
{
    static const struct {
        const char *name;
        unsigned part;
    } parts[] = {
        {"head_a", DETECT_HEAD_A}, {"z150", DETECT_Z150},
        {"head_b", DETECT_HEAD_B}, {"novelty", DETECT_NOVELTY},
        {"drift", DETECT_DRIFT},   {"roughness", DETECT_ROUGHNESS},
        {"budget", DETECT_BUDGET}, {"seasons", 0},
    };

    while (*list != '\0') {
        size_t len = strcspn(list, ","), k = 0, n;

        for (n = sizeof(parts) / sizeof(parts[0]); k < n; k++) {
            if (strlen(parts[k].name) == len &&
                strncmp(parts[k].name, list, len) == 0) {
                break;
            }
        }
        if (k == n) {
            fprintf(stderr,
                    "tocsin backtest: --without %.*s: expected head_a, z150, "
                    "head_b, novelty, drift, roughness, budget or seasons\n",
                    (int)len, list);
            return -1;
        }
        options->without |= parts[k].part;
        options->seasonless = options->seasonless || parts[k].part == 0;
        list += len + (list[len] == ',');
    }
    return 0;
}

static int run_with_model(struct backtest *backtest, const char *path,
                          struct err *err)
{
    int rc;

    model_threads(1);
    backtest->model = model_load(path, err);
    if (backtest->model == NULL) {
        return -1;
    }
    backtest->options.shape = model_describe(backtest->model);
    backtest->events = events_create(err);
    rc = backtest->events != NULL ? run(backtest, err) : -1;
    if (rc == 0) {
        rc = report_events(backtest, err);
    }
    events_destroy(backtest->events);
    model_free(backtest->model);
    return rc;
}

static const char summary[] =
    "Scores recorded history: each FILE is one series, a CSV file with a\n"
    "column of times and columns of numbers, one row a tick. Writes\n"
    "DIR/<name>.csv: the columns of FILE, then anomaly_score (does this row\n"
    "stick out), incident_score (is it a rare change that somebody should be\n"
    "told of) and alert (1 from an anomaly_score that is rarer than\n"
    "detect.false_alarms_per_day allows, and 2 or more if that is 1, until\n"
    "detect.clear rows passed without one). Each row is scored from the rows\n"
    "before it. Files of\n"
    "several directories keep their paths below what these have in common.\n"
    "Of files with a column called label it prints precision, recall, F1 and\n"
    "delay, event by event.";

static int run_replay(const char *name, const char *recording,
                      const char *config_path, const char *model,
                      unsigned without, bool json)
{
    struct config config;
    struct err err;

    if (command_config(config_path, &config) != 0) {
        return EXIT_FAILED;
    }
    if (model != NULL) {
        snprintf(config.model_path, sizeof(config.model_path), "%s", model);
    }
    if (replay(recording, &config, without, json, &err) != 0) {
        return command_fail(name, &err);
    }
    return EXIT_WELL;
}

int command_backtest(int argc, char **argv)
{
    struct backtest backtest = {.name = argv[0]};
    const char *config_path, *model = NULL, *recording = NULL, *without = "";
    bool json = false;
    const struct command_option options[] = {
        {"out", "DIR", "where to write (needed)", NULL, &backtest.out},
        {"model", "FILE", "a model other than model.path", NULL, &model},
        {"root", "DIR", "keep the paths of files below DIR", NULL,
         &backtest.root},
        {"quiet", NULL, "print nothing", &backtest.quiet, NULL},
        {"replay", "FILE", "print the alerts of what tail --record wrote", NULL,
         &recording},
        {"json", NULL, "alerts of --replay as one JSON object a line", &json,
         NULL},
        {"without", "PARTS",
         "leave out head_a, z150, head_b, novelty, drift,"
         "\n                       roughness, budget or seasons",
         NULL, &without},
    };
    struct config config;
    struct err err = {0};
    int first = argc, rc;

    rc = command_options(argc, argv, summary, "FILE...", options, 7,
                         &config_path, &first);
    if (rc >= 0) {
        return rc;
    }
    if (read_without(&backtest.options, without) != 0) {
        return EXIT_USAGE;
    }
    if (recording != NULL) {
        return run_replay(argv[0], recording, config_path, model,
                          backtest.options.without, json);
    }
    if (backtest.out == NULL || first == argc) {
        fprintf(stderr,
                "tocsin backtest: %s is missing; see tocsin backtest "
                "--help\n",
                backtest.out == NULL ? "--out DIR" : "a FILE");
        return EXIT_USAGE;
    }
    if (command_config(config_path, &config) != 0) {
        return EXIT_FAILED;
    }
    backtest.paths = argv + first;
    backtest.path_count = (unsigned)(argc - first);
    backtest.options.false_alarms_per_day = config.detect_false_alarms_per_day;
    backtest.options.min_requests_per_minute =
        config.detect_min_requests_per_minute;
    backtest.options.clear = (unsigned)config.detect_clear;
    if (run_with_model(&backtest, model != NULL ? model : config.model_path,
                       &err) != 0) {
        return command_fail(argv[0], &err);
    }
    return EXIT_WELL;
}
