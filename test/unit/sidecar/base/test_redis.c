/* What is said when no Redis is there, and of options that do not go together;
 * real ones are in test/system. */
#include <check.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/base/redis.h"

START_TEST(nobody_there)
{
    struct redis_options options = {.url = "unix:/nonexistent/redis.sock",
                                    .timeout_ms = 100};
    struct err err;

    ck_assert_ptr_null(redis_connect(&options, &err));
    ck_assert_int_eq(err.code, ERR_NETWORK);
    ck_assert_ptr_nonnull(strstr(err.message, "No such file"));
}
END_TEST

/* All sentinels are asked, the one after the last first when asked again. */
START_TEST(no_sentinel_there)
{
    struct redis_options options = {
        .url = "sentinel://bells@127.0.0.1:1,127.0.0.1:2", .timeout_ms = 100};
    struct err err;

    ck_assert_ptr_null(redis_connect(&options, &err));
    ck_assert_int_eq(err.code, ERR_NETWORK);
    ck_assert_ptr_nonnull(strstr(err.message, "redis: sentinel 127.0.0.1:2: "));
    ck_assert_uint_eq(options.sentinel, 0);
    options.sentinel = 1;
    ck_assert_ptr_null(redis_connect(&options, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "redis: sentinel 127.0.0.1:1: "));
}
END_TEST

START_TEST(tls_with_sentinels)
{
    struct redis_options options = {.url = "sentinel://bells@127.0.0.1:1",
                                    .timeout_ms = 100};
    struct err err;

    ck_assert_int_eq(redis_options_check(&options, &err), 0);
    options.tls.ca = "/ca.pem";
    ck_assert_int_eq(redis_options_check(&options, &err), -1);
    ck_assert_int_eq(err.code, ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.message, "redis.tls_name is missing"));
    ck_assert_ptr_null(redis_connect(&options, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "redis.tls_name is missing"));
    options.tls.name = "redis";
    ck_assert_int_eq(redis_options_check(&options, &err),
                     redis_tls_missing() == NULL ? 0 : -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis");
    TCase *tcase = tcase_create("redis");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, nobody_there);
    tcase_add_test(tcase, no_sentinel_there);
    tcase_add_test(tcase, tls_with_sentinels);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
