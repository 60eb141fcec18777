/*
 * The states of all series, and the one batched step a tick that moves them.
 *
 * A state lives at its slot for as long as the series does, and moves there.
 * The last block is filled up to a multiple of 64 with rows that nobody
 * observed, because the kernels of small matrices round differently; their
 * states are behind those of the series.
 */
#include "scorer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCORER_PAD 64u
#define SCORER_BLOCK 1024u
#define SCORER_MAGIC 0x31726373u /* "scr1" */

struct scorer {
    struct model *model;
    struct scorer_sink sink;
    unsigned columns, state_size, evidence_size;
    uint32_t max;
    bool band;

    float *initial; /* [S] */
    float *states;  /* [max + PAD][S] */
    uint32_t *ages; /* [max]; 0: the slot is free */

    uint32_t slots[SCORER_BLOCK];
    float *x, *past, *season; /* the last block, filled up */
    uint32_t room;            /* rows that the outputs have room for */
    float *expected, *low, *high, *evidence;
    uint32_t *row_ages;
};

static float *scorer_floats(size_t count, size_t each)
{
    return calloc(count > 0 ? count : 1, (each > 0 ? each : 1) * sizeof(float));
}

static unsigned scorer_season_columns(const struct scorer *scorer)
{
    unsigned most = model_describe(scorer->model)->season_feature_count;

    return scorer->columns < most ? scorer->columns : most;
}

static size_t scorer_past_size(const struct scorer *scorer)
{
    return (size_t)model_describe(scorer->model)->lag_count * scorer->columns;
}

static size_t scorer_season_size(const struct scorer *scorer)
{
    return (size_t)model_describe(scorer->model)->season_count *
           scorer_season_columns(scorer);
}

static int scorer_allocate(struct scorer *scorer, struct err *err)
{
    scorer->initial = scorer_floats(1, scorer->state_size);
    scorer->states =
        scorer_floats((size_t)scorer->max + SCORER_PAD, scorer->state_size);
    scorer->ages = calloc(scorer->max, sizeof(uint32_t));
    scorer->x = scorer_floats(SCORER_BLOCK, scorer->columns);
    scorer->past = scorer_floats(SCORER_BLOCK, scorer_past_size(scorer));
    scorer->season = scorer_floats(SCORER_BLOCK, scorer_season_size(scorer));
    if (scorer->initial == NULL || scorer->states == NULL ||
        scorer->ages == NULL || scorer->x == NULL || scorer->past == NULL ||
        scorer->season == NULL) {
        return err_set(err, ERR_LIMIT, "scorer: out of memory");
    }
    return 0;
}

static float *scorer_state(const struct scorer *scorer, uint32_t slot)
{
    return scorer->states + (size_t)slot * scorer->state_size;
}

static void scorer_begin(struct scorer *scorer, uint32_t slot)
{
    memcpy(scorer_state(scorer, slot), scorer->initial,
           scorer->state_size * sizeof(float));
}

struct scorer *scorer_create(struct model *model,
                             const struct scorer_options *options,
                             struct scorer_sink sink, struct err *err)
{
    struct scorer *scorer;
    uint32_t i;

    scorer = calloc(1, sizeof(*scorer));
    if (scorer == NULL) {
        err_set(err, ERR_LIMIT, "scorer: out of memory");
        model_free(model);
        return NULL;
    }
    scorer->model = model;
    scorer->columns = options->columns;
    scorer->max = options->max;
    scorer->band = options->band;
    scorer->sink = sink;
    if (scorer->columns == 0 || scorer->max == 0) {
        err_set(err, ERR_USAGE, "scorer: no columns or no series");
    } else if (model_sizes(model, scorer->columns, &scorer->state_size,
                           &scorer->evidence_size, err) == 0 &&
               scorer_allocate(scorer, err) == 0 &&
               model_initial(model, scorer->columns, 1, scorer->initial, err) ==
                   0) {
        for (i = 0; i < SCORER_PAD; i++) {
            scorer_begin(scorer, scorer->max + i);
        }
        return scorer;
    }
    scorer_destroy(scorer);
    return NULL;
}

static void scorer_free_outputs(struct scorer *scorer)
{
    free(scorer->expected);
    free(scorer->low);
    free(scorer->high);
    free(scorer->evidence);
    free(scorer->row_ages);
    scorer->expected = scorer->low = scorer->high = scorer->evidence = NULL;
    scorer->row_ages = NULL;
}

void scorer_destroy(struct scorer *scorer)
{
    if (scorer == NULL) {
        return;
    }
    scorer_free_outputs(scorer);
    free(scorer->initial);
    free(scorer->states);
    free(scorer->ages);
    free(scorer->x);
    free(scorer->past);
    free(scorer->season);
    model_free(scorer->model);
    free(scorer);
}

/* The outputs hold what the model writes: whole blocks of SCORER_PAD. */
static int scorer_reserve(struct scorer *scorer, uint32_t rows, struct err *err)
{
    uint32_t room = (rows + SCORER_BLOCK - 1) / SCORER_BLOCK * SCORER_BLOCK;

    if (room <= scorer->room) {
        return 0;
    }
    scorer_free_outputs(scorer);
    scorer->room = 0;
    if (scorer->band) {
        scorer->expected = scorer_floats(room, scorer->columns);
        scorer->low = scorer_floats(room, scorer->columns);
        scorer->high = scorer_floats(room, scorer->columns);
    }
    scorer->evidence = scorer_floats(room, scorer->evidence_size);
    scorer->row_ages = calloc(room, sizeof(uint32_t));
    if ((scorer->band && (scorer->expected == NULL || scorer->low == NULL ||
                          scorer->high == NULL)) ||
        scorer->evidence == NULL || scorer->row_ages == NULL) {
        return err_set(err, ERR_LIMIT, "scorer: out of memory");
    }
    scorer->room = room;
    return 0;
}

/* Where the states of a block's rows are, of those that fill it up too. */
static void scorer_find(struct scorer *scorer,
                        const struct feature_batch *batch, uint32_t at,
                        uint32_t rows, uint32_t filled)
{
    uint32_t i, slot;

    for (i = 0; i < rows; i++) {
        slot = batch->rows[at + i].identity->slot;
        if (scorer->ages[slot] == 0) {
            scorer_begin(scorer, slot);
        }
        scorer->slots[i] = slot;
    }
    for (; i < filled; i++) {
        scorer->slots[i] = scorer->max + (i - rows);
    }
}

static void scorer_grow_older(struct scorer *scorer, uint32_t at, uint32_t rows)
{
    uint32_t i;

    for (i = 0; i < rows; i++) {
        uint32_t *age = &scorer->ages[scorer->slots[i]];

        if (*age < UINT32_MAX) {
            (*age)++;
        }
        scorer->row_ages[at + i] = *age;
    }
}

/* rows of width floats, then NaN up to `filled` rows. */
static const float *scorer_fill(float *to, const float *from, size_t width,
                                uint32_t rows, uint32_t filled)
{
    size_t i;

    if (width > 0) {
        memcpy(to, from, rows * width * sizeof(float));
    }
    for (i = rows * width; i < filled * width; i++) {
        to[i] = NAN;
    }
    return to;
}

static int scorer_block(struct scorer *scorer,
                        const struct feature_batch *batch, uint32_t at,
                        uint32_t rows, struct err *err)
{
    size_t columns = scorer->columns;
    size_t past = scorer_past_size(scorer);
    size_t season = scorer_season_size(scorer);
    uint32_t filled = (rows + SCORER_PAD - 1) / SCORER_PAD * SCORER_PAD;
    struct model_step step = {
        .batch = filled,
        .columns = scorer->columns,
        .state_size = scorer->state_size,
        .x = batch->x + at * columns,
        .past = batch->past + at * past,
        .season = batch->season + at * season,
        .state = scorer->states,
        .slots = scorer->slots,
        .evidence = scorer->evidence + at * scorer->evidence_size,
    };

    if (scorer->band) {
        step.expected = scorer->expected + at * columns;
        step.low = scorer->low + at * columns;
        step.high = scorer->high + at * columns;
    }
    scorer_find(scorer, batch, at, rows, filled);
    if (filled > rows) {
        step.x = scorer_fill(scorer->x, step.x, columns, rows, filled);
        step.past = scorer_fill(scorer->past, step.past, past, rows, filled);
        step.season =
            scorer_fill(scorer->season, step.season, season, rows, filled);
    }
    if (model_step(scorer->model, &step, err) != 0) {
        return -1;
    }
    scorer_grow_older(scorer, at, rows);
    return 0;
}

static int scorer_check(const struct scorer *scorer,
                        const struct feature_batch *batch, struct err *err)
{
    const struct model_shape *shape = model_describe(scorer->model);
    uint32_t i;

    if (batch->column_count != scorer->columns ||
        batch->lag_count != shape->lag_count ||
        batch->season_count != shape->season_count ||
        batch->season_column_count != scorer_season_columns(scorer)) {
        return err_set(err, ERR_USAGE,
                       "scorer: a batch of %u columns, %u lags, %u seasons of "
                       "%u is not what the model reads",
                       batch->column_count, batch->lag_count,
                       batch->season_count, batch->season_column_count);
    }
    for (i = 0; i < batch->count; i++) {
        if (batch->rows[i].identity->slot >= scorer->max) {
            return err_set(err, ERR_USAGE, "scorer: slot %u of %u",
                           batch->rows[i].identity->slot, scorer->max);
        }
    }
    return 0;
}

int scorer_batch(struct scorer *scorer, const struct feature_batch *batch,
                 struct err *err)
{
    struct scored_batch scored;
    uint32_t at, rows;

    if (scorer_check(scorer, batch, err) != 0 ||
        scorer_reserve(scorer, batch->count, err) != 0) {
        return -1;
    }
    for (at = 0; at < batch->count; at += rows) {
        rows = batch->count - at;
        if (rows > SCORER_BLOCK) {
            rows = SCORER_BLOCK;
        }
        if (scorer_block(scorer, batch, at, rows, err) != 0) {
            return -1;
        }
    }
    scored = (struct scored_batch){
        .batch = batch,
        .shape = model_describe(scorer->model),
        .evidence_count = scorer->evidence_size,
        .expected = scorer->expected,
        .low = scorer->low,
        .high = scorer->high,
        .evidence = scorer->evidence,
        .age = scorer->row_ages,
    };
    scorer->sink.scored(scorer->sink.ctx, &scored);
    return 0;
}

void scorer_leave(struct scorer *scorer, const struct identity *who)
{
    if (who->slot < scorer->max) {
        scorer->ages[who->slot] = 0;
    }
}

static int scorer_same_names(const char *const *a, const char *const *b,
                             unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        if (strcmp(a[i], b[i]) != 0) {
            return 0;
        }
    }
    return 1;
}

static int scorer_same_shape(const struct model_shape *a,
                             const struct model_shape *b)
{
    return a->feature_count == b->feature_count &&
           a->season_feature_count == b->season_feature_count &&
           a->evidence_count == b->evidence_count &&
           a->lag_count == b->lag_count && a->season_count == b->season_count &&
           scorer_same_names(a->features, b->features, a->feature_count) &&
           scorer_same_names(a->season_features, b->season_features,
                             a->season_feature_count) &&
           scorer_same_names(a->evidence, b->evidence, a->evidence_count) &&
           memcmp(a->lags, b->lags, a->lag_count * sizeof(*a->lags)) == 0 &&
           memcmp(a->seasons, b->seasons,
                  a->season_count * sizeof(*a->seasons)) == 0;
}

int scorer_swap(struct scorer *scorer, struct model *model, struct err *err)
{
    unsigned state, evidence;

    if (!scorer_same_shape(model_describe(scorer->model),
                           model_describe(model))) {
        return err_set(err, ERR_MODEL,
                       "scorer: model %s reads or tells other things than %s",
                       model_describe(model)->version,
                       model_describe(scorer->model)->version);
    }
    if (model_sizes(model, scorer->columns, &state, &evidence, err) != 0) {
        return -1;
    }
    if (state != scorer->state_size || evidence != scorer->evidence_size) {
        return err_set(
            err, ERR_MODEL, "scorer: model %s has a state of %u floats, not %u",
            model_describe(model)->version, state, scorer->state_size);
    }
    model_free(scorer->model);
    scorer->model = model;
    return 0;
}

struct model *scorer_model(struct scorer *scorer)
{
    return scorer->model;
}

void scorer_save(const struct scorer *scorer, struct buf *to)
{
    uint32_t slot, count = 0;
    size_t size = scorer->state_size;

    for (slot = 0; slot < scorer->max; slot++) {
        count += scorer->ages[slot] > 0;
    }
    buf_put_u32(to, SCORER_MAGIC);
    buf_put_u32(to, scorer->columns);
    buf_put_u32(to, scorer->state_size);
    buf_put_u32(to, count);
    for (slot = 0; slot < scorer->max; slot++) {
        if (scorer->ages[slot] > 0) {
            buf_put_u32(to, slot);
            buf_put_u32(to, scorer->ages[slot]);
            buf_put(to, scorer_state(scorer, slot), size * sizeof(float));
        }
    }
}

int scorer_restore(struct scorer *scorer, struct cursor *from, struct err *err)
{
    size_t size = scorer->state_size;
    uint32_t count, slot, age, i;
    const char *state;

    memset(scorer->ages, 0, scorer->max * sizeof(uint32_t));
    if (cursor_u32(from) != SCORER_MAGIC ||
        cursor_u32(from) != scorer->columns ||
        cursor_u32(from) != scorer->state_size) {
        return err_set(err, ERR_INPUT,
                       "scorer: the states are those of another model");
    }
    count = cursor_u32(from);
    for (i = 0; i < count; i++) {
        slot = cursor_u32(from);
        age = cursor_u32(from);
        state = cursor_bytes(from, size * sizeof(float));
        if (state == NULL || slot >= scorer->max || age == 0 ||
            scorer->ages[slot] != 0) {
            memset(scorer->ages, 0, scorer->max * sizeof(uint32_t));
            return err_set(err, ERR_INPUT, "scorer: state %u of %u is broken",
                           i, count);
        }
        memcpy(scorer_state(scorer, slot), state, size * sizeof(float));
        scorer->ages[slot] = age;
    }
    return 0;
}
