/* Redis URLs, and what is said when no Redis is there. */
#include <check.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/base/redis.h"

static const char *const good[] = {
    "redis://127.0.0.1",
    "redis://127.0.0.1/",
    "redis://127.0.0.1:6379/0",
    "redis://redis.example.org:1/15",
    "redis://[::1]",
    "redis://[::1]:6380/3",
    "unix:/run/redis.sock",
    "unix:/run/redis.sock?db=2",
};

/* A URL and what must stand in the message. */
static const char *const bad[][2] = {
    {"", "expected redis://host:port/db"},
    {"127.0.0.1:6379", "expected redis://host:port/db"},
    {"redis://", "no host"},
    {"redis://:6379", "no host"},
    {"redis://x:", "not a port"},
    {"redis://x:0", "not a port"},
    {"redis://x:65536", "not a port"},
    {"redis://x:6379x", "not a port"},
    {"redis://x/-1", "not a database number"},
    {"redis://x/65536", "not a database number"},
    {"redis://x/1/2", "not a database number"},
    {"redis://[::1", "not an address in brackets"},
    {"redis://[::1]6379", "not an address in brackets"},
    {"redis://user:secret@x", "redis.password_file"},
    {"unix:run/redis.sock", "not an absolute path"},
    {"unix:/x?db=y", "not a database number"},
    {"unix:", "not an absolute path"},
};

START_TEST(good_urls)
{
    struct err err;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(redis_url_check(good[i], &err) == 0, "%s: %s", good[i],
                      err.message);
    }
}
END_TEST

START_TEST(bad_urls)
{
    struct err err;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(redis_url_check(bad[i][0], &err) == -1, "%s", bad[i][0]);
        ck_assert_int_eq(err.code, ERR_USAGE);
        ck_assert_msg(strstr(err.message, bad[i][1]) != NULL, "%s: %s",
                      bad[i][0], err.message);
        ck_assert_ptr_null(strstr(err.message, "secret"));
    }
}
END_TEST

START_TEST(tls_urls)
{
    struct err err;

    if (redis_tls_missing() != NULL) {
        ck_assert_int_eq(redis_url_check("rediss://x:6380/1", &err), -1);
        ck_assert_ptr_nonnull(strstr(err.message, "built without TLS"));
        return;
    }
    ck_assert_int_eq(redis_url_check("rediss://x:6380/1", &err), 0);
    ck_assert_int_eq(redis_url_check("rediss://x:0", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "not a port"));
}
END_TEST

START_TEST(long_urls)
{
    char url[1000] = "redis://";
    struct err err;

    memset(url + strlen(url), 'h', 500);
    ck_assert_int_eq(redis_url_check(url, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "longer than"));
    memset(url, 0, sizeof(url));
    memcpy(url, "unix:/", 6);
    memset(url + strlen(url), 'p', 500);
    ck_assert_int_eq(redis_url_check(url, &err), -1);
}
END_TEST

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

int main(void)
{
    Suite *suite = suite_create("redis");
    TCase *tcase = tcase_create("redis");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, good_urls);
    tcase_add_test(tcase, bad_urls);
    tcase_add_test(tcase, tls_urls);
    tcase_add_test(tcase, long_urls);
    tcase_add_test(tcase, nobody_there);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
