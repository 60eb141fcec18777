/* The incident score against figures of the research prototype in Python,
 * computed once from the same made-up logits and novelty. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/detect/incident.h"

#define ROWS 3000

static const struct {
    unsigned row;
    double surprise, told;
} prototype[] = {
    {150, -0.199276828, 0},
    {340, -0.340688887, 0},
    {530, -0.350761487, 0},
    {720, -0.364053857, 0},
    {910, 0.511259882, 0},
    {1100, -0.365822029, 0},
    {1290, -0.337077503, 0},
    {1480, 0.0521103472, 0},
    {1670, -0.351314787, 0},
    {1860, -0.358930205, 0},
    {2050, -0.370403926, 0},
    {2240, -0.372241625, 0},
    {2430, -0.357756235, 0},
    {2620, -0.382752354, 0},
    {2810, -0.36780332, 0},
    {900, 1.78964552, 11.5414906},
    {901, 1.6206905, 0},
    {1500, -0.0355984688, 0},
    {1501, 1.45914302, 0},
    {2400, -0.340106357, 0},
    {2950, 1.31537646, 10.9349171},
};

static double logits[ROWS], far[ROWS];

static double uniform(void)
{
    static uint64_t state = 12345;

    state = (state * 1103515245 + 12345) % (1ull << 31);
    return (double)state / (double)(1ull << 31);
}

static bool is_event(unsigned row)
{
    return row == 900 || row == 901 || row == 902 || row == 1500 ||
           row == 1501 || row == 2400 || row == 2950;
}

static void make_series(void)
{
    unsigned i;

    for (i = 0; i < ROWS; i++) {
        logits[i] = -5 + 2 * (uniform() - 0.5);
        logits[i] += is_event(i) ? 7 * uniform() : 0;
        logits[i] += uniform() > 0.995 ? 4 : 0;
        far[i] = 0;
        if (i >= 100) {
            far[i] = fmax(0, uniform() - 0.97) * 10;
            far[i] *= i == 1501 || i == 2400 ? 5 : 1;
        }
    }
}

START_TEST(scores_are_those_of_the_prototype)
{
    static struct incident_score scores[ROWS];
    struct incident incident;
    double told = 0, surprise = 0;
    unsigned i;

    incident_init(&incident);
    for (i = 0; i < ROWS; i++) {
        scores[i] = incident_step(&incident, logits[i], far[i]);
        told += scores[i].told;
        surprise += scores[i].surprise;
    }
    for (i = 0; i < sizeof(prototype) / sizeof(prototype[0]); i++) {
        ck_assert_double_eq_tol(scores[prototype[i].row].surprise,
                                prototype[i].surprise, 1e-5);
        ck_assert_double_eq_tol(scores[prototype[i].row].told,
                                prototype[i].told, 1e-5);
    }
    ck_assert_double_eq_tol(told, 64.1487678804556, 1e-3);
    ck_assert_double_eq_tol(surprise, -941.0958277262102, 1e-2);
}
END_TEST

START_TEST(rows_without_evidence_are_no_rows)
{
    struct incident one, two;
    struct incident_score a = {0, 0}, b = {0, 0};
    unsigned i;

    incident_init(&one);
    incident_init(&two);
    for (i = 0; i < ROWS; i++) {
        a = incident_step(&one, logits[i], far[i]);
        incident_step(&two, (double)NAN, (double)NAN);
        b = incident_step(&two, logits[i], far[i]);
    }
    ck_assert(memcmp(&a, &b, sizeof(a)) == 0);
}
END_TEST

START_TEST(hostile_evidence_does_no_lasting_harm)
{
    struct incident incident;
    struct incident_score score = {0, 0};
    unsigned i;

    incident_init(&incident);
    for (i = 0; i < ROWS; i++) {
        double odd = i % 3 == 0 ? HUGE_VAL : i % 3 == 1 ? -HUGE_VAL : 1e300;

        incident_step(&incident, odd, odd);
    }
    for (i = 0; i < 500; i++) {
        score = incident_step(&incident, -5, 0);
    }
    ck_assert(isfinite(score.surprise));
    ck_assert(isfinite(score.told));
}
END_TEST

START_TEST(saving_in_the_middle_changes_nothing)
{
    struct incident one, two;
    struct cursor cursor;
    struct buf saved;
    unsigned i;

    incident_init(&one);
    for (i = 0; i < 1234; i++) {
        incident_step(&one, logits[i], far[i]);
    }
    buf_init(&saved, 1u << 20);
    incident_save(&one, &saved);
    cursor = (struct cursor){saved.data, saved.len, false};
    incident_restore(&two, &cursor);
    ck_assert(!cursor.failed);
    ck_assert_uint_eq(cursor.len, 0);
    for (; i < ROWS; i++) {
        struct incident_score a = incident_step(&one, logits[i], far[i]);
        struct incident_score b = incident_step(&two, logits[i], far[i]);

        ck_assert(memcmp(&a, &b, sizeof(a)) == 0);
    }
    buf_release(&saved);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("incident");
    TCase *tcase = tcase_create("score");
    SRunner *runner = srunner_create(suite);
    int failed;

    make_series();
    tcase_add_test(tcase, scores_are_those_of_the_prototype);
    tcase_add_test(tcase, rows_without_evidence_are_no_rows);
    tcase_add_test(tcase, hostile_evidence_does_no_lasting_harm);
    tcase_add_test(tcase, saving_in_the_middle_changes_nothing);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
