/*
 * Records: what is packed and encoded is, byte for byte, what the event codec
 * makes of the same event.
 */
#include <check.h>
#include <stdlib.h>

#include "shared/event_record.h"
#include "shared/names.h"

static char whole[TOCSIN_EVENT_ENCODED_MAX];
static char fields[TOCSIN_EVENT_ENCODED_MAX];
static char head[512];
static struct tocsin_encoder encoder;
static _Alignas(8) char record[TOCSIN_RECORD_MAX + TOCSIN_RECORD_SLACK];
static char packed[TOCSIN_RECORD_MAX];

/* v and src as the ring's owner writes them */
static size_t put_head(const struct tocsin_event *ev)
{
    struct tocsin_event beat;
    struct tocsin_out out = {whole, sizeof(whole), 0};
    const char *end;

    tocsin_event_init(&beat, TOCSIN_BEAT);
    beat.v = ev->v;
    beat.src = ev->src;
    tocsin_event_encode(&out, &beat);
    end = memmem(whole, out.need, "$2\r\nts\r\n", 8);
    ck_assert_ptr_nonnull(end);
    memcpy(head, whole, (size_t)(end - whole));
    return (size_t)(end - whole);
}

static void assert_encoded(const struct tocsin_event *ev)
{
    struct tocsin_out out = {whole, sizeof(whole), 0};
    size_t head_len = put_head(ev), len;
    char *end;

    len = tocsin_record_pack(record, ev);
    ck_assert_uint_le(len, TOCSIN_RECORD_MAX);
    end = tocsin_record_encode(&encoder, fields, record, ev->stream);

    tocsin_event_encode(&out, ev);
    ck_assert(tocsin_out_fits(&out));
    ck_assert_uint_eq(out.need, head_len + (size_t)(end - fields));
    ck_assert_mem_eq(whole, head, head_len);
    ck_assert_mem_eq(whole + head_len, fields, (size_t)(end - fields));
}

/* In memory of exactly so many units, which is what may be read of it. */
static struct tocsin_span
piece_of(size_t (*make)(char *to, const struct tocsin_event *ev),
         const struct tocsin_event *ev)
{
    static char text[TOCSIN_PIECE_MAX];
    size_t len = make(text, ev);
    size_t units = (len + TOCSIN_PIECE_UNIT - 1) / TOCSIN_PIECE_UNIT;
    char *piece = malloc(units * TOCSIN_PIECE_UNIT);

    ck_assert_uint_le(len, sizeof(text));
    ck_assert_ptr_nonnull(piece);
    memcpy(piece, text, len);
    return tocsin_span_of(piece, len);
}

/* With ready-made pieces and without; with them, the texts are not looked at */
static void assert_same(const struct tocsin_event *ev)
{
    bool nowhere = (ev->cloud.len | ev->region.len | ev->zone.len) == 0;
    struct tocsin_event ready = *ev;
    size_t len;

    assert_encoded(ev);
    len = tocsin_record_pack(record, ev);
    memcpy(packed, record, len);

    ready.where = piece_of(tocsin_record_where, ev);
    ready.how = piece_of(tocsin_record_how, ev);
    ready.who = piece_of(tocsin_record_who, ev);
    ready.place = piece_of(tocsin_record_place, ev);
    ready.place.len = nowhere ? 0 : ready.place.len;
    ready.server = ready.route = ready.method = ready.proto = ready.upstream =
        ready.cloud = ready.region = ready.zone = tocsin_span_of(NULL, 1);
    ck_assert_uint_eq(tocsin_record_pack(record, &ready), len);
    ck_assert_mem_eq(record, packed, len);

    free((void *)(uintptr_t)ready.where.data);
    free((void *)(uintptr_t)ready.how.data);
    free((void *)(uintptr_t)ready.who.data);
    free((void *)(uintptr_t)ready.place.data);
}

static uint64_t any_number(void)
{
    uint64_t n =
        (uint64_t)rand() << 33 ^ (uint64_t)rand() << 11 ^ (uint64_t)rand();

    return n >> rand() % 64;
}

static struct tocsin_span any_text(size_t most)
{
    static char text[2048];
    size_t i;

    for (i = 0; i < sizeof(text); i++) {
        text[i] = i % 7 == 6 ? ',' : 'a';
    }
    switch (rand() % 4) {
    case 0:
        return tocsin_span_of(NULL, 0);
    case 1:
        return tocsin_span_of(text, (size_t)rand() % 20);
    default:
        return tocsin_span_of(text, (size_t)rand() % most);
    }
}

static void any_event(struct tocsin_event *ev, enum tocsin_stream stream)
{
    tocsin_event_init(ev, stream);
#define ANY_UINT(m) ev->m = any_number();
#define ANY_OPT(m) ev->m = rand() % 2 ? any_number() : TOCSIN_NONE;
#define ANY_MILLI(m) ev->m = rand() % 2 ? any_number() : 1000;
#define ANY_FLAGS(m) ev->m = (uint64_t)rand() % (1 << TOCSIN_FLAG_COUNT);
#define ANY_TEXT(m) ev->m = any_text(400);
#define ANY_PAIRS(m) ev->m = any_text(1500);
#define X(member, kind, name, unit, help) ANY_##kind(member)
    TOCSIN_REQUEST_FIELDS(X)
    TOCSIN_UPSTREAM_FIELDS(X)
#undef X
}

START_TEST(same_bytes)
{
    struct tocsin_event ev;
    int i;

    srand(7);
    for (i = 0; i < 3000; i++) {
        any_event(&ev, (enum tocsin_stream)_i);
        assert_same(&ev);
    }
}
END_TEST

START_TEST(empty_ones)
{
    struct tocsin_event ev;

    tocsin_event_init(&ev, (enum tocsin_stream)_i);
    assert_same(&ev);
}
END_TEST

/* One after the other, as a worker numbers them; at times a gap, or again. */
START_TEST(counting)
{
    static const uint64_t from[] = {
        0, 8, 95, 998, 999997, 4294967290, UINT64_MAX - 30};
    struct tocsin_event ev;
    uint64_t seq;
    size_t i, n;

    srand(11);
    for (i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
        seq = from[i];
        for (n = 0; n < 200; n++) {
            tocsin_event_init(&ev, TOCSIN_REQUEST);
            ev.seq = seq;
            assert_same(&ev);
            tocsin_event_init(&ev, TOCSIN_UPSTREAM);
            ev.seq = n;
            ev.req = rand() % 9 == 0 ? seq - 1 : seq;
            assert_same(&ev);
            seq += (uint64_t)(rand() % 7 == 0 ? rand() % 3 : 1);
        }
    }
}
END_TEST

START_TEST(times)
{
    static const uint64_t from[] = {
        0,
        999999999999990,
        1000000000000000,
        1700000000999990,
        9999999999999990,
        10000000000000000,
        UINT64_MAX - 5,
    };
    struct tocsin_event ev;
    size_t i;
    int n;

    for (i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
        for (n = 0; n < 20; n++) {
            tocsin_event_init(&ev, (enum tocsin_stream)_i);
            ev.ts = from[i] + (uint64_t)n;
            assert_same(&ev);
        }
        for (n = 0; n < 20; n++) {
            ev.ts = from[i] + (uint64_t)n * 377777;
            assert_same(&ev);
        }
    }
}
END_TEST

/* Each field of the groups that are mostly empty, alone and with others. */
START_TEST(hardly_usual)
{
    struct tocsin_event ev;
    unsigned mask;

    for (mask = 0; mask < 256; mask++) {
        tocsin_event_init(&ev, (enum tocsin_stream)_i);
        ev.grpc = mask & 1 ? 0 : TOCSIN_NONE;
        ev.cloud = mask & 2 ? TOCSIN_SPAN("aws") : TOCSIN_SPAN("");
        ev.region = mask & 4 ? TOCSIN_SPAN("eu-west-1") : TOCSIN_SPAN("");
        ev.zone = mask & 8 ? TOCSIN_SPAN("eu-west-1a") : TOCSIN_SPAN("");
        ev.weight = mask & 16 ? 1500 : 1000;
        ev.flags = mask & 32 ? TOCSIN_FLAG_SLOW : 0;
        ev.labels = mask & 64 ? TOCSIN_SPAN("a=b") : TOCSIN_SPAN("");
        ev.fields = mask & 128 ? TOCSIN_SPAN("c=d") : TOCSIN_SPAN("");
        assert_same(&ev);
    }
}
END_TEST

START_TEST(longest)
{
    static char text[2048];
    struct tocsin_event ev;

    memset(text, ',', sizeof(text));
    tocsin_event_init(&ev, (enum tocsin_stream)_i);
#define MOST_UINT(m) ev.m = UINT64_MAX;
#define MOST_OPT(m) ev.m = UINT64_MAX - 1;
#define MOST_MILLI(m) ev.m = UINT64_MAX;
#define MOST_FLAGS(m) ev.m = (1 << TOCSIN_FLAG_COUNT) - 1;
#define MOST_TEXT(m) ev.m = tocsin_span_of(text, sizeof(text));
#define MOST_PAIRS(m) MOST_TEXT(m)
#define X(member, kind, name, unit, help) MOST_##kind(member)
    TOCSIN_REQUEST_FIELDS(X)
    TOCSIN_UPSTREAM_FIELDS(X)
#undef X
    assert_same(&ev);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("event_record");
    TCase *tcase = tcase_create("event_record");
    SRunner *runner = srunner_create(suite);
    int failed;

    tocsin_encoder_init(&encoder);
    tcase_add_loop_test(tcase, same_bytes, 0, 2);
    tcase_add_loop_test(tcase, empty_ones, 0, 2);
    tcase_add_loop_test(tcase, longest, 0, 2);
    tcase_add_test(tcase, counting);
    tcase_add_loop_test(tcase, times, TOCSIN_REQUEST, TOCSIN_UPSTREAM + 1);
    tcase_add_loop_test(tcase, hardly_usual, TOCSIN_REQUEST,
                        TOCSIN_UPSTREAM + 1);
    suite_add_tcase(suite, tcase);

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
