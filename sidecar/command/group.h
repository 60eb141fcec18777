/*
 * Files with the same number of columns, abreast: one row of each makes a
 * batch, which the model takes in one step, as it takes the series of a tick.
 * The scorer fills batches up to a multiple of 64, so a file's output is the
 * same whatever is scored beside it.
 */
#ifndef TOCSIN_COMMAND_GROUP_H
#define TOCSIN_COMMAND_GROUP_H

#include "../model/scorer.h"
#include "track.h"

#define GROUP_MAX 64

struct group {
    struct track *tracks[GROUP_MAX];
    const char *paths[GROUP_MAX];
    unsigned count, columns;
    bool seasonless;
    struct identity identities[GROUP_MAX];
    struct scorer *scorer;

    /* The step that is being made: who takes part, and the rooms' arrays. */
    struct track *present[GROUP_MAX];
    unsigned present_count;
    struct series_row rows[GROUP_MAX];
    float *x, *past, *season;
    struct feature_batch batch;
};

/* Adds a track, now the group's; all have the same number of columns. */
void group_add(struct group *group, struct track *track, const char *path);

/* When all are there. The model is copied: it stays the caller's. */
int group_start(struct group *group, const struct model *model, bool seasonless,
                struct err *err);

/* One row of every file that has one: how many, or -1. A file that learns is
 * alone in its group: what it learned serves from its next row on. */
int group_step(struct group *group, struct err *err);

/* Frees all that is in it; as if it were new. */
void group_release(struct group *group);

#endif
