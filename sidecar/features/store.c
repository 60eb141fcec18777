/*
 * Rows stand by time first, slots second: scoring reads a few whole rows a
 * tick, one after the other, and converts them in one go, instead of picking a
 * few bytes from the history of each of ten thousand series. Slots are given
 * out from the lowest, so memory beyond those in use is never touched.
 *
 * Half precision has 11 bits, which is enough to be compared with, but not the
 * range of bytes or microseconds; each column is therefore scaled by a power
 * of two. Files keep floats: few series, and nothing is known of their range.
 */
#include "store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "half.h"

int store_init(struct store *store, uint32_t max, unsigned rows,
               unsigned columns, bool wide, const float *scale, struct err *err)
{
    size_t cells = (size_t)rows * max * columns;

    memset(store, 0, sizeof(*store));
    store->max = max;
    store->rows = rows;
    store->columns = columns;
    store->wide = wide;
    store->ids = calloc((size_t)rows + 1, sizeof(*store->ids));
    store->scale = calloc((size_t)columns + 1, sizeof(*store->scale));
    store->scratch = calloc((size_t)max * columns + 1, sizeof(*store->scratch));
    if (wide) {
        store->floats = calloc(cells + 1, sizeof(*store->floats));
    } else {
        store->halves = calloc(cells + 1, sizeof(*store->halves));
    }
    if (store->ids == NULL || store->scale == NULL || store->scratch == NULL ||
        (store->halves == NULL && store->floats == NULL)) {
        store_release(store);
        return err_set(err, ERR_SYSTEM,
                       "no memory for %u ticks of history of %u series", rows,
                       max);
    }
    for (unsigned i = 0; i < columns; i++) {
        store->scale[i] = scale != NULL ? scale[i] : 1.0f;
    }
    store_clear(store);
    return 0;
}

void store_release(struct store *store)
{
    free(store->ids);
    free(store->halves);
    free(store->floats);
    free(store->scale);
    free(store->scratch);
    memset(store, 0, sizeof(*store));
}

void store_clear(struct store *store)
{
    memset(store->ids, 0xff, store->rows * sizeof(*store->ids));
}

static size_t at(const struct store *store, uint64_t id, uint32_t slot)
{
    return ((size_t)(id % store->rows) * store->max + slot) * store->columns;
}

bool store_has(const struct store *store, uint64_t id)
{
    return store->rows != 0 && id != STORE_NONE &&
           store->ids[id % store->rows] == id;
}

void store_open(struct store *store, uint64_t id, uint32_t high)
{
    size_t begin = at(store, id, 0), count = (size_t)high * store->columns;

    store->ids[id % store->rows] = id;
    for (size_t i = 0; store->wide && i < count; i++) {
        store->floats[begin + i] = NAN;
    }
    for (size_t i = 0; !store->wide && i < count; i++) {
        store->halves[begin + i] = HALF_NAN;
    }
}

static uint16_t narrow(float value, float scale)
{
    value *= scale;
    if (value > HALF_MAX) {
        value = HALF_MAX;
    } else if (value < -HALF_MAX) {
        value = -HALF_MAX;
    }
    return half_from_float(value);
}

void store_put(struct store *store, uint64_t id, uint32_t slot,
               const float *values)
{
    size_t begin = at(store, id, slot);

    for (unsigned i = 0; i < store->columns; i++) {
        if (store->wide) {
            store->floats[begin + i] = values[i];
        } else {
            store->halves[begin + i] = narrow(values[i], store->scale[i]);
        }
    }
}

float store_get(const struct store *store, uint64_t id, uint32_t slot,
                unsigned column)
{
    size_t begin = at(store, id, slot);

    if (!store_has(store, id)) {
        return NAN;
    }
    return store->wide ? store->floats[begin + column]
                       : half_to_float(store->halves[begin + column]) /
                             store->scale[column];
}

const float *store_row(const struct store *store, uint64_t id, uint32_t high)
{
    size_t begin = at(store, id, 0), count = (size_t)high * store->columns;

    if (!store_has(store, id)) {
        return NULL;
    }
    if (store->wide) {
        return store->floats + begin;
    }
    half_to_floats(store->halves + begin, store->scratch, count);
    for (size_t i = 0; i < count; i += store->columns) {
        for (unsigned k = 0; k < store->columns; k++) {
            store->scratch[i + k] /= store->scale[k];
        }
    }
    return store->scratch;
}

void store_save(const struct store *store, uint64_t id, uint32_t slot,
                struct buf *to)
{
    size_t begin = at(store, id, slot);

    for (unsigned i = 0; i < store->columns; i++) {
        if (store->wide) {
            buf_put_f32(to, store->floats[begin + i]);
        } else {
            uint16_t half = store->halves[begin + i];
            unsigned char bytes[2] = {(unsigned char)(half & 0xff),
                                      (unsigned char)(half >> 8)};

            buf_put(to, bytes, sizeof(bytes));
        }
    }
}

void store_restore(struct store *store, uint64_t id, uint32_t slot,
                   struct cursor *from)
{
    size_t begin = at(store, id, slot);

    for (unsigned i = 0; i < store->columns; i++) {
        if (store->wide) {
            store->floats[begin + i] = cursor_f32(from);
        } else {
            const char *bytes = cursor_bytes(from, 2);

            store->halves[begin + i] =
                bytes == NULL
                    ? HALF_NAN
                    : (uint16_t)((unsigned char)bytes[0] |
                                 (unsigned)(unsigned char)bytes[1] << 8);
        }
    }
}
