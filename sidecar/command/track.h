/*
 * One file on its way through the rooms of a backtest: its own history of
 * features, its own detector and, where it learns, its own models, so that
 * nothing of it depends on the files that are scored beside it.
 */
#ifndef TOCSIN_COMMAND_TRACK_H
#define TOCSIN_COMMAND_TRACK_H

#include "../detect/detect.h"
#include "../features/features.h"
#include "events.h"
#include "learner.h"
#include "table.h"

struct track_options {
    const struct model_shape *shape;
    double false_alarms_per_day;
    double min_requests_per_minute;
    unsigned clear;
    unsigned without; /* of enum detect_part */
    uint64_t train;   /* rows between rounds of training; 0: none */
    uint64_t seed;
    const struct model *champion; /* what a file that learns begins with */
};

struct track;

/* Takes the table over, also when it fails. NULL and *err otherwise. */
struct track *track_create(struct table *table,
                           const struct track_options *options,
                           struct err *err);
void track_destroy(struct track *track);

/* Columns as the model sees them. */
unsigned track_columns(const struct track *track);

/*
 * Takes the next row in and makes its batch of one: 1, 0 after the last row,
 * or -1 and *err. The batch is valid until the next call.
 */
int track_next(struct track *track, const struct feature_batch **batch,
               struct err *err);

/* The score of that row, as row `index` of what was scored. */
void track_judge(struct track *track, const struct scored_batch *scored,
                 uint32_t index);

/* A model that has just won over the one that serves this file, now the
 * caller's; or NULL. */
struct model *track_winner(struct track *track);

/* NULL where it does not learn. */
const struct learner_stats *track_learned(const struct track *track);

/* Writes the input's rows with their scores to path, whole or not at all. */
int track_write(const struct track *track, const char *path, struct err *err);

size_t track_rows(const struct track *track);

/* Adds its labels, anomaly scores and alerts; nothing without labels. */
int track_events(const struct track *track, struct events *events,
                 struct err *err);

#endif
