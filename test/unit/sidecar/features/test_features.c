/*
 * Lags, seasons and windows against a plain record of what was put in: each
 * value is a function of slot, tick and column, so every look back can be
 * checked.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/features/features.h"

#define SECOND ((uint64_t)1000000)
#define MINUTE (60 * SECOND)
#define DAY (86400 * SECOND)
#define F 3
#define SLOTS 70

static struct features_options options;
static struct features *features;
static struct identity identities[SLOTS];
static struct series_row rows[SLOTS];
static float values[SLOTS * F];

/* Copies of the last batch. */
static struct feature_batch batch;
static float x[128 * F], past[128 * 4 * F], season[128 * 3 * 2];
static unsigned batches;

static void on_batch(void *ctx, const struct feature_batch *b)
{
    size_t padded = (b->count + 63) / 64 * 64;

    (void)ctx;
    batch = *b;
    batches++;
    memcpy(x, b->x, padded * F * sizeof(float));
    memcpy(past, b->past, padded * b->lag_count * F * sizeof(float));
    memcpy(season, b->season,
           padded * b->season_count * b->season_column_count * sizeof(float));
}

static void make(void)
{
    struct features_sink sink = {NULL, on_batch};
    struct err err = {0};

    features = features_create(&options, sink, &err);
    ck_assert_msg(features != NULL, "%s", err.message);
}

static void setup(void)
{
    options = (struct features_options){
        .columns = {FEATURE_COUNT, FEATURE_COUNT, FEATURE_COUNT},
        .column_count = F,
        .season_columns = {2, 0},
        .season_column_count = 2,
        .lags = {1, 2, 60},
        .lag_count = 3,
        .seasons = {DAY, DAY - 5 * MINUTE, 7 * DAY},
        .season_count = 3,
        .tick = MINUTE,
        .max = SLOTS,
        .window = 100,
        .wide = true,
    };
    for (uint32_t i = 0; i < SLOTS; i++) {
        identities[i].slot = i;
    }
    batches = 0;
    make();
}

static void teardown(void)
{
    features_destroy(features);
}

static void again(void)
{
    teardown();
    make();
}

/* NaN now and then. */
static float value(uint32_t slot, uint64_t tick, unsigned column)
{
    uint64_t n = tick * 31 + slot * 7 + column;

    return n % 11 == 0 ? NAN : (float)(n % 1009) + 0.5f * (float)column;
}

static void tick_of(uint64_t tick, const uint32_t *slots, uint32_t count)
{
    struct series_tick in = {tick * options.tick, options.tick, rows, count};

    for (uint32_t i = 0; i < count; i++) {
        rows[i].identity = &identities[slots[i]];
        for (unsigned k = 0; k < F; k++) {
            values[i * F + k] = value(slots[i], tick, k);
        }
    }
    features_values(features, &in, values);
}

static void same(float got, float want)
{
    ck_assert_msg(got == want || (isnan(got) && isnan(want)), "%g is not %g",
                  (double)got, (double)want);
}

static const uint32_t two[] = {0, 5};

START_TEST(x_and_lags)
{
    for (uint64_t tick = 1000; tick < 1300; tick++) {
        tick_of(tick, two, 2);
        for (uint32_t i = 0; i < 2; i++) {
            for (unsigned f = 0; f < F; f++) {
                same(x[i * F + f], value(two[i], tick, f));
                for (unsigned k = 0; k < 3; k++) {
                    uint64_t then = tick - options.lags[k];

                    same(past[(i * 3 + k) * F + f],
                         then >= 1000 ? value(two[i], then, f) : NAN);
                }
            }
        }
    }
    ck_assert_uint_eq(batches, 300);
    ck_assert_uint_eq(batch.count, 2);
    ck_assert_uint_eq(batch.lag_count, 3);
}
END_TEST

START_TEST(beyond_the_batch_is_nan_up_to_64)
{
    for (unsigned tick = 10; tick < 80; tick++) {
        uint32_t all[SLOTS];

        for (uint32_t i = 0; i < SLOTS; i++) {
            all[i] = i;
        }
        tick_of(tick, all, tick % 2 != 0 ? SLOTS : 3);
    }
    ck_assert_uint_eq(batch.count, SLOTS);
    for (unsigned i = SLOTS * F; i < 128 * F; i++) {
        ck_assert(isnan(x[i]));
    }
    for (unsigned i = SLOTS * 3 * F; i < 128 * 3 * F; i++) {
        ck_assert(isnan(past[i]));
    }
}
END_TEST

START_TEST(a_gap_is_not_observed)
{
    for (uint64_t tick = 1000; tick < 1050; tick++) {
        tick_of(tick, two, 2);
    }
    for (uint64_t tick = 1055; tick < 1120; tick++) {
        tick_of(tick, two, 2);
        for (unsigned k = 0; k < 3; k++) {
            uint64_t then = tick - options.lags[k];
            bool gap = then < 1000 || (then >= 1050 && then < 1055);

            same(past[k * F], gap ? NAN : value(0, then, 0));
        }
    }
    tick_of(1000000, two, 2); /* far ahead: nothing old shows through */
    for (unsigned k = 0; k < 3 * F; k++) {
        ck_assert(isnan(past[k]));
    }
}
END_TEST

START_TEST(who_is_absent_is_not_observed)
{
    tick_of(1000, two, 2);
    tick_of(1001, two, 1);
    tick_of(1002, two, 2);
    same(past[(1 * 3 + 0) * F], NAN);
    same(past[(1 * 3 + 1) * F], value(5, 1000, 0));
}
END_TEST

START_TEST(a_new_series_sees_nothing_of_the_old)
{
    float recent[10];

    for (uint64_t tick = 1000; tick < 1070; tick++) {
        tick_of(tick, two, 2);
    }
    features_leave(features, &identities[5]);
    ck_assert_uint_eq(features_recent(features, 5, 0, 10, recent), 0);
    tick_of(1070, two, 2);
    same(past[0], value(0, 1069, 0));
    for (unsigned i = 3 * F; i < 6 * F; i++) {
        ck_assert(isnan(past[i]));
    }
    ck_assert_uint_eq(features_recent(features, 5, 0, 10, recent), 1);
    same(recent[0], value(5, 1070, 0));
}
END_TEST

/* The mean over a bin of five ticks, from the definition. */
static float bin_mean(uint32_t slot, uint64_t bin, unsigned column,
                      uint64_t since)
{
    float sum = 0;
    unsigned count = 0;

    for (uint64_t tick = bin * 5 + 1; tick <= bin * 5 + 5; tick++) {
        float v = value(slot, tick, column);

        if (tick >= since && !isnan(v)) {
            sum += v;
            count++;
        }
    }
    return count != 0 ? sum / (float)count : NAN;
}

START_TEST(seasons_are_means_of_whole_bins)
{
    const uint64_t since = 7203, days = 9;
    const uint64_t ago[] = {288, 287, 2016};

    for (uint64_t tick = since; tick < since + days * 1440; tick++) {
        uint64_t bin = (tick - 1) / 5;

        tick_of(tick, two, 2);
        for (unsigned p = 0; p < 3; p++) {
            uint64_t then = bin - ago[p];

            for (unsigned i = 0; i < 2; i++) {
                same(season[(i * 3 + p) * 2],
                     bin < ago[p] ? NAN : bin_mean(two[i], then, 2, since));
                same(season[(i * 3 + p) * 2 + 1],
                     bin < ago[p] ? NAN : bin_mean(two[i], then, 0, since));
            }
        }
    }
}
END_TEST

START_TEST(bins_are_never_shorter_than_ticks)
{
    options.tick = 3600 * SECOND;
    options.seasons[1] = DAY - 5 * MINUTE;
    again();
    for (uint64_t tick = 500; tick < 700; tick++) {
        tick_of(tick, two, 2);
    }
    same(season[0], value(0, 699 - 24, 2));
    same(season[2], value(0, 699 - 23, 2)); /* 86100 / 3600 in whole bins */
    same(season[4], value(0, 699 - 168, 2));

    options.tick = 2 * DAY; /* no complete bin of the last day */
    again();
    tick_of(500, two, 2);
    tick_of(501, two, 2);
    ck_assert(isnan(season[0]));
}
END_TEST

START_TEST(recent_values_come_oldest_first)
{
    float recent[300];
    unsigned count;

    for (uint64_t tick = 1000; tick < 1050; tick++) {
        tick_of(tick, two, 2);
    }
    count = features_recent(features, 5, 1, 20, recent);
    ck_assert_uint_eq(count, 20);
    for (unsigned i = 0; i < 20; i++) {
        same(recent[i], value(5, 1030 + i, 1));
    }
    ck_assert_uint_eq(features_recent(features, 5, 1, 300, recent), 50);
    ck_assert_uint_eq(features_recent(features, 5, F, 20, recent), 0);
    ck_assert_uint_eq(features_recent(features, 6, 0, 20, recent), 0);
    for (uint64_t tick = 1050; tick < 1400; tick++) {
        tick_of(tick, two, 2);
    }
    ck_assert_uint_eq(features_recent(features, 5, 1, 300, recent), 161);
}
END_TEST

START_TEST(a_window_is_what_scoring_saw)
{
    enum { T = 40, AGO = 7 };
    float seen[3][T][3 * F * 3], wx[101 * F], wp[101 * 3 * F], ws[101 * 6];

    for (uint64_t tick = 3000; tick <= 4000 + AGO; tick++) {
        tick_of(tick, two, 2);
        if (tick > 4000 - T && tick <= 4000) {
            memcpy(seen[0][tick - (4001 - T)], x + F, F * sizeof(float));
            memcpy(seen[1][tick - (4001 - T)], past + 3 * F,
                   3 * F * sizeof(float));
            memcpy(seen[2][tick - (4001 - T)], season + 6, 6 * sizeof(float));
        }
    }
    ck_assert_int_eq(features_window(features, 5, AGO, T, wx, wp, ws), 0);
    for (unsigned t = 0; t < T; t++) {
        for (unsigned i = 0; i < F; i++) {
            same(wx[t * F + i], seen[0][t][i]);
        }
        for (unsigned i = 0; i < 3 * F; i++) {
            same(wp[t * 3 * F + i], seen[1][t][i]);
        }
        for (unsigned i = 0; i < 6; i++) {
            same(ws[t * 6 + i], seen[2][t][i]);
        }
    }
    ck_assert_int_eq(features_window(features, 5, 0, 101, wx, wp, ws), 0);
    ck_assert_int_eq(features_window(features, 5, 1, 101, wx, wp, ws), -1);
    ck_assert_int_eq(features_window(features, 6, 0, 1, wx, wp, ws), -1);
    ck_assert_int_eq(features_window(features, 5, 0, 0, wx, wp, ws), -1);
}
END_TEST

START_TEST(a_window_is_not_older_than_its_series)
{
    float wx[20 * F], wp[20 * 3 * F], ws[20 * 6];

    for (uint64_t tick = 1000; tick < 1010; tick++) {
        tick_of(tick, two, 2);
    }
    ck_assert_int_eq(features_window(features, 0, 0, 10, wx, wp, ws), 0);
    ck_assert_int_eq(features_window(features, 0, 0, 11, wx, wp, ws), -1);
    ck_assert_int_eq(features_window(features, 0, 1, 10, wx, wp, ws), -1);
}
END_TEST

START_TEST(half_precision_keeps_the_range)
{
    const float given[F] = {0.000250f, 123456.0f, 7e9f};
    struct series_tick in = {1000 * MINUTE, MINUTE, rows, 1};
    float recent[1];

    options.wide = false;
    options.columns[0] = FEATURE_LATENCY_P50;
    options.columns[1] = FEATURE_RATE;
    options.columns[2] = FEATURE_BYTES;
    again();
    rows[0].identity = &identities[0];
    features_values(features, &in, given);
    same(x[1], given[1]); /* x itself is not rounded */
    for (unsigned f = 0; f < 2; f++) {
        features_recent(features, 0, f, 1, recent);
        ck_assert(fabsf(recent[0] - given[f]) <= given[f] / 2048);
    }
    features_recent(features, 0, 2, 1, recent); /* the largest it can hold */
    ck_assert(recent[0] == 65504.0f * 65536.0f);
}
END_TEST

START_TEST(ticks_become_features)
{
    struct aggregate a = {.events = 3, .weight = 3000, .alive = true};
    struct aggregate none = {.alive = true};
    struct series_tick in = {1000 * MINUTE, MINUTE, rows, 2};

    options.columns[0] = FEATURE_RATE;
    options.columns[1] = FEATURE_ERRORS;
    options.columns[2] = FEATURE_LATENCY_P95;
    again();
    rows[0] = (struct series_row){&identities[0], &a};
    rows[1] = (struct series_row){&identities[1], &none};
    features_tick(features, &in);
    same(x[0], 0.05f);
    same(x[1], 0.0f);
    same(x[2], NAN);
    same(x[3], 0.0f);
    same(x[4], NAN);
    ck_assert_ptr_eq(batch.rows, rows);
    ck_assert_uint_eq(batch.end, in.end);
    ck_assert_int_eq(batch.columns[2], FEATURE_LATENCY_P95);
}
END_TEST

START_TEST(bad_options_are_refused)
{
    struct features_sink sink = {NULL, on_batch};
    struct features_options bad = options;
    struct err err = {0};

    bad.seasons[0] = 8 * DAY;
    ck_assert_ptr_null(features_create(&bad, sink, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "at most a week"));
    bad = options;
    bad.column_count = FEATURES_COLUMNS_MAX + 1;
    ck_assert_ptr_null(features_create(&bad, sink, &err));
    bad = options;
    bad.season_columns[1] = F;
    ck_assert_ptr_null(features_create(&bad, sink, &err));
    bad = options;
    bad.tick = 0;
    ck_assert_ptr_null(features_create(&bad, sink, &err));
}
END_TEST

/* ----------------------------------------------------------- checkpoint */

static void save(struct buf *to)
{
    buf_init(to, (size_t)64 << 20);
    features_save(features, to);
    ck_assert(!to->failed);
}

static void run(uint64_t from, uint64_t to)
{
    const uint32_t three[] = {0, 2, 5};

    for (uint64_t tick = from; tick < to; tick++) {
        if (tick % 997 == 0) {
            features_leave(features, &identities[5]);
        }
        if (tick % 13 == 0) {
            tick += 3;
        }
        tick_of(tick, tick % 5 == 0 ? two : three, tick % 5 == 0 ? 2 : 3);
    }
}

static void restored_goes_on(void)
{
    struct buf before, after, end;
    struct cursor from;
    struct err err = {0};

    run(3000, 8000);
    save(&before);
    run(8000, 9000);
    save(&end);

    again();
    from = (struct cursor){before.data, before.len, false};
    ck_assert_msg(features_restore(features, &from, &err) == 0, "%s",
                  err.message);
    ck_assert_uint_eq(from.len, 0);
    save(&after);
    ck_assert_uint_eq(after.len, before.len);
    ck_assert(memcmp(after.data, before.data, before.len) == 0);
    buf_release(&after);
    run(8000, 9000);
    save(&after);
    ck_assert_uint_eq(after.len, end.len);
    ck_assert(memcmp(after.data, end.data, end.len) == 0);
    buf_release(&before);
    buf_release(&after);
    buf_release(&end);
}

START_TEST(a_restored_one_goes_on)
{
    restored_goes_on();
    options.wide = false;
    again();
    restored_goes_on();
}
END_TEST

START_TEST(hostile_checkpoints_do_no_harm)
{
    struct buf state;
    struct cursor from;
    struct err err = {0};

    options.wide = false;
    options.window = 20;
    again();
    run(3000, 3200);
    save(&state);
    for (size_t len = 0; len < state.len; len += 1 + len / 60) {
        from = (struct cursor){state.data, len, false};
        ck_assert_int_eq(features_restore(features, &from, &err), -1);
        ck_assert_int_eq(err.code, ERR_INPUT);
    }
    for (size_t bit = 1; bit < state.len * 8; bit += 1 + bit / 200) {
        from = (struct cursor){state.data, state.len, false};
        state.data[bit / 8] = (char)(state.data[bit / 8] ^ (1 << bit % 8));
        if (features_restore(features, &from, NULL) == 0) {
            run(3200, 3300);
        }
        state.data[bit / 8] = (char)(state.data[bit / 8] ^ (1 << bit % 8));
    }
    options.lags[2] = 61;
    again();
    from = (struct cursor){state.data, state.len, false};
    ck_assert_int_eq(features_restore(features, &from, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "other ticks"));
    buf_release(&state);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("features");
    TCase *tcase = tcase_create("features");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, x_and_lags);
    tcase_add_test(tcase, beyond_the_batch_is_nan_up_to_64);
    tcase_add_test(tcase, a_gap_is_not_observed);
    tcase_add_test(tcase, who_is_absent_is_not_observed);
    tcase_add_test(tcase, a_new_series_sees_nothing_of_the_old);
    tcase_add_test(tcase, seasons_are_means_of_whole_bins);
    tcase_add_test(tcase, bins_are_never_shorter_than_ticks);
    tcase_add_test(tcase, recent_values_come_oldest_first);
    tcase_add_test(tcase, a_window_is_what_scoring_saw);
    tcase_add_test(tcase, a_window_is_not_older_than_its_series);
    tcase_add_test(tcase, half_precision_keeps_the_range);
    tcase_add_test(tcase, ticks_become_features);
    tcase_add_test(tcase, bad_options_are_refused);
    tcase_add_test(tcase, a_restored_one_goes_on);
    tcase_add_test(tcase, hostile_checkpoints_do_no_harm);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
