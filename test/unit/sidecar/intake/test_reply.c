/*
 * XREAD's reply, in one piece, byte by byte, broken, and too large. Loops are
 * within the tests: a fork of a program with libtorch in it is slow.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/base/buf.h"
#include "sidecar/intake/reply.h"

static struct buf seen; /* what the sink was told, as text */
static struct err err;
static size_t left; /* bytes that were not taken */

static int on_stream(void *ctx, struct tocsin_span key, struct err *e)
{
    (void)ctx;
    if (tocsin_span_eq(key, TOCSIN_SPAN("no"))) {
        return err_set(e, ERR_INPUT, "not asked for");
    }
    buf_printf(&seen, "[%.*s]", (int)key.len, key.data);
    return 0;
}

static int on_entry(void *ctx, struct stream_id id, struct tocsin_span fields,
                    uint32_t pairs, struct err *e)
{
    const char *at = fields.data;
    uint32_t i;

    (void)ctx;
    (void)e;
    buf_printf(&seen, "%llu-%llu:", (unsigned long long)id.ms,
               (unsigned long long)id.n);
    for (i = 0; i < 2 * pairs; i++) {
        struct tocsin_span text = reply_field(&at);

        if (text.len > 40) {
            buf_printf(&seen, "<%zu>", text.len);
        } else {
            buf_printf(&seen, "%.*s%s", (int)text.len, text.data,
                       i % 2 == 0 ? "=" : ",");
        }
    }
    ck_assert_ptr_eq(at, fields.data + fields.len);
    buf_putc(&seen, ';');
    return 0;
}

/* Feeds pieces of `piece` bytes, as a socket would. */
static int feed(const char *data, size_t len, size_t piece)
{
    struct reply_sink sink = {NULL, on_stream, on_entry};
    struct reply reply;
    struct buf in;
    size_t used, at = 0;
    int rc = 0;

    buf_release(&seen);
    buf_init(&seen, 1 << 20);
    buf_init(&in, 4 << 20);
    reply_start(&reply, sink);
    while (rc == 0 && at < len) {
        size_t n = len - at < piece ? len - at : piece;
        char *exact;

        buf_put(&in, data + at, n);
        at += n;
        exact = malloc(in.len + 1); /* so that reads past its end show */
        memcpy(exact, in.data, in.len);
        rc = reply_take(&reply, exact, in.len, &used, &err);
        free(exact);
        ck_assert(used <= in.len);
        memmove(in.data, in.data + used, in.len - used);
        in.len -= used;
    }
    left = len - at + in.len;
    buf_release(&in);
    buf_puts(&seen, "");
    return rc;
}

static const char two_streams[] =
    "*2\r\n"
    "*2\r\n$1\r\na\r\n*2\r\n"
    "*2\r\n$3\r\n1-0\r\n*4\r\n$1\r\nv\r\n$1\r\n1\r\n$3\r\nsrc\r\n$0\r\n\r\n"
    "*2\r\n$4\r\n1-10\r\n*2\r\n$1\r\nk\r\n$2\r\n\r\n\r\n"
    "*2\r\n$1\r\nb\r\n*1\r\n"
    "*2\r\n$15\r\n1767323045678-9\r\n*0\r\n";

static void teardown(void)
{
    buf_release(&seen);
}

START_TEST(whole_and_in_pieces)
{
    size_t piece;

    for (piece = 1; piece < 160; piece++) {
        ck_assert_int_eq(feed(two_streams, strlen(two_streams), piece), 1);
        ck_assert_str_eq(seen.data, "[a]1-0:v=1,src=,;1-10:k=\r\n,;[b]"
                                    "1767323045678-9:;");
        ck_assert_uint_eq(left, 0);
    }
}
END_TEST

START_TEST(nothing_new)
{
    size_t piece;

    for (piece = 1; piece < 6; piece++) {
        ck_assert_int_eq(feed("*-1\r\n", 5, piece), 1);
        ck_assert_int_eq(feed("*0\r\n", 4, piece), 1);
    }
}
END_TEST

START_TEST(redis_says_no)
{
    const char *text = "-WRONGTYPE Operation against a key\r\n";

    size_t piece;

    for (piece = 1; piece < 40; piece++) {
        ck_assert_int_eq(feed(text, strlen(text), piece), -1);
        ck_assert_int_eq(err.code, ERR_REFUSED);
        ck_assert_str_eq(err.message, "redis: XREAD: WRONGTYPE Operation "
                                      "against a key");
    }
}
END_TEST

static const char *const broken[] = {
    "+OK\r\n",
    ":1\r\n",
    "$3\r\nabc\r\n",
    "*x\r\n",
    "*\r\n",
    "*1\n",
    "*99999999999\r\n",
    "*1\r\n*3\r\n$1\r\na\r\n*0\r\n",
    "*1\r\n*2\r\n$-1\r\n*0\r\n",
    "*1\r\n*2\r\n$2\r\nno\r\n*0\r\n",
    "*1\r\n*2\r\n$1\r\nab\r\n*0\r\n",
    "*1\r\n*2\r\n$1\r\na\r\n*-1\r\n",
    "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*1\r\n$3\r\n1-0\r\n",
    "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$2\r\n10\r\n*0\r\n",
    "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$2\r\n1-\r\n*0\r\n",
    "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$2\r\n-1\r\n*0\r\n",
    "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$3\r\n1-x\r\n*0\r\n",
    "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$3\r\n1-0\r\n:5\r\n",
    "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n:1\r\n:2\r\n",
    "*1\r\n*2\r\n$1\r\na\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$-1\r\n$-1\r\n",
};

START_TEST(broken_replies)
{
    size_t i;

    for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        const char *text = broken[i];

        ck_assert_msg(feed(text, strlen(text), 1000) == -1, "%s", text);
        ck_assert_int_eq(err.code, ERR_INPUT);
        ck_assert_msg(feed(text, strlen(text), 1) == -1, "%s", text);
        ck_assert_int_eq(err.code, ERR_INPUT);
    }
}
END_TEST

/* Cut anywhere, a reply is not whole, and never broken. */
START_TEST(every_cut)
{
    size_t len;

    for (len = 0; len < strlen(two_streams); len++) {
        ck_assert_int_eq(feed(two_streams, len, 1000), 0);
    }
}
END_TEST

/* Any byte may be any other: an answer of some kind, within bounds. */
START_TEST(every_flip)
{
    char text[sizeof(two_streams)];
    size_t at;
    int value;

    for (at = 0; at < strlen(two_streams); at++) {
        for (value = 0; value < 256; value += 3) {
            memcpy(text, two_streams, sizeof(text));
            text[at] = (char)value;
            ck_assert_int_ge(feed(text, strlen(two_streams), 64), -1);
        }
    }
}
END_TEST

static void put_entry(struct buf *to, const char *id, size_t value)
{
    buf_printf(to, "*2\r\n$%zu\r\n%s\r\n*2\r\n$1\r\nk\r\n$%zu\r\n", strlen(id),
               id, value);
    for (; value != 0; value--) {
        buf_putc(to, 'x');
    }
    buf_puts(to, "\r\n");
}

/* Too long is skipped, whatever the pieces; its neighbours come through. */
START_TEST(long_entries_are_skipped)
{
    static const size_t pieces[] = {1000, 4096, 65536, 70000};
    struct buf text;

    buf_init(&text, 8 << 20);
    buf_puts(&text, "*1\r\n*2\r\n$1\r\na\r\n*3\r\n");
    put_entry(&text, "1-1", 60000);
    put_entry(&text, "1-2", 3000000);
    put_entry(&text, "1-3", 5);
    ck_assert_int_eq(feed(text.data, text.len, pieces[_i]), 1);
    ck_assert_str_eq(seen.data, "[a]1-1:k=<60000>;1-2:;1-3:k=xxxxx,;");
    ck_assert_uint_eq(left, 0);
    buf_release(&text);
}
END_TEST

START_TEST(odd_and_many_fields)
{
    struct buf text;
    unsigned i;

    buf_init(&text, 1 << 20);
    buf_puts(&text, "*1\r\n*2\r\n$1\r\na\r\n*3\r\n"
                    "*2\r\n$3\r\n1-1\r\n*1\r\n$1\r\nk\r\n"
                    "*2\r\n$3\r\n1-2\r\n*2000\r\n");
    for (i = 0; i < 2000; i++) {
        buf_puts(&text, "$1\r\nk\r\n");
    }
    buf_puts(&text, "*2\r\n$3\r\n1-3\r\n*2\r\n$1\r\nk\r\n$1\r\nv\r\n");
    for (i = 1; i < 5000; i = i * 2 + 1) {
        ck_assert_int_eq(feed(text.data, text.len, i), 1);
        ck_assert_str_eq(seen.data, "[a]1-1:;1-2:;1-3:k=v,;");
    }
    buf_release(&text);
}
END_TEST

START_TEST(ids)
{
    struct stream_id id;

    ck_assert(reply_parse_id(TOCSIN_SPAN("18446744073709551615-0"), &id));
    ck_assert(id.ms == UINT64_MAX);
    ck_assert(!reply_parse_id(TOCSIN_SPAN("18446744073709551616-0"), &id));
    ck_assert(!reply_parse_id(TOCSIN_SPAN(""), &id));
    ck_assert(!reply_parse_id(TOCSIN_SPAN("1"), &id));
    ck_assert(!reply_parse_id(TOCSIN_SPAN("1-2-3"), &id));
    ck_assert(!reply_parse_id(TOCSIN_SPAN("1- 2"), &id));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reply");
    TCase *tcase = tcase_create("reply");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_test(tcase, whole_and_in_pieces);
    tcase_add_test(tcase, nothing_new);
    tcase_add_test(tcase, redis_says_no);
    tcase_add_test(tcase, broken_replies);
    tcase_add_test(tcase, every_cut);
    tcase_add_test(tcase, every_flip);
    tcase_add_loop_test(tcase, long_entries_are_skipped, 0, 4);
    tcase_add_test(tcase, odd_and_many_fields);
    tcase_add_test(tcase, ids);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
