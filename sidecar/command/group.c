/*
 * The step of files that go abreast. All that differs from file to file
 * (history, calibration, alarms) is a track's own; what they share is the
 * model, and the memory of one batch.
 */
#include "group.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void on_scored(void *ctx, const struct scored_batch *scored)
{
    struct group *group = ctx;

    for (unsigned i = 0; i < group->present_count; i++) {
        track_judge(group->present[i], scored, i);
    }
}

void group_add(struct group *group, struct track *track, const char *path)
{
    group->columns = track_columns(track);
    group->paths[group->count] = path;
    group->tracks[group->count++] = track;
}

void group_release(struct group *group)
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

int group_start(struct group *group, const struct model *model, bool seasonless,
                struct err *err)
{
    const struct model_shape *shape = model_describe(model);
    struct scorer_sink sink = {group, on_scored};
    struct scorer_options scoring = {
        .columns = group->columns, .max = GROUP_MAX, .band = true};
    size_t past = (size_t)shape->lag_count * group->columns;
    size_t season = (size_t)shape->season_count * shape->season_feature_count;
    struct model *copy = model_copy(model, err);

    if (copy == NULL) {
        return -1;
    }
    group->scorer = scorer_create(copy, &scoring, sink, err);
    if (group->scorer == NULL) {
        return -1;
    }
    group->x = calloc(GROUP_MAX, group->columns * sizeof(float));
    group->past = calloc(GROUP_MAX, (past + 1) * sizeof(float));
    group->season = calloc(GROUP_MAX, (season + 1) * sizeof(float));
    if (group->x == NULL || group->past == NULL || group->season == NULL) {
        return err_set(err, ERR_SYSTEM, "out of memory");
    }
    group->seasonless = seasonless;
    for (uint32_t i = 0; i < GROUP_MAX; i++) {
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

/* What a file has just learned. */
static int swap(struct group *group, struct err *err)
{
    struct model *winner;

    for (unsigned i = 0; i < group->count; i++) {
        winner = track_winner(group->tracks[i]);
        if (winner != NULL && scorer_swap(group->scorer, winner, err) != 0) {
            model_free(winner);
            return err_prefix(err, "%s", group->paths[i]);
        }
    }
    return 0;
}

int group_step(struct group *group, struct err *err)
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
    if (scorer_batch(group->scorer, &group->batch, err) != 0 ||
        swap(group, err) != 0) {
        return -1;
    }
    return (int)group->present_count;
}
