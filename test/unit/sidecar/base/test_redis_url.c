/* Redis URLs: what each names, and what is said of those that are none. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/base/redis_tls.h"
#include "sidecar/base/redis_url.h"

static struct redis_url url;
static struct err err;

/* A URL and what it names. */
static const struct {
    const char *url, *master, *host, *last;
    unsigned count, port, db;
} good[] = {
    {"redis://127.0.0.1", "", "127.0.0.1", "127.0.0.1", 1, 6379, 0},
    {"redis://127.0.0.1/", "", "127.0.0.1", "127.0.0.1", 1, 6379, 0},
    {"redis://127.0.0.1:6379/0", "", "127.0.0.1", "127.0.0.1", 1, 6379, 0},
    {"redis://redis.example.org:1/15", "", "redis.example.org",
     "redis.example.org", 1, 1, 15},
    {"redis://[::1]", "", "::1", "::1", 1, 6379, 0},
    {"redis://[::1]:6380/3", "", "::1", "::1", 1, 6380, 3},
    {"unix:/run/redis.sock", "", "/run/redis.sock", "/run/redis.sock", 1, 0, 0},
    {"unix:/run/redis.sock?db=2", "", "/run/redis.sock", "/run/redis.sock", 1,
     0, 2},
    {"sentinel://bells@a", "bells", "a", "a", 1, 26379, 0},
    {"sentinel://bells@a/", "bells", "a", "a", 1, 26379, 0},
    {"sentinel://b.1@a:1,[::1],10.0.0.1:26380/7", "b.1", "a", "10.0.0.1", 3, 1,
     7},
    {"sentinel://m@1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "m", "1", "16", 16,
     26379, 0},
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
    {"sentinel://", "no name of a master"},
    {"sentinel://host:1", "expected sentinel://master@host:port,host:port/db"},
    {"sentinel://@host", "no name of a master"},
    {"sentinel://m@", "no host"},
    {"sentinel://m@a,", "no host"},
    {"sentinel://m@,a", "no host"},
    {"sentinel://m@a,b:0", "not a port"},
    {"sentinel://m@a,[::1", "not an address in brackets"},
    {"sentinel://m@a/x", "not a database number"},
    {"sentinel://m@1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
     "more than 16 sentinels"},
};

START_TEST(good_urls)
{
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(redis_url_parse(good[i].url, &url, &err) == 0, "%s: %s",
                      good[i].url, err.message);
        ck_assert_str_eq(url.master, good[i].master);
        ck_assert_uint_eq(url.count, good[i].count);
        ck_assert_str_eq(url.hosts[0].name, good[i].host);
        ck_assert_uint_eq(url.hosts[0].port, good[i].port);
        ck_assert_str_eq(url.hosts[url.count - 1].name, good[i].last);
        ck_assert_uint_eq(url.db, good[i].db);
        ck_assert(!url.tls);
        ck_assert(redis_url_sentinels(good[i].url) == (*url.master != '\0'));
    }
}
END_TEST

START_TEST(bad_urls)
{
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
    if (redis_tls_missing() != NULL) {
        ck_assert_int_eq(redis_url_check("rediss://x:6380/1", &err), -1);
        ck_assert_ptr_nonnull(strstr(err.message, "built without TLS"));
        return;
    }
    ck_assert_int_eq(redis_url_parse("rediss://x:6380/1", &url, &err), 0);
    ck_assert(url.tls);
    ck_assert_int_eq(redis_url_check("rediss://x:0", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "not a port"));
}
END_TEST

static void long_after(const char *begin, char with)
{
    char text[1000];

    memset(text, 0, sizeof(text));
    memcpy(text, begin, strlen(begin));
    memset(text + strlen(begin), with, 500);
    ck_assert_int_eq(redis_url_check(text, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "longer than"));
}

START_TEST(long_urls)
{
    char text[1000] = "unix:/";

    long_after("redis://", 'h');
    long_after("sentinel://m@", 'h');
    memset(text + 6, 'p', 500);
    ck_assert_int_eq(redis_url_check(text, &err), -1);
    memcpy(text, "sentinel://", 11);
    memcpy(text + 505, "@host", 6);
    ck_assert_int_eq(redis_url_check(text, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "name of a master longer than"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis_url");
    TCase *tcase = tcase_create("redis_url");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, good_urls);
    tcase_add_test(tcase, bad_urls);
    tcase_add_test(tcase, tls_urls);
    tcase_add_test(tcase, long_urls);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
