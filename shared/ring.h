/*
 * A ring of records over memory that it is given: one process at a time puts
 * records in, sends them, and takes them out when they were acknowledged. The
 * memory is shared and outlives its owner; a successor opens it and goes on.
 *
 * Two areas are given: struct tocsin_ring_shared (control and counters) and
 * the data. Whatever moment the owner dies at, the control area is whole:
 * it holds two copies of the state, and one store of `version` says which one
 * is true. A record's bytes are written before the state that covers them.
 * The same store is what a reader in another process goes by: at every
 * instant it sees
 *
 *     emitted = delivered + dropped + buffered
 *
 * exactly, and `buffered` is counted as records enter and leave.
 *
 * Places in the ring are offsets that only grow: head <= cursor <= sent <=
 * tail. `head` is the oldest record that must be kept, `cursor` the one that
 * the next reply is about, `sent` the next one to send, `tail` the end.
 * cursor and sent belong to the owner's connection and are not shared:
 * whoever connects anew sends again from head. A record that was settled
 * while an older one had to stay is marked, and is not sent again.
 */
#ifndef TOCSIN_RING_H
#define TOCSIN_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOCSIN_RING_DROPS 4  /* reasons of dropping, numbered by the user */
#define TOCSIN_RING_SERIES 2 /* running numbers kept, one a stream */

/* Readable bytes that follow the data: records may be over-read by so many. */
#define TOCSIN_RING_SLACK 64

#define TOCSIN_RING_STATE(X)                                                   \
    X(head)                                                                    \
    X(tail)                                                                    \
    X(emitted)                                                                 \
    X(delivered)                                                               \
    X(dropped[0])                                                              \
    X(dropped[1])                                                              \
    X(dropped[2])                                                              \
    X(dropped[3])                                                              \
    X(buffered)                                                                \
    X(seq[0])                                                                  \
    X(seq[1])

struct tocsin_ring_state {
    uint64_t head, tail;
    uint64_t emitted, delivered, buffered;
    uint64_t dropped[TOCSIN_RING_DROPS];
    uint64_t seq[TOCSIN_RING_SERIES]; /* the last one given; the first is 1 */
};

/* The control area; all zero is an empty ring. */
struct tocsin_ring_shared {
    _Atomic uint64_t version; /* its lowest bit says which copy is true */
    struct {
        _Atomic uint64_t head, tail;
        _Atomic uint64_t emitted, delivered, buffered;
        _Atomic uint64_t dropped[TOCSIN_RING_DROPS];
        _Atomic uint64_t seq[TOCSIN_RING_SERIES];
    } copy[2];
};

/* Before each record in the data; multiples of 8 bytes. */
struct tocsin_ring_record {
    uint32_t size; /* with this header */
    uint8_t mark;  /* enum tocsin_ring_mark */
    uint8_t kind;  /* the user's */
    uint16_t tag;  /* the user's */
};

enum tocsin_ring_mark {
    TOCSIN_RING_LIVE,
    TOCSIN_RING_SETTLED,
    TOCSIN_RING_PAD /* fills up to the end of the data */
};

struct tocsin_ring_place {
    uint64_t offset;
    size_t at; /* in the data */
};

/* The owner's handle, in its own memory. */
struct tocsin_ring {
    struct tocsin_ring_shared *shared;
    char *data;
    size_t size;
    size_t reserve;
    struct tocsin_ring_state now; /* published by tocsin_ring_publish() */
    struct tocsin_ring_place head, cursor, sent, tail;
};

/*
 * Takes over the ring. `size` is that of the data less TOCSIN_RING_SLACK, a
 * multiple of 8. `reserve` bytes are kept for records that are `precious`.
 * Returns the number of records found, or -1 if the data does not add up
 * (nothing can be trusted then): they were dropped as `reason`.
 */
int64_t tocsin_ring_open(struct tocsin_ring *ring,
                         struct tocsin_ring_shared *shared, char *data,
                         size_t size, size_t reserve, unsigned reason);

/* For a ring whose data is lost: all that waits in it is dropped as `reason`,
 * and it can be opened again over other data. */
void tocsin_ring_abandon(struct tocsin_ring_shared *shared, unsigned reason);

/*
 * Room for a record of at most `most` bytes, or NULL if there is none; then
 * tocsin_ring_put() with its true length enters it, or tocsin_ring_drop()
 * counts it as lost. Each counts one emitted. Not published before
 * tocsin_ring_publish(): several records may share one, but it comes before
 * any of them is sent.
 */
static inline char *tocsin_ring_room(struct tocsin_ring *ring, size_t most,
                                     bool precious);
static inline void tocsin_ring_put(struct tocsin_ring *ring, size_t len,
                                   unsigned kind, unsigned tag);
void tocsin_ring_drop(struct tocsin_ring *ring, unsigned reason);

/* The next record to send, or NULL. Its bytes follow it. tocsin_ring_sent()
 * with this very record goes on to the one after it. */
static inline const struct tocsin_ring_record *
tocsin_ring_next(struct tocsin_ring *ring);
static inline void tocsin_ring_sent(struct tocsin_ring *ring,
                                    const struct tocsin_ring_record *record);

/*
 * Replies, one for each record sent, in the order of sending: `count` of them
 * delivered, one refused (dropped as `reason`), or one to be kept and sent
 * again after the next tocsin_ring_rewind(). Not published before
 * tocsin_ring_publish().
 */
void tocsin_ring_delivered(struct tocsin_ring *ring, uint64_t count);
void tocsin_ring_refused(struct tocsin_ring *ring, unsigned reason);
void tocsin_ring_kept(struct tocsin_ring *ring);

/* Nothing that was sent will be replied to any more: sends from head again. */
void tocsin_ring_rewind(struct tocsin_ring *ring);

/* Empties the ring; what was in it is dropped as `reason`. Publishes. */
void tocsin_ring_clear(struct tocsin_ring *ring, unsigned reason);

void tocsin_ring_publish(struct tocsin_ring *ring);

/* A consistent copy of the state, from any process. Returns false if the
 * owner was too busy changing it: ask again. */
bool tocsin_ring_read(struct tocsin_ring_shared *shared,
                      struct tocsin_ring_state *state);

static inline void tocsin_ring_advance(const struct tocsin_ring *ring,
                                       struct tocsin_ring_place *place,
                                       size_t size)
{
    place->offset += size;
    place->at += size;
    if (place->at == ring->size) {
        place->at = 0;
    }
}

static inline struct tocsin_ring_record *
tocsin_ring_at(const struct tocsin_ring *ring, size_t at)
{
    void *record = ring->data + at;

    return record;
}

/* Bytes that a record of so many takes, with its header. */
static inline size_t tocsin_ring_size(size_t len)
{
    const size_t header = sizeof(struct tocsin_ring_record);

    return header + ((len + header - 1) & ~(header - 1));
}

/* Where the end of the data is near, or the ring is empty or full. */
char *tocsin_ring_room_elsewhere(struct tocsin_ring *ring, size_t need,
                                 bool precious);

static inline char *tocsin_ring_room(struct tocsin_ring *ring, size_t most,
                                     bool precious)
{
    size_t need = tocsin_ring_size(most);
    size_t used = (size_t)(ring->tail.offset - ring->head.offset);

    if (used != 0 && ring->tail.at + need <= ring->size &&
        used + need + ring->reserve <= ring->size) {
        return (char *)(tocsin_ring_at(ring, ring->tail.at) + 1);
    }
    return tocsin_ring_room_elsewhere(ring, need, precious);
}

static inline void tocsin_ring_put(struct tocsin_ring *ring, size_t len,
                                   unsigned kind, unsigned tag)
{
    size_t size = tocsin_ring_size(len);

    *tocsin_ring_at(ring, ring->tail.at) = (struct tocsin_ring_record){
        (uint32_t)size, TOCSIN_RING_LIVE, (uint8_t)kind, (uint16_t)tag};
    tocsin_ring_advance(ring, &ring->tail, size);
    ring->now.emitted++;
    ring->now.buffered++;
}

static inline void tocsin_ring_sent(struct tocsin_ring *ring,
                                    const struct tocsin_ring_record *record)
{
    tocsin_ring_advance(ring, &ring->sent, record->size);
}

/* Is a reply outstanding? */
static inline bool tocsin_ring_inflight(const struct tocsin_ring *ring)
{
    return ring->cursor.offset != ring->sent.offset;
}

/* Behind what is settled, or before the first of a batch. */
const struct tocsin_ring_record *
tocsin_ring_next_live(struct tocsin_ring *ring);

static inline const struct tocsin_ring_record *
tocsin_ring_next(struct tocsin_ring *ring)
{
    const struct tocsin_ring_record *record;

    if (ring->sent.offset != ring->tail.offset && tocsin_ring_inflight(ring)) {
        record = tocsin_ring_at(ring, ring->sent.at);
        if (record->mark == TOCSIN_RING_LIVE) {
            return record;
        }
    }
    return tocsin_ring_next_live(ring);
}

/* Bytes that wait to be sent for the first time, or again. */
static inline uint64_t tocsin_ring_unsent(const struct tocsin_ring *ring)
{
    return ring->tail.offset - ring->sent.offset;
}

#endif
