/*
 * A beat replaces what its producer told before, and a producer that went
 * silent is forgotten after a few seconds: the exchanges of a dead worker are
 * not in flight. What its clock is is kept longer, since what comes first when
 * Redis was away is what was held up. Producers are few (workers of all nginx
 * instances), so they stand in a plain array, in the order of their first beat.
 */
#include "inflight.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Clocks that somebody looks after agree within that. */
#define CLOCK_TOLERANCE 1000000 /* us */
/* No beat is held up for so long: such a clock was set. */
#define CLOCK_JUMP 600000000 /* us */
/* A connection that stands still is given up before: nothing comes from it. */
#define CLOCK_LIFE 60000000  /* us */
#define CLOCK_SECOND 1000000 /* us */

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

static uint64_t identify(struct tocsin_span *src)
{
    if (src->data == NULL) {
        *src = TOCSIN_SPAN("");
    }
    src->len = src->len < TOCSIN_TEXT_MAX ? src->len : TOCSIN_TEXT_MAX;
    return XXH64(src->data, src->len, 0);
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
    uint64_t hash = identify(&src);
    struct producer *producer = find(inflight, src, hash);

    if (producer == NULL) {
        producer = append(inflight, src, hash);
    }
    if (producer != NULL) {
        producer->beat = us;
        producer->count = 0;
    }
    return producer;
}

int64_t producer_skew(const struct producer *producer)
{
    int64_t skew = producer->least[0];

    for (unsigned i = 1; i < CLOCK_SECONDS; i++) {
        skew = producer->least[i] < skew ? producer->least[i] : skew;
    }
    return skew;
}

void producer_clock(struct producer *producer, uint64_t us, uint64_t ts)
{
    uint64_t second = us / CLOCK_SECOND;
    int64_t *least = producer->least, behind, more;

    if (ts == 0 || ts > CLOCK_TIME_MAX || us > CLOCK_TIME_MAX) {
        return;
    }
    behind = (int64_t)us - (int64_t)ts;
    more = producer->heard ? behind - producer_skew(producer) : 0;
    if (!producer->heard || more > CLOCK_JUMP) {
        for (unsigned i = 0; i < CLOCK_SECONDS; i++) {
            least[i] = behind;
        }
    } else if (second != producer->second) {
        memmove(least + 1, least, (CLOCK_SECONDS - 1) * sizeof(*least));
        least[0] = behind;
    } else if (behind < least[0]) {
        least[0] = behind;
    }
    producer->second = second;
    producer->heard = true;
    producer->late = more > CLOCK_TOLERANCE ? us : producer->late;
}

/* More waits than comes in a second: there was no Redis to take it, and what
 * arrives now is old. */
void producer_backlog(struct producer *producer, uint64_t ts, uint64_t emitted,
                      uint64_t buffered)
{
    double seconds = ((double)ts - (double)producer->ts) / 1e6;
    double fresh = (double)emitted - (double)producer->emitted;

    producer->behind = producer->ts != 0 && seconds > 0 && fresh >= 0 &&
                       (double)buffered * seconds > fresh;
    producer->ts = ts;
    producer->emitted = emitted;
}

bool inflight_behind(const struct inflight *inflight, uint64_t since)
{
    for (uint32_t i = 0; i < inflight->count; i++) {
        const struct producer *producer = &inflight->producers[i];

        if (producer->behind ||
            (producer->late != 0 && producer->late >= since)) {
            return true;
        }
    }
    return false;
}

bool producer_is_off(const struct producer *producer)
{
    int64_t skew = producer_skew(producer);

    return skew > CLOCK_TOLERANCE || skew < -CLOCK_TOLERANCE;
}

uint64_t inflight_time(struct inflight *inflight, struct tocsin_span src,
                       uint64_t ts)
{
    uint64_t hash = identify(&src);
    const struct producer *producer = find(inflight, src, hash);
    int64_t skew = producer != NULL ? producer_skew(producer) : 0;

    if (ts > CLOCK_TIME_MAX || (skew < 0 && ts < (uint64_t)-skew)) {
        return ts;
    }
    return ts + (uint64_t)skew;
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

uint32_t inflight_expire(struct inflight *inflight, uint64_t since)
{
    uint32_t kept = 0, live = 0;

    for (uint32_t i = 0; i < inflight->count; i++) {
        struct producer *producer = &inflight->producers[i];

        if (producer->beat >= since) {
            live++;
        } else if (producer->beat + CLOCK_LIFE >= since) {
            producer->count = 0;
            producer->behind = false;
        } else {
            free(producer->items);
            continue;
        }
        inflight->producers[kept++] = *producer;
    }
    inflight->count = kept;
    return live;
}
