/* Training: what it lowers, changes and keeps. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../../../../sidecar/model/model.h"
#include "fixture.h"

#define DEFAULT fixture("default") /* conf/default.pt */

static struct err err;
static const unsigned widths[] = {13, 1};

static struct model *load(const char *path)
{
    struct model *model = model_load(path, &err);

    ck_assert_msg(model != NULL, "%s", err.message);
    return model;
}

static float noise(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(*state >> 40) / (float)(1 << 24);
}

static float *floats(size_t count)
{
    float *data = calloc(count, sizeof(float));

    ck_assert_ptr_nonnull(data);
    return data;
}

#define WINDOWS 8
#define TICKS 64

static void windows_make(struct model_windows *windows, struct model *model,
                         unsigned F)
{
    const struct model_shape *shape = model_describe(model);
    size_t Q =
        F < shape->season_feature_count ? F : shape->season_feature_count;
    size_t rows = WINDOWS * TICKS;
    size_t count =
        rows * (F * (1 + shape->lag_count) + Q * shape->season_count);
    float *data = floats(count);
    uint64_t seed = 5;
    size_t i;

    for (i = 0; i < count; i++) {
        data[i] = 10 + noise(&seed);
    }
    *windows = (struct model_windows){
        .batch = WINDOWS,
        .ticks = TICKS,
        .columns = F,
        .x = data,
        .past = data + rows * F,
        .season = data + rows * F * (1 + shape->lag_count),
    };
}

START_TEST(test_training_lowers_the_loss)
{
    struct model *model = load(DEFAULT), *copy;
    struct model_windows windows;
    double before, again, after, loss;
    unsigned i;

    windows_make(&windows, model, widths[_i]);
    copy = model_copy(model, &err);
    ck_assert_ptr_nonnull(copy);
    ck_assert_int_eq(model_loss(model, &windows, 1, &before, &err), 0);
    ck_assert_int_eq(model_loss(model, &windows, 1, &again, &err), 0);
    ck_assert_double_eq(before, again);
    for (i = 0; i < 30; i++) {
        ck_assert_int_eq(model_train(model, &windows, 1e-3, i, &loss, &err), 0);
    }
    ck_assert_int_eq(model_loss(model, &windows, 1, &after, &err), 0);
    ck_assert_double_lt(after, before);
    /* The copy is another model. */
    ck_assert_int_eq(model_loss(copy, &windows, 1, &again, &err), 0);
    ck_assert_double_eq(before, again);
    free((void *)(uintptr_t)windows.x);
    model_free(copy);
    model_free(model);
}
END_TEST

/* Statistics by causal.h or by the module: the same loss, the same gradient. */
START_TEST(test_the_loss_of_either_statistics)
{
    struct model *own = load(DEFAULT), *by_hand = load(fixture("by_hand"));
    struct model_windows windows;
    double a, b;
    unsigned i;

    windows_make(&windows, own, widths[_i]);
    for (i = 0; i < 5; i++) {
        ck_assert_int_eq(model_loss(own, &windows, i, &a, &err), 0);
        ck_assert_int_eq(model_loss(by_hand, &windows, i, &b, &err), 0);
        ck_assert_double_eq_tol(a, b, 2e-4 * b);
        ck_assert_int_eq(model_train(own, &windows, 1e-3, i, &a, &err), 0);
        ck_assert_int_eq(model_train(by_hand, &windows, 1e-3, i, &b, &err), 0);
    }
    free((void *)(uintptr_t)windows.x);
    model_free(by_hand);
    model_free(own);
}
END_TEST

/* The step is that of the trained parameters, also after a step before. */
START_TEST(test_training_changes_the_step)
{
    struct model *model = load(fixture("toy"));
    struct model_windows windows;
    struct model_step step;
    float x[128] = {0}, past[256] = {0}, season[64] = {0}, state[256] = {0};
    float expected[128], low[128], high[128], evidence[192];
    double loss;

    step = (struct model_step){64,    2,    4,        x,   past, season,
                               state, NULL, expected, low, high, evidence};
    ck_assert_int_eq(model_step(model, &step, &err), 0);
    ck_assert(expected[0] == 0);
    ck_assert(state[0] == 1);
    windows_make(&windows, model, 2);
    ck_assert_int_eq(model_train(model, &windows, 0.5, 1, &loss, &err), 0);
    ck_assert_double_gt(loss, 90);
    ck_assert_int_eq(model_step(model, &step, &err), 0);
    ck_assert(expected[0] > 0.4f);
    free((void *)(uintptr_t)windows.x);
    model_free(model);
}
END_TEST

START_TEST(test_save_and_load)
{
    struct model *model = load(fixture("toy")), *again;
    struct model_windows windows;
    struct stat st;
    double loss, a, b;

    windows_make(&windows, model, 2);
    ck_assert_int_eq(model_train(model, &windows, 0.5, 1, &loss, &err), 0);
    ck_assert_int_eq(model_save(model, fixture("saved"), "toy-1+7", &err), 0);
    ck_assert_int_eq(stat(fixture("saved"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    again = load(fixture("saved"));
    ck_assert_str_eq(model_describe(again)->version, "toy-1+7");
    ck_assert_int_eq(model_loss(model, &windows, 3, &a, &err), 0);
    ck_assert_int_eq(model_loss(again, &windows, 3, &b, &err), 0);
    ck_assert_double_eq(a, b);
    ck_assert_int_eq(model_save(model, "/nonexistent/x.pt", "v", &err), -1);
    free((void *)(uintptr_t)windows.x);
    model_free(again);
    model_free(model);
}
END_TEST

START_TEST(test_a_loss_that_is_no_number)
{
    struct model *model = load(fixture("nan_loss"));
    struct model_windows windows;
    double loss;

    windows_make(&windows, model, 2);
    ck_assert_int_eq(model_train(model, &windows, 0.1, 1, &loss, &err), 0);
    ck_assert_int_eq(model_train(model, &windows, 0.1, 1, &loss, &err), -1);
    ck_assert_int_eq(err.code, ERR_MODEL);
    free((void *)(uintptr_t)windows.x);
    model_free(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("learn");
    TCase *tcase = tcase_create("learn");
    SRunner *runner;
    int failed;

    model_threads(1);
    if (fixture_make(__FILE__) != 0) {
        fprintf(stderr, "models.py failed\n");
        return 1;
    }
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_training_lowers_the_loss, 0, 2);
    tcase_add_loop_test(tcase, test_the_loss_of_either_statistics, 0, 2);
    tcase_add_test(tcase, test_training_changes_the_step);
    tcase_add_test(tcase, test_save_and_load);
    tcase_add_test(tcase, test_a_loss_that_is_no_number);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
