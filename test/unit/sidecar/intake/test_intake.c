/* What intake says of itself. How it reads is tested against a real Redis
 * (test/system/test_intake.py). */
#include <check.h>
#include <stdlib.h>

#include "sidecar/intake/intake.h"

START_TEST(lag_is_newest_less_processed)
{
    struct intake_stats stats = {.processed_ms = 1000, .newest_ms = 1250};

    ck_assert_uint_eq(intake_lag(&stats), 250);
    stats.processed_ms = 1300; /* held against a clock that is ahead */
    ck_assert_uint_eq(intake_lag(&stats), 0);
}
END_TEST

START_TEST(there_is_no_lag_before_the_first_entry)
{
    const struct intake_stats stats = {.newest_ms = 1795444137130};

    ck_assert_uint_eq(intake_lag(&stats), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("intake");
    TCase *tcase = tcase_create("lag");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, lag_is_newest_less_processed);
    tcase_add_test(tcase, there_is_no_lag_before_the_first_entry);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
