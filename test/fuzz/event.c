/*
 * Entries of the streams of events: a byte for the stream, then lines of
 * "name=value". What is decoded is encoded and decoded again to the same, and
 * the record that waits in the ring makes the same bytes.
 */
#include "fuzz.h"
#include "shared/event_codec.h"
#include "shared/event_record.h"

static struct tocsin_event decode(enum tocsin_stream stream,
                                  struct tocsin_span rest)
{
    struct tocsin_event ev;
    unsigned hint = 0;

    tocsin_event_init(&ev, stream);
    while (rest.len != 0) {
        struct tocsin_span value = tocsin_span_cut(&rest, '\n');
        struct tocsin_span name = tocsin_span_cut(&value, '=');

        tocsin_event_field(&ev, hint++, name, value);
    }
    return ev;
}

/* Cuts a bulk string off that is known to be right. */
static struct tocsin_span next_bulk(struct tocsin_span *rest)
{
    struct tocsin_span head = tocsin_span_cut(rest, '\n'), text;

    MUST(head.len >= 3 && head.data[0] == '$');
    text = tocsin_span_of(rest->data, strtoul(head.data + 1, NULL, 10));
    MUST(text.len + 2 <= rest->len);
    MUST(memcmp(text.data + text.len, "\r\n", 2) == 0);
    *rest = tocsin_span_of(rest->data + text.len + 2, rest->len - text.len - 2);
    return text;
}

static void check_encoded(const struct tocsin_event *ev)
{
    char first[TOCSIN_EVENT_ENCODED_MAX], second[TOCSIN_EVENT_ENCODED_MAX];
    struct tocsin_out out = {first, sizeof(first), 0};
    struct tocsin_out again = {second, sizeof(second), 0};
    struct tocsin_event back;
    struct tocsin_span rest;
    unsigned i;

    tocsin_event_encode(&out, ev);
    MUST(tocsin_out_fits(&out));
    tocsin_event_init(&back, ev->stream);
    rest = tocsin_span_of(first, out.need);
    for (i = 0; i < tocsin_event_field_count(ev->stream); i++) {
        struct tocsin_span name = next_bulk(&rest);
        struct tocsin_span value = next_bulk(&rest);

        MUST(tocsin_event_field(&back, i, name, value) == 0);
    }
    MUST(rest.len == 0);
    tocsin_event_encode(&again, &back);
    MUST(again.need == out.need && memcmp(first, second, out.need) == 0);
}

/* Of texts of odd lengths: others are encoded when they are packed. */
static void with_pieces(struct tocsin_event *ev)
{
    static char where[TOCSIN_PIECE_MAX], how[TOCSIN_PIECE_MAX];
    static char who[TOCSIN_PIECE_MAX], place[TOCSIN_PIECE_MAX];

    if (ev->server.len % 2 != 0) {
        ev->where = tocsin_span_of(where, tocsin_record_where(where, ev));
    }
    if (ev->method.len % 2 != 0) {
        ev->how = tocsin_span_of(how, tocsin_record_how(how, ev));
    }
    if (ev->upstream.len % 2 != 0) {
        ev->who = tocsin_span_of(who, tocsin_record_who(who, ev));
    }
    if (ev->cloud.len % 2 != 0) {
        ev->place = tocsin_span_of(place, tocsin_record_place(place, ev));
    }
}

static void check_record(const struct tocsin_event *ev)
{
    static union {
        uint64_t align;
        char bytes[TOCSIN_RECORD_MAX + TOCSIN_RECORD_SLACK];
    } record;
    char whole[TOCSIN_EVENT_ENCODED_MAX], body[TOCSIN_EVENT_ENCODED_MAX];
    struct tocsin_out out = {whole, sizeof(whole), 0};
    struct tocsin_encoder encoder;
    struct tocsin_event ready = *ev;
    struct tocsin_span rest;
    size_t len, i;

    with_pieces(&ready);
    MUST(tocsin_record_pack(record.bytes, &ready) <= TOCSIN_RECORD_MAX);
    tocsin_encoder_init(&encoder);
    tocsin_record_encode(&encoder, body, record.bytes, ev->stream);
    len = (size_t)(tocsin_record_encode(&encoder, body, record.bytes,
                                        ev->stream) -
                   body);
    MUST(len <= sizeof(body));

    tocsin_event_encode(&out, ev);
    rest = tocsin_span_of(whole, out.need);
    for (i = 0; i < 4; i++) { /* v and src come from elsewhere */
        next_bulk(&rest);
    }
    MUST(rest.len == len && memcmp(rest.data, body, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tocsin_span rest = fuzz_span(data, size);
    unsigned stream = fuzz_byte(&rest) % TOCSIN_STREAMS;
    struct tocsin_event ev = decode((enum tocsin_stream)stream, rest);

    check_encoded(&ev);
    if (stream != TOCSIN_BEAT) {
        check_record(&ev);
    }
    return 0;
}
