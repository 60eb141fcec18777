/*
 * The ring that holds a worker's events until Redis has acknowledged them.
 * Callers: the module, whose workers own rings in shared memory; the tests,
 * which kill it at every step. See ring.h for what must stay true.
 *
 * Records never wrap: where one does not fit before the end of the data, the
 * rest is filled by a pad. An empty ring starts again at the beginning of the
 * data, so that a worker whose Redis keeps up touches few pages of a large
 * ring, and finds them in its cache.
 */
#include "ring.h"

#include <string.h>

#include "fault.h"

#define HEADER sizeof(struct tocsin_ring_record)

_Static_assert(HEADER == 8, "records are aligned by their header");

/* ------------------------------------------------------------------- state */

void tocsin_ring_publish(struct tocsin_ring *ring)
{
    struct tocsin_ring_shared *shared = ring->shared;
    uint64_t version =
        atomic_load_explicit(&shared->version, memory_order_relaxed) + 1;
    unsigned spare = version & 1;

    ring->now.head = ring->head.offset;
    ring->now.tail = ring->tail.offset;

    /* a reader that sees what follows must see an older version as outdated */
    atomic_thread_fence(memory_order_release);
#define X(member)                                                              \
    atomic_store_explicit(&shared->copy[spare].member, ring->now.member,       \
                          memory_order_relaxed);
    TOCSIN_RING_STATE(X)
#undef X
    tocsin_fault(STATE);
    atomic_store_explicit(&shared->version, version, memory_order_release);
}

bool tocsin_ring_read(struct tocsin_ring_shared *shared,
                      struct tocsin_ring_state *state)
{
    uint64_t version, after;
    unsigned tries;

    for (tries = 0; tries < 1000; tries++) {
        version = atomic_load_explicit(&shared->version, memory_order_acquire);
#define X(member)                                                              \
    state->member = atomic_load_explicit(&shared->copy[version & 1].member,    \
                                         memory_order_relaxed);
        TOCSIN_RING_STATE(X)
#undef X
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&shared->version, memory_order_relaxed);
        if (after == version) {
            return true;
        }
    }
    return false;
}

/* ----------------------------------------------------------------- opening */

/* Walks from head to tail; the number of live records, or -1. */
static int64_t count_live(const struct tocsin_ring *ring)
{
    struct tocsin_ring_place place = ring->head;
    const struct tocsin_ring_record *record;
    int64_t live = 0;

    while (place.offset != ring->tail.offset) {
        record = tocsin_ring_at(ring, place.at);
        if (record->size < HEADER || record->size % HEADER != 0 ||
            record->size > ring->size - place.at ||
            record->size > ring->tail.offset - place.offset ||
            record->mark > TOCSIN_RING_PAD) {
            return -1;
        }
        live += record->mark == TOCSIN_RING_LIVE;
        tocsin_ring_advance(ring, &place, record->size);
    }
    return live;
}

static void place_at(const struct tocsin_ring *ring,
                     struct tocsin_ring_place *place, uint64_t offset)
{
    place->offset = offset;
    place->at = (size_t)(offset % ring->size);
}

int64_t tocsin_ring_open(struct tocsin_ring *ring,
                         struct tocsin_ring_shared *shared, char *data,
                         size_t size, size_t reserve, unsigned reason)
{
    int64_t live = -1;

    *ring = (struct tocsin_ring){
        .shared = shared, .data = data, .size = size, .reserve = reserve};
    /* nobody else writes: the first try succeeds */
    (void)tocsin_ring_read(shared, &ring->now);

    place_at(ring, &ring->head, ring->now.head);
    place_at(ring, &ring->tail, ring->now.tail);
    if (ring->now.tail - ring->now.head <= size) {
        live = count_live(ring);
    }
    if (live < 0 || (uint64_t)live > ring->now.buffered) {
        tocsin_ring_clear(ring, reason);
        return -1;
    }

    /* replies whose records were marked, but not published any more */
    ring->now.delivered += ring->now.buffered - (uint64_t)live;
    ring->now.buffered = (uint64_t)live;
    tocsin_ring_rewind(ring);
    tocsin_ring_publish(ring);
    return live;
}

void tocsin_ring_abandon(struct tocsin_ring_shared *shared, unsigned reason)
{
    struct tocsin_ring ring = {.shared = shared, .size = HEADER};

    (void)tocsin_ring_read(shared, &ring.now);
    ring.tail.offset = ring.now.tail;
    tocsin_ring_clear(&ring, reason);
}

void tocsin_ring_clear(struct tocsin_ring *ring, unsigned reason)
{
    ring->now.dropped[reason] += ring->now.buffered;
    ring->now.buffered = 0;
    ring->tail.offset += ring->size - ring->tail.at;
    ring->tail.at = 0;
    ring->head = ring->cursor = ring->sent = ring->tail;
    tocsin_ring_publish(ring);
}

/* ----------------------------------------------------------------- writing */

char *tocsin_ring_room_elsewhere(struct tocsin_ring *ring, size_t need,
                                 bool precious)
{
    size_t rest = ring->size - ring->tail.at;
    size_t used = (size_t)(ring->tail.offset - ring->head.offset);
    size_t limit = precious ? ring->size : ring->size - ring->reserve;
    struct tocsin_ring_record *pad;

    if (used == 0 && ring->tail.at != 0) {
        tocsin_ring_advance(ring, &ring->tail, rest);
        ring->head = ring->cursor = ring->sent = ring->tail;
        rest = ring->size;
    }
    if (need <= rest) {
        return used + need <= limit ? ring->data + ring->tail.at + HEADER
                                    : NULL;
    }
    if (used + rest + need > limit) {
        return NULL;
    }
    pad = tocsin_ring_at(ring, ring->tail.at);
    *pad = (struct tocsin_ring_record){(uint32_t)rest, TOCSIN_RING_PAD, 0, 0};
    tocsin_ring_advance(ring, &ring->tail, rest);
    return ring->data + HEADER;
}

void tocsin_ring_drop(struct tocsin_ring *ring, unsigned reason)
{
    ring->now.emitted++;
    ring->now.dropped[reason]++;
}

/* ----------------------------------------------------- sending and replies */

/*
 * Goes over what is settled or a pad, as far as `end`. Such records were
 * skipped when sending: the next reply is never about one of them.
 */
static inline void skip(const struct tocsin_ring *ring,
                        struct tocsin_ring_place *place, uint64_t end)
{
    const struct tocsin_ring_record *record;

    while (place->offset != end) {
        record = tocsin_ring_at(ring, place->at);
        if (record->mark == TOCSIN_RING_LIVE) {
            break;
        }
        tocsin_ring_advance(ring, place, record->size);
    }
}

const struct tocsin_ring_record *tocsin_ring_next_live(struct tocsin_ring *ring)
{
    bool idle = !tocsin_ring_inflight(ring);
    bool clean = ring->head.offset == ring->cursor.offset;

    skip(ring, &ring->sent, ring->tail.offset);
    if (idle) {
        /* the next reply is about the next record to be sent */
        ring->cursor = ring->sent;
        if (clean) {
            ring->head = ring->cursor;
        }
    }
    if (ring->sent.offset == ring->tail.offset) {
        return NULL;
    }
    return tocsin_ring_at(ring, ring->sent.at);
}

static void settle(struct tocsin_ring *ring, uint64_t count)
{
    struct tocsin_ring_place place = ring->cursor;
    struct tocsin_ring_record *record;

    ring->now.buffered -= count;
    for (; count > 0; count--) {
        record = tocsin_ring_at(ring, place.at);
        record->mark = TOCSIN_RING_SETTLED;
        tocsin_fault(SETTLED);
        tocsin_ring_advance(ring, &place, record->size);
        skip(ring, &place, ring->sent.offset);
    }
    if (ring->head.offset == ring->cursor.offset) {
        ring->head = place; /* all before it is settled */
    }
    ring->cursor = place;
}

void tocsin_ring_delivered(struct tocsin_ring *ring, uint64_t count)
{
    ring->now.delivered += count;
    settle(ring, count);
}

void tocsin_ring_refused(struct tocsin_ring *ring, unsigned reason)
{
    ring->now.dropped[reason]++;
    settle(ring, 1);
}

void tocsin_ring_kept(struct tocsin_ring *ring)
{
    tocsin_ring_advance(ring, &ring->cursor,
                        tocsin_ring_at(ring, ring->cursor.at)->size);
    skip(ring, &ring->cursor, ring->sent.offset);
}

void tocsin_ring_rewind(struct tocsin_ring *ring)
{
    skip(ring, &ring->head, ring->tail.offset);
    ring->cursor = ring->sent = ring->head;
}
