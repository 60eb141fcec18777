/*
 * The queue of a stream. Entries are copied out of the socket's buffer once,
 * into one growing block that starts over whenever the queue runs empty, which
 * in ordinary life is after every reply. Both caps are far above what one
 * reply holds; they are reached only if a stream's clock stands still, and
 * intake then delivers what is held.
 */
#include "lane.h"

#include <stdlib.h>
#include <string.h>

#define LANE_BYTES_MAX ((size_t)256 << 20)
#define LANE_ROOM_MIN 256u

void lane_init(struct lane *lane)
{
    memset(lane, 0, sizeof(*lane));
    buf_init(&lane->bytes, LANE_BYTES_MAX);
}

void lane_release(struct lane *lane)
{
    free(lane->entries);
    buf_release(&lane->bytes);
    lane_init(lane);
}

void lane_clear(struct lane *lane)
{
    lane->head = lane->count = 0;
    buf_clear(&lane->bytes);
}

uint32_t lane_held(const struct lane *lane)
{
    return lane->count - lane->head;
}

void lane_mark(struct lane *lane)
{
    unsigned count = lane->mark_count;

    if (!lane->began ||
        (count != 0 && !stream_id_less(lane->marks[count - 1], lane->read))) {
        return;
    }
    if (count == LANE_MARKS) {
        memmove(lane->marks, lane->marks + 1,
                (LANE_MARKS - 1) * sizeof(lane->marks[0]));
        count--;
    }
    lane->marks[count] = lane->read;
    lane->mark_count = count + 1;
}

void lane_rewind(struct lane *lane, struct stream_id id)
{
    if (stream_id_less(lane->again, lane->read)) {
        lane->again = lane->read;
    }
    lane->read = id;
    lane->complete_ms = 0;
    lane->full = false;
    while (lane->mark_count != 0 &&
           stream_id_less(id, lane->marks[lane->mark_count - 1])) {
        lane->mark_count--;
    }
}

/* Moves what is held to the front, when at least half of it is gone. */
static void lane_compact(struct lane *lane)
{
    size_t from;
    uint32_t i;

    if (lane->head == 0 || lane->head < lane->count / 2) {
        return;
    }
    from = lane->entries[lane->head].at;
    memmove(lane->bytes.data, lane->bytes.data + from, lane->bytes.len - from);
    lane->bytes.len -= from;
    lane->count -= lane->head;
    memmove(lane->entries, lane->entries + lane->head,
            lane->count * sizeof(*lane->entries));
    lane->head = 0;
    for (i = 0; i < lane->count; i++) {
        lane->entries[i].at -= from;
    }
}

static int lane_grow(struct lane *lane, struct err *err)
{
    uint32_t room = lane->room != 0 ? lane->room * 2 : LANE_ROOM_MIN;
    struct held *entries;

    if (room > 2 * LANE_ENTRIES_MAX) {
        return err_set(err, ERR_LIMIT, "intake: %s: more than %u entries held",
                       lane->key, 2 * LANE_ENTRIES_MAX);
    }
    entries = realloc(lane->entries, room * sizeof(*entries));
    if (entries == NULL) {
        return err_set(err, ERR_LIMIT, "intake: out of memory");
    }
    lane->entries = entries;
    lane->room = room;
    return 0;
}

int lane_push(struct lane *lane, struct stream_id id, struct tocsin_span fields,
              uint32_t pairs, struct err *err)
{
    struct held *entry;

    if (lane->count == lane->room) {
        if (lane_held(lane) != 0) {
            lane_compact(lane);
        }
        if (lane->count == lane->room && lane_grow(lane, err) != 0) {
            return -1;
        }
    }
    entry = &lane->entries[lane->count];
    entry->id = id;
    entry->at = lane->bytes.len;
    entry->len = fields.len;
    entry->pairs = pairs;
    buf_put(&lane->bytes, fields.data, fields.len);
    if (lane->bytes.failed) {
        lane->bytes.failed = false;
        return err_set(err, ERR_LIMIT, "intake: %s: more than %zu bytes held",
                       lane->key, LANE_BYTES_MAX);
    }
    lane->count++;
    return 0;
}

const struct held *lane_head(const struct lane *lane)
{
    return lane->head < lane->count ? &lane->entries[lane->head] : NULL;
}

struct tocsin_span lane_fields(const struct lane *lane,
                               const struct held *entry)
{
    return tocsin_span_of(lane->bytes.data + entry->at, entry->len);
}

void lane_pop(struct lane *lane)
{
    lane->delivered = lane->entries[lane->head].id;
    lane->delivered_any = true;
    lane->head++;
    if (lane->head == lane->count) {
        lane_clear(lane);
    }
}
