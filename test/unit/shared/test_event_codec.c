/*
 * The event codec: what is encoded is decoded, the bytes are those that Redis
 * expects, caps hold, and every kind refuses what it must refuse.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/event_codec.h"
#include "shared/names.h"

static char memory[2 * TOCSIN_EVENT_ENCODED_MAX];

static struct tocsin_span str(const char *text)
{
    return tocsin_span_str(text);
}

/* Reads one bulk string off *rest, as a strict RESP parser would. */
static struct tocsin_span bulk(struct tocsin_span *rest)
{
    struct tocsin_span text;
    char *end;
    size_t len, head;

    ck_assert_uint_gt(rest->len, 4);
    ck_assert_int_eq(rest->data[0], '$');
    len = strtoul(rest->data + 1, &end, 10);
    ck_assert(end[0] == '\r' && end[1] == '\n');
    head = (size_t)(end + 2 - rest->data);
    ck_assert_uint_ge(rest->len, head + len + 2);
    text = tocsin_span_of(rest->data + head, len);
    ck_assert(text.data[len] == '\r' && text.data[len + 1] == '\n');
    *rest =
        tocsin_span_of(rest->data + head + len + 2, rest->len - head - len - 2);
    return text;
}

static struct tocsin_span encode(const struct tocsin_event *ev)
{
    struct tocsin_out out = {memory, sizeof(memory), 0};

    tocsin_event_encode(&out, ev);
    ck_assert(tocsin_out_fits(&out));
    return tocsin_span_of(memory, out.need);
}

static void decode(struct tocsin_event *ev, enum tocsin_stream stream,
                   struct tocsin_span bytes, unsigned hint_error)
{
    struct tocsin_span name, value;
    unsigned i;

    tocsin_event_init(ev, stream);
    for (i = 0; bytes.len != 0; i++) {
        name = bulk(&bytes);
        value = bulk(&bytes);
        ck_assert_int_eq(tocsin_event_field(ev, i + hint_error, name, value),
                         0);
    }
    ck_assert_uint_eq(i, tocsin_event_field_count(stream));
}

/* Every field gets a value of its own, so that a swapped one shows. */
static void fill(struct tocsin_event *ev, enum tocsin_stream stream)
{
    static char texts[64][24];
    uint64_t n = 1;
    unsigned t = 0;

    tocsin_event_init(ev, stream);
#define FILL_UINT(m) ev->m = n = n * 7 + 3;
#define FILL_OPT(m) ev->m = n = n * 7 + 3;
#define FILL_MILLI(m) ev->m = n = n * 7 + 3;
#define FILL_FLAGS(m) ev->m = (1 << TOCSIN_FLAG_COUNT) - 1;
#define FILL_TEXT(m)                                                           \
    snprintf(texts[t], sizeof(texts[t]), "%s %u\r\n", #m, t);                  \
    ev->m = str(texts[t++]);
#define FILL_PAIRS(m)                                                          \
    snprintf(texts[t], sizeof(texts[t]), "%s=%u,b=%%2C", #m, t);               \
    ev->m = str(texts[t++]);
#define FILL_LONG(m) FILL_PAIRS(m)
#define X(member, kind, name, unit, help) FILL_##kind(member)
    if (stream == TOCSIN_REQUEST) {
        TOCSIN_REQUEST_FIELDS(X)
    } else if (stream == TOCSIN_UPSTREAM) {
        TOCSIN_UPSTREAM_FIELDS(X)
    } else {
        TOCSIN_BEAT_FIELDS(X)
    }
#undef X
}

static void assert_same(const struct tocsin_event *a,
                        const struct tocsin_event *b)
{
#define SAME_UINT(m) ck_assert_uint_eq(a->m, b->m);
#define SAME_OPT(m) SAME_UINT(m)
#define SAME_MILLI(m) SAME_UINT(m)
#define SAME_FLAGS(m) SAME_UINT(m)
#define SAME_TEXT(m) ck_assert(tocsin_span_eq(a->m, b->m));
#define SAME_PAIRS(m) SAME_TEXT(m)
#define SAME_LONG(m) SAME_TEXT(m)
#define X(member, kind, name, unit, help) SAME_##kind(member)
    if (a->stream == TOCSIN_REQUEST) {
        TOCSIN_REQUEST_FIELDS(X)
    } else if (a->stream == TOCSIN_UPSTREAM) {
        TOCSIN_UPSTREAM_FIELDS(X)
    } else {
        TOCSIN_BEAT_FIELDS(X)
    }
#undef X
}

START_TEST(round_trip)
{
    struct tocsin_event in, out;

    fill(&in, (enum tocsin_stream)_i);
    decode(&out, in.stream, encode(&in), 0);
    assert_same(&in, &out);
    /* in any order of the names */
    decode(&out, in.stream, encode(&in), 3);
    assert_same(&in, &out);
}
END_TEST

START_TEST(empty_round_trip)
{
    struct tocsin_event in, out;

    tocsin_event_init(&in, (enum tocsin_stream)_i);
    decode(&out, in.stream, encode(&in), 0);
    assert_same(&in, &out);
}
END_TEST

START_TEST(order_is_that_of_the_table)
{
    static const char *const names[] = {
#define X(member, kind, name, unit, help) name,
        TOCSIN_UPSTREAM_FIELDS(X)
#undef X
    };
    struct tocsin_event ev;
    struct tocsin_span bytes;
    unsigned i;

    fill(&ev, TOCSIN_UPSTREAM);
    bytes = encode(&ev);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ck_assert(tocsin_span_eq(bulk(&bytes), str(names[i])));
        bulk(&bytes);
    }
    ck_assert_uint_eq(bytes.len, 0);
}
END_TEST

START_TEST(wire_bytes)
{
    static const char expected[] =
        "$1\r\nv\r\n$1\r\n1\r\n$3\r\nsrc\r\n$5\r\nh/0/g\r\n"
        "$2\r\nts\r\n$16\r\n1700000000123456\r\n"
        "$11\r\nrequest_seq\r\n$3\r\n100\r\n"
        "$12\r\nupstream_seq\r\n$1\r\n0\r\n"
        "$7\r\nemitted\r\n$9\r\n123456789\r\n"
        "$9\r\ndelivered\r\n$8\r\n99999999\r\n"
        "$7\r\ndropped\r\n$10\r\n1000000000\r\n"
        "$8\r\nbuffered\r\n$20\r\n18446744073709551615\r\n"
        "$8\r\ninflight\r\n$0\r\n\r\n";
    struct tocsin_event ev;

    tocsin_event_init(&ev, TOCSIN_BEAT);
    ev.v = 1;
    ev.src = str("h/0/g");
    ev.ts = 1700000000123456;
    ev.request_seq = 100;
    ev.emitted = 123456789;
    ev.delivered = 99999999;
    ev.dropped = 1000000000;
    ev.buffered = UINT64_MAX;
    ck_assert(tocsin_span_eq(encode(&ev), TOCSIN_SPAN(expected)));
}
END_TEST

START_TEST(every_length_of_number)
{
    struct tocsin_event in, out;
    uint64_t edge = 1;
    int i, d;

    for (i = 0; i < 20; i++, edge *= 10) {
        for (d = -1; d <= 1; d++) {
            tocsin_event_init(&in, TOCSIN_REQUEST);
            in.dur = edge + (uint64_t)d;
            in.weight = in.dur;
            decode(&out, TOCSIN_REQUEST, encode(&in), 0);
            ck_assert_uint_eq(out.dur, in.dur);
            ck_assert_uint_eq(out.weight, in.weight);
        }
    }
}
END_TEST

START_TEST(long_texts_are_cut)
{
    static char x[4096], pairs[4096];
    struct tocsin_event in, out;
    size_t i;

    memset(x, 'x', sizeof(x));
    tocsin_event_init(&in, TOCSIN_REQUEST);
    in.server = tocsin_span_of(x, TOCSIN_TEXT_MAX);
    in.route = tocsin_span_of(x, TOCSIN_TEXT_MAX + 1);
    decode(&out, TOCSIN_REQUEST, encode(&in), 0);
    ck_assert_uint_eq(out.server.len, TOCSIN_TEXT_MAX);
    ck_assert_uint_eq(out.route.len, TOCSIN_TEXT_MAX);

    /* 400 items "n=1" of four bytes with their comma: 255 whole ones fit */
    for (i = 0; i < 400; i++) {
        memcpy(pairs + 4 * i, "n=1,", 4);
    }
    in.labels = tocsin_span_of(pairs, 1599);
    in.fields = tocsin_span_of(x, sizeof(x)); /* one item, too long: none */
    decode(&out, TOCSIN_REQUEST, encode(&in), 0);
    ck_assert_uint_eq(out.labels.len, 1023);
    ck_assert_uint_eq(out.fields.len, 0);
    in.labels.data++; /* "=1,n=1,...": 1023 bytes end within an item */
    decode(&out, TOCSIN_REQUEST, encode(&in), 0);
    ck_assert_uint_eq(out.labels.len, 1022);
}
END_TEST

START_TEST(no_room)
{
    struct tocsin_event ev;
    struct tocsin_span whole;
    struct tocsin_out out;
    size_t cap;

    fill(&ev, TOCSIN_REQUEST);
    whole = encode(&ev);
    for (cap = 0; cap <= whole.len; cap++) {
        char *small = malloc(cap + 1);

        small[cap] = '#';
        out = (struct tocsin_out){small, cap, 0};
        tocsin_event_encode(&out, &ev);
        ck_assert_uint_eq(out.need, whole.len);
        ck_assert_int_eq(small[cap], '#');
        ck_assert_int_eq(tocsin_out_fits(&out), cap == whole.len);
        if (cap == whole.len) {
            ck_assert_mem_eq(small, whole.data, cap);
        }
        free(small);
    }
}
END_TEST

static const struct {
    const char *name, *value;
} malformed[] = {
    {"dur", ""},
    {"dur", "-1"},
    {"dur", "+1"},
    {"dur", " 1"},
    {"dur", "1 "},
    {"dur", "1.0"},
    {"dur", "0x1"},
    {"dur", "18446744073709551616"},
    {"dur", "99999999999999999999"},
    {"dur", "000000000000000000001"},
    {"grpc", "x"},
    {"grpc", "18446744073709551615"},
    {"weight", ""},
    {"weight", "."},
    {"weight", "1."},
    {"weight", ".5"},
    {"weight", "1.2345"},
    {"weight", "1.-1"},
    {"weight", "18446744073709551.616"},
    {"flags", ","},
    {"flags", "slow,"},
    {"flags", ",slow"},
    {"flags", "slow,,early"},
    {"flags", "slow early"},
    {"flags", "SLOW"},
    {"labels", "a=b c"},
    {"labels", "a=\n"},
    {"labels", "a=\x7f"},
    {"labels", "a=%"},
    {"labels", "a=%2"},
    {"labels", "a=%2g"},
};

START_TEST(refused)
{
    struct tocsin_event ev, before;

    fill(&ev, TOCSIN_REQUEST);
    before = ev;
    ck_assert_int_eq(tocsin_event_field(&ev, 0, str(malformed[_i].name),
                                        str(malformed[_i].value)),
                     -1);
    assert_same(&ev, &before);
}
END_TEST

START_TEST(refused_lengths)
{
    static char x[TOCSIN_EVIDENCE_MAX + 1];
    struct tocsin_event ev;

    memset(x, 'x', sizeof(x));
    tocsin_event_init(&ev, TOCSIN_REQUEST);
#define TAKE(name, len)                                                        \
    tocsin_event_field(&ev, 0, str(name), tocsin_span_of(x, len))
    ck_assert_int_eq(TAKE("server", TOCSIN_TEXT_MAX), 0);
    ck_assert_int_eq(TAKE("server", TOCSIN_TEXT_MAX + 1), -1);
    ck_assert_int_eq(TAKE("labels", TOCSIN_LABELS_MAX), 0);
    ck_assert_int_eq(TAKE("labels", TOCSIN_LABELS_MAX + 1), -1);
    ck_assert_int_eq(TAKE("flags", TOCSIN_TEXT_MAX + 1), -1);
    ck_assert_uint_eq(ev.server.len, TOCSIN_TEXT_MAX);
    ck_assert_uint_eq(ev.labels.len, TOCSIN_LABELS_MAX);
    tocsin_event_init(&ev, TOCSIN_BEAT);
    ck_assert_int_eq(TAKE("inflight", TOCSIN_EVIDENCE_MAX), 0);
    ck_assert_int_eq(TAKE("inflight", TOCSIN_EVIDENCE_MAX + 1), -1);
#undef TAKE
}
END_TEST

START_TEST(taken)
{
    struct tocsin_event ev;

    tocsin_event_init(&ev, TOCSIN_REQUEST);
#define TAKE(name, value)                                                      \
    ck_assert_int_eq(tocsin_event_field(&ev, 99, str(name), str(value)), 0)
    TAKE("weight", "2.5");
    ck_assert_uint_eq(ev.weight, 2500);
    TAKE("weight", "0.040");
    ck_assert_uint_eq(ev.weight, 40);
    TAKE("weight", "18446744073709551.615");
    ck_assert_uint_eq(ev.weight, UINT64_MAX);
    TAKE("flags", "slow,from_the_future,early");
    ck_assert_uint_eq(ev.flags, TOCSIN_FLAG_SLOW | TOCSIN_FLAG_EARLY);
    TAKE("flags", "");
    ck_assert_uint_eq(ev.flags, 0);
    TAKE("grpc", "0");
    ck_assert_uint_eq(ev.grpc, 0);
    TAKE("grpc", "");
    ck_assert_uint_eq(ev.grpc, TOCSIN_NONE);
    TAKE("dur", "18446744073709551615");
    ck_assert_uint_eq(ev.dur, UINT64_MAX);
    /* not ours: ignored */
    TAKE("nonsense", "1");
    TAKE("", "1");
    TAKE("inflight", "of another stream");
    ck_assert_uint_eq(ev.inflight.len, 0);
#undef TAKE
}
END_TEST

START_TEST(errors)
{
    int e;

    for (e = 0; e < TOCSIN_ERRORS; e++) {
        ck_assert_int_eq(
            tocsin_error_parse(tocsin_error_text((enum tocsin_error)e)), e);
    }
    ck_assert_uint_eq(tocsin_error_text(TOCSIN_ERROR_NONE).len, 0);
    ck_assert_int_eq(tocsin_error_parse(str("Timeout")), TOCSIN_ERRORS);
    ck_assert_uint_eq(tocsin_error_text(TOCSIN_ERRORS).len, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("event_codec");
    TCase *tcase = tcase_create("event_codec");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tcase, round_trip, 0, TOCSIN_STREAMS);
    tcase_add_loop_test(tcase, empty_round_trip, 0, TOCSIN_STREAMS);
    tcase_add_test(tcase, order_is_that_of_the_table);
    tcase_add_test(tcase, wire_bytes);
    tcase_add_test(tcase, every_length_of_number);
    tcase_add_test(tcase, long_texts_are_cut);
    tcase_add_test(tcase, no_room);
    tcase_add_loop_test(tcase, refused, 0,
                        sizeof(malformed) / sizeof(malformed[0]));
    tcase_add_test(tcase, refused_lengths);
    tcase_add_test(tcase, taken);
    tcase_add_test(tcase, errors);
    suite_add_tcase(suite, tcase);

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
