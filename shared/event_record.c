/*
 * Packing runs in the log phase of every request, encoding once for every
 * event sent; together they are most of what an event costs. So both are
 * straight-line code made from the tables, and short texts are copied by
 * whole words instead of calls.
 *
 * Callers: the module's transport. The tables give each stream's record its
 * own struct; the texts follow it in the order of the table.
 */
#include "event_record.h"

#include "event_put.h"

#define NUMBER_UINT(m) uint64_t m;
#define NUMBER_OPT(m) uint64_t m;
#define NUMBER_MILLI(m) uint64_t m;
#define NUMBER_FLAGS(m) uint64_t m;
#define NUMBER_TEXT(m)
#define NUMBER_PAIRS(m)
#define LENGTH_UINT(m)
#define LENGTH_OPT(m)
#define LENGTH_MILLI(m)
#define LENGTH_FLAGS(m)
#define LENGTH_TEXT(m) uint16_t m;
#define LENGTH_PAIRS(m) uint16_t m;

#define NUMBER(member, kind, name, unit, help) NUMBER_##kind(member)
#define LENGTH(member, kind, name, unit, help) LENGTH_##kind(member)

struct request_record {
    TOCSIN_REQUEST_BODY(NUMBER)
    TOCSIN_REQUEST_BODY(LENGTH)
};

struct upstream_record {
    TOCSIN_UPSTREAM_BODY(NUMBER)
    TOCSIN_UPSTREAM_BODY(LENGTH)
};

#define MOST_UINT 0
#define MOST_OPT 0
#define MOST_MILLI 0
#define MOST_FLAGS 0
#define MOST_TEXT TOCSIN_TEXT_MAX
#define MOST_PAIRS TOCSIN_LABELS_MAX
#define MOST(member, kind, name, unit, help) +MOST_##kind

_Static_assert(sizeof(struct request_record)
                       TOCSIN_REQUEST_BODY(MOST) <= TOCSIN_RECORD_MAX,
               "");
_Static_assert(sizeof(struct upstream_record)
                       TOCSIN_UPSTREAM_BODY(MOST) <= TOCSIN_RECORD_MAX,
               "");

/* ----------------------------------------------------------------- packing */

#define PACK_UINT(m) record->m = ev->m;
#define PACK_OPT(m) PACK_UINT(m)
#define PACK_MILLI(m) PACK_UINT(m)
#define PACK_FLAGS(m) PACK_UINT(m)
#define PACK_TEXT(m) PACK_SPAN(m, TOCSIN_TEXT_MAX, false)
#define PACK_PAIRS(m) PACK_SPAN(m, TOCSIN_LABELS_MAX, true)
#define PACK_SPAN(m, cap, pairs)                                               \
    record->m = 0;                                                             \
    if (ev->m.len != 0) {                                                      \
        text = ev->m;                                                          \
        if (text.len > (cap)) {                                                \
            text = tocsin_put_cut(text, cap, pairs);                           \
        }                                                                      \
        record->m = (uint16_t)text.len;                                        \
        to = copy(to, text.data, text.len);                                    \
    }
#define PACK(member, kind, name, unit, help) PACK_##kind(member)

/* Most texts are short; what is not ours must not be over-read. */
static inline char *copy(char *to, const char *from, size_t len)
{
    uint64_t head, tail;
    uint32_t small_head, small_tail;

    if (len - 8 <= 8) {
        memcpy(&head, from, 8);
        memcpy(&tail, from + len - 8, 8);
        memcpy(to, &head, 8);
        memcpy(to + len - 8, &tail, 8);
    } else if (len > 16) {
        memcpy(to, from, len);
    } else if (len >= 4) {
        memcpy(&small_head, from, 4);
        memcpy(&small_tail, from + len - 4, 4);
        memcpy(to, &small_head, 4);
        memcpy(to + len - 4, &small_tail, 4);
    } else {
        to[0] = from[0];
        to[len / 2] = from[len / 2];
        to[len - 1] = from[len - 1];
    }
    return to + len;
}

static char *pack_request(void *memory, const struct tocsin_event *ev)
{
    struct request_record *record = memory;
    char *to = (char *)memory + sizeof(*record);
    struct tocsin_span text;

    TOCSIN_REQUEST_BODY(PACK)
    return to;
}

static char *pack_upstream(void *memory, const struct tocsin_event *ev)
{
    struct upstream_record *record = memory;
    char *to = (char *)memory + sizeof(*record);
    struct tocsin_span text;

    TOCSIN_UPSTREAM_BODY(PACK)
    return to;
}

size_t tocsin_record_pack(char *to, const struct tocsin_event *ev)
{
    char *end;

    end = ev->stream == TOCSIN_REQUEST ? pack_request(to, ev)
                                       : pack_upstream(to, ev);
    return (size_t)(end - to);
}

/* ---------------------------------------------------------------- encoding */

/* Sixteen bytes at a time: reads and writes beyond the end of the text. */
static inline char *put_text(char *to, const char *from, size_t len)
{
    size_t i;

    to = tocsin_resp_size(to, len);
    memcpy(to, from, 16);
    for (i = 16; i < len; i += 16) {
        memcpy(to + i, from + i, 16);
    }
    return tocsin_resp_copy(to + len, "\r\n", 2);
}

#define ENCODE_UINT(m, name) to = TOCSIN_PUT_UINT(to, record->m);
#define ENCODE_OPT(m, name) to = TOCSIN_PUT_OPT(to, record->m);
#define ENCODE_MILLI(m, name) to = TOCSIN_PUT_MILLI(to, record->m);
#define ENCODE_FLAGS(m, name) to = TOCSIN_PUT_FLAGS(to, record->m);
#define ENCODE_TEXT(m, name)                                                   \
    if (record->m == 0) {                                                      \
        to = tocsin_resp_empty(to);                                            \
    } else {                                                                   \
        to = put_text(to, text, record->m);                                    \
        text += record->m;                                                     \
    }
#define ENCODE_PAIRS(m, name) ENCODE_TEXT(m, name)
#define ENCODE(member, kind, name, unit, help)                                 \
    to = TOCSIN_PUT_NAME(to, name);                                            \
    ENCODE_##kind(member, name)

static char *encode_request(char *to, const void *memory)
{
    const struct request_record *record = memory;
    const char *text = (const char *)memory + sizeof(*record);

    TOCSIN_REQUEST_BODY(ENCODE)
    return to;
}

static char *encode_upstream(char *to, const void *memory)
{
    const struct upstream_record *record = memory;
    const char *text = (const char *)memory + sizeof(*record);

    TOCSIN_UPSTREAM_BODY(ENCODE)
    return to;
}

char *tocsin_record_encode(char *to, const char *record,
                           enum tocsin_stream stream)
{
    if (stream == TOCSIN_REQUEST) {
        return encode_request(to, record);
    }
    return encode_upstream(to, record);
}
