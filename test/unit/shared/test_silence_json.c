/* Silences: posted, encoded, shown. */
#include <check.h>
#include <stdlib.h>

#include "shared/silence_json.h"

#define NOW 1800000000000000ull

static struct tocsin_silence_room room;
static struct tocsin_command command;

static const char *read_it(const char *text)
{
    tocsin_command_init(&command);
    return tocsin_silence_read(tocsin_span_str(text), NOW, &command, &room);
}

#define REST                                                                   \
    "\"startsAt\":\"2027-01-15T08:00:00Z\",\"endsAt\":"                        \
    "\"2027-01-15T10:30:00.25+01:00\",\"createdBy\":\"a\",\"comment\":"        \
    "\"\\u00f6\"}"

START_TEST(a_silence_is_read_encoded_and_shown)
{
    char row_text[4096], shown[4096];
    struct tocsin_out out = {row_text, sizeof(row_text), 0};
    struct tocsin_out to = {shown, sizeof(shown), 0};
    struct tocsin_json json = tocsin_json_begin(&to);
    struct tocsin_silence_row row = {.id = TOCSIN_SPAN("x")}, got;
    struct tocsin_span rest;

    ck_assert_ptr_null(read_it(
        "{\"matchers\":[{\"name\":\"a\",\"value\":\"b,=%\",\"isRegex\":false},"
        "{\"name\":\"c\",\"value\":\"d|e\",\"isRegex\":true,\"isEqual\":false}"
        "]," REST));
    ck_assert_uint_eq(command.starts, NOW);
    ck_assert_uint_eq(command.ends, NOW + 5400250000);
    ck_assert(tocsin_span_eq(command.matchers,
                             TOCSIN_SPAN("a=eq=b%2C%3D%25,c=nre=d|e")));
    ck_assert(tocsin_span_eq(command.comment, TOCSIN_SPAN("\xc3\xb6")));
    row.starts = command.starts;
    row.ends = command.ends;
    row.author = command.author;
    row.comment = command.comment;
    row.matchers = command.matchers;
    tocsin_silence_row_encode(&out, &row);
    rest = tocsin_span_of(row_text, out.need);
    ck_assert_int_eq(tocsin_silence_row_next(&rest, &got), 1);
    ck_assert_int_eq(tocsin_silence_state(&got, NOW - 1),
                     TOCSIN_SILENCE_PENDING);
    ck_assert_int_eq(tocsin_silence_state(&got, NOW), TOCSIN_SILENCE_ACTIVE);
    ck_assert_int_eq(tocsin_silence_state(&got, got.ends),
                     TOCSIN_SILENCE_EXPIRED);
    tocsin_silence_json(&json, &got, NOW);
    ck_assert(tocsin_out_fits(&to));
    shown[to.need] = '\0';
    ck_assert_ptr_nonnull(
        strstr(shown, "{\"name\":\"a\",\"value\":\"b,=%\",\"isRegex\":false,"
                      "\"isEqual\":true},{\"name\":\"c\",\"value\":\"d|e\","
                      "\"isRegex\":true,\"isEqual\":false}"));
    ck_assert_ptr_nonnull(strstr(shown, "\"comment\":\"\xc3\xb6\""));
    ck_assert_ptr_nonnull(strstr(shown, "\"state\":\"active\""));
}
END_TEST

static const struct {
    const char *text, *words;
} bad[] = {
    {"[]", "object"},
    {"{" REST, "needs"},
    {"{\"matchers\":[]," REST, "1 to 16"},
    {"{\"matchers\":{}," REST, "1 to 16"},
    {"{\"matchers\":[1]," REST, "1 to 16"},
    {"{\"matchers\":[{\"name\":\"a\"}]," REST, "needs"},
    {"{\"matchers\":[{\"name\":1}]," REST, "name"},
    {"{\"id\":\"1\"}", "UUID"},
    {"{\"id\":null}", "UUID"},
    {"{\"startsAt\":1}", "RFC 3339"},
    {"{\"status\":[}", "value"},
    {"{\"what\":1}", "no more"},
};

START_TEST(bad_ones_are_refused_with_a_reason)
{
    const char *error = read_it(bad[_i].text);

    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strstr(error, bad[_i].words) != NULL, "%s", error);
}
END_TEST

static const struct {
    const char *text;
    uint64_t us; /* 0: it is none */
} times[] = {
    {"2027-01-15T08:00:00Z", NOW},
    {"2027-01-15t08:00:00.000001999z", NOW + 1},
    {"2027-01-15T03:00:00-05:00", NOW},
    {"2028-02-29T00:00:00Z", 1835395200000000ull},
    {"2027-02-29T00:00:00Z", 0},
    {"2027-13-01T00:00:00Z", 0},
    {"2027-01-15T24:00:00Z", 0},
    {"2027-01-15T08:00:00", 0},
    {"2027-01-15T08:00:00.Z", 0},
    {"2027-01-15T08:00:00+25:00", 0},
    {"2027-01-15 08:00:00Z", 0},
    {"2027-01-15T08:00:00Zx", 0},
    {"1969-12-31T23:59:59Z", 0},
    {"", 0},
};

START_TEST(times_are_read)
{
    uint64_t us = 0;
    int rc = tocsin_time_parse(tocsin_span_str(times[_i].text), &us);

    ck_assert_int_eq(rc, times[_i].us == 0 ? -1 : 0);
    ck_assert_uint_eq(rc == 0 ? us : 0, times[_i].us);
}
END_TEST

START_TEST(ids_are_uuids)
{
    static const unsigned char random[16] = {1, 2, 255};
    char id[TOCSIN_SILENCE_ID];

    tocsin_uuid(id, random);
    ck_assert(tocsin_is_uuid(tocsin_span_of(id, sizeof(id))));
    ck_assert_mem_eq(id, "0102ff00-0000-4000-8000-000000000000", sizeof(id));
    ck_assert(!tocsin_is_uuid(tocsin_span_of(id, sizeof(id) - 1)));
    id[0] = 'g';
    ck_assert(!tocsin_is_uuid(tocsin_span_of(id, sizeof(id))));
}
END_TEST

START_TEST(matchers_are_read_from_words)
{
    static const struct {
        const char *text, *name, *value;
        bool negative, pattern;
    } good[] = {
        {"a=b", "a", "b", false, false},     {"a!=b", "a", "b", true, false},
        {"a=~b=c", "a", "b=c", false, true}, {"a!~\"b\"", "a", "b", true, true},
        {"a=", "a", "", false, false},
    };
    static const char *const none[] = {"", "a", "a!", "a!b"};
    struct tocsin_matcher got;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_int_eq(
            tocsin_matcher_parse(&got, tocsin_span_str(good[i].text)), 0);
        ck_assert(tocsin_span_eq(got.name, tocsin_span_str(good[i].name)));
        ck_assert(tocsin_span_eq(got.value, tocsin_span_str(good[i].value)));
        ck_assert(got.negative == good[i].negative);
        ck_assert(got.pattern == good[i].pattern);
    }
    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        ck_assert_int_eq(tocsin_matcher_parse(&got, tocsin_span_str(none[i])),
                         -1);
    }
}
END_TEST

START_TEST(hostile_lists_are_passed)
{
    static const char *const lists[] = {
        "a", "a=b", "a=xx=c", "=eq=c", "a%00=eq=b", "a=eq=%00", ","};
    char text[TOCSIN_MATCHERS_MAX];
    struct tocsin_matcher got;
    size_t i;

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct tocsin_span list = tocsin_span_str(lists[i]);

        ck_assert_int_eq(tocsin_matcher_next(&list, &got, text), -1);
    }
}
END_TEST

START_TEST(the_silence_of_an_alert)
{
    struct tocsin_span list = TOCSIN_SPAN("a-1=x,ab-1=y,a-11=z");

    ck_assert(tocsin_span_eq(tocsin_silenced_by(list, TOCSIN_SPAN("a-1")),
                             TOCSIN_SPAN("x")));
    ck_assert(tocsin_span_eq(tocsin_silenced_by(list, TOCSIN_SPAN("a-11")),
                             TOCSIN_SPAN("z")));
    ck_assert_uint_eq(tocsin_silenced_by(list, TOCSIN_SPAN("b-1")).len, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("silence_json");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, a_silence_is_read_encoded_and_shown);
    tcase_add_loop_test(tcase, bad_ones_are_refused_with_a_reason, 0,
                        (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_loop_test(tcase, times_are_read, 0,
                        (int)(sizeof(times) / sizeof(times[0])));
    tcase_add_test(tcase, ids_are_uuids);
    tcase_add_test(tcase, matchers_are_read_from_words);
    tcase_add_test(tcase, hostile_lists_are_passed);
    tcase_add_test(tcase, the_silence_of_an_alert);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
