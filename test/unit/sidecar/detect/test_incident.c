/* The incident score against figures of the research prototype in Python,
 * computed once from the same made-up evidence. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/detect/incident.h"

#define ROWS 3000

static const struct {
    unsigned row;
    double surprise, told;
} prototype[] = {
    {150, -0.177239701, 0},  {340, -0.261491487, 0},
    {530, -0.395364001, 0},  {720, -0.375464137, 0},
    {910, -0.178416588, 0},  {1100, -0.39634435, 0},
    {1290, -0.348978674, 0}, {1480, -0.388137451, 0},
    {1670, -0.381539309, 0}, {1860, -0.381970043, 0},
    {2050, 1.06487534, 0},   {2240, -0.124530681, 0},
    {2430, -0.392945651, 0}, {2620, 0.19306927, 0},
    {2810, -0.297387342, 0}, {900, 0.0213516912, 0},
    {901, 0.672827567, 0},   {1500, 0.683840297, 10.3639792},
    {1501, 0.492648459, 0},  {2040, 1.48040481, 0},
    {2400, 0.568719023, 0},  {2950, -0.379867894, 0},
};

static double logits[ROWS], far[ROWS], away[ROWS], rough[ROWS];

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
        rough[i] = (uniform() - 0.5) + (i >= 2600 && i < 2640 ? 1 : 0);
        away[i] = 4 * (uniform() - 0.5) + (i >= 2000 && i < 2060 ? 1.5 : 0);
    }
}

static struct incident_score step_without(struct incident *incident, unsigned i,
                                          unsigned without)
{
    struct incident_row row = {logits[i], far[i], away[i], rough[i], without};

    return incident_step(incident, &row);
}

static struct incident_score step(struct incident *incident, unsigned i)
{
    return step_without(incident, i, 0);
}

START_TEST(scores_are_those_of_the_prototype)
{
    static struct incident_score scores[ROWS];
    struct incident incident;
    double total = 0, surprise = 0;
    unsigned i;

    incident_init(&incident);
    for (i = 0; i < ROWS; i++) {
        scores[i] = step(&incident, i);
        total += scores[i].told;
        surprise += scores[i].surprise;
    }
    for (i = 0; i < sizeof(prototype) / sizeof(prototype[0]); i++) {
        ck_assert_double_eq_tol(scores[prototype[i].row].surprise,
                                prototype[i].surprise, 1e-5);
        ck_assert_double_eq_tol(scores[prototype[i].row].told,
                                prototype[i].told, 1e-5);
    }
    ck_assert_double_eq_tol(total, 51.993486934891024, 1e-3);
    ck_assert_double_eq_tol(surprise, -832.1289377818746, 1e-2);
}
END_TEST

START_TEST(rows_without_evidence_are_no_rows)
{
    struct incident one, two;
    struct incident_score a = {0, 0}, b = {0, 0};
    const struct incident_row nothing = {NAN, NAN, NAN, NAN, 0};
    unsigned i;

    incident_init(&one);
    incident_init(&two);
    for (i = 0; i < ROWS; i++) {
        a = step(&one, i);
        incident_step(&two, &nothing);
        b = step(&two, i);
    }
    ck_assert(memcmp(&a, &b, sizeof(a)) == 0);
}
END_TEST

START_TEST(hostile_evidence_does_no_lasting_harm)
{
    struct incident incident;
    struct incident_score score = {0, 0};
    const struct incident_row calm = {-5, 0, 0, 0, 0};
    unsigned i;

    incident_init(&incident);
    for (i = 0; i < ROWS; i++) {
        double odd = i % 3 == 0 ? HUGE_VAL : i % 3 == 1 ? -HUGE_VAL : 1e300;
        struct incident_row row = {odd, odd, odd, odd, 0};

        incident_step(&incident, &row);
    }
    for (i = 0; i < 500; i++) {
        score = incident_step(&incident, &calm);
    }
    ck_assert(isfinite(score.surprise));
    ck_assert(isfinite(score.told));
}
END_TEST

/* Alerts from row `first` to row `last`. */
static unsigned told(unsigned without, unsigned first, unsigned last)
{
    struct incident incident;
    unsigned count = 0, i;

    incident_init(&incident);
    for (i = 0; i <= last; i++) {
        if (step_without(&incident, i, without).told > 0 && i >= first) {
            count++;
        }
    }
    return count;
}

START_TEST(parts_can_be_left_out)
{
    const unsigned end = ROWS - 1;
    const unsigned means = INCIDENT_DRIFT | INCIDENT_ROUGHNESS;
    const unsigned rows = INCIDENT_HEAD | INCIDENT_NOVELTY;

    /* No row of the shift sticks out: the mean of many tells it. */
    ck_assert_uint_eq(told(0, 2000, 2059), 1);
    ck_assert_uint_eq(told(INCIDENT_DRIFT, 2000, 2059), 0);
    /* An odd row needs both that tell of rows. */
    ck_assert_uint_eq(told(0, 1500, 1502), 1);
    ck_assert_uint_eq(told(INCIDENT_HEAD, 1500, 1502), 0);
    ck_assert_uint_eq(told(INCIDENT_NOVELTY, 1500, 1502), 0);
    /* Larger steps around the same level. */
    ck_assert_uint_eq(told(rows | INCIDENT_DRIFT, 2600, 2639), 1);
    ck_assert_uint_eq(told(rows | means, 0, end), 0);
    ck_assert_uint_gt(told(INCIDENT_BUDGET, 0, end), 10 * told(0, 0, end));
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
        step(&one, i);
    }
    buf_init(&saved, 1u << 20);
    incident_save(&one, &saved);
    cursor = (struct cursor){saved.data, saved.len, false};
    incident_restore(&two, &cursor);
    ck_assert(!cursor.failed);
    ck_assert_uint_eq(cursor.len, 0);
    for (; i < ROWS; i++) {
        struct incident_score a = step(&one, i);
        struct incident_score b = step(&two, i);

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
    tcase_add_test(tcase, parts_can_be_left_out);
    tcase_add_test(tcase, saving_in_the_middle_changes_nothing);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
