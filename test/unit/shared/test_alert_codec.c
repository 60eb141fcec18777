/* Alerts, boards and rows on the wire; an alert in Alertmanager's shape. */
#include "shared/alert_codec.h"
#include "shared/event_codec.h"
#include "shared/names.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

static char room[4 * 1024 * 1024];

static struct tocsin_out fresh(void)
{
    struct tocsin_out out = {room, sizeof(room), 0};

    return out;
}

/* Cuts one bulk string off. */
static struct tocsin_span bulk(struct tocsin_span *rest)
{
    struct tocsin_span text;
    char *end;

    ck_assert_uint_gt(rest->len, 0);
    ck_assert_int_eq(rest->data[0], '$');
    text.len = strtoul(rest->data + 1, &end, 10);
    ck_assert_mem_eq(end, "\r\n", 2);
    text.data = end + 2;
    ck_assert_mem_eq(text.data + text.len, "\r\n", 2);
    rest->len -= (size_t)(text.data + text.len + 2 - rest->data);
    rest->data = text.data + text.len + 2;
    return text;
}

static void decode_alert(struct tocsin_out *out, struct tocsin_alert *a)
{
    struct tocsin_span rest = tocsin_span_of(out->data, out->need);
    unsigned pairs = 0;

    tocsin_alert_init(a);
    while (rest.len != 0) {
        struct tocsin_span name = bulk(&rest);

        ck_assert_int_eq(tocsin_alert_field(a, name, bulk(&rest)), 0);
        pairs++;
    }
    ck_assert_uint_eq(pairs, tocsin_alert_field_count());
}

static void text_is(struct tocsin_span text, const char *expected)
{
    ck_assert_uint_eq(text.len, strlen(expected));
    ck_assert_mem_eq(text.data, expected, text.len);
}

static struct tocsin_alert sample(void)
{
    struct tocsin_alert a;

    tocsin_alert_init(&a);
    a.v = 1;
    a.id = TOCSIN_SPAN("f00-1700000000");
    a.fingerprint = TOCSIN_SPAN("f00");
    a.alertname = TOCSIN_SPAN("LatencyHigh");
    a.state = TOCSIN_SPAN("firing");
    a.severity = TOCSIN_SPAN("critical");
    a.labels = TOCSIN_SPAN("upstream=shop,cloud_provider=aws,"
                           "cloud_region=eu-west-1");
    a.started = UINT64_C(1700000000000000);
    a.updated = UINT64_C(1700000010000000);
    a.score = 97.5;
    a.feature = TOCSIN_SPAN("latency_p95");
    a.unit = TOCSIN_SPAN("s");
    a.observed = 1.25;
    a.expected = 0.1;
    a.low = 0.05;
    a.summary = TOCSIN_SPAN("slow");
    a.description = TOCSIN_SPAN("slower than it ever was");
    a.evidence = TOCSIN_SPAN("1700000000000000=1.25=0.1=0.05=,"
                             "1700000001500000=1.5=0.1=0.05=0.2");
    a.parts = TOCSIN_SPAN("abc=80.5=errors=peer%3D10.0.0.1:80"
                          "%2Cupstream%3Dsh%2541op");
    a.model = TOCSIN_SPAN("1");
    return a;
}

START_TEST(an_alert_survives_the_wire)
{
    struct tocsin_alert a = sample(), b;
    struct tocsin_out out = fresh();

    tocsin_alert_encode(&out, &a);
    ck_assert(tocsin_out_fits(&out));
    decode_alert(&out, &b);
#define IS_UINT(m) ck_assert_uint_eq(a.m, b.m);
#define IS_REAL(m)                                                             \
    ck_assert(isnan(a.m) ? isnan(b.m) : !(a.m < b.m || a.m > b.m));
#define IS_TEXT(m) ck_assert(tocsin_span_eq(a.m, b.m));
#define IS_PAIRS IS_TEXT
#define IS_LONG IS_TEXT
#define X(member, kind, name, unit, help) IS_##kind(member)
    TOCSIN_ALERT_FIELDS(X)
#undef X
    ck_assert(isnan(b.high));
}
END_TEST

START_TEST(what_is_not_of_its_kind_is_refused)
{
    static const char *const uints[] = {
        "", "-1", "1x", "18446744073709551616", " 1", "0x1"};
    static const char *const reals[] = {
        "inf", "nan",   "0x1p3",
        " 1",  "1 ",    "1e999",
        "-",   "1.2.3", "000000000000000000000000000000001"};
    struct tocsin_alert a = sample();
    size_t i;

    for (i = 0; i < sizeof(uints) / sizeof(uints[0]); i++) {
        ck_assert_int_eq(tocsin_alert_field(&a, TOCSIN_SPAN("started"),
                                            tocsin_span_str(uints[i])),
                         -1);
        ck_assert_uint_eq(a.started, UINT64_C(1700000000000000));
    }
    for (i = 0; i < sizeof(reals) / sizeof(reals[0]); i++) {
        ck_assert_int_eq(tocsin_alert_field(&a, TOCSIN_SPAN("score"),
                                            tocsin_span_str(reals[i])),
                         -1);
        ck_assert(a.score > 97 && a.score < 98);
    }
    ck_assert_int_eq(
        tocsin_alert_field(&a, TOCSIN_SPAN("score"), TOCSIN_SPAN("")), 0);
    ck_assert(isnan(a.score));
    ck_assert_int_eq(
        tocsin_alert_field(&a, TOCSIN_SPAN("of_next_year"), TOCSIN_SPAN("x")),
        0);
}
END_TEST

START_TEST(too_long_texts_are_refused_when_read)
{
    static char big[TOCSIN_EVIDENCE_MAX + 1];
    struct tocsin_alert a = sample();

    memset(big, 'x', sizeof(big));
    ck_assert_int_eq(
        tocsin_alert_field(&a, TOCSIN_SPAN("summary"),
                           tocsin_span_of(big, TOCSIN_TEXT_MAX + 1)),
        -1);
    text_is(a.summary, "slow");
    ck_assert_int_eq(
        tocsin_alert_field(&a, TOCSIN_SPAN("labels"),
                           tocsin_span_of(big, TOCSIN_LABELS_MAX + 1)),
        -1);
    ck_assert_int_eq(tocsin_alert_field(&a, TOCSIN_SPAN("evidence"),
                                        tocsin_span_of(big, sizeof(big))),
                     -1);
    ck_assert_int_eq(tocsin_alert_field(&a, TOCSIN_SPAN("evidence"),
                                        tocsin_span_of(big, sizeof(big) - 1)),
                     0);
}
END_TEST

START_TEST(too_long_texts_are_cut_at_an_item_when_written)
{
    static char text[2048], list[9000];
    struct tocsin_alert a = sample(), b;
    struct tocsin_out out = fresh();
    size_t i;

    for (i = 0; i + 2 <= sizeof(text); i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    for (i = 0; i + 9 <= sizeof(list); i += 9) {
        memcpy(list + i, "abc=defg,", 9);
    }
    a.summary = tocsin_span_of(text, sizeof(text));
    a.labels = tocsin_span_of(list, 2000);
    a.evidence = tocsin_span_of(list, sizeof(list));
    a.description = tocsin_span_of(text, sizeof(text));
    tocsin_alert_encode(&out, &a);
    decode_alert(&out, &b);
    ck_assert_uint_eq(b.summary.len, 254);
    ck_assert_uint_eq(b.labels.len, 113 * 9 - 1);
    ck_assert_uint_eq(b.evidence.len, 910 * 9 - 1);
    ck_assert_uint_eq(b.description.len, sizeof(text));
}
END_TEST

START_TEST(a_board_survives_the_wire)
{
    struct tocsin_span rest;
    struct tocsin_board board, read;
    struct tocsin_out out = fresh();

    tocsin_board_init(&board);
    board.ts = 12;
    board.lag = UINT64_MAX;
    board.model = TOCSIN_SPAN("7");
    board.active = TOCSIN_SPAN("a,b");
    board.rows = TOCSIN_SPAN("x\ty\n");
    tocsin_board_encode(&out, &board);
    tocsin_board_init(&read);
    rest = tocsin_span_of(room, out.need);
    while (rest.len != 0) {
        struct tocsin_span name = bulk(&rest);

        ck_assert_int_eq(tocsin_board_field(&read, name, bulk(&rest)), 0);
    }
    ck_assert_uint_eq(read.ts, 12);
    ck_assert_uint_eq(read.lag, UINT64_MAX);
    text_is(read.model, "7");
    text_is(read.active, "a,b");
    text_is(read.rows, "x\ty\n");
    text_is(read.rollups, "");
}
END_TEST

START_TEST(rows_too_many_are_cut_at_a_row)
{
    static char rows[TOCSIN_BOARD_MAX + 100];
    struct tocsin_span rest;
    struct tocsin_board board;
    struct tocsin_out out = fresh();
    size_t i;

    for (i = 0; i + 10 <= sizeof(rows); i += 10) {
        memcpy(rows + i, "a,b,c\t123\n", 10);
    }
    tocsin_board_init(&board);
    board.rows = tocsin_span_of(rows, i);
    tocsin_board_encode(&out, &board);
    rest = tocsin_span_of(room, out.need);
    while (rest.len != 0) {
        struct tocsin_span name = bulk(&rest), value = bulk(&rest);

        if (tocsin_span_eq(name, TOCSIN_SPAN("rows"))) {
            ck_assert_uint_eq(value.len, TOCSIN_BOARD_MAX / 10 * 10);
        }
    }
}
END_TEST

START_TEST(rows_follow_each_other)
{
    struct tocsin_board_row row, read;
    struct tocsin_out out = fresh();
    struct tocsin_span rest;

    memset(&row, 0, sizeof(row));
    row.labels = TOCSIN_SPAN("upstream=shop\t\n");
    row.feature = TOCSIN_SPAN("odd\tname\n");
    row.score = 3.5;
    row.rate = (double)NAN;
    row.latency_p95 = 0.25;
    row.spark = TOCSIN_SPAN("1,2,,4");
    tocsin_board_row_encode(&out, &row);
    tocsin_board_row_encode(&out, &row);
    tocsin_out_put(&out, "three\tcells\tonly\n", 17);
    tocsin_board_row_encode(&out, &row);
    tocsin_out_put(&out, "half", 4);

    rest = tocsin_span_of(room, out.need);
    ck_assert_int_eq(tocsin_board_row_next(&rest, &read), 1);
    text_is(read.labels, "upstream=shop%09%0A");
    text_is(read.feature, "odd%09name%0A");
    ck_assert(read.score > 3 && read.score < 4);
    ck_assert(isnan(read.rate));
    ck_assert(read.latency_p95 > 0.2 && read.latency_p95 < 0.3);
    text_is(read.spark, "1,2,,4");
    ck_assert_int_eq(tocsin_board_row_next(&rest, &read), 1);
    ck_assert_int_eq(tocsin_board_row_next(&rest, &read), -1);
    ck_assert_int_eq(tocsin_board_row_next(&rest, &read), 1);
    ck_assert_int_eq(tocsin_board_row_next(&rest, &read), -1);
    ck_assert_int_eq(tocsin_board_row_next(&rest, &read), 0);
}
END_TEST

static json_t *as_json(const struct tocsin_alert *a, const char *silence)
{
    size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
    struct tocsin_out out = fresh();
    json_error_t error;
    json_t *object;

    tocsin_alert_json(&out, a, tocsin_span_str(silence), 300000000);
    object = json_loadb(room, out.need, flags, &error);
    ck_assert_msg(object != NULL, "%s: %.*s", error.text, (int)out.need, room);
    return object;
}

static const char *at(json_t *object, const char *outer, const char *inner)
{
    return json_string_value(
        json_object_get(json_object_get(object, outer), inner));
}

static void string_is(json_t *object, const char *key, const char *expected)
{
    ck_assert_str_eq(json_string_value(json_object_get(object, key)), expected);
}

START_TEST(json_has_the_shape_of_alertmanager)
{
    struct tocsin_alert a = sample();
    json_t *object = as_json(&a, ""), *own, *part, *point;

    ck_assert_str_eq(at(object, "labels", "alertname"), "LatencyHigh");
    ck_assert_str_eq(at(object, "labels", "severity"), "critical");
    ck_assert_str_eq(at(object, "labels", "cloud_region"), "eu-west-1");
    ck_assert_str_eq(at(object, "annotations", "observed"), "1.25 s");
    ck_assert_str_eq(at(object, "annotations", "summary"), "slow");
    string_is(object, "startsAt", "2023-11-14T22:13:20.000Z");
    string_is(object, "updatedAt", "2023-11-14T22:13:30.000Z");
    string_is(object, "endsAt", "2023-11-14T22:18:30.000Z");
    string_is(object, "fingerprint", "f00");
    ck_assert_str_eq(at(object, "status", "state"), "active");

    own = json_object_get(object, "tocsin");
    ck_assert(json_is_null(json_object_get(own, "high")));
    ck_assert(json_real_value(json_object_get(own, "score")) > 97);
    point = json_array_get(json_object_get(own, "evidence"), 1);
    ck_assert_uint_eq(json_array_size(point), 5);
    ck_assert(json_number_value(json_array_get(point, 0)) > 1700000001.4);
    part = json_array_get(json_object_get(own, "parts"), 0);
    string_is(part, "fingerprint", "abc");
    ck_assert_str_eq(at(part, "labels", "peer"), "10.0.0.1:80");
    ck_assert_str_eq(at(part, "labels", "upstream"), "shAop");
    json_decref(object);
}
END_TEST

START_TEST(states_map_to_those_of_alertmanager)
{
    struct tocsin_alert a = sample();
    json_t *object;

    a.state = TOCSIN_SPAN("pending");
    object = as_json(&a, "");
    ck_assert_str_eq(at(object, "status", "state"), "unprocessed");
    json_decref(object);

    a.state = TOCSIN_SPAN("resolved");
    a.ended = UINT64_C(1700000020000000);
    object = as_json(&a, "");
    string_is(object, "endsAt", "2023-11-14T22:13:40.000Z");
    ck_assert_str_eq(at(object, "tocsin", "state"), "resolved");
    json_decref(object);

    object = as_json(&a, "s-1");
    ck_assert_str_eq(at(object, "status", "state"), "suppressed");
    ck_assert_uint_eq(json_array_size(json_object_get(
                          json_object_get(object, "status"), "silencedBy")),
                      1);
    json_decref(object);
}
END_TEST

START_TEST(repeated_and_reserved_labels_appear_once)
{
    struct tocsin_alert a = sample();
    json_t *object;

    a.labels = TOCSIN_SPAN(
        "severity=none,alertname=x,a=1,a=2,=3,9=4,b=%3Cb%3E,b-c=5,b%00=6");
    object = as_json(&a, "");
    ck_assert_uint_eq(json_object_size(json_object_get(object, "labels")), 4);
    ck_assert_str_eq(at(object, "labels", "severity"), "critical");
    ck_assert_str_eq(at(object, "labels", "a"), "1");
    ck_assert_str_eq(at(object, "labels", "b"), "<b>");
    json_decref(object);
}
END_TEST

START_TEST(garbage_in_lists_is_left_out)
{
    struct tocsin_alert a = sample();
    json_t *object, *own;

    a.evidence = TOCSIN_SPAN(",,x=1,12=inf=nan=0x1=zz,=,9999999999999999999");
    a.parts = TOCSIN_SPAN(",=,f,f=s=%zz=%");
    object = as_json(&a, "");
    own = json_object_get(object, "tocsin");
    ck_assert_uint_eq(json_array_size(json_object_get(own, "evidence")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(own, "parts")), 2);
    json_decref(object);
}
END_TEST

START_TEST(any_bytes_in_an_alert_give_json)
{
    unsigned seed = 11;
    int round;

    for (round = 0; round < 2000; round++) {
        static char bytes[300];
        struct tocsin_alert a = sample();
        struct tocsin_span text;
        size_t i;

        for (i = 0; i < sizeof(bytes); i++) {
            static const char favourites[] = "%,=\"\\<\n";
            int dice = rand_r(&seed) % 16;

            bytes[i] = dice < 7 ? favourites[dice] : (char)rand_r(&seed);
        }
        text = tocsin_span_of(bytes, (size_t)rand_r(&seed) % 255);
        a.labels = a.summary = a.evidence = a.parts = a.state = text;
        a.unit = a.alertname = a.severity = a.fingerprint = text;
        json_decref(as_json(&a, ""));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alert_codec");
    TCase *wire = tcase_create("wire"), *json = tcase_create("json");
    SRunner *runner;
    int failed;

    tcase_set_timeout(json, 60); /* under a sanitizer, on a busy machine */
    tcase_add_test(wire, an_alert_survives_the_wire);
    tcase_add_test(wire, what_is_not_of_its_kind_is_refused);
    tcase_add_test(wire, too_long_texts_are_refused_when_read);
    tcase_add_test(wire, too_long_texts_are_cut_at_an_item_when_written);
    tcase_add_test(wire, a_board_survives_the_wire);
    tcase_add_test(wire, rows_too_many_are_cut_at_a_row);
    tcase_add_test(wire, rows_follow_each_other);
    tcase_add_test(json, json_has_the_shape_of_alertmanager);
    tcase_add_test(json, states_map_to_those_of_alertmanager);
    tcase_add_test(json, repeated_and_reserved_labels_appear_once);
    tcase_add_test(json, garbage_in_lists_is_left_out);
    tcase_add_test(json, any_bytes_in_an_alert_give_json);
    suite_add_tcase(suite, wire);
    suite_add_tcase(suite, json);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
