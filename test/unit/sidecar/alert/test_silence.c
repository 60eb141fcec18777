/* Silences and what they silence, without a network. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "sidecar/alert/hush.h"
#include "sidecar/alert/mailbag.h"

#define SECOND 1000000ull
#define DAY (86400 * SECOND)
#define T (1000 * DAY)

static struct hush *hush;
static unsigned falls, rises; /* alerts that fell silent, may be told again */

static void on_change(void *ctx, struct tocsin_span alert, bool silenced)
{
    (void)ctx;
    (void)alert;
    falls += silenced;
    rises += !silenced;
}

static void setup(void)
{
    struct err err;

    hush = hush_create((struct hush_sink){NULL, on_change}, &err);
    ck_assert_ptr_nonnull(hush);
    falls = rises = 0;
}

static void teardown(void)
{
    hush_destroy(hush);
}

static const char *uuid(unsigned number)
{
    static char text[64];

    snprintf(text, sizeof(text), "%08x-0000-4000-8000-000000000000", number);
    return text;
}

static int give(const char *what, unsigned number, const char *matchers,
                uint64_t starts, uint64_t ends, uint64_t now)
{
    struct tocsin_command command;
    struct err err;

    tocsin_command_init(&command);
    command.v = 1;
    command.ts = now;
    command.what = tocsin_span_str(what);
    command.id = tocsin_span_str(uuid(number));
    command.starts = starts;
    command.ends = ends;
    command.author = TOCSIN_SPAN("ada");
    command.matchers = tocsin_span_str(matchers);
    return hush_command(hush, &command, now, &err);
}

static bool tell(const char *id, const char *state, const char *labels,
                 uint64_t now)
{
    struct tocsin_alert alert;

    tocsin_alert_init(&alert);
    alert.id = tocsin_span_str(id);
    alert.state = tocsin_span_str(state);
    alert.alertname = TOCSIN_SPAN("LatencyHigh");
    alert.severity = TOCSIN_SPAN("critical");
    alert.labels = tocsin_span_str(labels);
    return hush_alert(hush, &alert, now);
}

static const struct {
    const char *matchers;
    bool holds;
} cases[] = {
    {"upstream=eq=shop", true},
    {"upstream=eq=sho", false},
    {"upstream=ne=shop,severity=eq=critical", false},
    {"upstream=ne=pay,severity=eq=critical", true},
    {"upstream=re=sh.*", true},
    {"upstream=re=h", false}, /* as a whole */
    {"upstream=re=a|shop|b", true},
    {"upstream=re=shop|shopx", true},
    {"upstream=nre=sh.*,severity=eq=critical", false},
    {"upstream=nre=pay,severity=eq=critical", true},
    {"alertname=eq=LatencyHigh", true},
    {"severity=re=(warning%2Ccritical|critical)", true},
    {"route=eq=/a%2Cb", true}, /* values are decoded */
    {"upstream=eq=shop,route=eq=/x", false},
    {"upstream=eq=shop,nothing=eq=", true}, /* not there is empty */
    {"nothing=ne=x,upstream=eq=shop", true},
    {"nothing=eq=x", false},
};

START_TEST(matchers_match)
{
    ck_assert_int_eq(give("silence", 1, cases[_i].matchers, T, T + DAY, T), 0);
    ck_assert(tell("a", "firing", "upstream=shop,route=/a%2Cb", T) ==
              cases[_i].holds);
}
END_TEST

START_TEST(bad_ones_are_refused)
{
    static const char *const bad[] = {
        "",          "upstream",  "a=eq=",          "a=re=.*", "a=re=(",
        "a=re=x)(y", "a=re=b{2}", "a=re=(b)\\1",    "a=ne=b",  "a=nre=b",
        "a=so=b",    "a-b=eq=c",  "a=eq=b%00,c=eq",
    };
    unsigned i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(give("silence", 1, bad[i], T, T + 1, T) == -1, "%s",
                      bad[i]);
    }
    ck_assert_int_eq(give("dance", 1, "a=eq=b", T, T + 1, T), -1);
    ck_assert_int_eq(give("silence", 1, "a=eq=b", T + 1, T, T), -1);
}
END_TEST

START_TEST(it_begins_and_ends)
{
    give("silence", 1, "upstream=eq=shop", T + 10, T + 20, T);
    ck_assert(!tell("a", "firing", "upstream=shop", T));
    hush_tick(hush, T + 9);
    ck_assert_uint_eq(falls, 0);
    hush_tick(hush, T + 10);
    ck_assert_uint_eq(falls, 1);
    hush_tick(hush, T + 15);
    ck_assert(tell("a", "firing", "upstream=shop", T + 19));
    ck_assert_uint_eq(falls + rises, 1);
    hush_tick(hush, T + 20);
    ck_assert_uint_eq(rises, 1);
    ck_assert(!tell("a", "firing", "upstream=shop", T + 20));
}
END_TEST

START_TEST(it_is_expired_by_hand_and_kept_a_day)
{
    struct tocsin_board board;

    give("silence", 1, "upstream=eq=shop", T, T + DAY, T);
    ck_assert(tell("a", "firing", "upstream=shop", T + 1));
    hush_board(hush, &board);
    ck_assert(tocsin_span_eq(
        board.silenced, TOCSIN_SPAN("a=00000001-0000-4000-8000-000000000000")));
    give("expire", 2, "", 0, 0, T + 2); /* of another one */
    ck_assert_uint_eq(rises, 0);
    give("expire", 1, "", 0, 0, T + 2);
    give("expire", 1, "", 0, 0, T + 3); /* again: no news */
    ck_assert_uint_eq(rises, 1);
    hush_board(hush, &board);
    ck_assert_uint_eq(board.silenced.len, 0);
    ck_assert_uint_ne(board.silences.len, 0);
    hush_tick(hush, T + 2 + DAY);
    hush_board(hush, &board);
    ck_assert_uint_ne(board.silences.len, 0);
    hush_tick(hush, T + 3 + DAY);
    hush_board(hush, &board);
    ck_assert_uint_eq(board.silences.len, 0);
}
END_TEST

START_TEST(the_number_is_bounded)
{
    unsigned i;

    for (i = 0; i < SILENCES_MAX; i++) {
        ck_assert_int_eq(give("silence", i, "a=eq=b", T, T + 10 + i, T), 0);
    }
    ck_assert_int_eq(give("silence", i, "a=eq=b", T, T + 99, T), -1);
    ck_assert_int_eq(give("silence", 3, "a=eq=c", T, T + 99, T), 0);
    /* what has expired makes room */
    ck_assert_int_eq(give("silence", i, "a=eq=b", T, T + 99, T + 10), 0);
}
END_TEST

START_TEST(what_is_saved_is_restored)
{
    struct tocsin_board board;
    struct buf saved, before;
    struct cursor from;
    struct err err;
    size_t len;

    buf_init(&saved, 1 << 20);
    buf_init(&before, 1 << 20);
    give("silence", 1, "upstream=re=sh.*,route=ne=/x", T, T + DAY, T);
    give("silence", 2, "peer=eq=p", T, T + 5, T);
    tell("a", "firing", "upstream=shop", T);
    hush_board(hush, &board);
    buf_put(&before, board.silences.data, board.silences.len);
    hush_save(hush, &saved);
    for (len = 0; len < saved.len; len += 7) { /* cut off anywhere */
        from = (struct cursor){saved.data, len, false};
        ck_assert_int_eq(hush_restore(hush, &from, &err), -1);
    }
    from = (struct cursor){saved.data, saved.len, false};
    ck_assert_int_eq(hush_restore(hush, &from, &err), 0);
    hush_board(hush, &board);
    ck_assert(tocsin_span_eq(board.silences,
                             tocsin_span_of(before.data, before.len)));
    ck_assert_uint_ne(board.silenced.len, 0);
    ck_assert(tell("b", "firing", "upstream=ship", T + 1));
    buf_release(&saved);
    buf_release(&before);
}
END_TEST

START_TEST(a_silenced_one_waits_in_the_mailbag)
{
    struct tocsin_alert alert;
    struct mailbag bag;
    struct err err;

    ck_assert_int_eq(mailbag_init(&bag, 4, &err), 0);
    bag.receivers = 1;
    bag.kinds[0] = RECEIVER_WEBHOOK;
    tocsin_alert_init(&alert);
    alert.id = TOCSIN_SPAN("a");
    alert.state = TOCSIN_SPAN("firing");
    mailbag_put(&bag, &alert, true, 1);
    ck_assert_uint_eq(mailbag_due(&bag, bag.items[0], 0), UINT64_MAX);
    mailbag_mute(&bag, TOCSIN_SPAN("a"), false);
    ck_assert_uint_eq(mailbag_due(&bag, bag.items[0], 0), 0);
    bag.items[0]->told[0] = bag.items[0]->change;
    alert.state = TOCSIN_SPAN("resolved");
    mailbag_put(&bag, &alert, true, 2); /* it knows: it hears of the end */
    ck_assert_uint_eq(mailbag_due(&bag, bag.items[0], 0), 0);
    alert.id = TOCSIN_SPAN("b");
    alert.state = TOCSIN_SPAN("firing");
    mailbag_put(&bag, &alert, true, 3);
    alert.state = TOCSIN_SPAN("resolved");
    mailbag_put(&bag, &alert, true, 4); /* this one nobody knows */
    ck_assert_uint_eq(mailbag_due(&bag, bag.items[1], 0), UINT64_MAX);
    mailbag_release(&bag);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("silence");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, matchers_match, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tcase, bad_ones_are_refused);
    tcase_add_test(tcase, it_begins_and_ends);
    tcase_add_test(tcase, it_is_expired_by_hand_and_kept_a_day);
    tcase_add_test(tcase, the_number_is_bounded);
    tcase_add_test(tcase, what_is_saved_is_restored);
    tcase_add_test(tcase, a_silenced_one_waits_in_the_mailbag);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
