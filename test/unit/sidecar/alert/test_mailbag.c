/* What is to be told to whom, and when no more. */
#include <check.h>
#include <stdlib.h>

#include "sidecar/alert/mailbag.h"

#define ROOM ((size_t)1 << 20)
#define SECOND 1000000ull
#define AM 0
#define HOOK 1

static struct mailbag bag;

static void make(uint32_t max)
{
    struct err err;

    ck_assert_int_eq(mailbag_init(&bag, max, &err), 0);
    bag.receivers = 2;
    bag.kinds[AM] = RECEIVER_ALERTMANAGER;
    bag.kinds[HOOK] = RECEIVER_WEBHOOK;
    bag.keys[AM] = 11;
    bag.keys[HOOK] = 22;
    bag.resend = 60 * SECOND;
}

static int put(const char *id, const char *state, uint64_t now)
{
    struct tocsin_alert alert;

    tocsin_alert_init(&alert);
    alert.id = tocsin_span_str(id);
    alert.state = tocsin_span_str(state);
    alert.severity = TOCSIN_SPAN("warning");
    alert.started = 12345;
    alert.observed = 0.5;
    alert.summary = TOCSIN_SPAN("slow");
    return mailbag_put(&bag, &alert, false, now);
}

static void tell(uint32_t receiver, uint64_t now)
{
    bag.items[0]->told[receiver] = bag.items[0]->change;
    bag.items[0]->sent[receiver] = now;
}

static uint64_t due(uint32_t receiver)
{
    return mailbag_due(&bag, bag.items[0], receiver);
}

START_TEST(pending_ones_are_told_to_nobody)
{
    make(4);
    put("a", "pending", 1);
    put("b", "resolved", 2);
    ck_assert_ptr_null(bag.items[0]);
    mailbag_release(&bag);
}
END_TEST

START_TEST(a_webhook_hears_of_changes_an_alertmanager_again_and_again)
{
    make(4);
    put("a", "firing", 1);
    ck_assert_uint_eq(due(AM), 0);
    ck_assert_uint_eq(due(HOOK), 0);
    tell(AM, 5 * SECOND);
    tell(HOOK, 5 * SECOND);
    ck_assert_uint_eq(due(AM), 65 * SECOND);
    ck_assert_uint_eq(due(HOOK), UINT64_MAX);
    put("a", "firing", 30 * SECOND); /* a reminder is no change */
    ck_assert_uint_eq(due(HOOK), UINT64_MAX);
    put("a", "resolved", 40 * SECOND);
    ck_assert_uint_eq(due(AM), 0);
    ck_assert_uint_eq(due(HOOK), 0);
    mailbag_release(&bag);
}
END_TEST

START_TEST(an_end_is_retold_for_five_minutes_and_then_forgotten)
{
    make(4);
    put("a", "firing", 1);
    tell(AM, 1);
    tell(HOOK, 1);
    put("a", "resolved", SECOND);
    tell(AM, SECOND);
    mailbag_sweep(&bag, 400 * SECOND); /* the webhook does not know yet */
    ck_assert_ptr_nonnull(bag.items[0]);
    tell(HOOK, SECOND);
    mailbag_sweep(&bag, 200 * SECOND);
    ck_assert_ptr_nonnull(bag.items[0]);
    mailbag_sweep(&bag, 302 * SECOND);
    ck_assert_ptr_null(bag.items[0]);
    mailbag_release(&bag);
}
END_TEST

START_TEST(the_end_of_what_was_never_told_is_no_news)
{
    make(4);
    put("a", "firing", 1);
    put("a", "resolved", 2);
    ck_assert_uint_eq(due(AM), UINT64_MAX);
    ck_assert_uint_eq(due(HOOK), UINT64_MAX);
    mailbag_release(&bag);
}
END_TEST

START_TEST(what_does_not_fit_is_counted)
{
    make(2);
    ck_assert_int_eq(put("a", "firing", 1), 0);
    ck_assert_int_eq(put("b", "firing", 1), 0);
    ck_assert_int_eq(put("c", "firing", 1), -1);
    ck_assert_int_eq(put("a", "firing", 1), 0);
    ck_assert_uint_eq(bag.dropped, 1);
    mailbag_release(&bag);
}
END_TEST

START_TEST(one_that_nobody_heard_or_speaks_of_is_forgotten)
{
    make(2);
    put("a", "firing", 1);
    mailbag_mute(&bag, TOCSIN_SPAN("a"), true);
    mailbag_sweep(&bag, 599 * SECOND);
    ck_assert_ptr_nonnull(bag.items[0]);
    mailbag_sweep(&bag, 601 * SECOND);
    ck_assert_ptr_null(bag.items[0]);
    ck_assert_uint_eq(bag.dropped, 0);
    mailbag_release(&bag);
}
END_TEST

START_TEST(a_webhook_that_was_away_for_an_hour_hears_of_the_end)
{
    make(2);
    put("a", "firing", 1);
    tell(AM, 1);
    tell(HOOK, 1);
    put("a", "resolved", SECOND);
    tell(AM, SECOND);
    mailbag_sweep(&bag, 3600 * SECOND);
    ck_assert_ptr_nonnull(bag.items[0]);
    ck_assert_uint_eq(due(HOOK), 0);
    tell(HOOK, 3600 * SECOND);
    mailbag_sweep(&bag, 3601 * SECOND);
    ck_assert_ptr_null(bag.items[0]);
    ck_assert_uint_eq(bag.dropped, 0);
    mailbag_release(&bag);
}
END_TEST

/* No ticks, so no reminders: Redis is away, not the trouble. */
START_TEST(one_that_fires_on_without_a_word_is_not_forgotten)
{
    make(2);
    put("a", "firing", 1);
    tell(AM, 1);
    tell(HOOK, 1);
    mailbag_sweep(&bag, 3600 * SECOND);
    ck_assert_ptr_nonnull(bag.items[0]);
    ck_assert_uint_le(due(AM), 3600 * SECOND); /* or it would let it expire */
    put("a", "firing", 3600 * SECOND);
    ck_assert_uint_eq(due(HOOK), UINT64_MAX);
    mailbag_release(&bag);
}
END_TEST

START_TEST(what_waits_in_vain_for_a_day_is_counted)
{
    make(3);
    put("a", "firing", 1); /* told to nobody */
    put("b", "firing", 1);
    bag.items[1]->told[HOOK] = 1; /* its end was not */
    put("b", "resolved", 1);
    mailbag_sweep(&bag, 86400 * SECOND);
    ck_assert_ptr_nonnull(bag.items[0]);
    ck_assert_ptr_nonnull(bag.items[1]);
    mailbag_sweep(&bag, 86401 * SECOND);
    ck_assert_ptr_null(bag.items[0]);
    ck_assert_ptr_null(bag.items[1]);
    ck_assert_uint_eq(bag.dropped, 2);
    mailbag_release(&bag);
}
END_TEST

START_TEST(the_end_of_what_may_have_been_heard_is_told)
{
    make(4);
    put("a", "firing", 1);
    bag.items[0]->unsure[HOOK] = true; /* it broke off half-way */
    put("a", "resolved", 2);
    ck_assert_uint_eq(due(HOOK), 0);
    ck_assert_uint_eq(due(AM), UINT64_MAX);
    mailbag_sweep(&bag, 3);
    ck_assert_ptr_nonnull(bag.items[0]);
    tell(HOOK, 4);
    mailbag_sweep(&bag, 5);
    ck_assert_ptr_null(bag.items[0]);
    mailbag_release(&bag);
}
END_TEST

START_TEST(ends_that_nobody_waits_for_make_room)
{
    make(2);
    put("a", "firing", 1);
    put("b", "firing", 1);
    put("a", "resolved", 2);
    ck_assert_int_eq(put("c", "firing", 3), 0);
    ck_assert_int_eq(put("d", "firing", 3), -1);
    ck_assert_uint_eq(bag.dropped, 1);
    mailbag_release(&bag);
}
END_TEST

START_TEST(silenced_ones_are_told_to_nobody)
{
    make(4);
    put("a", "firing", 1);
    mailbag_mute(&bag, TOCSIN_SPAN("a"), true);
    mailbag_mute(&bag, TOCSIN_SPAN("not there"), true);
    ck_assert_uint_eq(due(HOOK), UINT64_MAX);
    ck_assert_uint_eq(due(AM), UINT64_MAX);
    mailbag_mute(&bag, TOCSIN_SPAN("a"), false);
    ck_assert_uint_eq(due(HOOK), 0);
    tell(HOOK, 2);
    mailbag_mute(&bag, TOCSIN_SPAN("a"), true);
    put("a", "resolved", 3); /* those who know of it hear of its end */
    ck_assert_uint_eq(due(HOOK), 0);
    ck_assert_uint_eq(due(AM), UINT64_MAX);
    mailbag_release(&bag);
}
END_TEST

/* ---------------------------------------------------------- the next run */

static struct buf saved;

/* Saves the mailbag and makes an empty one. */
static void save_and_end(void)
{
    buf_init(&saved, ROOM);
    mailbag_save(&bag, &saved);
    ck_assert(!saved.failed);
    mailbag_release(&bag);
    make(4);
}

static int restore(size_t len)
{
    struct cursor from = {.data = saved.data, .len = len};
    struct err err = {.code = ERR_NONE};
    int rc = mailbag_restore(&bag, &from, 100 * SECOND, &err);

    ck_assert_int_eq(err.code, rc == 0 ? ERR_NONE : ERR_INPUT);
    return rc;
}

START_TEST(the_next_run_knows_who_knows)
{
    make(4);
    put("a", "firing", 1);
    put("b", "firing", 1);
    tell(AM, 2);
    tell(HOOK, 2); /* of a, not of b */
    save_and_end();
    ck_assert_int_eq(restore(saved.len), 0);
    ck_assert_uint_eq(bag.items[0]->alert.started, 12345);
    ck_assert_double_eq(bag.items[0]->alert.observed, 0.5);
    ck_assert(tocsin_span_eq(bag.items[0]->alert.summary, TOCSIN_SPAN("slow")));
    ck_assert_uint_eq(due(HOOK), UINT64_MAX);
    ck_assert_uint_le(due(AM), 100 * SECOND); /* it wants to hear again */
    ck_assert_uint_eq(mailbag_due(&bag, bag.items[1], HOOK), 0);
    put("a", "firing", 101 * SECOND); /* a reminder */
    ck_assert_uint_eq(due(HOOK), UINT64_MAX);
    put("a", "resolved", 102 * SECOND);
    ck_assert_uint_eq(due(HOOK), 0);
    mailbag_release(&bag);
    buf_release(&saved);
}
END_TEST

START_TEST(the_next_run_knows_what_is_silenced)
{
    make(4);
    put("a", "firing", 1);
    put("b", "firing", 1);
    mailbag_mute(&bag, TOCSIN_SPAN("a"), true);
    save_and_end();
    ck_assert_int_eq(restore(saved.len), 0);
    ck_assert_uint_eq(due(HOOK), UINT64_MAX);
    ck_assert_uint_eq(mailbag_due(&bag, bag.items[1], HOOK), 0);
    mailbag_mute(&bag, TOCSIN_SPAN("a"), false);
    ck_assert_uint_eq(due(HOOK), 0);
    mailbag_release(&bag);
    buf_release(&saved);
}
END_TEST

START_TEST(the_next_run_tells_an_end_that_was_not_told)
{
    make(4);
    put("a", "firing", 1);
    tell(HOOK, 2);
    put("a", "resolved", 3);
    put("b", "firing", 1);
    bag.items[1]->unsure[HOOK] = true;
    put("b", "resolved", 3);
    save_and_end();
    ck_assert_int_eq(restore(saved.len), 0);
    mailbag_sweep(&bag, 101 * SECOND);
    ck_assert_uint_eq(due(HOOK), 0);
    ck_assert_uint_eq(mailbag_due(&bag, bag.items[1], HOOK), 0);
    mailbag_release(&bag);
    buf_release(&saved);
}
END_TEST

START_TEST(receivers_are_known_by_their_keys)
{
    make(4);
    put("a", "firing", 1);
    tell(AM, 2);
    tell(HOOK, 2);
    save_and_end();
    bag.receivers = 3; /* one went, one stayed at another place, two came */
    bag.kinds[0] = bag.kinds[1] = bag.kinds[2] = RECEIVER_WEBHOOK;
    bag.keys[0] = 33;
    bag.keys[1] = 44;
    bag.keys[2] = 22;
    ck_assert_int_eq(restore(saved.len), 0);
    ck_assert_uint_eq(due(0), 0);
    ck_assert_uint_eq(due(1), 0);
    ck_assert_uint_eq(due(2), UINT64_MAX);
    mailbag_release(&bag);
    buf_release(&saved);
}
END_TEST

START_TEST(what_is_damaged_leaves_it_empty)
{
    size_t len;
    unsigned i;

    make(4);
    put("a", "firing", 1);
    put("b", "firing", 1);
    save_and_end();
    for (len = 0; len < saved.len; len++) {
        ck_assert_int_eq(restore(len), -1);
        for (i = 0; i < bag.max; i++) {
            ck_assert_ptr_null(bag.items[i]);
        }
    }
    saved.data[0] ^= 1; /* another format */
    ck_assert_int_eq(restore(saved.len), -1);
    saved.data[0] ^= 1;
    bag.max = 1; /* more than fit */
    ck_assert_int_eq(restore(saved.len), -1);
    bag.max = 4;
    ck_assert_int_eq(restore(saved.len), 0);
    mailbag_release(&bag);
    buf_release(&saved);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mailbag");
    TCase *tcase = tcase_create("items");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, pending_ones_are_told_to_nobody);
    tcase_add_test(tcase,
                   a_webhook_hears_of_changes_an_alertmanager_again_and_again);
    tcase_add_test(tcase, an_end_is_retold_for_five_minutes_and_then_forgotten);
    tcase_add_test(tcase, the_end_of_what_was_never_told_is_no_news);
    tcase_add_test(tcase, what_does_not_fit_is_counted);
    tcase_add_test(tcase, one_that_nobody_heard_or_speaks_of_is_forgotten);
    tcase_add_test(tcase, a_webhook_that_was_away_for_an_hour_hears_of_the_end);
    tcase_add_test(tcase, one_that_fires_on_without_a_word_is_not_forgotten);
    tcase_add_test(tcase, what_waits_in_vain_for_a_day_is_counted);
    tcase_add_test(tcase, the_end_of_what_may_have_been_heard_is_told);
    tcase_add_test(tcase, ends_that_nobody_waits_for_make_room);
    tcase_add_test(tcase, silenced_ones_are_told_to_nobody);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("the next run");
    tcase_add_test(tcase, the_next_run_knows_who_knows);
    tcase_add_test(tcase, the_next_run_knows_what_is_silenced);
    tcase_add_test(tcase, the_next_run_tells_an_end_that_was_not_told);
    tcase_add_test(tcase, receivers_are_known_by_their_keys);
    tcase_add_test(tcase, what_is_damaged_leaves_it_empty);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
