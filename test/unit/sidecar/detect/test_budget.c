/* The budget in rows: the same of any length of ticks. */
#include <check.h>
#include <stdlib.h>

#include "sidecar/detect/budget.h"

#define SECOND 1000000u

START_TEST(a_day_holds_what_is_allowed)
{
    ck_assert_double_eq_tol(budget_rate(100, SECOND, 1) * 86400, 100, 1e-9);
    ck_assert_double_eq_tol(budget_rate(100, 300 * SECOND, 1) * 288, 100, 1e-9);
    ck_assert_double_eq_tol(budget_rate(1, SECOND, 50) * 86400 * 50, 1, 1e-9);
    ck_assert_double_eq(budget_rate(1, SECOND, 0), budget_rate(1, SECOND, 1));
}
END_TEST

START_TEST(counts_of_rows_fit_between_two_alarms)
{
    ck_assert_uint_eq(budget_part(0.5, 1e-6, 60), 60);
    ck_assert_uint_eq(budget_part(0.5, 0.05, 60), 10);
    ck_assert_uint_eq(budget_part(0.5, 0.9, 60), 1);
    ck_assert_uint_eq(budget_part(0.125, 50, 10), 1);
}
END_TEST

START_TEST(who_allows_more_sees_what_sticks_out_less)
{
    ck_assert_double_eq(budget_least(1), 2);
    ck_assert_double_eq(budget_least(0.01), budget_least(1));
    ck_assert_double_lt(budget_least(2), budget_least(1));
    ck_assert_double_lt(budget_least(10), -5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("budget");
    TCase *tcase = tcase_create("rows");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, a_day_holds_what_is_allowed);
    tcase_add_test(tcase, counts_of_rows_fit_between_two_alarms);
    tcase_add_test(tcase, who_allows_more_sees_what_sticks_out_less);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
