/* What is made of the answers of sentinels, and of that to ROLE. */
#include <check.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/base/redis_sentinel.h"

static struct redis_host host;
static struct err err;

static redisReply *reply_of(const char *bytes)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;

    ck_assert_int_eq(redisReaderFeed(reader, bytes, strlen(bytes)), REDIS_OK);
    ck_assert_int_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
    ck_assert_ptr_nonnull(reply);
    redisReaderFree(reader);
    return reply;
}

static int address(const char *bytes)
{
    redisReply *reply = reply_of(bytes);
    int rc = redis_sentinel_address(reply, "bells", &host, &err);

    freeReplyObject(reply);
    return rc;
}

static int role(const char *bytes)
{
    redisReply *reply = reply_of(bytes);
    int rc = redis_role_check(reply, "bells", &err);

    freeReplyObject(reply);
    return rc;
}

START_TEST(an_address_and_a_port)
{
    ck_assert_int_eq(address("*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n"), 0);
    ck_assert_str_eq(host.name, "10.0.0.1");
    ck_assert_uint_eq(host.port, 6379);
    ck_assert_int_eq(address("*2\r\n$3\r\n::1\r\n$5\r\n65535\r\n"), 0);
    ck_assert_str_eq(host.name, "::1");
    ck_assert_uint_eq(host.port, 65535);
    ck_assert_int_eq(address("*2\r\n$6\r\nredis1\r\n$1\r\n1\r\n"), 0);
    ck_assert_str_eq(host.name, "redis1");
}
END_TEST

START_TEST(no_such_master)
{
    ck_assert_int_eq(address("*-1\r\n"), -1);
    ck_assert_str_eq(err.message, "knows no master \"bells\"");
}
END_TEST

static const char *const nonsense[] = {
    "+OK\r\n",
    "*0\r\n",
    "*1\r\n$8\r\n10.0.0.1\r\n",
    "*3\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n1\r\n",
    "*2\r\n$0\r\n\r\n$1\r\n1\r\n",
    "*2\r\n$3\r\na b\r\n$1\r\n1\r\n",
    "*2\r\n$4\r\n/etc\r\n$1\r\n1\r\n",
    "*2\r\n$1\r\na\r\n$1\r\n0\r\n",
    "*2\r\n$1\r\na\r\n$5\r\n65536\r\n",
    "*2\r\n$1\r\na\r\n$2\r\n1x\r\n",
    "*2\r\n$1\r\na\r\n:1\r\n",
    "*2\r\n:1\r\n$1\r\n1\r\n",
    "*2\r\n$-1\r\n$-1\r\n",
};

START_TEST(no_address)
{
    char longer[400] = "*2\r\n$300\r\n";
    size_t i;

    for (i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        ck_assert_msg(address(nonsense[i]) == -1, "%s", nonsense[i]);
        ck_assert_int_eq(err.code, ERR_INPUT);
        ck_assert_ptr_nonnull(strstr(err.message, "no address and port"));
    }
    memset(longer + 10, 'h', 300);
    memcpy(longer + 310, "\r\n$1\r\n1\r\n", 10);
    ck_assert_int_eq(address(longer), -1);
}
END_TEST

START_TEST(a_zero_in_an_address)
{
    redisReply *reply = reply_of("*2\r\n$3\r\na.b\r\n$1\r\n1\r\n");

    reply->element[0]->str[1] = '\0';
    ck_assert_int_eq(redis_sentinel_address(reply, "bells", &host, &err), -1);
    freeReplyObject(reply);
}
END_TEST

START_TEST(roles)
{
    ck_assert_int_eq(role("*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n"), 0);
    ck_assert_int_eq(
        role("*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$7\r\nconnect\r\n:1\r\n"),
        -1);
    ck_assert_int_eq(err.code, ERR_REFUSED);
    ck_assert_str_eq(err.message, "is not the master \"bells\" (any more): its "
                                  "role is \"slave\"");
    ck_assert_int_eq(role("*2\r\n$8\r\nsentinel\r\n*0\r\n"), -1);
    ck_assert_int_eq(role("*1\r\n$7\r\nmasters\r\n"), -1);
    ck_assert_int_eq(role("*0\r\n"), -1);
    ck_assert_int_eq(err.code, ERR_INPUT);
    ck_assert_int_eq(role("+master\r\n"), -1);
    ck_assert_int_eq(role("*1\r\n:1\r\n"), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis_sentinel");
    TCase *tcase = tcase_create("redis_sentinel");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, an_address_and_a_port);
    tcase_add_test(tcase, no_such_master);
    tcase_add_test(tcase, no_address);
    tcase_add_test(tcase, a_zero_in_an_address);
    tcase_add_test(tcase, roles);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
