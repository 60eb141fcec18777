/*
 * The last room: verdicts become alerts that people are told.
 *
 * Each batch: the standings take the verdicts over (standing.c), series in
 * alarm find the alert that explains them (assign.c, group.c), alerts move on
 * in their lives (life.c), and what changed is told (tell.c, text.c). Between
 * batches the board can be drawn (board.c). notify.c is fed by whoever wires
 * the sink.
 *
 * What must stay true: an alert's id, labels and name never change once told;
 * a series in alarm has at most one alert; everything follows from the
 * verdicts and their time, so that a replay tells the same; after a restart
 * from a checkpoint alerts go on where they were, untold and unresolved.
 */
#include "alert.h"

#include <stdio.h>
#include <stdlib.h>

#include "room.h"

#define TEXT_MAX 4096
#define FORMAT 5

static int alerts_init(struct alerts *alerts, struct err *err)
{
    uint32_t max = alerts->options.max;

    buf_init(&alerts->summary, TEXT_MAX);
    buf_init(&alerts->description, 2 * TEXT_MAX);
    buf_init(&alerts->evidence, 2 * TOCSIN_EVIDENCE_MAX);
    buf_init(&alerts->parts, 2 * TOCSIN_EVIDENCE_MAX);
    if (board_init(alerts, err) != 0 ||
        standings_init(&alerts->standings, max, err) != 0) {
        return -1;
    }
    alerts->group = group_create(max, err);
    return alerts->group == NULL ? -1 : 0;
}

struct alerts *alerts_create(const struct alert_options *options,
                             struct alert_history history,
                             struct alert_sink sink, struct err *err)
{
    struct alerts *alerts;

    if (options->max == 0 || options->tick == 0) {
        err_set(err, ERR_USAGE, "alert: a limit of zero");
        return NULL;
    }
    alerts = calloc(1, sizeof(*alerts));
    if (alerts == NULL) {
        err_set(err, ERR_SYSTEM, "no memory");
        return NULL;
    }
    alerts->options = *options;
    alerts->history = history;
    alerts->sink = sink;
    alerts->tick = options->tick;
    if (alerts_init(alerts, err) != 0) {
        alerts_destroy(alerts);
        return NULL;
    }
    return alerts;
}

static void free_records(struct alerts *alerts)
{
    unsigned i;

    for (i = 0; i < ALERTS_MAX; i++) {
        free(alerts->records[i]);
        alerts->records[i] = NULL;
    }
}

void alerts_destroy(struct alerts *alerts)
{
    if (alerts == NULL) {
        return;
    }
    free_records(alerts);
    standings_release(&alerts->standings);
    group_destroy(alerts->group);
    board_release(alerts);
    buf_release(&alerts->summary);
    buf_release(&alerts->description);
    buf_release(&alerts->evidence);
    buf_release(&alerts->parts);
    free(alerts);
}

void alerts_batch(struct alerts *alerts, const struct verdict_batch *batch)
{
    alerts->end = batch->end;
    snprintf(alerts->model, sizeof(alerts->model), "%s",
             batch->scored->shape->version);
    standings_take(&alerts->standings, batch);
    alerts_assign(alerts);
    alerts_live(alerts);
}

void alerts_leave(struct alerts *alerts, const struct identity *who)
{
    if (who->slot < alerts->standings.max) {
        alerts->standings.rows[who->slot] =
            (struct standing){.owner = STANDING_NONE};
    }
}

/* ------------------------------------------------------------- checkpoint */

static void save_records(const struct alerts *alerts, struct buf *to)
{
    uint32_t i, count = 0;

    for (i = 0; i < ALERTS_MAX; i++) {
        count += alerts->records[i] != NULL;
    }
    buf_put_u32(to, count);
    for (i = 0; i < ALERTS_MAX; i++) {
        if (alerts->records[i] != NULL) {
            buf_put_u32(to, i);
            record_save(alerts->records[i], to);
        }
    }
}

static void save_owners(const struct alerts *alerts, struct buf *to)
{
    uint32_t slot, count = 0;

    for (slot = 0; slot < alerts->standings.max; slot++) {
        count += alerts->standings.rows[slot].alarm;
    }
    buf_put_u32(to, count);
    for (slot = 0; slot < alerts->standings.max; slot++) {
        const struct standing *row = &alerts->standings.rows[slot];

        if (row->alarm) {
            buf_put_u32(to, slot);
            buf_put_u32(to, row->owner);
            buf_put_u32(to, row->orphan);
            buf_put_u32(to, row->harm);
            buf_put_u32(to, row->spoilt);
        }
    }
}

void alerts_save(const struct alerts *alerts, struct buf *to)
{
    unsigned i;

    buf_put_u32(to, FORMAT);
    buf_put_u32(to, alerts->options.max);
    buf_put_u64(to, alerts->end);
    save_records(alerts, to);
    save_owners(alerts, to);
    for (i = 0; i < FLAPS_MAX; i++) {
        buf_put_u64(to, alerts->flaps[i].key);
        buf_put_u64(to, alerts->flaps[i].ended);
        buf_put_u32(to, alerts->flaps[i].count);
    }
}

static int restore_record(struct alerts *alerts, struct cursor *from,
                          struct err *err)
{
    uint32_t index = cursor_u32(from);
    struct record *record;

    if (index >= ALERTS_MAX || alerts->records[index] != NULL) {
        return err_set(err, ERR_INPUT, "alert %u is off", index);
    }
    record = malloc(sizeof(*record));
    if (record == NULL) {
        return err_set(err, ERR_SYSTEM, "no memory");
    }
    alerts->records[index] = record;
    if (record_restore(record, from) != 0 ||
        record->slot >= alerts->options.max) {
        return err_set(err, ERR_INPUT, "alert %u is off", index);
    }
    return 0;
}

static int restore_owners(struct alerts *alerts, struct cursor *from,
                          struct err *err)
{
    uint32_t count = cursor_u32(from), i;

    for (i = 0; i < count && !from->failed; i++) {
        uint32_t slot = cursor_u32(from), owner = cursor_u32(from);
        uint32_t orphan = cursor_u32(from), harm = cursor_u32(from);
        uint32_t spoilt = cursor_u32(from);
        struct standing *row;

        if (slot >= alerts->options.max ||
            (owner != STANDING_NONE &&
             (owner >= ALERTS_MAX || alerts->records[owner] == NULL))) {
            return err_set(err, ERR_INPUT, "owner of series %u is off", slot);
        }
        row = &alerts->standings.rows[slot];
        row->alarm = true;
        row->owner = owner;
        row->orphan = orphan;
        row->harm = harm;
        row->spoilt = spoilt != 0;
    }
    return 0;
}

static int restore_all(struct alerts *alerts, struct cursor *from,
                       struct err *err)
{
    uint32_t format = cursor_u32(from), max = cursor_u32(from), count, i;

    if (from->failed || format != FORMAT) {
        return err_set(err, ERR_INPUT, "alerts are of format %u, not of %u",
                       format, FORMAT);
    }
    if (max > alerts->options.max) {
        return err_set(err, ERR_INPUT,
                       "alerts are of a series.max of %u, expected at most "
                       "the present one, %u",
                       max, alerts->options.max);
    }
    alerts->end = cursor_u64(from);
    count = cursor_u32(from);
    for (i = 0; i < count && !from->failed; i++) {
        if (restore_record(alerts, from, err) != 0) {
            return -1;
        }
    }
    if (restore_owners(alerts, from, err) != 0) {
        return -1;
    }
    for (i = 0; i < FLAPS_MAX; i++) {
        alerts->flaps[i].key = cursor_u64(from);
        alerts->flaps[i].ended = cursor_u64(from);
        alerts->flaps[i].count = cursor_u32(from);
    }
    return from->failed ? err_set(err, ERR_INPUT, "alerts are cut off") : 0;
}

int alerts_restore(struct alerts *alerts, struct cursor *from, struct err *err)
{
    uint32_t slot;

    free_records(alerts);
    for (slot = 0; slot < alerts->options.max; slot++) {
        alerts->standings.rows[slot] =
            (struct standing){.owner = STANDING_NONE};
    }
    if (restore_all(alerts, from, err) != 0) {
        free_records(alerts); /* owners of what is gone must not stay */
        for (slot = 0; slot < alerts->options.max; slot++) {
            alerts->standings.rows[slot] =
                (struct standing){.owner = STANDING_NONE};
        }
        return -1;
    }
    return 0;
}
