/* Calibration: whatever the shape of the noise, the rate of false alarms is
 * the one that was asked for. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sidecar/detect/tail.h"

#define SERIES 40

static uint64_t state = 88172645463325252ull;

static double uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
    double u = uniform(), v = uniform();

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static double gaussian(void)
{
    return normal();
}

static double exponential(void)
{
    return -log(uniform());
}

static double half_square(void)
{
    double z = normal();

    return z * z / 2;
}

static double lognormal(void)
{
    return exp(0.5 * normal());
}

/* Most ticks nothing, now and then something of any size. */
static double sparse(void)
{
    return uniform() < 0.01 ? 5 - 2 * log(uniform()) : 0;
}

static struct tail *make(void)
{
    struct tail_options options = {SERIES, 3, 1.2, 0.01, TAIL_BLOCK};
    struct err err;
    struct tail *tail = tail_create(&options, &err);

    ck_assert_ptr_nonnull(tail);
    return tail;
}

/* Alarms of a day after `learned` ticks, each series 2 times as loud as the
 * one before it is of the fourth. One alarm silences a minute. */
static double alarms(double (*noise)(void), unsigned learned, double rate)
{
    struct tail *tail = make();
    unsigned rest[SERIES] = {0}, tick, i;
    double count = 0;

    for (tick = 0; tick < learned + 86400; tick++) {
        for (i = 0; i < SERIES; i++) {
            double value = noise() * (1 + i % 4) + i;

            rest[i] -= rest[i] > 0;
            if (tick >= learned && rest[i] == 0 &&
                tail_rate(tail, i, value) <= rate) {
                count++;
                rest[i] = 60;
            }
            tail_learn(tail, i, value, tail_value(tail, i, rate));
        }
        tail_fit(tail);
    }
    tail_destroy(tail);
    return count;
}

static double (*const noises[])(void) = {gaussian, exponential, half_square,
                                         lognormal, sparse};

START_TEST(the_rate_is_the_one_that_was_asked_for)
{
    double wanted = 100;
    double count = alarms(noises[_i], 3600, wanted / 86400 / SERIES);

    fprintf(stderr, "noise %d: %.0f alarms of %.0f\n", _i, count, wanted);
    /* Of noise that comes in two sizes it errs on the safe side. */
    ck_assert_double_ge(count, wanted / (noises[_i] == sparse ? 4 : 2));
    ck_assert_double_le(count, wanted * 2);
}
END_TEST

START_TEST(value_and_rate_are_inverse)
{
    struct tail *tail = make();
    double rate;
    unsigned i;

    for (i = 0; i < 100000; i++) {
        tail_learn(tail, i % SERIES, exponential(), INFINITY);
    }
    tail_fit(tail);
    for (rate = 1e-12; rate < 1e-3; rate *= 10) {
        double value = tail_value(tail, 3, rate);

        ck_assert_double_eq_tol(log(tail_rate(tail, 3, value)), log(rate), 0.2);
    }
    ck_assert_double_le(tail_rate(tail, 3, -1e9), 1);
    ck_assert_double_ge(tail_rate(tail, 3, 1e9), 0);
    ck_assert_double_eq(tail_rate(tail, 3, (double)NAN), 1);
    tail_destroy(tail);
}
END_TEST

START_TEST(a_noisy_series_raises_its_own_bar_only)
{
    struct tail *tail = make();
    double quiet, noisy;
    unsigned i;

    for (i = 0; i < 60 * 60; i++) {
        tail_learn(tail, 0, 10 * exponential(), INFINITY);
        tail_learn(tail, 1, exponential(), INFINITY);
    }
    tail_fit(tail);
    noisy = tail_value(tail, 0, 1e-6);
    quiet = tail_value(tail, 1, 1e-6);
    ck_assert_double_gt(noisy, 3 * quiet);
    ck_assert_double_lt(quiet, 40);
    tail_destroy(tail);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tail");
    TCase *tcase = tcase_create("calibration");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, the_rate_is_the_one_that_was_asked_for, 0,
                        (int)(sizeof(noises) / sizeof(noises[0])));
    tcase_add_test(tcase, value_and_rate_are_inverse);
    tcase_add_test(tcase, a_noisy_series_raises_its_own_bar_only);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
