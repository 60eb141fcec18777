/* The contract of a module, and what is done to files that break it. */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../../../sidecar/model/model.h"
#include "fixture.h"

#define DEFAULT fixture("default") /* conf/default.pt */

static struct err err;

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

/* ---------------------------------------------------------------- loading */

static const struct {
    const char *name;
    enum err_code code;
    const char *says;
} refused[] = {
    {"absent", ERR_SYSTEM, "No such file"},
    {"no_version", ERR_MODEL, "no attribute \"version\""},
    {"float_lags", ERR_MODEL, "\"lags\" is no list of int"},
    {"long_version", ERR_MODEL, "\"version\" is no string of at most 63"},
    {"three_seasons", ERR_MODEL, "\"season_features\" has more than 2"},
    {"long_lag", ERR_MODEL, "\"lags\": 513 is not in 1..512"},
    {"no_features", ERR_MODEL, "\"features\" or \"evidence\" is empty"},
    {"wrong_state", ERR_MODEL, "\"state\" is 5, initial() returns 4"},
    {"wrong_evidence", ERR_MODEL, "has 2 names, step() returns 3"},
    {"no_loss", ERR_MODEL, "no method loss()"},
    {"four_tensors", ERR_MODEL, "does not return 5 tensors"},
    {"wrong_band", ERR_MODEL, "low is Float[64, 1], not Float[64, 2]"},
    {"doubles", ERR_MODEL, "expected is Double[64, 2], not Float[64, 2]"},
    {"throws", ERR_MODEL, "a step too far"},
    {"no_judge", ERR_MODEL, "need methods floor(), judge() and band()"},
};

START_TEST(test_load_refuses)
{
    ck_assert_ptr_null(model_load(fixture(refused[_i].name), &err));
    ck_assert_int_eq(err.code, refused[_i].code);
    ck_assert_msg(strstr(err.message, refused[_i].says) != NULL, "%s",
                  err.message);
    ck_assert_ptr_nonnull(strstr(err.message, refused[_i].name));
}
END_TEST

static const char *garbage(const char *name, const void *bytes, size_t len)
{
    const char *path = fixture(name);
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    fclose(file);
    return path;
}

START_TEST(test_load_refuses_garbage)
{
    static char zip[4096] = "PK\003\004";

    ck_assert_ptr_null(model_load(garbage("empty", "", 0), &err));
    ck_assert_int_eq(err.code, ERR_MODEL);
    ck_assert_ptr_nonnull(strstr(err.message, "no TorchScript file"));
    ck_assert_ptr_null(model_load(garbage("text", "hello", 5), &err));
    ck_assert_int_eq(err.code, ERR_MODEL);
    ck_assert_ptr_null(model_load(garbage("zip", zip, sizeof(zip)), &err));
    ck_assert_int_eq(err.code, ERR_MODEL);
    ck_assert_ptr_null(model_load(fixture_dir, &err));
    ck_assert_int_eq(err.code, ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.message, "not a regular file"));
}
END_TEST

/* Every cut of a good file is refused, none crashes. */
START_TEST(test_load_refuses_cut_files)
{
    static char bytes[1 << 20];
    FILE *file = fopen(fixture("toy"), "r");
    size_t len, cut;

    len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    ck_assert_uint_gt(len, 1000);
    for (cut = 1; cut < 12; cut++) {
        garbage("cut", bytes, len * cut / 12);
        ck_assert_ptr_null(model_load(fixture("cut"), &err));
        ck_assert_int_eq(err.code, ERR_MODEL);
    }
}
END_TEST

START_TEST(test_load_refuses_what_others_can_write)
{
    const char *path = fixture("toy");

    ck_assert_int_eq(chmod(path, 0664), 0);
    ck_assert_ptr_null(model_load(path, &err));
    ck_assert_int_eq(err.code, ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.message, "mode 0664 lets others write"));
    ck_assert_int_eq(chmod(path, 0646), 0);
    ck_assert_ptr_null(model_load(path, &err));
    ck_assert_int_eq(err.code, ERR_REFUSED);
    ck_assert_int_eq(chmod(path, 0644), 0);
    model_free(load(path));
}
END_TEST

START_TEST(test_load_refuses_a_strangers_file)
{
    const char *path = fixture("toy");

    if (geteuid() != 0) {
        return; /* only root can give a file away */
    }
    ck_assert_int_eq(chown(path, 4711, 4711), 0);
    ck_assert_ptr_null(model_load(path, &err));
    ck_assert_int_eq(err.code, ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.message, "belongs to user 4711"));
    ck_assert_int_eq(chown(path, 0, 0), 0);
}
END_TEST

START_TEST(test_describe)
{
    struct model *model = load(fixture("toy"));
    const struct model_shape *shape = model_describe(model);
    unsigned state, evidence;

    ck_assert_str_eq(shape->version, "toy-1");
    ck_assert_uint_eq(shape->feature_count, 2);
    ck_assert_str_eq(shape->features[1], "errors");
    ck_assert_uint_eq(shape->season_feature_count, 1);
    ck_assert_uint_eq(shape->lag_count, 2);
    ck_assert_uint_eq(shape->lags[1], 60);
    ck_assert_uint_eq(shape->season_count, 1);
    ck_assert_uint_eq(shape->seasons[0], 86400);
    ck_assert_uint_eq(shape->evidence_count, 3);
    ck_assert_uint_eq(shape->evidence_rows, 1);
    ck_assert_uint_eq(shape->state, 4);
    ck_assert_int_eq(model_sizes(model, 5, &state, &evidence, &err), 0);
    ck_assert_uint_eq(state, 10);
    ck_assert_uint_eq(evidence, 6);
    model_free(model);
}
END_TEST

/* ---------------------------------------------------- the default model */

struct run {
    struct model *model;
    unsigned F, S, E, P, Q;
    size_t B;
    float *x, *season, *state, *expected, *low, *high, *evidence;
};

static float *floats(size_t count)
{
    float *data = calloc(count, sizeof(float));

    ck_assert_ptr_nonnull(data);
    return data;
}

static void run_init(struct run *run, struct model *model, size_t B, unsigned F)
{
    const struct model_shape *shape = model_describe(model);

    *run = (struct run){.model = model, .B = B, .F = F};
    run->P = shape->season_count;
    run->Q = F < shape->season_feature_count ? F : shape->season_feature_count;
    ck_assert_int_eq(model_sizes(model, F, &run->S, &run->E, &err), 0);
    run->x = floats(B * F);
    run->season = floats(B * run->P * run->Q);
    run->state = floats(B * run->S);
    run->expected = floats(B * F);
    run->low = floats(B * F);
    run->high = floats(B * F);
    run->evidence = floats(B * run->E);
    ck_assert_int_eq(model_initial(model, F, B, run->state, &err), 0);
}

static void run_release(struct run *run)
{
    free(run->x);
    free(run->season);
    free(run->state);
    free(run->expected);
    free(run->low);
    free(run->high);
    free(run->evidence);
}

static void run_step(struct run *run)
{
    struct model_step step = {
        .batch = run->B,
        .columns = run->F,
        .state_size = run->S,
        .x = run->x,
        .season = run->season,
        .state = run->state,
        .expected = run->expected,
        .low = run->low,
        .high = run->high,
        .evidence = run->evidence,
    };

    ck_assert_msg(model_step(run->model, &step, &err) == 0, "%s", err.message);
}

static const unsigned widths[] = {13, 1, 4};

START_TEST(test_step_on_nothing)
{
    struct model *model = load(DEFAULT);
    struct run run;
    size_t i;

    run_init(&run, model, 64, widths[_i]);
    for (i = 0; i < run.B * run.F; i++) {
        run.x[i] = NAN;
    }
    for (i = 0; i < run.B * run.P * run.Q; i++) {
        run.season[i] = NAN;
    }
    run_step(&run);
    for (i = 0; i < run.B * run.E; i++) {
        ck_assert(isnan(run.evidence[i]));
    }
    for (i = 0; i < run.B * run.F; i++) {
        ck_assert(run.low[i] <= run.expected[i]);
        ck_assert(run.expected[i] <= run.high[i]);
    }
    run_release(&run);
    model_free(model);
}
END_TEST

/* An unobserved tick leaves all but the memory of bins as it was. */
START_TEST(test_unobserved_moves_nothing)
{
    struct model *model = load(DEFAULT);
    struct run run;
    float *before;
    size_t i;

    run_init(&run, model, 64, 1);
    for (i = 0; i < 64; i++) {
        run.x[i] = (float)i;
    }
    run_step(&run);
    before = floats(run.B * run.S);
    memcpy(before, run.state, run.B * run.S * sizeof(float));
    for (i = 0; i < 64; i++) {
        run.x[i] = i % 2 == 0 ? NAN : INFINITY;
    }
    run_step(&run);
    ck_assert_mem_eq(before, run.state, run.B * run.S * sizeof(float));
    free(before);
    run_release(&run);
    model_free(model);
}
END_TEST

static void run_random(struct run *run, uint64_t *seed)
{
    size_t i;

    for (i = 0; i < run->B * run->F; i++) {
        run->x[i] = noise(seed) < .1f ? NAN : noise(seed) * 100;
    }
    for (i = 0; i < run->B * run->P * run->Q; i++) {
        run->season[i] = noise(seed) * 100;
    }
}

/* Rows give the same bits in a batch of any multiple of 64, at any place. */
START_TEST(test_rows_do_not_see_each_other)
{
    static const size_t sizes[] = {64, 128, 320, 1024, 1088, 2112};
    struct model *model = load(DEFAULT);
    struct run whole, part;
    uint64_t seed = 1;
    size_t k, t, at;

    for (k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        run_init(&whole, model, 2112, widths[_i]);
        run_init(&part, model, sizes[k], widths[_i]);
        at = 2112 - sizes[k] - (sizes[k] < 2000 ? 7 * k : 0);
        for (t = 0; t < 40; t++) {
            run_random(&whole, &seed);
            memcpy(part.x, whole.x + at * whole.F,
                   part.B * part.F * sizeof(float));
            memcpy(part.season, whole.season + at * whole.P * whole.Q,
                   part.B * part.P * part.Q * sizeof(float));
            run_step(&whole);
            run_step(&part);
            ck_assert_mem_eq(part.evidence, whole.evidence + at * whole.E,
                             part.B * part.E * sizeof(float));
            ck_assert_mem_eq(part.expected, whole.expected + at * whole.F,
                             part.B * part.F * sizeof(float));
        }
        ck_assert_mem_eq(part.state, whole.state + at * whole.S,
                         part.B * part.S * sizeof(float));
        run_release(&whole);
        run_release(&part);
    }
    model_free(model);
}
END_TEST

/* Whatever comes, what is told is a number and the band is in order. */
START_TEST(test_extremes_stay_numbers)
{
    static const float extremes[] = {0,     1e-38f, 1e-20f,   1e30f,  -1e30f,
                                     3e38f, -3e38f, INFINITY, 1e-45f, -1};
    struct model *model = load(DEFAULT);
    struct run run;
    uint64_t seed = 7;
    size_t t, i;

    run_init(&run, model, 64, widths[_i]);
    for (t = 0; t < 300; t++) {
        run_random(&run, &seed);
        for (i = 0; i < run.B * run.F; i++) {
            if (noise(&seed) < .3f) {
                run.x[i] = extremes[(size_t)(noise(&seed) * 10)];
            }
        }
        for (i = 0; i < run.B * run.P * run.Q; i++) {
            if (noise(&seed) < .3f) {
                run.season[i] = extremes[(size_t)(noise(&seed) * 10)];
            }
        }
        run_step(&run);
        for (i = 0; i < run.B * run.E; i++) {
            ck_assert(!isinf(run.evidence[i]));
            ck_assert(fabsf(run.evidence[i]) < 1e9f || isnan(run.evidence[i]));
        }
        for (i = 0; i < run.B * run.F; i++) {
            ck_assert(run.low[i] <= run.expected[i]);
            ck_assert(run.expected[i] <= run.high[i]);
            if (isfinite(run.x[i])) {
                ck_assert(!isnan(run.evidence[i / run.F * run.E]));
            }
        }
    }
    run_release(&run);
    model_free(model);
}
END_TEST

static double evidence_of(struct run *run, const char *name)
{
    const struct model_shape *shape = model_describe(run->model);
    unsigned i;

    for (i = 0; i < shape->evidence_count; i++) {
        if (strcmp(shape->evidence[i], name) == 0) {
            return (double)run->evidence[i];
        }
    }
    ck_abort_msg("no evidence %s", name);
}

/* A latency that jumps says so, in its own column, and its band does not run
 * after it. */
START_TEST(test_default_tells_a_jump)
{
    struct model *model = load(DEFAULT);
    uint64_t seed = 3;
    struct run run;
    double calm = -1e9;
    size_t t, i;

    run_init(&run, model, 64, 13);
    for (i = 0; i < run.B * run.P * run.Q; i++) {
        run.season[i] = NAN;
    }
    for (t = 0; t < 400; t++) {
        for (i = 0; i < 64 * 13; i++) {
            run.x[i] = i % 13 < 2 ? (float)(i % 13 == 0 ? 20 : .05) *
                                        (.9f + .2f * noise(&seed))
                                  : NAN;
        }
        if (t >= 380) {
            run.x[1] = .5f;
        }
        run_step(&run);
        if (t > 200 && t < 380 && evidence_of(&run, "logit_a") > calm) {
            calm = evidence_of(&run, "logit_a");
        }
        if (t == 380) {
            ck_assert(evidence_of(&run, "logit_a") > calm + 2);
            ck_assert_double_eq(evidence_of(&run, "column"), 1);
            ck_assert(evidence_of(&run, "z150") > 3.5);
            ck_assert(evidence_of(&run, "novelty") > 1);
            ck_assert(run.high[1] < .1f && run.expected[1] > .04f);
        }
    }
    ck_assert(run.high[1] < .4f);
    run_release(&run);
    model_free(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model");
    TCase *contract = tcase_create("contract");
    TCase *step = tcase_create("step");
    SRunner *runner;
    int failed;

    model_threads(1);
    if (fixture_make(__FILE__) != 0) {
        fprintf(stderr, "models.py failed\n");
        return 1;
    }
    tcase_set_timeout(contract, 60);
    tcase_set_timeout(step, 120);
    tcase_add_loop_test(contract, test_load_refuses, 0,
                        (int)(sizeof(refused) / sizeof(*refused)));
    tcase_add_test(contract, test_load_refuses_garbage);
    tcase_add_test(contract, test_load_refuses_cut_files);
    tcase_add_test(contract, test_load_refuses_what_others_can_write);
    tcase_add_test(contract, test_load_refuses_a_strangers_file);
    tcase_add_test(contract, test_describe);
    tcase_add_loop_test(step, test_step_on_nothing, 0, 3);
    tcase_add_test(step, test_unobserved_moves_nothing);
    tcase_add_loop_test(step, test_rows_do_not_see_each_other, 0, 3);
    tcase_add_loop_test(step, test_extremes_stay_numbers, 0, 3);
    tcase_add_test(step, test_default_tells_a_jump);
    suite_add_tcase(suite, contract);
    suite_add_tcase(suite, step);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
