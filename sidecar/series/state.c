/*
 * The series room in a checkpoint: all that later ticks depend on, so that a
 * sidecar that was killed goes on as if it had not been. What is not here, the
 * resolver's cache, gives the same answers empty or full.
 *
 * The bytes come from a file and are read as hostile: every count is bounded
 * before it sizes anything, every slot is looked at before it is used, and the
 * three places that say which slots are in use (members, lists, free stack)
 * must agree. Whatever else a forged file says can only make numbers wrong.
 *
 * Only the length of a tick must be that of the file. Label sets, caps
 * and the lateness may change: series that no set counts any more fall silent
 * and leave.
 */
#include <string.h>

#include "room.h"

#define STATE_VERSION 4
#define STATE_TIME_MAX (UINT64_MAX / 4)

/* ------------------------------------------------------------- writing */

static void put_text(struct buf *to, const char *text, size_t len)
{
    buf_put_u32(to, (uint32_t)len);
    buf_put(to, text, len);
}

static void save_member(const struct member *member, struct buf *to)
{
    const struct identity *identity = &member->identity;

    put_text(to, identity->labels, strlen(identity->labels));
    buf_put_u32(to, identity->scope);
    buf_put_u32(to, identity->of_requests);
    buf_put_u32(to, member->of_beats);
    buf_put_u32(to, member->ticks);
    buf_put_u64(to, member->seen);
    buf_put_u64(to, member->linked);
    buf_put_u32(to, member->link_count);
    for (uint32_t i = 0; i < member->link_count; i++) {
        buf_put_u32(to, member->links[i].slot);
        buf_put_u32(to, member->links[i].generation);
        buf_put_u64(to, member->links[i].stamp);
    }
    buf_put_u32(to, identity->link_count);
    for (uint32_t i = 0; i < identity->link_count; i++) {
        buf_put_u32(to, identity->links[i]);
    }
}

static void save_roster(const struct roster *roster, struct buf *to)
{
    uint32_t unused = roster->max - roster->high;

    buf_put_u32(to, roster->high);
    for (uint32_t i = 0; i < roster->high; i++) {
        buf_put_u32(to, roster->members[i].generation);
        buf_put_u32(to, roster->members[i].segment);
        if (roster->members[i].segment != SEGMENT_FREE) {
            save_member(&roster->members[i], to);
        }
    }
    for (unsigned i = SEGMENT_PROBATION; i < SEGMENTS; i++) {
        uint32_t slot = roster->lists[i].oldest;

        for (; slot != ROSTER_NONE; slot = roster->members[slot].newer) {
            buf_put_u32(to, slot);
        }
    }
    /* Slots that were never in use are at the bottom of the stack. */
    for (uint32_t i = unused; i < roster->free_count; i++) {
        buf_put_u32(to, roster->free[i]);
    }
    buf_put_u32(to, roster->links_changed);
}

static void save_sketch(const struct sketch *sketch, struct buf *to)
{
    uint32_t mask = 0;

    for (unsigned i = 0; i < SKETCH_CHUNKS; i++) {
        mask |= sketch->chunks[i] != NULL ? 1u << i : 0;
    }
    buf_put_u32(to, mask);
    for (unsigned i = 0; i < SKETCH_CHUNKS; i++) {
        for (unsigned k = 0; sketch->chunks[i] && k < SKETCH_CHUNK; k++) {
            buf_put_u32(to, sketch->chunks[i][k]);
        }
    }
}

#define SUMS(X)                                                                \
    X(events)                                                                  \
    X(weight)                                                                  \
    X(errors)                                                                  \
    X(client_errors)                                                           \
    X(local_errors)                                                            \
    X(aborted)                                                                 \
    X(retries)                                                                 \
    X(bytes)                                                                   \
    X(cacheable)                                                               \
    X(cache_hits)                                                              \
    X(connects)                                                                \
    X(connect_sum)

static void save_ticks(const struct ticks *ticks, struct buf *to)
{
    buf_put_u64(to, ticks->first);
    buf_put_u32(to, ticks->count);
    for (uint64_t i = ticks->first; i < ticks->first + ticks->count; i++) {
        const struct open_tick *tick = &ticks->open[i % ticks->count];

        buf_put_u32(to, tick->touched_count);
        for (uint32_t k = 0; k < tick->touched_count; k++) {
            const struct aggregate *from = tick->of[tick->touched[k]];

            buf_put_u32(to, tick->touched[k]);
#define X(sum) buf_put_u64(to, from->sum);
            SUMS(X)
#undef X
            save_sketch(&from->duration, to);
            save_sketch(&from->header, to);
        }
    }
}

static void save_inflight(const struct inflight *inflight, struct buf *to)
{
    buf_put_u32(to, inflight->count);
    for (uint32_t i = 0; i < inflight->count; i++) {
        const struct producer *producer = &inflight->producers[i];

        put_text(to, producer->src, producer->src_len);
        buf_put_u64(to, producer->beat);
        for (unsigned k = 0; k < CLOCK_SECONDS; k++) {
            buf_put_u64(to, (uint64_t)producer->least[k]);
        }
        buf_put_u64(to, producer->second);
        buf_put_u32(to, producer->heard);
        buf_put_u64(to, producer->late);
        buf_put_u64(to, producer->ts);
        buf_put_u64(to, producer->emitted);
        buf_put_u32(to, producer->behind);
        buf_put_u32(to, producer->count);
        for (uint32_t k = 0; k < producer->count; k++) {
            buf_put_u32(to, producer->items[k].slot);
            buf_put_u32(to, producer->items[k].generation);
            buf_put_u64(to, producer->items[k].count);
            buf_put_u64(to, producer->items[k].oldest);
        }
    }
}

void series_save(const struct series *series, struct buf *to)
{
    const struct series_stats *stats = &series->stats;

    buf_put_u32(to, STATE_VERSION);
    buf_put_u64(to, series->tick);
    buf_put_u32(to, series->started);
    buf_put_u64(to, series->now);
    buf_put_u64(to, series->sign);
    buf_put_u64(to, stats->late);
    buf_put_u64(to, stats->future);
    buf_put_u64(to, stats->evicted);
    buf_put_u64(to, stats->idled);
    buf_put_u64(to, stats->refused);
    buf_put_u64(to, stats->tick);
    save_roster(&series->roster, to);
    save_ticks(&series->ticks, to);
    save_inflight(&series->inflight, to);
}

/* ------------------------------------------------------------- reading */

static int bad(struct err *err, const char *what)
{
    return err_set(err, ERR_INPUT, "series: %s is not what was saved", what);
}

static uint32_t take_count(struct cursor *from, uint32_t max)
{
    uint32_t count = cursor_u32(from);

    if (count > max) {
        from->failed = true;
    }
    return from->failed ? 0 : count;
}

static struct tocsin_span take_text(struct cursor *from, uint32_t max)
{
    uint32_t len = take_count(from, max);
    const char *data = cursor_bytes(from, len);

    return tocsin_span_of(data != NULL ? data : "", data != NULL ? len : 0);
}

static int restore_member(struct roster *roster, uint32_t slot,
                          struct cursor *from, struct err *err)
{
    struct member *member = &roster->members[slot];
    struct series_name name = {.labels = take_text(from, TOCSIN_LABELS_MAX)};
    uint32_t scope = take_count(from, SCOPE_TOTAL);

    name.scope = (enum scope)scope;
    name.of_requests = cursor_u32(from) != 0;
    name.of_beats = cursor_u32(from) != 0;
    if (from->failed || memchr(name.labels.data, 0, name.labels.len) != NULL ||
        roster_place(roster, slot, &name) != 0) {
        return bad(err, "a name");
    }
    member->ticks = (uint8_t)take_count(from, UINT8_MAX);
    member->seen = cursor_u64(from);
    member->linked = cursor_u64(from);
    member->link_count = take_count(from, IDENTITY_LINKS_MAX);
    for (uint32_t i = 0; i < member->link_count; i++) {
        member->links[i].slot = take_count(from, roster->max - 1);
        member->links[i].generation = cursor_u32(from);
        member->links[i].stamp = cursor_u64(from);
    }
    member->identity.link_count = take_count(from, IDENTITY_LINKS_MAX);
    for (uint32_t i = 0; i < member->identity.link_count; i++) {
        member->identity.links[i] = take_count(from, roster->max - 1);
    }
    return from->failed ? bad(err, "a series") : 0;
}

static int restore_lists(struct roster *roster, const uint32_t *counts,
                         struct cursor *from, struct err *err)
{
    for (unsigned segment = SEGMENT_PROBATION; segment < SEGMENTS; segment++) {
        for (uint32_t i = 0; i < counts[segment]; i++) {
            uint32_t slot = take_count(from, roster->high - 1);

            /* roster_append() below gives it its segment: so, once. */
            if (from->failed || roster->members[slot].segment != SEGMENT_FREE ||
                roster->members[slot].identity.labels == NULL) {
                return bad(err, "the order of series");
            }
            roster_append(roster, slot, (enum segment)segment);
        }
    }
    return 0;
}

static int restore_free(struct roster *roster, uint32_t count,
                        struct cursor *from, struct err *err)
{
    roster->free_count = roster->max - roster->high;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = take_count(from, roster->high - 1);

        if (from->failed || roster->members[slot].segment != SEGMENT_FREE ||
            roster->members[slot].newer == ROSTER_NONE) {
            return bad(err, "the list of free places");
        }
        roster->members[slot].newer = ROSTER_NONE; /* seen once */
        roster->free[roster->free_count++] = slot;
    }
    return 0;
}

static int restore_roster(struct roster *roster, struct cursor *from,
                          struct err *err)
{
    uint32_t high = take_count(from, roster->max);
    uint32_t counts[SEGMENTS] = {0};

    if (from->failed) {
        return bad(err, "the number of series (series.max may be too low)");
    }
    roster->high = high;
    for (uint32_t i = 0; i < high; i++) {
        uint32_t generation = cursor_u32(from);
        uint32_t segment = take_count(from, SEGMENTS - 1);

        if (from->failed) {
            return bad(err, "the number of series");
        }
        counts[segment]++;
        if (segment != SEGMENT_FREE &&
            restore_member(roster, i, from, err) != 0) {
            return -1;
        }
        roster->members[i].generation = generation;
    }
    if (restore_lists(roster, counts, from, err) != 0 ||
        restore_free(roster, counts[SEGMENT_FREE], from, err) != 0) {
        return -1;
    }
    roster->links_changed = cursor_u32(from) != 0;
    return from->failed ? bad(err, "the order of series") : 0;
}

static int restore_sketch(struct sketch *sketch, struct arena *arena,
                          struct cursor *from, struct err *err)
{
    uint32_t mask = cursor_u32(from);

    if (mask >= 1u << SKETCH_CHUNKS) {
        return bad(err, "a sketch");
    }
    for (unsigned i = 0; i < SKETCH_BUCKETS; i++) {
        uint32_t weight;

        if ((mask & 1u << i / SKETCH_CHUNK) == 0) {
            continue;
        }
        weight = cursor_u32(from);
        if (sketch_add(sketch, arena, i, weight) != 0) {
            return err_set(err, ERR_SYSTEM, "no memory for a sketch");
        }
    }
    return from->failed ? bad(err, "a sketch") : 0;
}

/* What counted in a tick that is no longer open is read and dropped. */
static int restore_aggregate(struct series *series, struct open_tick *tick,
                             struct cursor *from, struct err *err)
{
    uint32_t slot = take_count(from, series->roster.max - 1);
    struct aggregate dropped = {.events = 0}, *to = &dropped;
    struct arena *arena = &series->ticks.open[0].arena;

    if (from->failed || !roster_used(&series->roster, slot) ||
        (tick != NULL && tick->of[slot] != NULL)) {
        return bad(err, "a tick's series");
    }
    if (tick != NULL) {
        to = open_tick_aggregate(tick, slot);
        arena = &tick->arena;
    }
    if (to == NULL) {
        return err_set(err, ERR_SYSTEM, "no memory for an open tick");
    }
#define X(sum) to->sum = cursor_u64(from);
    SUMS(X)
#undef X
    if (restore_sketch(&to->duration, arena, from, err) != 0 ||
        restore_sketch(&to->header, arena, from, err) != 0) {
        return -1;
    }
    return 0;
}

static int restore_ticks(struct series *series, struct cursor *from,
                         struct err *err)
{
    struct ticks *ticks = &series->ticks;
    uint64_t first = cursor_u64(from);
    uint32_t count = take_count(from, TICKS_OPEN_MAX);

    if (from->failed || first > series->now / series->tick) {
        return bad(err, "the first open tick");
    }
    ticks->first = first;
    for (uint64_t i = first; i < first + count; i++) {
        struct open_tick *tick = ticks_find(ticks, i);
        uint32_t touched = take_count(from, series->roster.high);

        for (uint32_t k = 0; k < touched; k++) {
            if (restore_aggregate(series, tick, from, err) != 0) {
                return -1;
            }
        }
    }
    return from->failed ? bad(err, "an open tick") : 0;
}

static void restore_clock(struct producer *producer, struct cursor *from)
{
    for (unsigned i = 0; i < CLOCK_SECONDS; i++) {
        producer->least[i] = (int64_t)cursor_u64(from);
        if (producer->least[i] > CLOCK_TIME_MAX ||
            producer->least[i] < -CLOCK_TIME_MAX) {
            from->failed = true;
        }
    }
    producer->second = cursor_u64(from);
    producer->heard = cursor_u32(from) != 0;
    producer->late = cursor_u64(from);
}

static int restore_producer(struct series *series, struct cursor *from,
                            struct err *err)
{
    struct tocsin_span src = take_text(from, TOCSIN_TEXT_MAX);
    uint64_t beat = cursor_u64(from);
    uint32_t before = series->inflight.count, count;
    struct producer *producer = inflight_beat(&series->inflight, src, beat);

    if (producer == NULL) {
        return err_set(err, ERR_SYSTEM, "no memory for a producer");
    }
    if (series->inflight.count == before) {
        return bad(err, "a producer");
    }
    restore_clock(producer, from);
    producer->ts = cursor_u64(from);
    producer->emitted = cursor_u64(from);
    producer->behind = cursor_u32(from) != 0;
    count = cursor_u32(from);
    for (uint32_t i = 0; i < count && !from->failed; i++) {
        struct contribution item = {
            .slot = take_count(from, series->roster.max - 1),
            .generation = cursor_u32(from),
            .count = cursor_u64(from),
            .oldest = cursor_u64(from),
        };

        if (!from->failed && producer_add(producer, &item) != 0) {
            return err_set(err, ERR_SYSTEM, "no memory for a producer");
        }
    }
    return from->failed ? bad(err, "a producer") : 0;
}

static int restore(struct series *series, struct cursor *from, struct err *err)
{
    struct series_stats *stats = &series->stats;
    uint32_t version = cursor_u32(from), producers;
    uint64_t tick = cursor_u64(from);

    if (version != STATE_VERSION || tick != series->tick) {
        return err_set(err, ERR_INPUT,
                       "series: saved as version %u with ticks of %llu us: "
                       "expected version %u with ticks of %llu us",
                       version, (unsigned long long)tick, STATE_VERSION,
                       (unsigned long long)series->tick);
    }
    series->started = cursor_u32(from) != 0;
    series->now = cursor_u64(from);
    series->sign = cursor_u64(from);
    stats->late = cursor_u64(from);
    stats->future = cursor_u64(from);
    stats->evicted = cursor_u64(from);
    stats->idled = cursor_u64(from);
    stats->refused = cursor_u64(from);
    stats->tick = cursor_u64(from);
    if (series->now > STATE_TIME_MAX) {
        return bad(err, "the time");
    }
    if (restore_roster(&series->roster, from, err) != 0 ||
        restore_ticks(series, from, err) != 0) {
        return -1;
    }
    producers = take_count(from, INFLIGHT_PRODUCERS_MAX);
    for (uint32_t i = 0; i < producers; i++) {
        if (restore_producer(series, from, err) != 0) {
            return -1;
        }
    }
    stats->series = series->roster.max - series->roster.free_count;
    series->roster.open = series->ticks.first;
    series->roster.now = series->now / series->tick;
    return from->failed ? bad(err, "the end") : 0;
}

int series_restore(struct series *series, struct cursor *from, struct err *err)
{
    series_clear(series);
    if (restore(series, from, err) != 0) {
        series_clear(series);
        return -1;
    }
    return 0;
}
