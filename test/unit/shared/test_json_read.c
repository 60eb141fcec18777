/* JSON from people: what is good is read, what is not is refused. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/json.h"
#include "shared/json_read.h"

/* The tokens of a text as letters; '!' for an error. */
static const char *tokens(const char *text)
{
    static const char letters[] = "!.{}[]k\"0tfn";
    static char out[256];
    struct tocsin_json_reader reader =
        tocsin_json_reader(tocsin_span_str(text));
    enum tocsin_json_token token;
    struct tocsin_span value;
    size_t len = 0;

    do {
        token = tocsin_json_next(&reader, &value);
        out[len++] = letters[token + 1];
    } while (token > TOCSIN_JSON_END && len < sizeof(out) - 1);
    out[len] = '\0';
    if (token == TOCSIN_JSON_ERROR) {
        ck_assert_ptr_nonnull(reader.error);
        ck_assert_int_eq(tocsin_json_next(&reader, &value), TOCSIN_JSON_ERROR);
    }
    return out;
}

START_TEST(good_ones_are_read)
{
    ck_assert_str_eq(tokens("1"), "0.");
    ck_assert_str_eq(tokens(" {} "), "{}.");
    ck_assert_str_eq(tokens("[]"), "[].");
    ck_assert_str_eq(tokens("{\"a\":[1,-0.5e+3,true,false,null,\"x\"],"
                            "\"b\":{\"c\":{}}}"),
                     "{k[00tfn\"]k{k{}}}.");
    ck_assert_str_eq(tokens("[\n\t[ ] , {\r} ]"), "[[]{}].");
    ck_assert_str_eq(tokens("\"\\ud83d\\ude00 \xc3\xb6\""), "\".");
}
END_TEST

static const char *const bad[] = {
    "",
    " ",
    "{",
    "}",
    "[1",
    "[1,]",
    "[,1]",
    "{,}",
    "{1:2}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "[1 2]",
    "01",
    "-",
    "1.",
    ".5",
    "1e",
    "+1",
    "NaN",
    "tru",
    "truee",
    "1 1",
    "{]",
    "[}",
    "'a'",
    "\"",
    "\"\\",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\ud800\\u0041\"",
    "\"\\u0000\"",
    "\"\n\"",
    "\"\xff\"",
    "\"\xc0\xaf\"",
    "\"\xed\xa0\x80\"",
    "//",
    "[1]]",
    "{\"a\":1}x",
    "\xef\xbb\xbf{}",
    "nul",
    "[\"a\":1]",
    "{\"a\" 1}",
};

START_TEST(bad_ones_are_refused)
{
    const char *got = tokens(bad[_i]);

    ck_assert_msg(got[strlen(got) - 1] == '!', "%s: %s", bad[_i], got);
}
END_TEST

START_TEST(it_is_only_so_deep)
{
    char text[2 * TOCSIN_JSON_DEPTH + 3] = "";
    const char *got;

    memset(text, '[', TOCSIN_JSON_DEPTH);
    memset(text + TOCSIN_JSON_DEPTH, ']', TOCSIN_JSON_DEPTH);
    got = tokens(text);
    ck_assert_int_eq(got[strlen(got) - 1], '.');
    memset(text, '[', sizeof(text) - 1);
    got = tokens(text);
    ck_assert_int_eq(got[strlen(got) - 1], '!');
    ck_assert_uint_eq(strlen(got), TOCSIN_JSON_DEPTH + 1);
}
END_TEST

START_TEST(texts_come_plain)
{
    struct tocsin_json_reader reader = tocsin_json_reader(
        TOCSIN_SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00f6\\u20AC"
                    "\\ud83d\\ude00\""));
    struct tocsin_span value;
    char text[128];
    size_t len;

    ck_assert_int_eq(tocsin_json_next(&reader, &value), TOCSIN_JSON_STRING);
    len = tocsin_json_unescape(text, value);
    ck_assert_uint_le(len, value.len);
    text[len] = '\0';
    ck_assert_str_eq(text, "\"\\/\b\f\n\r\t\xc3\xb6\xe2\x82\xac"
                           "\xf0\x9f\x98\x80");
}
END_TEST

START_TEST(values_can_be_passed)
{
    struct tocsin_json_reader reader =
        tocsin_json_reader(TOCSIN_SPAN("{\"a\":[{},[1]],\"b\":2}"));
    struct tocsin_span value;

    tocsin_json_next(&reader, &value);
    ck_assert_int_eq(tocsin_json_next(&reader, &value), TOCSIN_JSON_KEY);
    ck_assert_int_eq(
        tocsin_json_skip(&reader, tocsin_json_next(&reader, &value)), 0);
    ck_assert_int_eq(tocsin_json_next(&reader, &value), TOCSIN_JSON_KEY);
    ck_assert(tocsin_span_eq(value, TOCSIN_SPAN("b")));
    reader = tocsin_json_reader(TOCSIN_SPAN("[[1,"));
    ck_assert_int_eq(
        tocsin_json_skip(&reader, tocsin_json_next(&reader, &value)), -1);
}
END_TEST

/* Every cut and every flipped byte of a good text ends, within its bounds:
 * the copy is as long as the text, so that sanitizers see a step beyond. */
START_TEST(damaged_ones_end)
{
    static const char good[] = "{\"a\":[1.5e3,\"\\ud83d\\ude00\xc3\xb6\"],"
                               "\"b\":{\"c\":null,\"d\":[true,false]}}";
    size_t len, at;

    for (len = 0; len < sizeof(good); len++) {
        for (at = 0; at < len; at++) {
            char *copy = malloc(len), plain[128];
            struct tocsin_json_reader reader;
            struct tocsin_span value;
            enum tocsin_json_token token;

            ck_assert_ptr_nonnull(copy);
            memcpy(copy, good, len);
            copy[at] = (char)(copy[at] ^ (1 << (len + at) % 8));
            reader = tocsin_json_reader(tocsin_span_of(copy, len));
            while ((token = tocsin_json_next(&reader, &value)) >
                   TOCSIN_JSON_END) {
                if (token == TOCSIN_JSON_STRING || token == TOCSIN_JSON_KEY) {
                    ck_assert_uint_le(tocsin_json_unescape(plain, value),
                                      value.len);
                }
            }
            free(copy);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_read");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, good_ones_are_read);
    tcase_add_loop_test(tcase, bad_ones_are_refused, 0,
                        (int)(sizeof(bad) / sizeof(bad[0])));
    tcase_add_test(tcase, it_is_only_so_deep);
    tcase_add_test(tcase, texts_come_plain);
    tcase_add_test(tcase, values_can_be_passed);
    tcase_add_test(tcase, damaged_ones_end);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
