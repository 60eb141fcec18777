/* What is to be told to whom, and when no more. */
#include <check.h>
#include <stdlib.h>

#include "sidecar/alert/mailbag.h"

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
    bag.resend = 60 * SECOND;
}

static int put(const char *id, const char *state, uint64_t now)
{
    struct tocsin_alert alert;

    tocsin_alert_init(&alert);
    alert.id = tocsin_span_str(id);
    alert.state = tocsin_span_str(state);
    alert.severity = TOCSIN_SPAN("warning");
    return mailbag_put(&bag, &alert, now);
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

START_TEST(one_that_nobody_speaks_of_any_more_is_forgotten)
{
    make(2);
    put("a", "firing", 1);
    mailbag_sweep(&bag, 599 * SECOND);
    ck_assert_ptr_nonnull(bag.items[0]);
    mailbag_sweep(&bag, 601 * SECOND);
    ck_assert_ptr_null(bag.items[0]);
    mailbag_release(&bag);
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
    tcase_add_test(tcase, one_that_nobody_speaks_of_any_more_is_forgotten);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
