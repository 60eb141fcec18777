/*
 * The last tick, by slot. Verdicts live only while their batch is told; the
 * board is drawn later, and grouping walks from series to series by slot. So
 * what both need is copied, and nothing else.
 */
#include "standing.h"

#include <math.h>
#include <stdlib.h>

/* Evidence of harm that one tick in fifty has by chance: enough to doubt that
 * a part is well. A part sees less traffic than the whole, and its own alarm
 * takes longer. */
#define BAD_INCIDENT 20.0F

int standings_init(struct standings *standings, uint32_t max, struct err *err)
{
    uint32_t i;

    *standings = (struct standings){.max = max};
    standings->rows = calloc(max, sizeof(*standings->rows));
    if (standings->rows == NULL) {
        return err_set(err, ERR_SYSTEM, "no memory for %u series", max);
    }
    for (i = 0; i < max; i++) {
        standings->rows[i].owner = STANDING_NONE;
    }
    standings->spark[0] = standings->spark[1] = STANDING_NONE;
    return 0;
}

void standings_release(struct standings *standings)
{
    free(standings->rows);
    standings->rows = NULL;
}

static void find_columns(struct standings *standings,
                         const struct feature_batch *batch)
{
    unsigned i;

    standings->spark[0] = standings->spark[1] = STANDING_NONE;
    standings->column_count = batch->column_count;
    for (i = 0; i < batch->column_count; i++) {
        standings->columns[i] = batch->columns[i];
        if (batch->columns[i] == FEATURE_LATENCY_P95) {
            standings->spark[0] = i;
        } else if (batch->columns[i] == FEATURE_RATE) {
            standings->spark[1] = i;
        }
    }
}

static void take_values(struct standing *row, const struct feature_batch *batch,
                        uint32_t index)
{
    const float *x = batch->x + (size_t)index * batch->column_count;
    float values[FEATURE_COUNT];
    unsigned i;

    for (i = 0; i < FEATURE_COUNT; i++) {
        values[i] = NAN;
    }
    for (i = 0; i < batch->column_count; i++) {
        if (batch->columns[i] < FEATURE_COUNT) {
            values[batch->columns[i]] = x[i];
        }
    }
    row->rate = values[FEATURE_RATE];
    row->errors = values[FEATURE_ERRORS];
    row->latency_p50 = values[FEATURE_LATENCY_P50];
    row->latency_p95 = values[FEATURE_LATENCY_P95];
    row->inflight = values[FEATURE_INFLIGHT];
}

static void take(struct standing *row, const struct verdict *verdict)
{
    row->identity = verdict->identity;
    row->alarm = verdict->alarm;
    row->sudden = verdict->sudden;
    row->harmed = verdict->harmed;
    row->bad = verdict->alarm || verdict->incident >= BAD_INCIDENT;
    row->requests = verdict->aggregate->weight;
    row->observed = row->bad || (row->requests > 0 && verdict->judged);
    row->accepted = verdict->accepted;
    row->since = verdict->since;
    row->feature = verdict->feature;
    row->column = verdict->column;
    row->score = fmaxf(verdict->anomaly, verdict->incident);
    row->incident = verdict->incident;
    row->observed_value = verdict->observed;
    row->expected = verdict->expected;
    row->low = verdict->low;
    row->high = verdict->high;
}

/* A tick without traffic tells nothing, unless it is the harm. */
static void note_harm(struct standing *row)
{
    if (row->requests > 0 || row->harmed) {
        row->harm = row->harm << 1 | (row->harmed ? 1u : 0u);
    }
}

void standings_take(struct standings *standings,
                    const struct verdict_batch *batch)
{
    uint32_t i;

    find_columns(standings, batch->scored->batch);
    standings->alarms = standings->orphans = 0;
    for (i = 0; i < batch->count; i++) {
        const struct verdict *verdict = &batch->verdicts[i];
        struct standing *row = &standings->rows[verdict->identity->slot];

        take(row, verdict);
        take_values(row, batch->scored->batch, i);
        if (!row->alarm) {
            row->owner = STANDING_NONE;
            row->orphan = row->harm = 0;
            continue;
        }
        standings->alarms++;
        note_harm(row);
        if (row->owner == STANDING_NONE) {
            standings->orphans++;
            row->orphan++;
        }
    }
}
