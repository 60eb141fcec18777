/* Hosts whose clocks are wrong, step or drift, and beats that are held up. */
#include <stdlib.h>

#include "stream.h"

#define PER_SECOND 10u

static struct recorder *recorder;
static struct series *series;

static void setup(void)
{
    struct series_options options = default_options();

    recorder = calloc(1, sizeof(*recorder));
    series = make_series(&options, recorder);
    pass_time(series, options.lateness / 1000); /* tick 0 is the first */
}

static void teardown(void)
{
    series_destroy(series);
    free(recorder);
}

/* A sign of "web/0", or a request that it took, at `ms` of the stream by a
 * clock that is so far behind, in us. */
static void hear(struct tocsin_event ev, uint64_t ms, int64_t behind)
{
    ev.src = TOCSIN_SPAN("web/0");
    ev.ts = (uint64_t)((int64_t)(T0 * (uint64_t)SECOND + ms * 1000) - behind);
    series_event(series, &ev, T0 * (uint64_t)1000 + ms);
}

START_TEST(a_clock_that_is_off_is_put_right)
{
    static const int64_t hour = 3600 * (int64_t)SECOND;
    const int64_t off[] = {hour, -24 * hour, 0, 24 * hour, 3 * SECOND};
    uint64_t tick;

    for (tick = 0; tick < 5; tick++) {
        hear(beat("web/0", ""), tick * 1000 + 100, off[tick]);
        hear(request("shop", "/"), tick * 1000 + 200, off[tick]);
        hear(request("shop", "/"), tick * 1000 + 300, off[tick]);
    }
    pass_time(series, 6000);
    for (tick = 0; tick < 5; tick++) {
        ck_assert_uint_eq(
            row(recorder, (unsigned)tick, "server=shop,route=/")->events, 2);
    }
    ck_assert_uint_eq(series_stats(series)->late, 0);
    ck_assert_uint_eq(series_stats(series)->future, 0);
}
END_TEST

START_TEST(a_beat_that_was_held_up_is_not_a_wrong_clock)
{
    hear(beat("web/0", ""), 100, 0);
    hear(request("shop", "/"), 200, 0);
    hear(beat("web/0", ""), 2900, 2700000);
    hear(request("shop", "/"), 2950, 2700000);
    pass_time(series, 6000);
    ck_assert_uint_eq(series_stats(series)->late, 1);
    ck_assert_uint_eq(row(recorder, 0, "server=shop,route=/")->events, 1);
    ck_assert_uint_eq(row(recorder, 2, "server=shop,route=/")->events, 0);
}
END_TEST

static uint64_t beat_at = 20; /* ms of each second */

/* Seconds of a host's life: a beat, before or after the requests. */
static void live(uint64_t first, uint64_t seconds, int64_t behind)
{
    for (uint64_t s = first; s < first + seconds; s++) {
        if (beat_at == 20) {
            hear(beat("web/0", ""), s * 1000 + beat_at, behind);
        }
        for (unsigned i = 0; i < PER_SECOND; i++) {
            hear(request("shop", "/"), s * 1000 + 30 + i * 100, behind);
        }
        if (beat_at == 980) {
            hear(beat("web/0", ""), s * 1000 + beat_at, behind);
        }
    }
}

static uint64_t counted(unsigned from, unsigned to)
{
    uint64_t events = 0;

    for (unsigned i = from; i < to; i++) {
        events += row(recorder, i, "server=shop,route=/")->events;
    }
    return events;
}

START_TEST(a_clock_that_is_a_little_behind_costs_no_event)
{
    live(0, 20, 700000);
    pass_time(series, 21000);
    ck_assert_uint_eq(series_stats(series)->late, 0);
    ck_assert_uint_eq(counted(0, 20), 20 * PER_SECOND);
}
END_TEST

/* Back, so that all is late at first, by its own clock or by that of Redis. */
START_TEST(a_clock_that_was_set_is_known_in_four_beats)
{
    static const int64_t steps[] = {900000, 3 * SECOND, 60 * SECOND};

    beat_at = _i % 2 == 0 ? 20 : 980;
    live(0, 10, 0);
    live(10, 11, steps[_i / 2]); /* some may count in the tick before */
    ck_assert_uint_le(series_stats(series)->late, 4 * PER_SECOND);
    ck_assert_uint_eq(counted(14, 20), 6 * PER_SECOND);
    for (unsigned tick = 0; tick < 20; tick++) {
        const struct aggregate *a = row(recorder, tick, "server=shop,route=/");

        ck_assert(a->events != 0 || !a->alive); /* no silence */
    }
    live(21, 3, 0); /* and forward again, known at once */
    pass_time(series, 24900);
    ck_assert_uint_le(series_stats(series)->late, 4 * PER_SECOND);
    ck_assert_uint_eq(counted(21, 24), 3 * PER_SECOND);
}
END_TEST

START_TEST(a_clock_that_drifts_is_followed)
{
    for (unsigned s = 0; s < 200; s++) { /* 15 ms a second, to and fro */
        live(s, 1, (s < 100 ? s : 200 - s) * INT64_C(15000));
    }
    pass_time(series, 201000);
    ck_assert_uint_eq(series_stats(series)->late, 0);
    ck_assert_uint_eq(counted(0, 200), 200 * PER_SECOND);
}
END_TEST

/* Redis stood still: what was sent meanwhile comes at once, and is old. */
START_TEST(what_comes_at_once_is_not_of_now)
{
    live(0, 5, 0);
    for (unsigned s = 5; s < 15; s++) {
        int64_t age = (15 - s) * (int64_t)SECOND;

        hear(beat("web/0", ""), 15000, age);
        for (unsigned i = 0; i < PER_SECOND; i++) {
            hear(request("shop", "/"), 15001, age);
        }
    }
    live(15, 5, 0);
    pass_time(series, 21000);
    ck_assert_uint_eq(counted(15, 16), PER_SECOND);
    ck_assert_uint_eq(counted(16, 20), 4 * PER_SECOND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clocks");
    TCase *tcase = tcase_create("clocks");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_clock_that_is_off_is_put_right);
    tcase_add_test(tcase, a_beat_that_was_held_up_is_not_a_wrong_clock);
    tcase_add_test(tcase, a_clock_that_is_a_little_behind_costs_no_event);
    tcase_add_loop_test(tcase, a_clock_that_was_set_is_known_in_four_beats, 0,
                        6);
    tcase_add_test(tcase, a_clock_that_drifts_is_followed);
    tcase_add_test(tcase, what_comes_at_once_is_not_of_now);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
