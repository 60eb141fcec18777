/* The JSON writer: commas, numbers, times, and texts of hostile bytes. */
#include "shared/json.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include <jansson.h>

static char room[4096];

static struct tocsin_out fresh(size_t cap)
{
    struct tocsin_out out = {room, cap, 0};

    memset(room, '#', sizeof(room));
    return out;
}

static void is(const struct tocsin_out *out, const char *expected)
{
    ck_assert_uint_eq(out->need, strlen(expected));
    ck_assert_mem_eq(room, expected, out->need);
}

START_TEST(commas_come_by_themselves)
{
    struct tocsin_out out = fresh(sizeof(room));
    struct tocsin_json json = tocsin_json_begin(&out);

    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "a");
    tocsin_json_uint(&json, UINT64_MAX);
    tocsin_json_key(&json, "b");
    tocsin_json_open(&json, '[');
    tocsin_json_bool(&json, true);
    tocsin_json_open(&json, '[');
    tocsin_json_close(&json, ']');
    tocsin_json_open(&json, '{');
    tocsin_json_close(&json, '}');
    tocsin_json_null(&json);
    tocsin_json_close(&json, ']');
    tocsin_json_key(&json, "c");
    tocsin_json_bool(&json, false);
    tocsin_json_close(&json, '}');
    is(&out, "{\"a\":18446744073709551615,\"b\":[true,[],{},null],"
             "\"c\":false}");
}
END_TEST

START_TEST(reals_are_numbers_or_null)
{
    struct tocsin_out out = fresh(sizeof(room));
    struct tocsin_json json = tocsin_json_begin(&out);

    tocsin_json_open(&json, '[');
    tocsin_json_real(&json, 0.25);
    tocsin_json_real(&json, -1e300);
    tocsin_json_real(&json, (double)NAN);
    tocsin_json_real(&json, (double)INFINITY);
    tocsin_json_real(&json, -(double)INFINITY);
    tocsin_json_close(&json, ']');
    is(&out, "[0.25,-1e+300,null,null,null]");
}
END_TEST

START_TEST(times_are_rfc_3339_and_seconds)
{
    struct tocsin_out out = fresh(sizeof(room));
    struct tocsin_json json = tocsin_json_begin(&out);

    tocsin_json_open(&json, '[');
    tocsin_json_time(&json, 0);
    tocsin_json_time(&json, UINT64_C(1709210096789999)); /* a leap day */
    tocsin_json_time(&json, UINT64_MAX);
    tocsin_json_seconds(&json, UINT64_C(1709210096009999));
    tocsin_json_close(&json, ']');
    is(&out, "[\"1970-01-01T00:00:00.000Z\",\"2024-02-29T12:34:56.789Z\","
             "\"9999-12-31T23:59:59.551Z\",1709210096.009]");
}
END_TEST

START_TEST(texts_cannot_leave_their_quotes)
{
    struct tocsin_out out = fresh(sizeof(room));
    struct tocsin_json json = tocsin_json_begin(&out);

    tocsin_json_text(&json, TOCSIN_SPAN("\"\\\n\r\t\0\x1f\x7f</script>&"));
    is(&out, "\"\\\"\\\\\\n\\r\\t\\u0000\\u001f\\u007f\\u003c/script\\u003e"
             "\\u0026\"");
}
END_TEST

START_TEST(ill_formed_utf8_is_replaced)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x94", "\xc3\xa9\xe2\x82\xac"
                                                 "\xf0\x9f\x94\x94"},
        {"a\x80z", "a\xef\xbf\xbdz"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                             "\xef\xbf\xbd"},
        {"\xf5", "\xef\xbf\xbd"},
        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tocsin_out out = fresh(sizeof(room));

        tocsin_json_escape(&out, tocsin_span_str(cases[i].in));
        is(&out, cases[i].out);
    }
}
END_TEST

START_TEST(any_bytes_give_a_document_that_parses)
{
    unsigned seed = 7;
    int round;

    for (round = 0; round < 20000; round++) {
        char bytes[24];
        size_t len = (size_t)(rand_r(&seed) % (int)sizeof(bytes)), i;
        struct tocsin_out out = fresh(sizeof(room));
        struct tocsin_json json = tocsin_json_begin(&out);
        json_t *parsed;

        for (i = 0; i < len; i++) {
            bytes[i] = (char)rand_r(&seed);
        }
        tocsin_json_open(&json, '[');
        tocsin_json_text(&json, tocsin_span_of(bytes, len));
        tocsin_json_close(&json, ']');
        parsed = json_loadb(room, out.need, JSON_ALLOW_NUL, NULL);
        ck_assert_ptr_nonnull(parsed);
        json_decref(parsed);
    }
}
END_TEST

START_TEST(nothing_is_written_past_the_end)
{
    struct tocsin_out out = fresh(5);
    struct tocsin_json json = tocsin_json_begin(&out);

    tocsin_json_text(&json, TOCSIN_SPAN("<script>"));
    ck_assert(!tocsin_out_fits(&out));
    ck_assert_uint_eq(out.need, 20);
    ck_assert_int_eq(room[5], '#');
}
END_TEST

START_TEST(a_cut_does_not_halve_a_character)
{
    struct tocsin_span text = TOCSIN_SPAN("ab\xf0\x9f\x94\x94"
                                          "c");

    ck_assert_uint_eq(tocsin_utf8_cut(text, 7).len, 7);
    ck_assert_uint_eq(tocsin_utf8_cut(text, 6).len, 6);
    ck_assert_uint_eq(tocsin_utf8_cut(text, 5).len, 2);
    ck_assert_uint_eq(tocsin_utf8_cut(text, 3).len, 2);
    ck_assert_uint_eq(tocsin_utf8_cut(text, 2).len, 2);
    ck_assert_uint_eq(tocsin_utf8_cut(text, 0).len, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tcase = tcase_create("writer");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60); /* under a sanitizer, on a busy machine */
    tcase_add_test(tcase, commas_come_by_themselves);
    tcase_add_test(tcase, reals_are_numbers_or_null);
    tcase_add_test(tcase, times_are_rfc_3339_and_seconds);
    tcase_add_test(tcase, texts_cannot_leave_their_quotes);
    tcase_add_test(tcase, ill_formed_utf8_is_replaced);
    tcase_add_test(tcase, any_bytes_give_a_document_that_parses);
    tcase_add_test(tcase, nothing_is_written_past_the_end);
    tcase_add_test(tcase, a_cut_does_not_halve_a_character);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
