/* What each feature is of an aggregate; not observed is NaN. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "sidecar/features/features.h"

#define SECOND 1000000u

static struct arena arena;

static struct aggregate busy(void)
{
    struct aggregate a = {
        .events = 5,
        .weight = 10000,
        .errors = 2000,
        .client_errors = 1000,
        .local_errors = 1600,
        .aborted = 2000,
        .retries = 5000,
        .bytes = 20480,
        .cacheable = 4000,
        .cache_hits = 1000,
        .connects = 2000,
        .connect_sum = 600u * 1000,
        .inflight = 7,
        .oldest = 1500000,
        .inflight_known = true,
        .alive = true,
    };

    for (unsigned i = 0; i < 100; i++) {
        sketch_add(&a.duration, &arena, sketch_bucket(i < 94 ? 1000 : 50000),
                   100);
        sketch_add(&a.header, &arena, sketch_bucket(400), 100);
    }
    return a;
}

static double value(const struct aggregate *a, enum feature feature)
{
    return (double)feature_value(a, feature, 2 * SECOND, false);
}

static void near(double got, double want, double tolerance)
{
    ck_assert_msg(fabs(got - want) <= tolerance * want, "%g is not %g", got,
                  want);
}

START_TEST(each_feature_has_its_value)
{
    struct aggregate a = busy();

    near(value(&a, FEATURE_RATE), 5, 1e-6);
    near(value(&a, FEATURE_ERRORS), 2.0 / 8, 1e-6);
    near(value(&a, FEATURE_CLIENT_ERRORS), 1.0 / 8, 1e-6);
    near(value(&a, FEATURE_LOCAL_ERRORS), 1.6 / 8, 1e-6);
    near(value(&a, FEATURE_LATENCY_P50), 0.001, 0.026);
    near(value(&a, FEATURE_LATENCY_P95), 0.05, 0.026);
    near(value(&a, FEATURE_INFLIGHT), 7, 0);
    near(value(&a, FEATURE_OLDEST), 1.5, 1e-6);
    near(value(&a, FEATURE_BYTES), 2048, 1e-6);
    near(value(&a, FEATURE_CONNECT), 0.0003, 1e-6);
    near(value(&a, FEATURE_HEADER), 0.0004, 0.026);
    near(value(&a, FEATURE_RETRIES), 0.5, 1e-6);
    near(value(&a, FEATURE_CACHE_HITS), 0.25, 1e-6);
    ck_assert(isnan(feature_value(&a, FEATURE_LOCAL_ERRORS, SECOND, true)));
    ck_assert(isnan(value(&a, FEATURE_COUNT)));
}
END_TEST

START_TEST(silence_is_a_rate_of_zero_and_nothing_else)
{
    struct aggregate a = {.alive = true};

    for (unsigned i = 0; i < FEATURE_COUNT; i++) {
        if (i == FEATURE_RATE) {
            ck_assert_double_eq(value(&a, FEATURE_RATE), 0);
        } else {
            ck_assert_msg(isnan(value(&a, (enum feature)i)), "%s",
                          feature_table[i].name);
        }
    }
    a.inflight_known = true;
    ck_assert_double_eq(value(&a, FEATURE_INFLIGHT), 0);
    ck_assert_double_eq(value(&a, FEATURE_OLDEST), 0);
}
END_TEST

START_TEST(death_is_not_observed)
{
    struct aggregate a = {.alive = false};

    for (unsigned i = 0; i < FEATURE_COUNT; i++) {
        ck_assert(isnan(value(&a, (enum feature)i)));
    }
}
END_TEST

START_TEST(a_share_of_nothing_is_not_observed)
{
    struct aggregate a = busy();

    a.aborted = a.weight;
    a.cacheable = a.connects = 0;
    ck_assert(isnan(value(&a, FEATURE_ERRORS)));
    ck_assert(isnan(value(&a, FEATURE_CACHE_HITS)));
    ck_assert(isnan(value(&a, FEATURE_CONNECT)));
    a.weight = 0; /* sampled events that stand for nothing */
    ck_assert(isnan(value(&a, FEATURE_BYTES)));
    ck_assert_double_eq(value(&a, FEATURE_RATE), 0);
}
END_TEST

static void setup(void)
{
    arena_init(&arena);
}

static void teardown(void)
{
    arena_release(&arena);
}

int main(void)
{
    Suite *suite = suite_create("value");
    TCase *tcase = tcase_create("value");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, each_feature_has_its_value);
    tcase_add_test(tcase, silence_is_a_rate_of_zero_and_nothing_else);
    tcase_add_test(tcase, death_is_not_observed);
    tcase_add_test(tcase, a_share_of_nothing_is_not_observed);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
