/*
 * The history in a checkpoint: for each series its ticks and bins since its
 * birth, as the bytes that are held. Read as hostile: what the file claims
 * must fit the options of this room before any of it is stored, and a slot
 * out of range or named twice is refused.
 */
#include <string.h>

#include "room.h"

#define STATE_VERSION 1

/* What both sides must agree on; all that gives the bytes their meaning. */
static void put_shape(const struct features *features, struct buf *to)
{
    const struct features_options *options = &features->options;

    buf_put_u32(to, STATE_VERSION);
    buf_put_u64(to, options->tick);
    buf_put_u64(to, features->bin);
    buf_put_u32(to, options->wide);
    buf_put_u32(to, features->ticks.rows);
    buf_put_u32(to, features->bins.rows);
    buf_put_u32(to, options->column_count);
    for (unsigned i = 0; i < options->column_count; i++) {
        buf_put_u32(to, options->columns[i]);
    }
    buf_put_u32(to, options->season_column_count);
    for (unsigned i = 0; i < options->season_column_count; i++) {
        buf_put_u32(to, options->season_columns[i]);
    }
}

static void put_ids(const struct store *store, struct buf *to)
{
    for (unsigned i = 0; i < store->rows; i++) {
        buf_put_u64(to, store->ids[i]);
    }
}

/* Rows before the birth of a series are another's, or nothing. */
static bool belongs(const struct store *store, unsigned row, uint64_t born)
{
    return store->ids[row] != STORE_NONE && store->ids[row] >= born;
}

static uint64_t birth_bin(const struct features *features, uint64_t born)
{
    return (born - 1) * features->options.tick / features->bin;
}

static void save_slot(const struct features *features, uint32_t slot,
                      struct buf *to)
{
    const struct occupant *occupant = &features->who[slot];
    uint64_t bin = birth_bin(features, occupant->born);

    buf_put_u32(to, slot);
    buf_put_u64(to, occupant->born);
    for (unsigned i = 0; i < 2; i++) {
        buf_put_f32(to, occupant->sums[i]);
        buf_put_u32(to, occupant->counts[i]);
    }
    for (unsigned i = 0; i < features->ticks.rows; i++) {
        if (belongs(&features->ticks, i, occupant->born)) {
            store_save(&features->ticks, features->ticks.ids[i], slot, to);
        }
    }
    for (unsigned i = 0; i < features->bins.rows; i++) {
        if (belongs(&features->bins, i, bin)) {
            store_save(&features->bins, features->bins.ids[i], slot, to);
        }
    }
}

void features_save(const struct features *features, struct buf *to)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < features->high; i++) {
        count += features->who[i].born != FEATURES_NOBODY;
    }
    put_shape(features, to);
    buf_put_u32(to, features->started);
    buf_put_u64(to, features->tick);
    buf_put_u64(to, features->open);
    put_ids(&features->ticks, to);
    put_ids(&features->bins, to);
    buf_put_u32(to, count);
    for (uint32_t i = 0; i < features->high; i++) {
        if (features->who[i].born != FEATURES_NOBODY) {
            save_slot(features, i, to);
        }
    }
}

static int bad(struct err *err, const char *what)
{
    return err_set(err, ERR_INPUT, "features: %s is not what was saved", what);
}

static int check_shape(const struct features *features, struct cursor *from,
                       struct err *err)
{
    struct buf ours;
    const char *theirs;
    int rc = 0;

    buf_init(&ours, 4096);
    put_shape(features, &ours);
    theirs = cursor_bytes(from, ours.len);
    if (ours.failed) {
        rc = err_set(err, ERR_SYSTEM, "out of memory");
    } else if (theirs == NULL || memcmp(theirs, ours.data, ours.len) != 0) {
        rc = err_set(err, ERR_INPUT,
                     "features: the history was saved with other ticks, "
                     "features or lags");
    }
    buf_release(&ours);
    return rc;
}

static int take_ids(struct store *store, uint64_t newest, struct cursor *from,
                    struct err *err)
{
    for (unsigned i = 0; i < store->rows; i++) {
        store->ids[i] = cursor_u64(from);
        if (from->failed ||
            (store->ids[i] != STORE_NONE &&
             (store->ids[i] > newest || store->ids[i] % store->rows != i))) {
            return bad(err, "the order of ticks");
        }
    }
    return 0;
}

static int restore_slot(struct features *features, struct cursor *from,
                        struct err *err)
{
    uint32_t slot = cursor_u32(from);
    uint64_t born = cursor_u64(from);
    struct occupant *occupant;

    if (from->failed || slot >= features->options.max || born == 0 ||
        born > features->tick || features->who[slot].born != FEATURES_NOBODY) {
        return bad(err, "a series");
    }
    occupant = &features->who[slot];
    occupant->born = born;
    for (unsigned i = 0; i < 2; i++) {
        occupant->sums[i] = cursor_f32(from);
        occupant->counts[i] = cursor_u32(from);
    }
    for (unsigned i = 0; i < features->ticks.rows; i++) {
        if (belongs(&features->ticks, i, born)) {
            store_restore(&features->ticks, features->ticks.ids[i], slot, from);
        }
    }
    for (unsigned i = 0; i < features->bins.rows; i++) {
        if (belongs(&features->bins, i, birth_bin(features, born))) {
            store_restore(&features->bins, features->bins.ids[i], slot, from);
        }
    }
    return from->failed ? bad(err, "a series") : 0;
}

static int restore(struct features *features, struct cursor *from,
                   struct err *err)
{
    uint32_t count;

    if (check_shape(features, from, err) != 0) {
        return -1;
    }
    features->started = cursor_u32(from) != 0;
    features->tick = cursor_u64(from);
    features->open = cursor_u64(from);
    /* No overflow later: a tick number times its length is a time. */
    if (features->tick > UINT64_MAX / 4 / features->options.tick ||
        take_ids(&features->ticks, features->tick, from, err) != 0 ||
        take_ids(&features->bins, features->open, from, err) != 0) {
        return bad(err, "the order of ticks");
    }
    count = cursor_u32(from);
    if (from->failed || count > features->options.max) {
        return bad(err, "the number of series (series.max may be too low)");
    }
    for (uint32_t i = 0; i < count; i++) {
        if (restore_slot(features, from, err) != 0) {
            return -1;
        }
    }
    return 0;
}

int features_restore(struct features *features, struct cursor *from,
                     struct err *err)
{
    int rc;

    features_clear(features);
    features->high = features->options.max; /* all slots may be written */
    rc = restore(features, from, err);
    while (rc == 0 && features->high > 0 &&
           features->who[features->high - 1].born == FEATURES_NOBODY) {
        features->high--;
    }
    if (rc != 0) {
        features_clear(features);
    }
    return rc;
}
