/* The statistics in C against those of the module that is shipped. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../../../sidecar/model/causal.h"
#include "../../../../sidecar/model/model.h"
#include "fixture.h"

#define TICKS 400
#define FEW 19
#define MANY 64

static const unsigned widths[] = {13, 1, 4};

static struct err err;
static uint64_t seed;

static float uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(seed >> 40) / (float)(1 << 24);
}

/* Rows of every kind: waves of all sizes, shares, counts, silent, flat, with
 * steps, spikes, gaps, infinities, and days that are there or not. */
static float value(unsigned tick, size_t row, unsigned column)
{
    float wave = sinf((float)tick / 29.f + (float)column);
    float size = powf(10.f, (float)(row % 9) - 3.f);

    if (uniform() < .05f) {
        return NAN;
    }
    if (uniform() < .002f) {
        return uniform() < .3f ? INFINITY : 1e20f;
    }
    switch (row % 6) {
    case 0:
        return size * (2.f + wave + uniform() * .3f);
    case 1:
        return uniform() < .1f ? uniform() : 0.f;
    case 2:
        return floorf(uniform() * 20.f * (1.f + wave));
    case 3:
        return 3.f;
    case 4:
        return size * (tick % 200 < 100 ? 1.f : 4.f + uniform());
    default:
        return size * (uniform() - .5f) * (tick % 97 == 0 ? 30.f : 1.f);
    }
}

struct side {
    struct model *model;
    unsigned S, E;
    float *state, *expected, *low, *high, *evidence;
};

static float *floats(size_t count)
{
    float *made = calloc(count, sizeof(float));

    ck_assert_ptr_nonnull(made);
    return made;
}

static void side_init(struct side *side, const char *path, unsigned F)
{
    side->model = model_load(path, &err);
    ck_assert_msg(side->model != NULL, "%s", err.message);
    ck_assert_int_eq(model_sizes(side->model, F, &side->S, &side->E, &err), 0);
    side->state = floats(MANY * side->S);
    side->expected = floats(MANY * F);
    side->low = floats(MANY * F);
    side->high = floats(MANY * F);
    side->evidence = floats(MANY * side->E);
    ck_assert_int_eq(model_initial(side->model, F, MANY, side->state, &err), 0);
}

static void side_step(struct side *side, unsigned F, const float *x,
                      const float *season)
{
    struct model_step step = {
        .batch = MANY,
        .columns = F,
        .state_size = side->S,
        .x = x,
        .season = season,
        .state = side->state,
        .expected = side->expected,
        .low = side->low,
        .high = side->high,
        .evidence = side->evidence,
    };

    ck_assert_msg(model_step(side->model, &step, &err) == 0, "%s", err.message);
}

static void side_release(struct side *side)
{
    free(side->state);
    free(side->expected);
    free(side->low);
    free(side->high);
    free(side->evidence);
    model_free(side->model);
}

/* Relative to the unit, and to the numbers themselves. */
static void near(const char *what, unsigned tick, const float *a,
                 const float *b, size_t count, double unit)
{
    size_t i;

    for (i = 0; i < count; i++) {
        double most = (fabs((double)a[i]) + unit) * 2e-3;

        ck_assert_msg((isnan(a[i]) && isnan(b[i])) ||
                          fabs((double)a[i] - (double)b[i]) <= most,
                      "%s[%zu] at tick %u: %g, the module says %g", what, i,
                      tick, (double)b[i], (double)a[i]);
    }
}

/* Each tick begins from the module's own state, so that what differs in the
 * last bits does not add up. A network that rounds its inputs may say another
 * thing where they lie between two steps: evidence is compared loosely. */
START_TEST(test_same_as_the_module)
{
    unsigned F = widths[_i], Q = F < 2 ? F : 2, tick;
    float *x = floats(MANY * F), *season = floats(MANY * CAUSAL_SEASONS * Q);
    struct side native, module;
    size_t i, far = 0, all = 0;

    seed = (uint64_t)_i + 1;
    side_init(&native, fixture("default"), F);
    side_init(&module, fixture("by_hand"), F);
    ck_assert_uint_eq(native.S, causal_state(F, Q));
    for (tick = 0; tick < TICKS; tick++) {
        for (i = 0; i < MANY * F; i++) {
            x[i] = value(tick, i / F, (unsigned)(i % F));
        }
        for (i = 0; i < MANY * CAUSAL_SEASONS * Q; i++) {
            season[i] = tick < TICKS / 3 || uniform() < .2f
                            ? NAN
                            : value(tick, i / (CAUSAL_SEASONS * Q), 0);
        }
        memcpy(native.state, module.state, MANY * native.S * sizeof(float));
        side_step(&native, F, x, season);
        side_step(&module, F, x, season);
        near("state", tick, module.state, native.state, MANY * native.S, 1e-3);
        near("expected", tick, module.expected, native.expected, MANY * F, 1.);
        for (i = 0; i < MANY * native.E; i++) {
            ck_assert_int_eq(isnan(module.evidence[i]),
                             isnan(native.evidence[i]));
            all++;
            far += fabsf(module.evidence[i] - native.evidence[i]) > .05f;
        }
    }
    ck_assert_msg(far * 1000 <= all, "%zu of %zu pieces of evidence differ",
                  far, all);
    side_release(&native);
    side_release(&module);
    free(x);
    free(season);
}
END_TEST

struct block {
    struct causal_step step;
    float x[FEW * 4], season[FEW * CAUSAL_SEASONS * 2], floor[4];
    float out[FEW * 4 * CAUSAL_WIDTH];
    float state[FEW * (4 * CAUSAL_COLUMN + 2 * CAUSAL_SEASON)];
};

static void block_init(struct block *block, size_t batch)
{
    memset(block, 0, sizeof(*block));
    block->step = (struct causal_step){
        .batch = batch,
        .columns = 4,
        .season_columns = 2,
        .floor = block->floor,
        .x = block->x,
        .season = block->season,
        .state = block->state,
    };
    causal_results(&block->step, block->out, true);
    for (unsigned f = 0; f < 4; f++) {
        block->floor[f] = .01f;
    }
}

/* A row alone says, to the last bit, what it says among neighbours; so it does
 * with its state elsewhere, and where nobody wants a band. */
START_TEST(test_rows_do_not_depend_on_neighbours)
{
    static const uint32_t slot = FEW - 2;
    static struct block all, one, apart;
    size_t S = causal_state(4, 2), i, c;
    unsigned tick, row = 17; /* in the last lanes, which are not filled */

    block_init(&all, FEW);
    block_init(&one, 1);
    block_init(&apart, 1);
    apart.step.slots = &slot;
    causal_results(&apart.step, apart.out, false);
    for (tick = 0; tick < 300; tick++) {
        for (i = 0; i < FEW * 4; i++) {
            all.x[i] = value(tick, i / 4, (unsigned)(i % 4));
        }
        for (i = 0; i < FEW * CAUSAL_SEASONS * 2; i++) {
            all.season[i] = value(tick, i / 12, 0);
        }
        memcpy(one.x, all.x + row * 4, 4 * sizeof(float));
        memcpy(one.season, all.season + row * CAUSAL_SEASONS * 2,
               CAUSAL_SEASONS * 2 * sizeof(float));
        causal_step(&all.step);
        causal_step(&one.step);
        ck_assert_mem_eq(one.state, all.state + row * S, S * sizeof(float));
        apart.step.x = one.x;
        apart.step.season = one.season;
        causal_step(&apart.step);
        ck_assert_mem_eq(one.state, apart.state + slot * S, S * sizeof(float));
        ck_assert_mem_eq(one.out, apart.out,
                         4 * (CAUSAL_INPUTS + 1) * sizeof(float));
        for (c = 0; c < CAUSAL_WIDTH * 4; c++) {
            ck_assert_mem_eq(one.out + c, all.out + c * FEW + row,
                             sizeof(float));
        }
    }
}
END_TEST

/* Nothing that is told is infinite, whatever is fed. */
START_TEST(test_extremes_stay_finite)
{
    static const float fed[] = {0,     1e38f, -1e38f,   1e-38f, 3e15f,
                                1e-5f, -0.f,  INFINITY, NAN,    1};
    static struct block block;
    size_t i;

    block_init(&block, FEW);
    for (unsigned tick = 0; tick < 500; tick++) {
        for (i = 0; i < FEW * 4; i++) {
            block.x[i] = fed[(size_t)(uniform() * 10.f)];
        }
        for (i = 0; i < FEW * CAUSAL_SEASONS * 2; i++) {
            block.season[i] = fed[(size_t)(uniform() * 10.f)];
        }
        causal_step(&block.step);
        for (i = 0; i < FEW * 4 * CAUSAL_INPUTS; i++) {
            ck_assert(fabsf(block.step.inputs[i]) <= 8.f);
        }
        for (i = 0; i < FEW * 4 * CAUSAL_FACTS; i++) {
            ck_assert(fabsf(block.step.facts[i]) <= 8.f);
        }
    }
}
END_TEST

static Suite *causal_suite(void)
{
    Suite *suite = suite_create("causal");
    TCase *tcase = tcase_create("causal");

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_same_as_the_module, 0, 3);
    tcase_add_test(tcase, test_rows_do_not_depend_on_neighbours);
    tcase_add_test(tcase, test_extremes_stay_finite);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner;
    int failed;

    model_threads(1);
    if (fixture_make(__FILE__) != 0) {
        return EXIT_FAILURE;
    }
    runner = srunner_create(causal_suite());
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
