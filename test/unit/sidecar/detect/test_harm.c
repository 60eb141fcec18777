/* Each family of features is judged by noise of its own. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "sidecar/detect/harm.h"

#define SERIES 8
#define HOUR 3600
#define COLUMN_ERRORS 2
#define COLUMN_LATENCY 4

static struct harm *harm;
static struct harm_past past[SERIES];
static uint64_t state;

static double exponential(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return -log(((double)(state >> 11) + 0.5) / 9007199254740992.0);
}

static void setup(void)
{
    struct err err;

    state = 1;
    harm = harm_create(SERIES, 60, &err);
    ck_assert_ptr_nonnull(harm);
    for (uint32_t i = 0; i < SERIES; i++) {
        harm_reset(harm, i, &past[i]);
    }
}

static void teardown(void)
{
    harm_destroy(harm);
}

static struct sight quiet(double counted, double measured)
{
    struct sight sight = {.observed = true, .column = WATCH_NONE};

    sight.voices[EFFECT_COUNTED] = (struct voice){0, counted, WATCH_NONE};
    sight.voices[EFFECT_MEASURED] = (struct voice){0, measured, WATCH_NONE};
    return sight;
}

static struct harm_finding judge(uint32_t slot, const struct sight *sight)
{
    struct harm_trial trial = {.sight = sight, .rate = 1e-6, .learn = true};

    return harm_judge(harm, slot, &past[slot], &trial);
}

/* Of both families: noise of this mean. */
static void live(unsigned ticks, double counted, double measured)
{
    for (unsigned t = 0; t < ticks; t++) {
        for (uint32_t i = 0; i < SERIES; i++) {
            struct sight sight =
                quiet(counted * exponential(), measured * exponential());

            judge(i, &sight);
        }
        harm_fit(harm);
    }
}

/* Two ticks in which one family does harm; what the second says. */
static struct harm_finding hurt(enum effect_family family, double nats,
                                uint32_t column)
{
    struct sight sight = quiet(0, 0);

    sight.harmful = true;
    sight.voices[family] = (struct voice){nats, nats, column};
    judge(0, &sight);
    return judge(0, &sight);
}

START_TEST(latencies_that_wander_do_not_deafen_us_to_errors)
{
    struct harm_finding errors, latency;

    live(2 * HOUR, 1, 12);
    errors = hurt(EFFECT_COUNTED, 25, COLUMN_ERRORS);
    latency = hurt(EFFECT_MEASURED, 25, COLUMN_LATENCY);
    ck_assert_uint_eq(errors.column, COLUMN_ERRORS);
    ck_assert_double_lt(errors.chance, 1e-6);
    ck_assert_uint_eq(latency.column, COLUMN_LATENCY);
    ck_assert_double_gt(latency.chance, 1e-3);
}
END_TEST

START_TEST(the_rarer_harm_is_told)
{
    struct sight sight = quiet(0, 0);

    live(2 * HOUR, 1, 12);
    sight.harmful = true;
    sight.voices[EFFECT_COUNTED] = (struct voice){20, 20, COLUMN_ERRORS};
    sight.voices[EFFECT_MEASURED] = (struct voice){30, 30, COLUMN_LATENCY};
    judge(0, &sight);
    ck_assert_uint_eq(judge(0, &sight).column, COLUMN_ERRORS);
}
END_TEST

START_TEST(one_tick_has_to_be_much_rarer)
{
    struct sight sight = quiet(0, 0);
    double first;

    live(HOUR, 1, 1);
    sight.harmful = true;
    sight.voices[EFFECT_COUNTED] = (struct voice){14, 14, COLUMN_ERRORS};
    first = judge(0, &sight).chance;
    ck_assert_double_gt(first, 100 * judge(0, &sight).chance);
}
END_TEST

START_TEST(restored_it_says_the_same)
{
    static const uint8_t used[SERIES] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct harm *was = harm;
    struct harm_past before = {{0}};
    struct harm_finding a, b;
    struct buf saved;
    struct cursor from;
    struct err err;

    live(HOUR, 1, 3);
    buf_init(&saved, 1u << 20);
    harm_save(harm, used, &saved);
    harm_past_save(&past[0], &saved);
    a = hurt(EFFECT_COUNTED, 12, COLUMN_ERRORS);
    harm_destroy(was);

    setup();
    from = (struct cursor){saved.data, saved.len, false};
    ck_assert_int_eq(harm_restore(harm, used, &from, &err), 0);
    harm_past_restore(&before, &from);
    ck_assert(!from.failed);
    past[0] = before;
    b = hurt(EFFECT_COUNTED, 12, COLUMN_ERRORS);
    ck_assert(a.chance == b.chance && a.single == b.single);
    buf_release(&saved);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("harm");
    TCase *tcase = tcase_create("families");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, latencies_that_wander_do_not_deafen_us_to_errors);
    tcase_add_test(tcase, the_rarer_harm_is_told);
    tcase_add_test(tcase, one_tick_has_to_be_much_rarer);
    tcase_add_test(tcase, restored_it_says_the_same);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
