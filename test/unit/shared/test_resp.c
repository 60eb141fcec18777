/*
 * RESP: decimals of every size, bulk strings, and the short path for the
 * reply to XADD, which takes ids only and whole ones only.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/resp.h"

static void assert_decimal(uint64_t value)
{
    char expected[64], text[64 + TOCSIN_RESP_SLACK];
    int len = snprintf(expected, sizeof(expected), "%" PRIu64, value);
    char *end = tocsin_decimal(text, value);

    ck_assert_int_eq(end - text, len);
    ck_assert_mem_eq(text, expected, (size_t)len);

    len = snprintf(expected, sizeof(expected), "$%d\r\n%" PRIu64 "\r\n", len,
                   value);
    end = tocsin_resp_uint(text, value);
    ck_assert_int_eq(end - text, len);
    ck_assert_mem_eq(text, expected, (size_t)len);
}

START_TEST(decimals)
{
    uint64_t n;
    int i;

    for (n = 0; n < 20000; n++) {
        assert_decimal(n);
    }
    for (n = 1, i = 0; i < 20; i++, n *= 10) {
        assert_decimal(n - 1);
        assert_decimal(n);
        assert_decimal(n + 1);
        assert_decimal(n * 9);
    }
    for (n = 1; n != 0; n *= 2) {
        assert_decimal(n);
        assert_decimal(n - 1);
        assert_decimal(~n);
    }
    srand(5);
    for (i = 0; i < 20000; i++) {
        assert_decimal(((uint64_t)rand() << 33 ^ (uint64_t)rand() << 11) >>
                       rand() % 64);
    }
}
END_TEST

START_TEST(bulk_strings)
{
    static char text[1200], expected[1300], got[1300 + TOCSIN_RESP_SLACK];
    size_t len, n;
    char *end;

    memset(text, 'x', sizeof(text));
    for (len = 0; len < sizeof(text); len++) {
        n = (size_t)snprintf(expected, sizeof(expected), "$%zu\r\n%.*s\r\n",
                             len, (int)len, text);
        end = tocsin_resp_bulk(got, text, len);
        ck_assert_uint_eq((size_t)(end - got), n);
        ck_assert_mem_eq(got, expected, n);
    }
}
END_TEST

START_TEST(bounded)
{
    static const char expected[] =
        "*3\r\n$4\r\nXADD\r\n$0\r\n\r\n$3\r\n120\r\n";
    size_t cap, len = sizeof(expected) - 1;
    char text[64];
    struct tocsin_out out;

    for (cap = 0; cap <= len; cap++) {
        out = (struct tocsin_out){text, cap, 0};
        text[cap] = '#';
        tocsin_resp_put_array(&out, 3);
        tocsin_resp_put(&out, TOCSIN_SPAN("XADD"));
        tocsin_resp_put(&out, TOCSIN_SPAN(""));
        tocsin_resp_put_uint(&out, 120);
        ck_assert_uint_eq(out.need, len);
        ck_assert_int_eq(text[cap], '#');
    }
    ck_assert_mem_eq(text, expected, len);
}
END_TEST

START_TEST(ids)
{
    static const char *const good[] = {
        "$15\r\n1700000000000-0\r\n",
        "$3\r\n0-1\r\n",
        "$41\r\n18446744073709551615-18446744073709551615\r\n",
    };
    char longer[80];
    size_t i, len, n;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        len = strlen(good[i]);
        for (n = 0; n < len; n++) {
            ck_assert_int_eq(tocsin_resp_id(good[i], n), 0);
        }
        ck_assert_int_eq(tocsin_resp_id(good[i], len), (int)len);
        snprintf(longer, sizeof(longer), "%s$15\r\n17", good[i]);
        ck_assert_int_eq(tocsin_resp_id(longer, strlen(longer)), (int)len);
    }
}
END_TEST

static const char *const others[] = {
    "-OOM command not allowed\r\n",
    "+OK\r\n",
    ":1\r\n",
    "*0\r\n",
    "$-1\r\n",
    "$0\r\n\r\n",
    "$03\r\n0-1\r\n",
    "$42\r\n",
    "$999\r\n",
    "$3\n0-1\r\n",
    "$3\r0-1\r\n",
    "$3\r\n001\r\n",
    "$3\r\n-01\r\n",
    "$3\r\n01-\r\n",
    "$3\r\n0-a\r\n",
    "$5\r\n0-1-2\r\n",
    "$3\r\n0-1\n\n",
    "$3\r\n0-1\rx",
    "$3\r\n0-12\r\n",
    "$3\r\nx",
    "\r\n",
};

START_TEST(not_ids)
{
    ck_assert_int_eq(tocsin_resp_id(others[_i], strlen(others[_i])), -1);
}
END_TEST

/* What tocsin_resp_ids() is short for. */
static size_t ids_one_by_one(const char *data, size_t len, size_t most,
                             size_t *size)
{
    size_t n, at = 0;
    int one;

    for (n = 0; n < most; n++) {
        one = tocsin_resp_id(data + at, len - at);
        if (one <= 0) {
            break;
        }
        at += (size_t)one;
    }
    *size = at;
    return n;
}

static void assert_ids(const char *data, size_t len, size_t most)
{
    size_t size, expected_size;
    size_t expected = ids_one_by_one(data, len, most, &expected_size);
    /* what is read beyond the data is the sanitizer's to find */
    char *copy = malloc(len + (len == 0));

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, len);
    ck_assert_uint_eq(tocsin_resp_ids(copy, len, most, &size), expected);
    ck_assert_uint_eq(size, expected_size);
    free(copy);
}

/* A batch as Redis answers it: the ms goes on, the numbers within it too. */
static size_t any_batch(char *to, size_t cap)
{
    uint64_t ms = 1700000000000 + (uint64_t)(rand() % 100);
    unsigned n = (unsigned)(rand() % 1200);
    size_t len = 0;
    char id[64];
    int size;

    while (len + 40 < cap) {
        size = snprintf(id, sizeof(id), "%" PRIu64 "-%u", ms, n++);
        len += (size_t)snprintf(to + len, cap - len, "$%d\r\n%s\r\n", size, id);
        if (rand() % 8 == 0) {
            ms += (uint64_t)(rand() % 3);
            n = 0;
        }
    }
    return len;
}

START_TEST(batches)
{
    static char data[600];
    size_t len, n, at;
    char was;

    srand(9);
    for (n = 0; n < 300; n++) {
        len = any_batch(data, sizeof(data));
        ck_assert_uint_gt(ids_one_by_one(data, len, SIZE_MAX, &at), 10);
        ck_assert_uint_eq(at, len);
        assert_ids(data, len, SIZE_MAX);
        assert_ids(data, len, (size_t)(rand() % 30));
        assert_ids(data, (size_t)rand() % len, SIZE_MAX);
        for (at = 0; at < 200; at++) {
            was = data[at];
            data[at] =
                (char)(rand() % 3 == 0 ? rand() : "09/:-\r\n$"[rand() % 8]);
            assert_ids(data, len, SIZE_MAX);
            data[at] = was;
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resp");
    TCase *tcase = tcase_create("resp");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, decimals);
    tcase_add_test(tcase, bulk_strings);
    tcase_add_test(tcase, bounded);
    tcase_add_test(tcase, ids);
    tcase_add_loop_test(tcase, not_ids, 0, sizeof(others) / sizeof(others[0]));
    tcase_add_test(tcase, batches);
    suite_add_tcase(suite, tcase);

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
