/* The outbox without a Redis: what waits, what is dropped, what a checkpoint
 * may make it send. Writing is tested in test/system/test_commands.py. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/base/log.h"
#include "sidecar/command/outbox.h"

static struct outbox *outbox;
static struct buf buf;
static struct err err;

static struct outbox *make(const char *prefix)
{
    struct outbox_options options = {
        .redis = {"unix:/nonexistent.sock", "", "", 100},
        .prefix = prefix,
        .max = 4,
    };

    return outbox_create(&options, &err);
}

static void setup(void)
{
    log_set_level(LOG_ERROR);
    outbox = make("tocsin");
    ck_assert_ptr_nonnull(outbox);
    buf_init(&buf, 1 << 20);
}

static void teardown(void)
{
    outbox_destroy(outbox);
    buf_release(&buf);
}

static void alert(const char *id, uint64_t updated)
{
    struct tocsin_alert alert;

    tocsin_alert_init(&alert);
    alert.v = 1;
    alert.id = tocsin_span_str(id);
    alert.state = TOCSIN_SPAN("firing");
    alert.updated = updated;
    ck_assert(outbox_alert(outbox, &alert));
}

static int restore(size_t len)
{
    struct cursor from = {buf.data, len, false};

    return outbox_restore(outbox, &from, &err);
}

START_TEST(waits_while_redis_is_away)
{
    alert("a", 1);
    alert("b", 2);
    ck_assert_int_eq(outbox_flush(outbox, &err), -1);
    ck_assert_int_eq(err.code, ERR_NETWORK);
    ck_assert_int_eq(outbox_flush(outbox, &err), 0); /* backs off */
    ck_assert_uint_eq(outbox_stats(outbox)->waiting, 2);
    ck_assert(!outbox_ready(outbox));
    ck_assert(!outbox_stats(outbox)->connected);
}
END_TEST

START_TEST(the_oldest_is_dropped)
{
    alert("a", 1);
    alert("b", 2);
    alert("c", 3);
    alert("d", 4);
    alert("e", 5);
    ck_assert_uint_eq(outbox_stats(outbox)->waiting, 4);
    ck_assert_uint_eq(outbox_stats(outbox)->dropped, 1);
    outbox_save(outbox, &buf);
    ck_assert_ptr_null(memmem(buf.data, buf.len, "$1\r\na\r\n", 7));
    ck_assert_ptr_nonnull(memmem(buf.data, buf.len, "$1\r\ne\r\n", 7));
}
END_TEST

START_TEST(saved_and_restored)
{
    struct buf again;

    alert("a", 1);
    alert("b", 2);
    outbox_save(outbox, &buf);
    outbox_destroy(outbox);
    outbox = make("tocsin");
    ck_assert_int_eq(restore(buf.len), 0);
    ck_assert_uint_eq(outbox_stats(outbox)->waiting, 2);
    buf_init(&again, 1 << 20);
    outbox_save(outbox, &again);
    ck_assert_uint_eq(again.len, buf.len);
    ck_assert_mem_eq(again.data, buf.data, buf.len);
    buf_release(&again);
}
END_TEST

START_TEST(every_cut_is_refused)
{
    size_t len;

    alert("a", 1);
    outbox_save(outbox, &buf);
    for (len = 0; len < buf.len; len++) {
        ck_assert_int_eq(restore(len), -1);
        ck_assert_uint_eq(outbox_stats(outbox)->waiting, 0);
    }
}
END_TEST

static void put_command(const char *command)
{
    buf_put_u32(&buf, 1);
    buf_put_u64(&buf, 7);
    buf_put_u64(&buf, strlen(command));
    buf_puts(&buf, command);
}

/* A checkpoint must not make us send what is no alert of ours. */
static const char *const hostile[] = {
    "",
    "*1\r\n$8\r\nFLUSHALL\r\n",
    "FLUSHALL\r\n",
    "*3\r\n$4\r\nXADD\r\n$12\r\nother:alerts\r\n$1\r\n*\r\n",
    "*3\r\n$4\r\nXADD\r\n$13\r\ntocsin:alerts\r\n$1\r\n*\r\n"
    "*1\r\n$8\r\nFLUSHALL\r\n",
    "*3\r\n$4\r\nXDEL\r\n$13\r\ntocsin:alerts\r\n$1\r\n*\r\n",
    "*3\r\n$4\r\nXADD\r\n$13\r\ntocsin:alerts\r\n",
    ":1\r\n",
};

START_TEST(hostile_commands_are_refused)
{
    size_t i;

    for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        buf_clear(&buf);
        put_command(hostile[i]);
        ck_assert_msg(restore(buf.len) == -1, "%s", hostile[i]);
        ck_assert_int_eq(err.code, ERR_INPUT);
        ck_assert_uint_eq(outbox_stats(outbox)->waiting, 0);
    }
}
END_TEST

START_TEST(of_another_prefix_is_refused)
{
    alert("a", 1);
    outbox_save(outbox, &buf);
    outbox_destroy(outbox);
    outbox = make("other");
    ck_assert_int_eq(restore(buf.len), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outbox");
    TCase *tcase = tcase_create("outbox");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, waits_while_redis_is_away);
    tcase_add_test(tcase, the_oldest_is_dropped);
    tcase_add_test(tcase, saved_and_restored);
    tcase_add_test(tcase, every_cut_is_refused);
    tcase_add_test(tcase, hostile_commands_are_refused);
    tcase_add_test(tcase, of_another_prefix_is_refused);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
