/* Clocks and the time as text; the feature table's way back from a name. */
#include <check.h>
#include <stdlib.h>

#include "sidecar/base/clock.h"
#include "sidecar/base/feature_table.h"

START_TEST(texts)
{
    char text[CLOCK_RFC3339_SIZE];

    ck_assert_str_eq(clock_rfc3339(0, text), "1970-01-01T00:00:00.000Z");
    ck_assert_str_eq(clock_rfc3339(1767323045678901, text),
                     "2026-01-02T03:04:05.678Z");
    ck_assert_str_eq(clock_rfc3339(UINT64_MAX, text),
                     "9999-12-31T23:59:59.551Z"); /* us of UINT64_MAX */
}
END_TEST

START_TEST(monotonic_does_not_fall)
{
    uint64_t last = clock_monotonic();
    unsigned i;

    for (i = 0; i < 10000; i++) {
        uint64_t now = clock_monotonic();

        ck_assert(now >= last);
        last = now;
    }
    ck_assert(clock_now() > 1700000000ull * CLOCK_SECOND);
    ck_assert(clock_thread_cpu() > 0);
}
END_TEST

START_TEST(features_by_name)
{
    unsigned i;

    for (i = 0; i < FEATURE_COUNT; i++) {
        ck_assert_uint_eq(feature_by_name(feature_table[i].name), i);
    }
    ck_assert_uint_eq(feature_by_name("latency_p95"), FEATURE_LATENCY_P95);
    ck_assert_int_eq(feature_table[FEATURE_RATE].harm, HARM_DOWN);
    ck_assert_uint_eq(feature_by_name("latency"), FEATURE_COUNT);
    ck_assert_uint_eq(feature_by_name(""), FEATURE_COUNT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tcase = tcase_create("clock");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, texts);
    tcase_add_test(tcase, monotonic_does_not_fall);
    tcase_add_test(tcase, features_by_name);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
