/*
 * The merge's arithmetic. Redis answers an XREAD for several streams from one
 * moment; ids come from its clock. So after an answer whose newest entry is of
 * millisecond M, whatever is added later is of M or above: a lane that gave
 * all it had is complete below M. A lane that gave as many entries as it was
 * allowed to may have more from its last millisecond on: it is complete below
 * that. What lies below the least of these may be delivered, in the order of
 * millisecond, lane, number.
 */
#include "lanes.h"

#include <stdio.h>
#include <string.h>

#include "shared/names.h"

static void lane_name(struct lane *lane, const char *prefix, const char *stream,
                      unsigned shards, unsigned shard)
{
    if (shards > 1) {
        snprintf(lane->key, sizeof(lane->key), "%s:%s:{%u}", prefix, stream,
                 shard);
    } else {
        snprintf(lane->key, sizeof(lane->key), "%s:%s", prefix, stream);
    }
}

void lanes_init(struct lanes *lanes, const char *prefix, unsigned shards)
{
    struct lane *lane = lanes->lane;
    unsigned i;

    lanes->count = 2 * shards + 1;
    for (i = 0; i < lanes->count; i++) {
        lane_init(&lanes->lane[i]);
    }
    for (i = 0; i < shards; i++, lane++) {
        lane->kind = TOCSIN_REQUEST;
        lane_name(lane, prefix, TOCSIN_STREAM_REQUEST, shards, i);
    }
    for (i = 0; i < shards; i++, lane++) {
        lane->kind = TOCSIN_UPSTREAM;
        lane_name(lane, prefix, TOCSIN_STREAM_UPSTREAM, shards, i);
    }
    lane->kind = TOCSIN_BEAT;
    lane_name(lane, prefix, TOCSIN_STREAM_BEAT, 1, 0);
}

void lanes_release(struct lanes *lanes)
{
    unsigned i;

    for (i = 0; i < lanes->count; i++) {
        lane_release(&lanes->lane[i]);
    }
    lanes->count = 0;
}

uint64_t lanes_bound(const struct lanes *lanes)
{
    uint64_t bound = UINT64_MAX;
    unsigned i;

    for (i = 0; i < lanes->count; i++) {
        if (lanes->lane[i].complete_ms < bound) {
            bound = lanes->lane[i].complete_ms;
        }
    }
    return bound;
}

unsigned lanes_choose(struct lanes *lanes, uint32_t much, bool *wait)
{
    uint64_t bound = lanes_bound(lanes);
    unsigned i, asked = 0;

    *wait = true;
    for (i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->lane[i];

        lane->got = 0;
        lane->asked = lane_held(lane) < much || lane->complete_ms == bound;
        asked += lane->asked;
        *wait &= lane->asked && !lane->full;
    }
    return asked;
}

struct lane *lanes_asked(struct lanes *lanes, struct tocsin_span key)
{
    unsigned i;

    for (i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->lane[i];

        if (lane->asked && tocsin_span_eq(tocsin_span_str(lane->key), key)) {
            return lane;
        }
    }
    return NULL;
}

uint64_t lanes_settle(struct lanes *lanes, uint32_t limit)
{
    uint64_t newest = 0;
    unsigned i;

    for (i = 0; i < lanes->count; i++) {
        if (lanes->lane[i].began && lanes->lane[i].read.ms > newest) {
            newest = lanes->lane[i].read.ms;
        }
    }
    for (i = 0; i < lanes->count; i++) {
        struct lane *lane = &lanes->lane[i];

        if (lane->asked) {
            lane->full = lane->got == limit;
            lane->complete_ms = lane->full ? lane->read.ms : newest;
        }
    }
    return newest;
}

struct lane *lanes_next(struct lanes *lanes, uint64_t bound)
{
    const struct held *entry;
    struct lane *next = NULL;
    unsigned i;

    for (i = 0; i < lanes->count; i++) {
        entry = lane_head(&lanes->lane[i]);
        if (entry != NULL && entry->id.ms < bound) {
            bound = entry->id.ms;
            next = &lanes->lane[i];
        }
    }
    return next;
}

bool lanes_hold_any(const struct lanes *lanes)
{
    unsigned i;

    for (i = 0; i < lanes->count; i++) {
        if (lane_held(&lanes->lane[i]) != 0) {
            return true;
        }
    }
    return false;
}

bool lanes_hold_much(const struct lanes *lanes)
{
    unsigned i;

    for (i = 0; i < lanes->count; i++) {
        if (lane_held(&lanes->lane[i]) >= LANE_ENTRIES_MAX) {
            return true;
        }
    }
    return false;
}

bool lanes_at_end(const struct lanes *lanes)
{
    unsigned i;

    for (i = 0; i < lanes->count; i++) {
        if (lanes->lane[i].full) {
            return false;
        }
    }
    return true;
}

void lanes_save(const struct lanes *lanes, struct buf *to)
{
    unsigned i;

    buf_put_u32(to, lanes->count);
    for (i = 0; i < lanes->count; i++) {
        buf_put_u64(to, lanes->lane[i].delivered.ms);
        buf_put_u64(to, lanes->lane[i].delivered.n);
        buf_put_u32(to, lanes->lane[i].delivered_any);
    }
}

int lanes_restore(struct lanes *lanes, struct cursor *from, struct err *err)
{
    uint32_t count = cursor_u32(from);
    unsigned i;

    if (count != lanes->count) {
        return err_set(err, ERR_INPUT,
                       "intake: of %u streams, expected %u: redis.shards has "
                       "changed",
                       count, lanes->count);
    }
    for (i = 0; i < count; i++) {
        struct lane *lane = &lanes->lane[i];

        lane_clear(lane);
        lane->delivered.ms = cursor_u64(from);
        lane->delivered.n = cursor_u64(from);
        lane->delivered_any = cursor_u32(from) != 0;
        lane->began = lane->delivered_any;
        lane->read = lane->delivered;
        lane->complete_ms = 0;
        lane->full = false;
    }
    return 0;
}
