#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "sidecar/series/sketch.h"

static struct arena arena;

/* The same numbers on every machine. */
static uint32_t next_random(void)
{
    static uint32_t state = 12345;

    state = state * 1664525u + 1013904223u;
    return state >> 8; /* 24 bits */
}

static void setup(void)
{
    arena_init(&arena);
}

static void teardown(void)
{
    arena_release(&arena);
}

START_TEST(buckets_partition_the_range)
{
    unsigned before = 0;

    for (unsigned i = 1; i < SKETCH_BUCKETS; i++) {
        uint64_t low = (uint64_t)ceil(sketch_bucket_low(i));

        ck_assert_uint_eq(sketch_bucket(low), i);
        ck_assert_uint_eq(sketch_bucket(low - 1), i - 1);
    }
    for (uint64_t us = 0; us < 200000; us++) {
        unsigned bucket = sketch_bucket(us);

        ck_assert_uint_ge(bucket, before);
        before = bucket;
    }
    ck_assert_uint_eq(sketch_bucket(0), 0);
    ck_assert_uint_eq(sketch_bucket(UINT32_MAX), SKETCH_BUCKETS - 1);
    ck_assert_uint_eq(sketch_bucket(UINT64_MAX), SKETCH_BUCKETS - 1);
}
END_TEST

START_TEST(relative_error_is_bounded)
{
    for (uint64_t us = 64; us < 4294967295u; us += 1 + us / 97) {
        double value = sketch_bucket_value(sketch_bucket(us));

        ck_assert_double_le(fabs(value - (double)us), 0.0251 * (double)us);
    }
}
END_TEST

START_TEST(an_hour_is_within_range)
{
    ck_assert_uint_lt(sketch_bucket(3600u * 1000000u), SKETCH_BUCKETS - 1);
}
END_TEST

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

START_TEST(quantiles_follow_the_sorted_values)
{
    enum { N = 5000 };
    static double values[N];
    struct sketch sketch = {0};
    const double qs[] = {0.01, 0.25, 0.5, 0.9, 0.95, 0.999};

    for (int i = 0; i < N; i++) {
        double u = (next_random() + 1.0) / 16777218.0;

        values[i] = floor(1000 * exp(3 * u * u));
        ck_assert_int_eq(sketch_add(&sketch, &arena,
                                    sketch_bucket((uint64_t)values[i]), 1000),
                         0);
    }
    qsort(values, N, sizeof(values[0]), by_value);
    for (unsigned i = 0; i < sizeof(qs) / sizeof(qs[0]); i++) {
        double exact = values[(int)ceil(qs[i] * N) - 1];

        ck_assert_double_le(fabs(sketch_quantile(&sketch, qs[i]) - exact),
                            0.0251 * exact);
    }
}
END_TEST

START_TEST(empty_is_nan)
{
    struct sketch sketch = {0};

    ck_assert(isnan(sketch_quantile(&sketch, 0.5)));
    ck_assert_int_eq(sketch_add(&sketch, &arena, 3, 0), 0);
    ck_assert(isnan(sketch_quantile(&sketch, 0.5)));
}
END_TEST

START_TEST(weights_count)
{
    struct sketch sketch = {0};

    sketch_add(&sketch, &arena, sketch_bucket(1000), 1000);
    sketch_add(&sketch, &arena, sketch_bucket(100000), 9000);
    ck_assert_double_gt(sketch_quantile(&sketch, 0.11), 90000);
    ck_assert_double_lt(sketch_quantile(&sketch, 0.09), 1100);
}
END_TEST

START_TEST(merging_is_exact_in_any_order)
{
    struct sketch all = {0}, parts[3] = {{0}}, a = {0}, b = {0};

    for (int i = 0; i < 1000; i++) {
        unsigned bucket = next_random() % SKETCH_BUCKETS;

        sketch_add(&all, &arena, bucket, (uint64_t)i);
        sketch_add(&parts[i % 3], &arena, bucket, (uint64_t)i);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(sketch_merge(&a, &arena, &parts[i]), 0);
        ck_assert_int_eq(sketch_merge(&b, &arena, &parts[2 - i]), 0);
    }
    ck_assert_uint_eq(a.count, all.count);
    ck_assert_uint_eq(b.count, all.count);
    for (unsigned i = 0; i < SKETCH_BUCKETS; i++) {
        uint32_t want = all.chunks[i / SKETCH_CHUNK][i % SKETCH_CHUNK];

        ck_assert_uint_eq(a.chunks[i / SKETCH_CHUNK][i % SKETCH_CHUNK], want);
        ck_assert_uint_eq(b.chunks[i / SKETCH_CHUNK][i % SKETCH_CHUNK], want);
    }
}
END_TEST

START_TEST(buckets_saturate)
{
    struct sketch sketch = {0};

    for (int i = 0; i < 5; i++) {
        sketch_add(&sketch, &arena, 40, UINT32_MAX - 10u);
    }
    ck_assert_uint_eq(sketch.count, UINT32_MAX);
    ck_assert_double_eq(sketch_quantile(&sketch, 1), sketch_bucket_value(40));
}
END_TEST

START_TEST(arena_is_used_again)
{
    void *first = arena_alloc(&arena, 100);
    void *again;

    for (int i = 0; i < 10000; i++) {
        ck_assert_ptr_nonnull(arena_alloc(&arena, 100));
    }
    arena_clear(&arena);
    again = arena_alloc(&arena, 100);
    ck_assert_ptr_eq(first, again);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(((char *)again)[i], 0);
    }
    ck_assert_ptr_null(arena_alloc(&arena, (size_t)1 << 30));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sketch");
    TCase *tcase = tcase_create("sketch");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, buckets_partition_the_range);
    tcase_add_test(tcase, relative_error_is_bounded);
    tcase_add_test(tcase, an_hour_is_within_range);
    tcase_add_test(tcase, quantiles_follow_the_sorted_values);
    tcase_add_test(tcase, empty_is_nan);
    tcase_add_test(tcase, weights_count);
    tcase_add_test(tcase, merging_is_exact_in_any_order);
    tcase_add_test(tcase, buckets_saturate);
    tcase_add_test(tcase, arena_is_used_again);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
