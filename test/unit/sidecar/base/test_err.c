/* struct err: messages are filled, prefixed, and cut rather than overrun. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/base/err.h"

START_TEST(set_fills_and_returns)
{
    struct err err = {.line = 3, .column = 4};

    ck_assert_int_eq(err_set(&err, ERR_LIMIT, "%d of %s", 5, "five"), -1);
    ck_assert_int_eq(err.code, ERR_LIMIT);
    ck_assert_str_eq(err.message, "5 of five");
    ck_assert_uint_eq(err.line, 0);
    ck_assert_uint_eq(err.column, 0);
}
END_TEST

START_TEST(null_is_allowed)
{
    errno = EACCES;
    ck_assert_int_eq(err_set(NULL, ERR_LIMIT, "x"), -1);
    ck_assert_int_eq(err_set_errno(NULL, "x"), -1);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_int_eq(err_prefix(NULL, "x"), -1);
}
END_TEST

START_TEST(errno_is_told_and_kept)
{
    struct err err;

    errno = ENOENT;
    ck_assert_int_eq(err_set_errno(&err, "/no/%s", "file"), -1);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(err.code, ERR_SYSTEM);
    ck_assert_str_eq(err.message, "/no/file: No such file or directory");
}
END_TEST

START_TEST(prefix_keeps_the_code)
{
    struct err err;

    err_set(&err, ERR_MODEL, "no step()");
    err.line = 7;
    ck_assert_int_eq(err_prefix(&err, "%s.pt", "default"), -1);
    ck_assert_str_eq(err.message, "default.pt: no step()");
    ck_assert_int_eq(err.code, ERR_MODEL);
    ck_assert_uint_eq(err.line, 7);
}
END_TEST

START_TEST(long_messages_are_cut)
{
    char text[2 * ERR_MESSAGE_MAX];
    struct err err;

    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    err_set(&err, ERR_INPUT, "%s", text);
    ck_assert_uint_eq(strlen(err.message), ERR_MESSAGE_MAX - 1);
    err_prefix(&err, "context");
    ck_assert_uint_eq(strlen(err.message), ERR_MESSAGE_MAX - 1);
    ck_assert_int_eq(strncmp(err.message, "context: aaa", 12), 0);
    err_prefix(&err, "%s", text);
    ck_assert_uint_eq(strlen(err.message), ERR_MESSAGE_MAX - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("err");
    TCase *tcase = tcase_create("err");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, set_fills_and_returns);
    tcase_add_test(tcase, null_is_allowed);
    tcase_add_test(tcase, errno_is_told_and_kept);
    tcase_add_test(tcase, prefix_keeps_the_code);
    tcase_add_test(tcase, long_messages_are_cut);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
