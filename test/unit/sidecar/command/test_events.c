/* Events, alerts and delays on rows small enough to count by hand. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/command/events.h"

static struct events *events;
static struct err err;

static void setup(void)
{
    events = events_create(&err);
    ck_assert_ptr_nonnull(events);
}

static void teardown(void)
{
    events_destroy(events);
}

/* One character a row: 'L' labelled, 'A' told, 'B' both; the first 15 % are
 * put in front, all labelled and told. */
static struct events_row *add(const char *rows)
{
    size_t count = strlen(rows), learning = 0;
    struct events_row *added;

    while (learning != (size_t)(0.15 * (double)(count + learning))) {
        learning++;
    }
    added = events_add(events, count + learning, &err);
    ck_assert_ptr_nonnull(added);
    for (size_t i = 0; i < learning; i++) {
        added[i] = (struct events_row){9, true, true};
    }
    for (size_t i = 0; i < count; i++) {
        struct events_row *row = &added[learning + i];

        row->label = rows[i] == 'L' || rows[i] == 'B';
        row->alert = rows[i] == 'A' || rows[i] == 'B';
        row->score = row->alert ? 5 : (float)i / 1000;
    }
    return added + learning;
}

static void check_alerts(size_t all, size_t found, size_t wrong, double delay)
{
    struct events_tally tally;

    ck_assert_int_eq(events_alerts(events, &tally, &err), 0);
    ck_assert_uint_eq(tally.events, all);
    ck_assert_uint_eq(tally.found, found);
    ck_assert_uint_eq(tally.wrong, wrong);
    if (isnan(delay)) {
        ck_assert(isnan(tally.delay));
    } else {
        ck_assert_double_eq(tally.delay, delay);
    }
}

START_TEST(learning_does_not_count)
{
    add("....................");
    check_alerts(0, 0, 0, (double)NAN);
    ck_assert_uint_eq(events_rows(events), 20);
}
END_TEST

START_TEST(labels_two_rows_apart_are_one_event)
{
    add("L..L...L....B........");
    check_alerts(3, 1, 0, 0);
}
END_TEST

START_TEST(an_alert_may_be_a_little_early_or_late)
{
    add(".....AL................................");
    add(".....L..A..............................");
    add(".....L...A.............................");
    add(".....A.L...............................");
    check_alerts(4, 2, 2, 1.5);
}
END_TEST

START_TEST(one_that_is_still_on_finds_the_event)
{
    add("A.........A.........B.................");
    check_alerts(1, 1, 0, 0);
}
END_TEST

START_TEST(one_that_never_ends_is_many)
{
    add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "A");
    check_alerts(0, 0, 3, (double)NAN);
}
END_TEST

START_TEST(quiet_rows_part_alerts)
{
    add("A..........A..........................");
    check_alerts(0, 0, 2, (double)NAN);
}
END_TEST

START_TEST(figures_follow)
{
    struct events_tally tally = {.events = 4, .found = 3, .wrong = 1};

    ck_assert_double_eq(events_recall(&tally), 0.75);
    ck_assert_double_eq(events_precision(&tally), 0.75);
    ck_assert_double_eq(events_f1(&tally), 0.75);
    tally = (struct events_tally){0};
    ck_assert_double_eq(events_f1(&tally), 0);
    ck_assert_double_eq(events_precision(&tally), 0);
}
END_TEST

/* Scores: one threshold for all files, the best. */
START_TEST(the_best_threshold_is_found)
{
    char rows[401];
    struct events_row *made;
    struct events_tally tally;
    float threshold;

    memset(rows, '.', 400);
    rows[400] = '\0';
    rows[100] = rows[300] = 'L';
    made = add(rows);
    made[100].score = 3;
    made[300].score = 2;
    made[200].score = 1;
    made = add(rows);
    made[100].score = 2.5;
    made[300].score = 0.1F;
    ck_assert_int_eq(events_scores(events, &tally, &threshold, &err), 0);
    ck_assert_uint_eq(tally.events, 4);
    ck_assert_uint_eq(tally.found, 3);
    ck_assert_uint_eq(tally.wrong, 0);
    ck_assert(threshold > 1 && threshold <= 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("events");
    TCase *tcase = tcase_create("rules");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, learning_does_not_count);
    tcase_add_test(tcase, labels_two_rows_apart_are_one_event);
    tcase_add_test(tcase, an_alert_may_be_a_little_early_or_late);
    tcase_add_test(tcase, one_that_is_still_on_finds_the_event);
    tcase_add_test(tcase, one_that_never_ends_is_many);
    tcase_add_test(tcase, quiet_rows_part_alerts);
    tcase_add_test(tcase, figures_follow);
    tcase_add_test(tcase, the_best_threshold_is_found);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
