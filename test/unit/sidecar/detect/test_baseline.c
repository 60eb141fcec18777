/* Baselines and silence: what counts as evidence of harm, and how much. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "sidecar/detect/baseline.h"
#include "sidecar/detect/silence.h"

static struct finding see(struct baseline *baseline, enum feature feature,
                          double value, double events)
{
    struct look look = {value, events, 1, false};

    return baseline_look(baseline, feature, &look);
}

static void settle(struct baseline *baseline, enum feature feature,
                   double value)
{
    unsigned i;

    baseline_init(baseline);
    for (i = 0; i < 600; i++) {
        see(baseline, feature, value * (1 + 0.02 * ((double)(i % 5) - 2)), 20);
    }
}

START_TEST(one_bad_request_is_little_evidence)
{
    struct baseline baseline;
    struct finding found;

    settle(&baseline, FEATURE_ERRORS, 0);
    found = see(&baseline, FEATURE_ERRORS, 1, 1);
    ck_assert(!found.harmful);
    found = see(&baseline, FEATURE_ERRORS, 0.5, 40);
    ck_assert(found.harmful);
    ck_assert_double_gt((double)found.nats, 50);
}
END_TEST

START_TEST(the_same_share_of_more_is_more)
{
    struct baseline few, many;

    settle(&few, FEATURE_ERRORS, 0.01);
    many = few;
    ck_assert_double_gt((double)see(&many, FEATURE_ERRORS, 0.1, 500).nats,
                        5 * (double)see(&few, FEATURE_ERRORS, 0.1, 50).nats);
}
END_TEST

START_TEST(only_the_direction_that_hurts_counts)
{
    struct baseline latency, hits;
    struct finding found;

    settle(&latency, FEATURE_LATENCY_P50, 0.1);
    found = see(&latency, FEATURE_LATENCY_P50, 0.01, 20);
    ck_assert(!found.harmful);
    ck_assert_double_eq((double)found.nats, 0);
    settle(&hits, FEATURE_CACHE_HITS, 0.8);
    ck_assert(!see(&hits, FEATURE_CACHE_HITS, 1, 200).harmful);
    ck_assert(see(&hits, FEATURE_CACHE_HITS, 0.2, 200).harmful);
}
END_TEST

START_TEST(bands_hold_what_is_usual)
{
    struct baseline baseline;
    struct finding found;

    settle(&baseline, FEATURE_LATENCY_P95, 0.2);
    found = see(&baseline, FEATURE_LATENCY_P95, 0.2, 20);
    ck_assert_double_eq_tol((double)found.expected, 0.2, 0.01);
    ck_assert_double_lt((double)found.low, 0.195);
    ck_assert_double_gt((double)found.high, 0.205);
    ck_assert_double_lt((double)found.high, 0.4);
}
END_TEST

START_TEST(what_is_frozen_is_not_learned)
{
    struct baseline baseline;
    struct look look = {1.0, 20, 1, true};
    struct finding found = {0};
    unsigned i;

    settle(&baseline, FEATURE_LATENCY_P50, 0.1);
    for (i = 0; i < 5000; i++) {
        found = baseline_look(&baseline, FEATURE_LATENCY_P50, &look);
    }
    ck_assert(found.harmful);
    ck_assert_double_eq_tol((double)found.expected, 0.1, 0.01);
    baseline_accept(&baseline, FEATURE_LATENCY_P50);
    found = baseline_look(&baseline, FEATURE_LATENCY_P50, &look);
    ck_assert(!found.harmful);
}
END_TEST

START_TEST(what_was_not_observed_says_nothing)
{
    struct baseline baseline;
    struct finding found;

    settle(&baseline, FEATURE_LATENCY_P50, 0.1);
    found = see(&baseline, FEATURE_LATENCY_P50, (double)NAN, 0);
    ck_assert(!found.harmful);
    ck_assert_double_eq((double)found.nats, 0);
    found = see(&baseline, FEATURE_BYTES, 1e9, 20);
    ck_assert(isnan(found.expected));
}
END_TEST

START_TEST(pauses_that_are_usual_are_no_silence)
{
    struct silence silence;
    struct silence_finding found = {0, false};
    unsigned i;

    silence_init(&silence);
    for (i = 0; i < 600; i++) { /* a client that polls every ten seconds */
        found = silence_look(&silence, i % 10 == 0 ? 50 : 0, true, false);
        ck_assert(!found.harmful);
    }
    for (i = 0; i < 15; i++) {
        ck_assert(!silence_look(&silence, 0, true, false).harmful);
    }
    for (i = 0; i < 25; i++) {
        found = silence_look(&silence, 0, true, false);
    }
    ck_assert(found.harmful);
}
END_TEST

START_TEST(nobody_is_silent_when_nobody_could_tell)
{
    struct silence silence;
    unsigned i;

    silence_init(&silence);
    for (i = 0; i < 600; i++) {
        silence_look(&silence, 20, true, false);
    }
    for (i = 0; i < 600; i++) {
        ck_assert(!silence_look(&silence, 0, false, false).harmful);
    }
    for (i = 0; i < 3; i++) {
        ck_assert(
            !silence_look(&silence, i == 0 ? 20 : 0, true, false).harmful);
    }
    ck_assert(silence_look(&silence, 0, true, false).harmful);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("baseline");
    TCase *tcase = tcase_create("harm");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, one_bad_request_is_little_evidence);
    tcase_add_test(tcase, the_same_share_of_more_is_more);
    tcase_add_test(tcase, only_the_direction_that_hurts_counts);
    tcase_add_test(tcase, bands_hold_what_is_usual);
    tcase_add_test(tcase, what_is_frozen_is_not_learned);
    tcase_add_test(tcase, what_was_not_observed_says_nothing);
    tcase_add_test(tcase, pauses_that_are_usual_are_no_silence);
    tcase_add_test(tcase, nobody_is_silent_when_nobody_could_tell);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
