/* When an alert fires: what clients see at once, what retries hide later. */
#include <check.h>

#include "town.h"

static const char *const peer = "upstream=shop,peer=10.0.0.2:80";

static void set_well(struct town *town, const char *text, bool well)
{
    town->series[town_find(town, text)].well = well;
}

START_TEST(what_a_retry_hides_must_last)
{
    struct town *town = town_create();

    town_set(town, peer, FEATURE_ERRORS, true);
    town->series[town_find(town, peer)].verdict.sudden = true;
    town_run(town, 2); /* it restarts: gone in two ticks */
    set_well(town, peer, true);
    town_run(town, 10); /* and still in alarm, by what baselines remember */
    ck_assert_uint_eq(town_count(town, "firing"), 0);
    ck_assert_uint_ge(town_count(town, "pending"), 1);
    set_well(town, peer, false);
    town_run(town, 2);
    ck_assert_uint_eq(town_count(town, "firing"), 0);
    town_run(town, 1); /* three in a row are no restart */
    ck_assert_uint_eq(town_count(town, "firing"), 1);
    town_free(town);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_told_in_three_ticks)
{
    struct town *town = town_create();

    town_set(town, peer, FEATURE_ERRORS, true);
    town->series[town_find(town, peer)].verdict.sudden = true;
    town_run(town, 3);
    ck_assert_uint_eq(town_count(town, "firing"), 1);
    ck_assert_str_eq(town_first(town, "firing")->severity, "warning");
    town_free(town);
}
END_TEST

START_TEST(ticks_without_traffic_do_not_tell_whether_it_lasts)
{
    struct town *town = town_create();
    struct aggregate *traffic = &town->series[town_find(town, peer)].aggregate;
    unsigned i;

    town_set(town, peer, FEATURE_ERRORS, true);
    for (i = 0; i < 3; i++) {
        ck_assert_uint_eq(town_count(town, "firing"), 0);
        traffic->weight = 1000; /* one request in six ticks, and it fails */
        town_run(town, 1);
        traffic->weight = 0;
        town_run(town, i < 2 ? 5 : 0);
    }
    ck_assert_uint_eq(town_count(town, "firing"), 1);
    town_free(town);
}
END_TEST

/* In the first tick of a fault not all of it is in alarm yet. */
START_TEST(who_is_first_in_alarm_is_not_to_blame)
{
    struct town *town = town_create();

    town_alarm(town, peer);
    town_run(town, 1);
    town_alarm(town, "upstream=shop");
    town_run(town, 5);
    ck_assert_uint_eq(town_count(town, "resolved"), 0);
    ck_assert_uint_eq(town_count(town, "firing"), 1);
    ck_assert_str_eq(town_first(town, "firing")->labels,
                     "cloud_provider=aws,cloud_region=us-east-1,upstream=shop");
    town_free(town);
}
END_TEST

/* A stall of one tick: what is told must still be so when it is told. */
START_TEST(slowness_that_is_over_is_not_told)
{
    static const char *const route = "server=www,route=/pay";
    struct town *town = town_create();

    town_set(town, route, FEATURE_LATENCY_P95, true);
    town->series[town_find(town, route)].verdict.sudden = true;
    town_run(town, 1);
    set_well(town, route, true);
    town_run(town, 5);
    ck_assert_uint_eq(town_count(town, "firing"), 0);
    set_well(town, route, false);
    town_run(town, 1);
    ck_assert_uint_eq(town_count(town, "firing"), 1);
    town_free(town);
}
END_TEST

START_TEST(slowness_within_what_is_expected_must_last)
{
    static const char *const route = "server=www,route=/pay";
    struct town *town = town_create();

    town_set(town, route, FEATURE_LATENCY_P95, true);
    town->series[town_find(town, route)].verdict.sudden = true;
    town_run(town, 1);
    town->series[town_find(town, route)].mild = true;
    town_run(town, 1);
    ck_assert_uint_eq(town_count(town, "firing"), 0);
    town_run(town, 1); /* for three ticks */
    ck_assert_uint_eq(town_count(town, "firing"), 1);
    town_free(town);
}
END_TEST

START_TEST(what_clients_see_need_not_last_as_long)
{
    struct town *town = town_create();

    town_set(town, peer, FEATURE_ERRORS, true);
    town_run(town, 1);
    set_well(town, peer, true);
    town_run(town, 5);
    ck_assert_uint_eq(town_count(town, "firing"), 0);
    town_set(town, "route=/shop", FEATURE_ERRORS, true);
    town_run(town, 1); /* a failure of its own, perhaps */
    ck_assert_uint_eq(town_count(town, "firing"), 0);
    town_run(town, 1);
    ck_assert_uint_eq(town_count(town, "firing"), 1);
    ck_assert_str_eq(town_first(town, "firing")->severity, "critical");
    town_free(town);
}
END_TEST

START_TEST(what_becomes_normal_is_not_said_to_be_well)
{
    struct town *town = town_create();
    struct verdict *verdict = &town->series[town_find(town, peer)].verdict;

    town_alarm(town, peer);
    town_run(town, 3700);
    ck_assert_uint_eq(town_count(town, "resolved"), 0);
    verdict->accepted = 1u << verdict->column;
    town_clear(town, peer);
    town_run(town, 3);
    ck_assert_str_eq(town_last(town)->state, "resolved");
    ck_assert_ptr_nonnull(strstr(town_last(town)->description, "for normal"));

    verdict->accepted = 0;
    town_alarm(town, peer);
    town_run(town, 10);
    town_clear(town, peer);
    town_run(town, 300);
    ck_assert_str_eq(town_last(town)->state, "resolved");
    ck_assert_ptr_null(strstr(town_last(town)->description, "for normal"));
    town_free(town);
}
END_TEST

/* An upstream falls silent and is evicted; who gets its slot is not to blame,
 * and nobody is told of what nobody was told of. */
START_TEST(who_takes_a_slot_takes_no_alert)
{
    struct town *town = town_create();
    uint32_t slot = town_find(town, "upstream=shop");
    struct town_series *series = &town->series[slot];

    town_set(town, "upstream=shop", FEATURE_RATE, true);
    town_run(town, 1);
    ck_assert_uint_eq(town->told_count, 0);
    alerts_leave(town->alerts, &series->identity);
    snprintf(series->labels, sizeof(series->labels), "server=%%3Cevil%%3E");
    series->identity.hash++;
    series->identity.link_count = 0;
    town_clear(town, "server=%3Cevil%3E");
    town_run(town, 10);
    for (slot = 0; slot < town->told_count; slot++) {
        ck_assert_ptr_null(strstr(town->told[slot].labels, "evil"));
        ck_assert_str_ne(town->told[slot].labels, "");
    }
    town_free(town);
}
END_TEST

/* Retries hide failures; a slow peer is seen by whom it answers. */
START_TEST(only_failures_are_hidden_by_retries)
{
    struct town *town = town_create();

    town_alarm(town, peer);
    town_run(town, 10);
    ck_assert_ptr_null(
        strstr(town_first(town, "firing")->description, "Retries hide"));
    town_free(town);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("life");
    SRunner *runner = srunner_create(suite);
    TCase *tcase = tcase_create("hidden");
    int failed;

    tcase_add_test(tcase, what_a_retry_hides_must_last);
    tcase_add_test(tcase, a_peer_that_is_gone_is_told_in_three_ticks);
    tcase_add_test(tcase, ticks_without_traffic_do_not_tell_whether_it_lasts);
    tcase_add_test(tcase, who_is_first_in_alarm_is_not_to_blame);
    tcase_add_test(tcase, slowness_that_is_over_is_not_told);
    tcase_add_test(tcase, slowness_within_what_is_expected_must_last);
    tcase_add_test(tcase, what_clients_see_need_not_last_as_long);
    tcase_add_test(tcase, what_becomes_normal_is_not_said_to_be_well);
    tcase_add_test(tcase, who_takes_a_slot_takes_no_alert);
    tcase_add_test(tcase, only_failures_are_hidden_by_retries);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
