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

/* All but what has got a ready-made piece. */
#define REQUEST_RECORD(X)                                                      \
    TOCSIN_SEQ_FIELD(X)                                                        \
    TOCSIN_TS_FIELD(X)                                                         \
    TOCSIN_REQUEST_DUR(X)                                                      \
    TOCSIN_REQUEST_REST(X)                                                     \
    TOCSIN_GRPC_FIELD(X)                                                       \
    TOCSIN_SAMPLE_FIELDS(X)                                                    \
    TOCSIN_LABELS_FIELD(X)                                                     \
    TOCSIN_FIELDS_FIELD(X)

#define UPSTREAM_RECORD(X)                                                     \
    TOCSIN_SEQ_FIELD(X)                                                        \
    TOCSIN_REQ_FIELD(X)                                                        \
    TOCSIN_TS_FIELD(X)                                                         \
    TOCSIN_UPSTREAM_DUR(X)                                                     \
    TOCSIN_UPSTREAM_REST(X)                                                    \
    TOCSIN_GRPC_FIELD(X)                                                       \
    TOCSIN_SAMPLE_FIELDS(X)                                                    \
    TOCSIN_LABELS_FIELD(X)

struct request_record {
    REQUEST_RECORD(NUMBER)
    uint16_t pieces; /* where and how, before all texts */
    uint16_t place;  /* behind them */
    REQUEST_RECORD(LENGTH)
};

struct upstream_record {
    UPSTREAM_RECORD(NUMBER)
    uint16_t pieces; /* where and who */
    uint16_t place;
    UPSTREAM_RECORD(LENGTH)
};

#define MOST_UINT 0
#define MOST_OPT 0
#define MOST_MILLI 0
#define MOST_FLAGS 0
#define MOST_TEXT TOCSIN_TEXT_MAX
#define MOST_PAIRS TOCSIN_LABELS_MAX
#define MOST(member, kind, name, unit, help) +MOST_##kind

enum {
    WHERE_MAX = TOCSIN_WHERE_FIELDS(TOCSIN_PUT_MAX) TOCSIN_PUT_END,
    HOW_MAX = TOCSIN_HOW_FIELDS(TOCSIN_PUT_MAX) TOCSIN_PUT_END,
    WHO_MAX = TOCSIN_WHO_FIELD(TOCSIN_PUT_MAX) TOCSIN_PUT_END,
    PLACE_MAX = TOCSIN_CLOUD_FIELDS(TOCSIN_PUT_MAX) TOCSIN_PUT_END
};

_Static_assert(sizeof(struct request_record) + WHERE_MAX + HOW_MAX +
                       PLACE_MAX REQUEST_RECORD(MOST) <=
                   TOCSIN_RECORD_MAX,
               "");
_Static_assert(sizeof(struct upstream_record) + WHERE_MAX + WHO_MAX +
                       PLACE_MAX UPSTREAM_RECORD(MOST) <=
                   TOCSIN_RECORD_MAX,
               "");
_Static_assert(WHERE_MAX <= TOCSIN_PIECE_MAX && PLACE_MAX <= TOCSIN_PIECE_MAX &&
                   HOW_MAX <= TOCSIN_PIECE_MAX && WHO_MAX <= TOCSIN_PIECE_MAX,
               "");
_Static_assert(TOCSIN_PIECE_UNIT <= TOCSIN_RESP_SLACK, "");
_Static_assert(TOCSIN_PIECE_UNIT <= TOCSIN_RECORD_SLACK, "");

/* What follows a ready-made piece is void: there must be room for it. */
_Static_assert(TOCSIN_REQUEST_BODY(TOCSIN_PUT_MAX)(int) sizeof(
                   struct tocsin_ready) <= TOCSIN_EVENT_ENCODED_MAX,
               "");
_Static_assert(TOCSIN_UPSTREAM_BODY(TOCSIN_PUT_MAX)(int) sizeof(
                   struct tocsin_ready) <= TOCSIN_EVENT_ENCODED_MAX,
               "");

/* ------------------------------------------------------------------ pieces */

static inline char *put_pieces(char *to, const char *from, size_t len)
{
    size_t i = 0;

    do {
        memcpy(to + i, from + i, 16);
        memcpy(to + i + 16, from + i + 16, 16);
        i += TOCSIN_PIECE_UNIT;
    } while (i < len);
    return to + len;
}

#define PIECE(member, kind, name, unit, help)                                  \
    to = TOCSIN_PUT_NAME(to, name);                                            \
    to = put_whole(to, ev->member);

static char *put_whole(char *to, struct tocsin_span text)
{
    if (text.len == 0) {
        return tocsin_resp_empty(to);
    }
    text = tocsin_put_cut(text, TOCSIN_TEXT_MAX, false);
    return tocsin_resp_bulk(to, text.data, text.len);
}

#define MAKE(what, fields)                                                     \
    size_t tocsin_record_##what(char *to, const struct tocsin_event *ev)       \
    {                                                                          \
        const char *from = to;                                                 \
                                                                               \
        fields(PIECE) return (size_t)(to - from);                              \
    }                                                                          \
                                                                               \
    static inline char *pack_##what(char *to, const struct tocsin_event *ev)   \
    {                                                                          \
        return ev->what.data != NULL                                           \
                   ? put_pieces(to, ev->what.data, ev->what.len)               \
                   : to + tocsin_record_##what(to, ev);                        \
    }

MAKE(where, TOCSIN_WHERE_FIELDS)
MAKE(how, TOCSIN_HOW_FIELDS)
MAKE(who, TOCSIN_WHO_FIELD)
MAKE(place, TOCSIN_CLOUD_FIELDS)

/* Is there one to be made, or to be copied? */
static inline bool is_nowhere(const struct tocsin_event *ev)
{
    return ev->place.len == 0 &&
           (ev->place.data != NULL ||
            (ev->cloud.len | ev->region.len | ev->zone.len) == 0);
}

#define PACK_PLACE                                                             \
    record->place = 0;                                                         \
    if (!is_nowhere(ev)) {                                                     \
        first = to;                                                            \
        to = pack_place(to, ev);                                               \
        record->place = (uint16_t)(to - first);                                \
    }

/* ----------------------------------------------------------------- packing */

#define PACK_UINT(m) record->m = ev->m;
#define PACK_OPT(m) PACK_UINT(m)
#define PACK_MILLI(m) PACK_UINT(m)
#define PACK_FLAGS(m) PACK_UINT(m)
#define PACK_TEXT(m) PACK_SPAN(m, TOCSIN_TEXT_MAX, false)
#define PACK_PAIRS(m) PACK_SPAN(m, TOCSIN_LABELS_MAX, true)
#define PACK_SPAN(m, cap, pairs)                                               \
    text.len = ev->m.len;                                                      \
    record->m = (uint16_t)text.len;                                            \
    if (text.len != 0) {                                                       \
        text.data = ev->m.data;                                                \
        if (text.len - 8 <= 8) {                                               \
            to = copy_some(to, text.data, text.len);                           \
        } else {                                                               \
            if (text.len > (cap)) {                                            \
                text = tocsin_put_cut(text, cap, pairs);                       \
                record->m = (uint16_t)text.len;                                \
            }                                                                  \
            to = copy(to, text.data, text.len);                                \
        }                                                                      \
    }
#define PACK(member, kind, name, unit, help) PACK_##kind(member)

/* Most texts are short; what is not ours must not be over-read. First those of
 * 8 to 16 bytes, which no cap is below. */
static inline char *copy_some(char *to, const char *from, size_t len)
{
    uint64_t head, tail;

    memcpy(&head, from, 8);
    memcpy(&tail, from + len - 8, 8);
    memcpy(to, &head, 8);
    memcpy(to + len - 8, &tail, 8);
    return to + len;
}

static inline char *copy(char *to, const char *from, size_t len)
{
    uint32_t small_head, small_tail;

    if (len - 8 <= 8) { /* what was cut */
        return copy_some(to, from, len);
    }
    if (len > 16) {
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
    char *first = (char *)memory + sizeof(*record), *to;
    struct tocsin_span text;

    to = pack_how(pack_where(first, ev), ev);
    record->pieces = (uint16_t)(to - first);
    PACK_PLACE
    REQUEST_RECORD(PACK)
    return to;
}

static char *pack_upstream(void *memory, const struct tocsin_event *ev)
{
    struct upstream_record *record = memory;
    char *first = (char *)memory + sizeof(*record), *to;
    struct tocsin_span text;

    to = pack_who(pack_where(first, ev), ev);
    record->pieces = (uint16_t)(to - first);
    PACK_PLACE
    UPSTREAM_RECORD(PACK)
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
static inline __attribute__((always_inline)) char *
put_text(char *to, const char *from, size_t len)
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

/* Has a field got what events mostly have? */
#define IS_USUAL_OPT(m) record->m == TOCSIN_NONE
#define IS_USUAL_MILLI(m) record->m == 1000
#define IS_USUAL_FLAGS(m) record->m == 0
#define IS_USUAL_TEXT(m) record->m == 0
#define IS_USUAL_PAIRS(m) record->m == 0
#define AND_USUAL(member, kind, name, unit, help) &&IS_USUAL_##kind(member)

#define ENCODE_PLACE                                                           \
    if (record->place == 0 && record->grpc == TOCSIN_NONE) {                   \
        to = put_ready(to, &encoder->nothing);                                 \
    } else {                                                                   \
        TOCSIN_GRPC_FIELD(ENCODE)                                              \
        to = record->place == 0 ? put_ready(to, &encoder->nowhere)             \
                                : put_pieces(to, place, record->place);        \
    }

/* The sample and all that follows it, which is one piece where it is usual; or
 * the sample with the name of the field behind it. */
#define ENCODE_END(rest, ready)                                                \
    if (1 TOCSIN_SAMPLE_FIELDS(AND_USUAL) TOCSIN_LABELS_FIELD(AND_USUAL)       \
            rest(AND_USUAL)) {                                                 \
        to = put_ready(to, &(ready));                                          \
    } else {                                                                   \
        if (1 TOCSIN_SAMPLE_FIELDS(AND_USUAL)) {                               \
            to = put_sample(to, &encoder->sample);                             \
        } else {                                                               \
            TOCSIN_SAMPLE_FIELDS(ENCODE)                                       \
            to = TOCSIN_PUT_NAME(to, "labels");                                \
        }                                                                      \
        ENCODE_PAIRS(labels, "labels")                                         \
        rest(ENCODE)                                                           \
    }

#define NO_FIELDS(X)

static inline char *put_ready(char *to, const struct tocsin_ready *ready)
{
    memcpy(to, ready->text, sizeof(ready->text));
    return to + ready->len;
}

static inline char *put_sample(char *to, const struct tocsin_sample *sample)
{
    memcpy(to, sample->text, sizeof(sample->text));
    return to + sample->len;
}

static __attribute__((noinline)) void
counter_set(struct tocsin_counter *counter, uint64_t value)
{
    char text[sizeof(counter->text) + TOCSIN_RESP_SLACK] = {0};
    char *end = tocsin_resp_uint(text, value);

    counter->value = value;
    counter->len = (size_t)(end - text);
    counter->last = counter->len - 3;
    memcpy(counter->text, text, sizeof(counter->text));
}

static inline char *put_counter(struct tocsin_counter *counter, char *to,
                                uint64_t value)
{
    char *last = counter->text + counter->last;

    if (value == counter->value + 1 && value != 0 && *last != '9') {
        counter->value = value;
        ++*last;
    } else if (value != counter->value) {
        counter_set(counter, value);
    }
    memcpy(to, counter->text, sizeof(counter->text));
    return to + counter->len;
}

#define MILLION UINT64_C(1000000)
#define TIME_LEN 23 /* of what is the same throughout a second */

/* False for what has not got ten digits: before 2001, after 2286. */
static __attribute__((noinline)) bool second_set(struct tocsin_encoder *encoder,
                                                 uint64_t second)
{
    char text[sizeof(encoder->time) + TOCSIN_RESP_SLACK] = {0};
    char *to = text;

    if (second < 1000 * MILLION || second >= 10000 * MILLION) {
        return false;
    }
    to = TOCSIN_PUT_NAME(to, "ts");
    (void)tocsin_resp_uint(to, second * MILLION);
    memcpy(encoder->time, text, sizeof(encoder->time));
    encoder->second = second;
    return true;
}

static inline char *put_time(struct tocsin_encoder *encoder, char *to,
                             uint64_t us)
{
    uint64_t second = us / MILLION;

    if (second != encoder->second && !second_set(encoder, second)) {
        to = TOCSIN_PUT_NAME(to, "ts");
        return tocsin_resp_uint(to, us);
    }
    memcpy(to, encoder->time, sizeof(encoder->time));
    to = tocsin_six(to + TIME_LEN, (uint32_t)(us - second * MILLION));
    return tocsin_resp_copy(to, "\r\n", 2);
}

static char *encode_request(struct tocsin_encoder *encoder, char *to,
                            const void *memory)
{
    const struct request_record *record = memory;
    const char *text = (const char *)memory + sizeof(*record), *place;

    to = TOCSIN_PUT_NAME(to, "seq");
    to = put_counter(&encoder->seq[TOCSIN_REQUEST], to, record->seq);
    to = put_time(encoder, to, record->ts);
    TOCSIN_REQUEST_DUR(ENCODE)
    to = put_pieces(to, text, record->pieces);
    place = text + record->pieces;
    text = place + record->place;
    TOCSIN_REQUEST_REST(ENCODE)
    ENCODE_PLACE
    ENCODE_END(TOCSIN_FIELDS_FIELD, encoder->end[TOCSIN_REQUEST])
    return to;
}

static char *encode_upstream(struct tocsin_encoder *encoder, char *to,
                             const void *memory)
{
    const struct upstream_record *record = memory;
    const char *text = (const char *)memory + sizeof(*record), *place;

    to = TOCSIN_PUT_NAME(to, "seq");
    to = put_counter(&encoder->seq[TOCSIN_UPSTREAM], to, record->seq);
    /* mostly the request that was the last to be encoded */
    to = TOCSIN_PUT_NAME(to, "req");
    to = put_counter(&encoder->seq[TOCSIN_REQUEST], to, record->req);
    to = put_time(encoder, to, record->ts);
    TOCSIN_UPSTREAM_DUR(ENCODE)
    to = put_pieces(to, text, record->pieces);
    place = text + record->pieces;
    text = place + record->place;
    TOCSIN_UPSTREAM_REST(ENCODE)
    ENCODE_PLACE
    ENCODE_END(NO_FIELDS, encoder->end[TOCSIN_UPSTREAM])
    return to;
}

static void ready_set(struct tocsin_ready *ready, const char *text,
                      const char *end)
{
    ready->len = (size_t)(end - text);
    memcpy(ready->text, text, sizeof(ready->text));
}

void tocsin_encoder_init(struct tocsin_encoder *encoder)
{
    char memory[TOCSIN_PIECE_MAX] = {0};
    struct request_record usual = {.grpc = TOCSIN_NONE, .weight = 1000};
    const struct request_record *record = &usual;
    struct tocsin_event event = {.grpc = TOCSIN_NONE};
    static const char none[16]; /* as much as put_text() would read */
    const char *text = none;
    char *to;

    memset(encoder, 0, sizeof(*encoder));
    encoder->second = TOCSIN_NONE;
    counter_set(&encoder->seq[TOCSIN_REQUEST], 0);
    counter_set(&encoder->seq[TOCSIN_UPSTREAM], 0);

    to = memory + tocsin_record_place(memory, &event);
    ready_set(&encoder->nowhere, memory, to);

    to = memory;
    TOCSIN_GRPC_FIELD(ENCODE)
    to += tocsin_record_place(to, &event);
    ready_set(&encoder->nothing, memory, to);

    to = memory;
    TOCSIN_SAMPLE_FIELDS(ENCODE)
    to = TOCSIN_PUT_NAME(to, "labels");
    encoder->sample.len = (size_t)(to - memory);
    memcpy(encoder->sample.text, memory, sizeof(encoder->sample.text));
    ENCODE_PAIRS(labels, "labels")
    ready_set(&encoder->end[TOCSIN_UPSTREAM], memory, to);
    TOCSIN_FIELDS_FIELD(ENCODE)
    ready_set(&encoder->end[TOCSIN_REQUEST], memory, to);
    (void)text;
}

char *tocsin_record_encode(struct tocsin_encoder *encoder, char *to,
                           const char *record, enum tocsin_stream stream)
{
    if (stream == TOCSIN_REQUEST) {
        return encode_request(encoder, to, record);
    }
    return encode_upstream(encoder, to, record);
}
