/*
 * PAIRS: items are cut as they were joined, and every byte at every place of a
 * text of every length is encoded just when it must be.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/pairs.h"

static struct tocsin_span str(const char *text)
{
    return tocsin_span_str(text);
}

START_TEST(items)
{
    struct tocsin_span rest = str("a=1,b,,=x,c=1=2=3,");
    static const char *const expected[][2] = {
        {"a", "1"}, {"b", ""}, {"", ""}, {"", "x"}, {"c", "1=2=3"}};
    struct tocsin_span name, value;
    unsigned i = 0;

    while (tocsin_pairs_next(&rest, &name, &value)) {
        ck_assert_uint_lt(i, 5);
        ck_assert(tocsin_span_eq(name, str(expected[i][0])));
        ck_assert(tocsin_span_eq(value, str(expected[i][1])));
        i++;
    }
    ck_assert_uint_eq(i, 5);
}
END_TEST

START_TEST(valid)
{
    ck_assert(tocsin_pairs_valid(str("")));
    ck_assert(tocsin_pairs_valid(str("a=%2C,b=%ff")));
    ck_assert(!tocsin_pairs_valid(str("a b")));
    ck_assert(!tocsin_pairs_valid(str("a=\x7f")));
    ck_assert(!tocsin_pairs_valid(str("a=%2")));
    ck_assert(!tocsin_pairs_valid(str("a=%zz")));
}
END_TEST

/* By the words of the specification, a byte at a time. */
static size_t expected_code(char *to, const char *text, size_t len)
{
    size_t i, n = 0;
    unsigned char c;

    for (i = 0; i < len; i++) {
        c = (unsigned char)text[i];
        if (c < 0x21 || c == 0x7f || c == '%' || c == ',' || c == '=') {
            n += (size_t)snprintf(to + n, 4, "%%%02X", c);
        } else {
            to[n++] = text[i];
        }
    }
    return n;
}

static void assert_encoded(const char *text, size_t len)
{
    char code[256], expected[256], back[256];
    struct tocsin_out out = {code, sizeof(code), 0};
    size_t n = expected_code(expected, text, len);
    /* what is read beyond the text is the sanitizer's to find */
    char *copy = malloc(len + (len == 0));

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, len);
    tocsin_pct_encode(&out, tocsin_span_of(copy, len));
    free(copy);

    ck_assert_uint_eq(out.need, n);
    ck_assert_mem_eq(code, expected, n);
    ck_assert(tocsin_pairs_valid(tocsin_span_of(code, n)));
    ck_assert_uint_eq(tocsin_pct_decode(back, tocsin_span_of(code, n)), len);
    ck_assert_mem_eq(back, text, len);
}

START_TEST(every_byte_everywhere)
{
    char text[40];
    size_t len, at;
    int c;

    for (len = 0; len <= sizeof(text); len++) {
        memset(text, 'x', sizeof(text));
        assert_encoded(text, len);
        for (at = 0; at < len; at++) {
            for (c = 0; c < 256; c++) {
                text[at] = (char)c;
                assert_encoded(text, len);
            }
            text[at] = 'x';
        }
    }
}
END_TEST

START_TEST(several)
{
    assert_encoded("a,b=c%d e\n\x7f", 11);
    assert_encoded(",,,,,,,,,,,,,,,,,,,,", 20);
}
END_TEST

START_TEST(no_room)
{
    char code[32] = "................";
    struct tocsin_out out;
    size_t cap;

    for (cap = 0; cap < 9; cap++) {
        memset(code, '.', sizeof(code));
        out = (struct tocsin_out){code, cap, 0};
        tocsin_pct_encode(&out, str("abc,def"));
        ck_assert_uint_eq(out.need, 9);
        ck_assert(!tocsin_out_fits(&out));
        ck_assert_int_eq(code[cap], '.');
    }
}
END_TEST

START_TEST(decoding)
{
    char back[16];

    ck_assert_uint_eq(tocsin_pct_decode(back, str("%zz%4%41%")), 7);
    ck_assert_mem_eq(back, "%zz%4A%", 7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pairs");
    TCase *tcase = tcase_create("pairs");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, items);
    tcase_add_test(tcase, valid);
    tcase_add_test(tcase, every_byte_everywhere);
    tcase_add_test(tcase, several);
    tcase_add_test(tcase, no_room);
    tcase_add_test(tcase, decoding);
    suite_add_tcase(suite, tcase);

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
