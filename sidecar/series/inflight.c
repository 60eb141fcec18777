/*
 * A beat replaces what its producer told before, and a producer that went
 * silent is forgotten after a few seconds: the exchanges of a dead worker are
 * not in flight. Producers are few (workers of all nginx instances), so they
 * stand in a plain array, in the order of their first beat.
 */
#include "inflight.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void inflight_release(struct inflight *inflight)
{
    for (uint32_t i = 0; i < inflight->count; i++) {
        free(inflight->producers[i].items);
    }
    free(inflight->producers);
    memset(inflight, 0, sizeof(*inflight));
}

static struct producer *find(struct inflight *inflight, struct tocsin_span src,
                             uint64_t hash)
{
    for (uint32_t i = 0; i < inflight->count; i++) {
        struct producer *producer = &inflight->producers[i];

        if (producer->hash == hash &&
            tocsin_span_eq(src,
                           tocsin_span_of(producer->src, producer->src_len))) {
            return producer;
        }
    }
    return NULL;
}

static struct producer *append(struct inflight *inflight,
                               struct tocsin_span src, uint64_t hash)
{
    struct producer *producer;

    if (inflight->count == inflight->room) {
        uint32_t room = inflight->room != 0 ? 2 * inflight->room : 16;

        if (room > INFLIGHT_PRODUCERS_MAX) {
            return NULL;
        }
        producer = realloc(inflight->producers, room * sizeof(*producer));
        if (producer == NULL) {
            return NULL;
        }
        inflight->producers = producer;
        inflight->room = room;
    }
    producer = &inflight->producers[inflight->count++];
    memset(producer, 0, sizeof(*producer));
    memcpy(producer->src, src.data, src.len);
    producer->src_len = (uint32_t)src.len;
    producer->hash = hash;
    return producer;
}

struct producer *inflight_beat(struct inflight *inflight,
                               struct tocsin_span src, uint64_t us)
{
    struct producer *producer;
    uint64_t hash;

    if (src.data == NULL) {
        src = TOCSIN_SPAN("");
    }
    src.len = src.len < TOCSIN_TEXT_MAX ? src.len : TOCSIN_TEXT_MAX;
    hash = XXH64(src.data, src.len, 0);
    producer = find(inflight, src, hash);
    if (producer == NULL) {
        producer = append(inflight, src, hash);
    }
    if (producer != NULL) {
        producer->beat = us;
        producer->count = 0;
    }
    return producer;
}

int producer_add(struct producer *producer, const struct contribution *item)
{
    if (producer->count == producer->room) {
        uint32_t room = producer->room != 0 ? 2 * producer->room : 16;
        struct contribution *items =
            realloc(producer->items, room * sizeof(*items));

        if (items == NULL) {
            return -1;
        }
        producer->items = items;
        producer->room = room;
    }
    producer->items[producer->count++] = *item;
    return 0;
}

void inflight_expire(struct inflight *inflight, uint64_t since)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < inflight->count; i++) {
        if (inflight->producers[i].beat < since) {
            free(inflight->producers[i].items);
        } else {
            inflight->producers[kept++] = inflight->producers[i];
        }
    }
    inflight->count = kept;
}
