/*
 * tocsin backtest: the rooms from the features' history on, over files; or all
 * rooms, over events that were recorded or that Redis holds (replay.c).
 *
 * Files with the same number of columns go abreast (group.c), since the model
 * takes one number of columns at a time. Files that learn go one by one: each
 * begins with the model that was given, and its rounds are made at its own row
 * counts. So a file's output depends on nothing but its rows, up to that row.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "command.h"
#include "group.h"
#include "parts.h"
#include "progress.h"
#include "replay.h"

struct backtest {
    const char *name;
    const char *out;
    const char *root; /* what output paths leave out */
    char *const *paths;
    unsigned path_count;
    bool quiet;
    bool seasonless; /* earlier days are not known */
    struct model *model;
    struct track_options options;
    struct events *events; /* of files with labels */
    size_t rows, files;    /* done */
    uint64_t rounds, won;  /* of training */
    struct progress progress;
};

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
    const struct learner_stats *learned;
    char path[PATH_MAX];

    for (unsigned i = 0; i < group->count; i++) {
        if (output_path(backtest, group->paths[i], path, err) != 0 ||
            track_write(group->tracks[i], path, err) != 0 ||
            track_events(group->tracks[i], backtest->events, err) != 0) {
            return -1;
        }
        backtest->files++;
        learned = track_learned(group->tracks[i]);
        backtest->rounds += learned != NULL ? learned->rounds : 0;
        backtest->won += learned != NULL ? learned->won : 0;
    }
    return 0;
}

/* --------------------------------------------------------------- running */

static void tell_progress(struct backtest *backtest)
{
    struct progress *progress = &backtest->progress;

    if (backtest->rows > progress->all) {
        progress->all = backtest->rows;
    }
    progress_tell(progress, backtest->rows,
                  progress->all != 0
                      ? (double)backtest->rows / (double)progress->all
                      : 1);
}

static void begin_progress(struct backtest *backtest)
{
    progress_begin(&backtest->progress, "rows", backtest->quiet);
    for (unsigned i = 0; backtest->progress.on && i < backtest->path_count;
         i++) {
        backtest->progress.all += table_rows(backtest->paths[i]);
    }
}

static int run_group(struct backtest *backtest, struct group *group,
                     struct err *err)
{
    int rows;

    if (group_start(group, backtest->model, backtest->seasonless, err) != 0) {
        return -1;
    }
    tell_progress(backtest);
    while ((rows = group_step(group, err)) > 0) {
        backtest->rows += (size_t)rows;
        tell_progress(backtest);
    }
    return rows < 0 ? -1 : write_group(backtest, group, err);
}

/* Adds a file to the group of its number of columns; runs a full one. */
static int add_file(struct backtest *backtest, struct group *groups,
                    const char *path, struct err *err)
{
    struct group *group;
    struct track *track;
    struct table table;

    if (table_read(&table, path, err) != 0) {
        return -1;
    }
    track = track_create(&table, &backtest->options, err);
    if (track == NULL) {
        return -1;
    }
    group = &groups[track_columns(track)];
    group_add(group, track, path);
    if (group->count < (backtest->options.train != 0 ? 1 : GROUP_MAX)) {
        return 0;
    }
    if (run_group(backtest, group, err) != 0) {
        return -1;
    }
    group_release(group);
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
        group_release(&groups[i]);
    }
    return 0;
}

static void print_totals(const struct backtest *backtest)
{
    double seconds =
        (double)(clock_monotonic() - backtest->progress.began) * 1e-6;

    fprintf(stderr, "%zu files, %zu rows in %.2f s: %.0f rows/s\n",
            backtest->files, backtest->rows, seconds,
            seconds > 0 ? (double)backtest->rows / seconds : 0);
    if (backtest->options.train != 0) {
        fprintf(stderr, "%llu rounds of training, %llu won\n",
                (unsigned long long)backtest->rounds,
                (unsigned long long)backtest->won);
    }
}

static int run(struct backtest *backtest, struct err *err)
{
    struct group *groups = calloc(FEATURES_COLUMNS_MAX + 1, sizeof(*groups));
    int rc;

    if (groups == NULL) {
        return err_set(err, ERR_SYSTEM, "out of memory");
    }
    begin_progress(backtest);
    rc = run_files(backtest, groups, err);
    progress_hide(&backtest->progress);
    for (unsigned i = 0; i <= FEATURES_COLUMNS_MAX; i++) {
        group_release(&groups[i]);
    }
    free(groups);
    if (rc == 0 && !backtest->quiet) {
        print_totals(backtest);
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

/* --------------------------------------------------------------- options */

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
    backtest->options.champion = backtest->model;
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
    "delay, event by event.\n\n"
    "With --replay or --redis it is events instead, and the alerts that they\n"
    "would have raised are printed: of a recording, or of all that Redis\n"
    "holds now.";

/* What the words after the options are given as. */
struct words {
    const char *config, *model, *recording, *without, *train, *seed;
    bool redis, json;
};

static int number(const char *name, const char *text, uint64_t least,
                  uint64_t *to)
{
    char *end = NULL;

    errno = 0;
    if (*text >= '0' && *text <= '9') {
        *to = strtoull(text, &end, 10);
    }
    if (end == NULL || *end != '\0' || errno != 0 || *to < least) {
        fprintf(stderr,
                "tocsin backtest: --%s %s: expected a whole number from %llu "
                "on\n",
                name, text, (unsigned long long)least);
        return -1;
    }
    return 0;
}

static int wrong(const char *what)
{
    fprintf(stderr, "tocsin backtest: %s; see tocsin backtest --help\n", what);
    return EXIT_USAGE;
}

static int run_events(const struct backtest *backtest,
                      const struct words *words, const struct parts *parts)
{
    struct replay_options options = {
        .recording = words->recording,
        .model = words->model,
        .without = parts->detect,
        .json = words->json,
        .quiet = backtest->quiet,
    };
    struct config config;
    struct err err;

    if (backtest->out != NULL || backtest->path_count != 0 ||
        words->train != NULL || (words->recording != NULL && words->redis)) {
        return wrong("either files with --out DIR, or --replay FILE, or "
                     "--redis");
    }
    if (command_config(words->config, &config) != 0) {
        return EXIT_FAILED;
    }
    return replay(&config, &options, &err) == 0
               ? EXIT_WELL
               : command_fail(backtest->name, &err);
}

static int run_csv(struct backtest *backtest, const struct words *words,
                   const struct parts *parts)
{
    struct track_options *options = &backtest->options;
    struct config config;
    struct err err;

    if (backtest->out == NULL || backtest->path_count == 0) {
        return wrong(backtest->out == NULL ? "--out DIR is missing"
                                           : "a FILE is missing");
    }
    if ((words->train != NULL &&
         number("train", words->train, 1, &options->train) != 0) ||
        number("seed", words->seed, 0, &options->seed) != 0) {
        return EXIT_USAGE;
    }
    if (command_config(words->config, &config) != 0) {
        return EXIT_FAILED;
    }
    options->false_alarms_per_day = config.detect_false_alarms_per_day;
    options->min_requests_per_minute = config.detect_min_requests_per_minute;
    options->clear = (unsigned)config.detect_clear;
    options->without = parts->detect;
    backtest->seasonless = parts->seasons;
    return run_with_model(backtest,
                          words->model != NULL ? words->model
                                               : config.model_path,
                          &err) == 0
               ? EXIT_WELL
               : command_fail(backtest->name, &err);
}

int command_backtest(int argc, char **argv)
{
    struct backtest backtest = {.name = argv[0]};
    struct words words = {.without = "", .seed = "1"};
    const struct command_option options[] = {
        {"out", "DIR", "where to write (needed for files)", NULL,
         &backtest.out},
        {"model", "FILE", "a model other than the one that would serve", NULL,
         &words.model},
        {"root", "DIR", "keep the paths of files below DIR", NULL,
         &backtest.root},
        {"train", "ROWS",
         "train after every ROWS rows of a file: each file has"
         "\n                       its own models; slow, and off by default",
         NULL, &words.train},
        {"seed", "N", "of training; the same gives the same (default 1)", NULL,
         &words.seed},
        {"replay", "FILE", "print the alerts of what tail --record wrote", NULL,
         &words.recording},
        {"redis", NULL, "print the alerts of what Redis holds now",
         &words.redis, NULL},
        {"json", NULL, "alerts as one JSON object a line", &words.json, NULL},
        {"quiet", NULL, "print neither progress nor totals", &backtest.quiet,
         NULL},
        {"without", "PARTS", PARTS_HELP, NULL, &words.without},
    };
    struct parts parts;
    int first = argc, rc;

    rc = command_options(argc, argv, summary, "[FILE...]", options,
                         sizeof(options) / sizeof(options[0]), &words.config,
                         &first);
    if (rc >= 0) {
        return rc;
    }
    if (parts_read(&parts, words.without) != 0) {
        return EXIT_USAGE;
    }
    log_set_level(LOG_WARN);
    backtest.paths = argv + first;
    backtest.path_count = (unsigned)(argc - first);
    return words.recording != NULL || words.redis
               ? run_events(&backtest, &words, &parts)
               : run_csv(&backtest, &words, &parts);
}
