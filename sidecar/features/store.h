/*
 * The past of all series: rows by time, each with some columns for every slot.
 * Rows are told by an id that grows; a ring of them is kept.
 */
#ifndef TOCSIN_STORE_H
#define TOCSIN_STORE_H

#include "../base/buf.h"
#include "../base/err.h"

struct store {
    uint32_t max;     /* slots */
    unsigned rows;    /* kept */
    unsigned columns; /* of a slot in a row */
    bool wide;        /* float instead of half */
    uint64_t *ids;    /* [rows]: which row stands there; STORE_NONE: none */
    uint16_t *halves; /* [rows][max][columns], one of the two */
    float *floats;
    float *scale;   /* [columns]: powers of two, so scaling is exact */
    float *scratch; /* [max][columns] */
};

#define STORE_NONE UINT64_MAX

/* scale may be NULL: all 1. Values that a scaled half cannot hold become the
 * largest that it can. */
int store_init(struct store *store, uint32_t max, unsigned rows,
               unsigned columns, bool wide, const float *scale,
               struct err *err);
void store_release(struct store *store);
void store_clear(struct store *store);

/* Begins a row: NaN for the slots below `high`. */
void store_open(struct store *store, uint64_t id, uint32_t high);
bool store_has(const struct store *store, uint64_t id);

/* The row must be there. */
void store_put(struct store *store, uint64_t id, uint32_t slot,
               const float *values);
float store_get(const struct store *store, uint64_t id, uint32_t slot,
                unsigned column);

/* All slots below `high`, [high][columns], valid until the next call; NULL if
 * the row is not kept. */
const float *store_row(const struct store *store, uint64_t id, uint32_t high);

/* One slot's values in a row, as bytes of the same precision. */
void store_save(const struct store *store, uint64_t id, uint32_t slot,
                struct buf *to);
void store_restore(struct store *store, uint64_t id, uint32_t slot,
                   struct cursor *from);

#endif
