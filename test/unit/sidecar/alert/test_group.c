/* Whom to blame, where several series have something in common. */
#include <check.h>

#include "town.h"

static const struct town_told *only_firing(struct town *town)
{
    town_run(town, 10);
    ck_assert_uint_eq(town_count(town, "firing"), 1);
    return town_first(town, "firing");
}

START_TEST(a_route_that_fails_in_all_its_upstreams_is_to_blame)
{
    static const char *const none[] = {NULL};
    struct town *town = town_create();
    uint32_t route = town_find(town, "server=www,route=/pay"), i;

    i = town->count;
    town_upstream(town, town_find(town, "cloud_provider=aws"),
                  town_find(town, "cloud_provider=aws,cloud_region=eu-west-1"),
                  "paywest", none);
    town_link(town, route,
              town_find(town, "cloud_provider=aws,cloud_region=eu-west-1"));
    for (; i < town->count; i++) {
        town_link(town, route, i);
    }
    town_set(town, "upstream=pay", FEATURE_ERRORS, true);
    town_set(town, "route=/pay", FEATURE_ERRORS, true);
    ck_assert_str_eq(only_firing(town)->labels,
                     "cloud_provider=aws,server=www,route=/pay");
    town_free(town);

    town = town_create(); /* with another route beside it, the upstream is */
    town_set(town, "upstream=shop", FEATURE_ERRORS, true);
    town_set(town, "route=/shop", FEATURE_ERRORS, true);
    town_set(town, "route=/cart", FEATURE_ERRORS, true);
    ck_assert_str_eq(only_firing(town)->labels,
                     "cloud_provider=aws,cloud_region=us-east-1,upstream=shop");
    town_free(town);
}
END_TEST

START_TEST(what_is_wrong_everywhere_is_one_alert)
{
    struct town *town = town_create();

    town_alarm(town, "");
    ck_assert_str_eq(only_firing(town)->labels, "");
    town_free(town);

    town = town_create(); /* the clouds first, the total when it is sure */
    town_alarm(town, "cloud_provider=");
    town_tick(town);
    town_alarm(town, "");
    ck_assert_str_eq(only_firing(town)->labels, "");
    town_free(town);
}
END_TEST

START_TEST(a_total_that_one_part_spoils_is_not_to_blame)
{
    struct town *town = town_create();
    uint32_t total = town_find(town, "");

    town_alarm(town, "aws");
    town_alarm(town, "upstream=shop");
    town_alarm(town, "upstream=pay");
    town_alarm(town, "upstream=api");
    town->series[total].verdict = town->series[total + 1].verdict;
    ck_assert_str_eq(only_firing(town)->labels, "cloud_provider=aws");
    ck_assert_ptr_nonnull(strstr(town_last(town)->parts, "shop"));
    town_free(town);

    town = town_create(); /* nor one that a single route spoils */
    town_alarm(town, "route=/api");
    town->series[total].verdict =
        town->series[town_find(town, "server=www,route=/api")].verdict;
    ck_assert_ptr_nonnull(
        strstr(only_firing(town)->labels, "server=www,route=/api"));
    town_free(town);
}
END_TEST

START_TEST(two_faults_are_not_everything)
{
    struct town *town = town_create();

    town_alarm(town, ""); /* but one upstream of four is well */
    town_clear(town, "gcp");
    town_clear(town, "upstream=search");
    town_clear(town, "route=/search");
    ck_assert_str_eq(only_firing(town)->labels, "cloud_provider=aws");
    town_free(town);
}
END_TEST

/* All of it stalls in the moment in which one upstream breaks. */
START_TEST(what_is_left_of_everything_is_told_on_its_own)
{
    struct town *town = town_create();
    uint32_t total = town_find(town, "");

    town_alarm(town, "");
    ck_assert_str_eq(only_firing(town)->labels, "");
    town_clear(town, "");
    town_alarm(town, "upstream=shop");
    town_alarm(town, "route=/shop");
    town_alarm(town, "route=/cart");
    town->series[total].verdict =
        town->series[town_find(town, "upstream=shop")].verdict;
    town_run(town, 12);
    ck_assert_uint_eq(town_count(town, "resolved"), 1);
    ck_assert_str_eq(town_first(town, "resolved")->labels, "");
    ck_assert_ptr_nonnull(
        strstr(town_first(town, "resolved")->description, "told on its own"));
    ck_assert_ptr_nonnull(strstr(town_last(town)->labels, "upstream=shop"));
    ck_assert_str_eq(town_last(town)->state, "firing");
    town_run(town, 60); /* once */
    ck_assert_uint_eq(town_count(town, "resolved"), 1);
    town_free(town);
}
END_TEST

/* A region is slow; then the cloud's other one, for a moment. */
START_TEST(a_cloud_narrows_to_the_region_that_goes_on)
{
    struct town *town = town_create();
    uint32_t aws = town_find(town, "cloud_provider=aws");
    unsigned told;

    town_alarm(town, "us-east-1");
    town_alarm(town, "upstream=shop");
    town_alarm(town, "upstream=pay");
    ck_assert_str_eq(only_firing(town)->labels,
                     "cloud_provider=aws,cloud_region=us-east-1");
    town_alarm(town, "eu-west-1");
    town_alarm(town, "upstream=api");
    town->series[aws].verdict =
        town->series[town_find(town, "cloud_provider=aws,"
                                     "cloud_region=us-east-1")]
            .verdict;
    town_run(town, 10);
    ck_assert_str_eq(town_last(town)->labels, "cloud_provider=aws");
    ck_assert_str_eq(town_last(town)->state, "firing");

    town_clear(town, "eu-west-1");
    town_clear(town, "upstream=api");
    told = town->told_count;
    town_run(town, 8);
    ck_assert_uint_eq(town->told_count, told + 2);
    ck_assert_ptr_nonnull(
        strstr(town->told[told].description, "told on its own"));
    ck_assert_str_eq(town->told[told].labels, "cloud_provider=aws");
    ck_assert_str_eq(town_last(town)->labels,
                     "cloud_provider=aws,cloud_region=us-east-1");
    ck_assert_str_eq(town_last(town)->state, "firing");
    town_run(town, 120); /* reminded of, and that is all */
    ck_assert_uint_eq(town_count(town, "resolved"), 2);
    town_free(town);
}
END_TEST

/* Where the other region is slow as well, it stays what it is. */
START_TEST(a_cloud_that_is_bad_all_over_does_not_narrow)
{
    struct town *town = town_create();

    town_alarm(town, "aws");
    town_alarm(town, "upstream=shop");
    town_alarm(town, "upstream=pay");
    town_alarm(town, "upstream=api");
    ck_assert_str_eq(only_firing(town)->labels, "cloud_provider=aws");
    town_clear(town, "upstream=pay,peer=10.0.0.1"); /* but for one peer */
    town_run(town, 120);
    ck_assert_uint_eq(town_count(town, "resolved"), 0);
    town_clear(town, ""); /* and when it ends, it ends as a whole */
    town_run(town, 10);
    ck_assert_uint_eq(town_count(town, "resolved"), 1);
    ck_assert_str_eq(town_last(town)->labels, "cloud_provider=aws");
    town_free(town);
}
END_TEST

/* Each time that it turns out to be narrower after all, that takes longer. */
START_TEST(a_cloud_that_flaps_narrows_ever_later)
{
    struct town *town = town_create();
    unsigned i, before, messages[2] = {0, 0};

    town_alarm(town, "us-east-1");
    town_alarm(town, "upstream=shop");
    town_alarm(town, "upstream=pay");
    town_run(town, 10);
    for (i = 0; i < 16; i++) {
        before = town->told_count;
        town_alarm(town, "eu-west-1");
        town_alarm(town, "upstream=api");
        town_set(town, "cloud_provider=aws", FEATURE_LATENCY_P95, true);
        town_run(town, 15);
        town_clear(town, "eu-west-1");
        town_clear(town, "upstream=api");
        town_run(town, 25);
        messages[i / 8] += town->told_count - before;
    }
    ck_assert_uint_gt(messages[0], 16); /* four, and reminders */
    ck_assert_uint_lt(messages[1], messages[0]);
    ck_assert_uint_le(messages[1], 2 + 8 * 40 / 30); /* reminders */
    town_free(town);
}
END_TEST

/* Peers with next to no traffic cannot say that a region is well. */
START_TEST(parts_that_cannot_be_judged_are_no_witnesses)
{
    struct town *town = town_create();
    uint32_t region =
        town_find(town, "cloud_provider=aws,cloud_region=us-east-1");
    uint32_t peer, i;
    char labels[64];

    for (i = 0; i < 8; i++) {
        snprintf(labels, sizeof(labels), "upstream=pay,peer=10.0.1.%u:80", i);
        peer = town_add(town, SCOPE_PEER, false, labels);
        town->series[peer].aggregate.weight = 1000;
        town->series[peer].quiet = true;
        town_link(town, peer, region);
    }
    town_alarm(town, "us-east-1");
    town_alarm(town, "upstream=shop");
    town_alarm(town, "upstream=pay");
    for (i = 0; i < 8; i++) {
        snprintf(labels, sizeof(labels), "upstream=pay,peer=10.0.1.%u:80", i);
        town_clear(town, labels);
    }
    ck_assert_str_eq(only_firing(town)->labels,
                     "cloud_provider=aws,cloud_region=us-east-1");
    town_run(town, 120);
    ck_assert_uint_eq(town_count(town, "resolved"), 0);
    town_free(town);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("group");
    SRunner *runner = srunner_create(suite);
    TCase *tcase = tcase_create("routes");
    int failed;

    tcase_add_test(tcase, a_route_that_fails_in_all_its_upstreams_is_to_blame);
    tcase_add_test(tcase, what_is_wrong_everywhere_is_one_alert);
    tcase_add_test(tcase, a_total_that_one_part_spoils_is_not_to_blame);
    tcase_add_test(tcase, two_faults_are_not_everything);
    tcase_add_test(tcase, what_is_left_of_everything_is_told_on_its_own);
    tcase_add_test(tcase, a_cloud_narrows_to_the_region_that_goes_on);
    tcase_add_test(tcase, a_cloud_that_is_bad_all_over_does_not_narrow);
    tcase_add_test(tcase, a_cloud_that_flaps_narrows_ever_later);
    tcase_add_test(tcase, parts_that_cannot_be_judged_are_no_witnesses);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
