/*
 * The rules. The first 15 % of a file are for learning: nothing in them
 * counts. Labelled rows up to two rows apart are one event. A row that is told
 * within ten rows of the last one belongs to the same alert, unless that began
 * thirty rows ago: one that never ends is many. An event is found by an alert
 * that begins from one row before it to three rows behind it, or that is still
 * on when it begins.
 */
#include "events.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEARNING 0.15
#define APART 3   /* rows between labelled ones of one event, at most */
#define QUIET 10  /* rows between told ones of one alert, at most */
#define LASTS 30  /* rows after which it is another alert */
#define BEFORE 1  /* an alert may end so many rows before the event... */
#define BEHIND 3  /* ...or begin so many behind it */
#define LEVELS 58 /* thresholds that are tried: shares of the rows... */
#define FIRST 6   /* ...from 10^(-6/12) down */

struct span {
    size_t first, last;
};

struct file {
    struct events_row *rows;
    size_t count, skip;
};

struct events {
    struct file *files;
    size_t count, room, rows, most; /* rows: that count; most: of a file */
};

/* A tally that is being made, and where it puts things. */
struct count {
    struct events_tally tally;
    struct span *events, *alerts;
    bool *used;
    double *delays;
};

double events_precision(const struct events_tally *tally)
{
    size_t told = tally->found + tally->wrong;

    return told != 0 ? (double)tally->found / (double)told : 0;
}

double events_recall(const struct events_tally *tally)
{
    return tally->events != 0 ? (double)tally->found / (double)tally->events
                              : 0;
}

double events_f1(const struct events_tally *tally)
{
    double missed = (double)(tally->events - tally->found);
    double found = (double)tally->found;

    return tally->events != 0
               ? 2 * found / (2 * found + (double)tally->wrong + missed)
               : 0;
}

struct events *events_create(struct err *err)
{
    struct events *events = calloc(1, sizeof(*events));

    if (events == NULL) {
        err_set(err, ERR_SYSTEM, "out of memory");
    }
    return events;
}

void events_destroy(struct events *events)
{
    if (events != NULL) {
        for (size_t i = 0; i < events->count; i++) {
            free(events->files[i].rows);
        }
        free(events->files);
        free(events);
    }
}

static int grow(struct events *events)
{
    size_t room = events->room != 0 ? 2 * events->room : 64;
    struct file *files = realloc(events->files, room * sizeof(*files));

    if (files == NULL) {
        return -1;
    }
    events->files = files;
    events->room = room;
    return 0;
}

struct events_row *events_add(struct events *events, size_t rows,
                              struct err *err)
{
    struct events_row *added = calloc(rows + 1, sizeof(*added));
    size_t skip = (size_t)(LEARNING * (double)rows);

    if (added == NULL || (events->count == events->room && grow(events) != 0)) {
        free(added);
        err_set(err, ERR_SYSTEM, "no memory for %zu rows", rows);
        return NULL;
    }
    events->files[events->count++] = (struct file){added, rows, skip};
    events->rows += rows - skip;
    events->most = rows > events->most ? rows : events->most;
    return added;
}

size_t events_rows(const struct events *events)
{
    return events->rows;
}

static size_t find_events(const struct file *file, struct span *spans)
{
    size_t count = 0;

    for (size_t i = file->skip; i < file->count; i++) {
        if (!file->rows[i].label) {
            continue;
        }
        if (count == 0 || i - spans[count - 1].last > APART) {
            spans[count++] = (struct span){i, i};
        }
        spans[count - 1].last = i;
    }
    return count;
}

/* threshold: of the scores, or NaN: by the file's own alerts */
static size_t find_alerts(const struct file *file, float threshold,
                          struct span *spans)
{
    size_t count = 0;

    for (size_t i = file->skip; i < file->count; i++) {
        bool told = isnan(threshold) ? file->rows[i].alert
                                     : file->rows[i].score >= threshold;

        if (!told) {
            continue;
        }
        if (count == 0 || i - spans[count - 1].last > QUIET ||
            i - spans[count - 1].first >= LASTS) {
            spans[count++] = (struct span){i, i};
        }
        spans[count - 1].last = i;
    }
    return count;
}

static void count_file(struct count *count, const struct file *file,
                       float threshold)
{
    size_t events = find_events(file, count->events);
    size_t alerts = find_alerts(file, threshold, count->alerts);

    memset(count->used, 0, alerts * sizeof(*count->used));
    for (size_t i = 0; i < events; i++) {
        const struct span *event = &count->events[i];
        bool found = false;

        for (size_t k = 0; k < alerts; k++) {
            const struct span *alert = &count->alerts[k];

            if (alert->first > event->last + BEHIND ||
                alert->last + BEFORE < event->first) {
                continue;
            }
            if (!found) {
                count->delays[count->tally.found++] =
                    alert->first > event->first
                        ? (double)(alert->first - event->first)
                        : 0;
            }
            found = true;
            count->used[k] = true;
        }
    }
    for (size_t k = 0; k < alerts; k++) {
        count->tally.wrong += !count->used[k];
    }
    count->tally.events += events;
    count->tally.alerts += alerts;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    if (count == 0) {
        return (double)NAN;
    }
    qsort(values, count, sizeof(*values), compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static struct events_tally count_all(const struct events *events,
                                     struct count *count, float threshold)
{
    count->tally = (struct events_tally){0};
    for (size_t i = 0; i < events->count; i++) {
        count_file(count, &events->files[i], threshold);
    }
    count->tally.delay = median(count->delays, count->tally.found);
    return count->tally;
}

static void count_release(struct count *count)
{
    free(count->events);
    free(count->alerts);
    free(count->used);
    free(count->delays);
}

static int count_init(struct count *count, const struct events *events,
                      struct err *err)
{
    size_t most = events->most + 1;

    count->events = calloc(most, sizeof(*count->events));
    count->alerts = calloc(most, sizeof(*count->alerts));
    count->used = calloc(most, sizeof(*count->used));
    count->delays = calloc(events->rows + 1, sizeof(*count->delays));
    if (count->events == NULL || count->alerts == NULL || count->used == NULL ||
        count->delays == NULL) {
        count_release(count);
        err_set(err, ERR_SYSTEM, "out of memory");
        return -1;
    }
    return 0;
}

int events_alerts(const struct events *events, struct events_tally *tally,
                  struct err *err)
{
    struct count count;

    if (count_init(&count, events, err) != 0) {
        return -1;
    }
    *tally = count_all(events, &count, NAN);
    count_release(&count);
    return 0;
}

/* All scores that count, in order; they are finite. */
static double *sorted_scores(const struct events *events, struct err *err)
{
    double *scores = calloc(events->rows + 1, sizeof(*scores));
    size_t at = 0;

    if (scores == NULL) {
        err_set(err, ERR_SYSTEM, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < events->count; i++) {
        const struct file *file = &events->files[i];

        for (size_t k = file->skip; k < file->count; k++) {
            scores[at++] = (double)file->rows[k].score;
        }
    }
    qsort(scores, at, sizeof(*scores), compare);
    return scores;
}

int events_scores(const struct events *events, struct events_tally *tally,
                  float *threshold, struct err *err)
{
    double *scores = sorted_scores(events, err);
    struct count count;

    memset(tally, 0, sizeof(*tally));
    *threshold = NAN;
    if (scores == NULL) {
        return -1;
    }
    if (count_init(&count, events, err) != 0) {
        free(scores);
        return -1;
    }
    for (unsigned k = FIRST; events->rows != 0 && k < FIRST + LEVELS; k++) {
        double share = 1 - pow(10, -(double)k / 12);
        size_t at = (size_t)((double)events->rows * share);
        float level = (float)scores[at < events->rows ? at : events->rows - 1];
        struct events_tally now = count_all(events, &count, level);

        if (isnan(*threshold) || events_f1(&now) >= events_f1(tally)) {
            *tally = now;
            *threshold = level;
        }
    }
    count_release(&count);
    free(scores);
    return 0;
}
