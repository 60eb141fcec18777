/* What counts in which tick, and as what. */
#include <stdlib.h>

#include "stream.h"

static struct recorder *recorder;
static struct series *series;

static void begin(const struct series_options *options)
{
    recorder = calloc(1, sizeof(*recorder));
    series = make_series(options, recorder);
    pass_time(series, options->lateness / 1000); /* tick 0 is the first */
}

static void setup(void)
{
    struct series_options options = default_options();

    begin(&options);
}

static void teardown(void)
{
    series_destroy(series);
    free(recorder);
}

static void restart(const struct series_options *options)
{
    teardown();
    begin(options);
}

/* ----------------------------------------------------------------- ticks */

START_TEST(an_event_counts_in_the_sets_of_its_stream)
{
    send(series, request("shop", "/cart"), 100);
    send(series, attempt("pool", "10.0.0.1:80", "aws", "eu-1"), 100);
    pass_time(series, 1600);

    ck_assert_uint_ge(recorder->tick_count, 1);
    ck_assert_uint_eq(recorder->ticks[0].end % SECOND, 0);
    ck_assert_uint_eq(recorder->ticks[0].count, 5);
    ck_assert_uint_eq(row(recorder, 0, "server=shop,route=/cart")->events, 1);
    ck_assert_uint_eq(row(recorder, 0, "upstream=pool")->events, 1);
    ck_assert_uint_eq(
        row(recorder, 0, "upstream=pool,peer=10.0.0.1:80")->events, 1);
    ck_assert_uint_eq(
        row(recorder, 0, "cloud_provider=aws,cloud_region=eu-1")->events, 1);
    ck_assert_uint_eq(row(recorder, 0, "cloud_provider=aws")->events, 1);
    ck_assert_uint_eq(series_stats(series)->series, 5);
}
END_TEST

START_TEST(labels_that_are_empty_name_nothing)
{
    send(series, request("", ""), 100);
    send(series, attempt("pool", "", "", ""), 100);
    pass_time(series, 1600);

    /* No peer was live: the upstream's series, once. */
    ck_assert_uint_eq(recorder->ticks[0].count, 1);
    ck_assert_uint_eq(row(recorder, 0, "upstream=pool")->events, 1);
}
END_TEST

START_TEST(values_are_encoded)
{
    send(series, request("a,b", "/x=1 y%"), 100);
    pass_time(series, 1600);
    ck_assert_ptr_nonnull(
        find_row(recorder, 0, "server=a%2Cb,route=/x%3D1%20y%25"));
}
END_TEST

START_TEST(a_tick_waits_for_lateness)
{
    send(series, request("shop", "/"), 100);
    pass_time(series, 1499);
    ck_assert_uint_eq(recorder->tick_count, 0);
    send(series, request("shop", "/"), 1498); /* the next tick is open */
    pass_time(series, 1500);
    ck_assert_uint_eq(recorder->tick_count, 1);
    pass_time(series, 2500);
    ck_assert_uint_eq(recorder->tick_count, 2);
    ck_assert_uint_eq(row(recorder, 0, "server=shop,route=/")->events, 1);
    ck_assert_uint_eq(row(recorder, 1, "server=shop,route=/")->events, 1);
    ck_assert_uint_eq(recorder->ticks[0].end, T0 * (uint64_t)SECOND + SECOND);
}
END_TEST

START_TEST(order_within_a_tick_does_not_matter)
{
    double p50;

    for (int i = 0; i < 10; i++) {
        struct tocsin_event ev = request("shop", "/");

        ev.dur = 1000u << i;
        send(series, ev, 100 + (uint64_t)i);
    }
    pass_time(series, 1600);
    p50 = find_row(recorder, 0, "server=shop,route=/")->p50;
    teardown();
    setup();
    for (int i = 9; i >= 0; i--) {
        struct tocsin_event ev = request("shop", "/");

        ev.dur = 1000u << i;
        send(series, ev, 110 - (uint64_t)i);
    }
    pass_time(series, 1600);
    ck_assert_double_eq(p50, find_row(recorder, 0, "server=shop,route=/")->p50);
}
END_TEST

START_TEST(late_events_are_counted_as_late_only)
{
    struct tocsin_event ev = request("shop", "/");

    pass_time(series, 1600);
    ev.ts = T0 * (uint64_t)SECOND + 900000;
    series_event(series, &ev, T0 * (uint64_t)1000 + 1700);
    pass_time(series, 3000);
    ck_assert_uint_eq(series_stats(series)->late, 1);
    ck_assert_ptr_null(find_row(recorder, 1, "server=shop,route=/"));
}
END_TEST

START_TEST(events_of_the_future_count_now)
{
    struct tocsin_event ev = request("shop", "/");

    ev.ts = UINT64_MAX;
    series_event(series, &ev, T0 * (uint64_t)1000 + 100);
    ev.ts = (T0 + 1) * (uint64_t)SECOND; /* the next tick: nothing odd */
    series_event(series, &ev, T0 * (uint64_t)1000 + 990);
    pass_time(series, 2600);
    ck_assert_uint_eq(series_stats(series)->future, 1);
    ck_assert_uint_eq(row(recorder, 0, "server=shop,route=/")->events, 1);
    ck_assert_uint_eq(row(recorder, 1, "server=shop,route=/")->events, 1);
}
END_TEST

START_TEST(lateness_may_span_ticks)
{
    struct series_options options = default_options();
    struct tocsin_event ev = request("shop", "/");

    options.lateness = 3 * SECOND;
    restart(&options);
    pass_time(series, 3900);
    ck_assert_uint_eq(recorder->tick_count, 0);
    ev.ts = T0 * (uint64_t)SECOND + 100;
    series_event(series, &ev, T0 * (uint64_t)1000 + 3900);
    pass_time(series, 4000);
    ck_assert_uint_eq(recorder->tick_count, 1);
    ck_assert_uint_eq(row(recorder, 0, "server=shop,route=/")->events, 1);
    ck_assert_uint_eq(series_stats(series)->late, 0);
}
END_TEST

START_TEST(time_never_goes_back)
{
    send(series, request("shop", "/"), 100);
    pass_time(series, 5000);
    ck_assert_uint_eq(recorder->tick_count, 4);
    pass_time(series, 100);
    series_time(series, 0);
    ck_assert_uint_eq(recorder->tick_count, 4);
    series_time(series, UINT64_MAX); /* bounded, and no overflow */
    ck_assert_uint_le(recorder->tick_count, 4 + SERIES_GAP_MAX);
}
END_TEST

START_TEST(a_long_gap_is_skipped)
{
    send(series, request("shop", "/"), 100);
    send(series, request("shop", "/"), 1000000);
    pass_time(series, 1002000);
    ck_assert_uint_eq(recorder->tick_count, SERIES_GAP_MAX + 2);
    ck_assert_uint_eq(recorder->ticks[SERIES_GAP_MAX].end,
                      T0 * (uint64_t)SECOND + 1000000000u);
    ck_assert_uint_eq(
        row(recorder, SERIES_GAP_MAX + 1, "server=shop,route=/")->events, 1);
}
END_TEST

/* ----------------------------------------------------- silence and death */

START_TEST(silence_differs_from_death)
{
    send(series, request("shop", "/"), 100);
    send(series, beat("host/1/1", ""), 1100); /* tick 1: silence */
    send(series, beat("host/1/1", ""), 2100);
    pass_time(series, 10000); /* from tick 4 on: nothing at all */

    ck_assert(row(recorder, 0, "server=shop,route=/")->alive);
    ck_assert(row(recorder, 1, "server=shop,route=/")->alive);
    ck_assert_uint_eq(row(recorder, 1, "server=shop,route=/")->events, 0);
    ck_assert(row(recorder, 2, "server=shop,route=/")->alive);
    for (unsigned i = 3; i < 8; i++) {
        ck_assert(!row(recorder, i, "server=shop,route=/")->alive);
    }
}
END_TEST

/* Redis was away: what comes first is old, and what is new waits behind it. */
START_TEST(a_backlog_is_no_silence)
{
    struct tocsin_event sign = beat("host/1/1", "");
    struct tocsin_event old = request("shop", "/");
    unsigned i;

    for (i = 0; i < 5; i++) {
        send(series, request("shop", "/"), 1000 * i + 100);
        sign.emitted += 100;
        send(series, sign, 1000 * i + 200);
    }
    old.ts = T0 * (uint64_t)SECOND + 6 * SECOND;
    for (i = 20; i < 24; i++) { /* back after 15 s, behind by as many */
        sign.emitted = 500 + 100 * (i - 5);
        sign.buffered = 1500 - 200 * (i - 20);
        send(series, sign, 1000 * i + 200);
        series_event(series, &old, T0 * (uint64_t)1000 + 1000 * i + 300);
    }
    sign.emitted = 500 + 100 * (24 - 5);
    sign.buffered = 3;
    send(series, sign, 24200);
    pass_time(series, 25600);
    ck_assert(row(recorder, 4, "server=shop,route=/")->alive);
    for (i = 21; i < 23; i++) { /* 23 was closed when all had come */
        ck_assert(!row(recorder, i, "server=shop,route=/")->alive);
    }
    ck_assert(row(recorder, 24, "server=shop,route=/")->alive);
}
END_TEST

START_TEST(a_tick_before_the_return_is_dead)
{
    send(series, request("shop", "/"), 100);
    send(series, request("shop", "/"), 20100);
    pass_time(series, 21600);
    ck_assert(row(recorder, 0, "server=shop,route=/")->alive);
    ck_assert(!row(recorder, 10, "server=shop,route=/")->alive);
    ck_assert(!row(recorder, 18, "server=shop,route=/")->alive);
    ck_assert(row(recorder, 20, "server=shop,route=/")->alive);
}
END_TEST

START_TEST(short_ticks_between_beats_are_alive)
{
    struct series_options options = default_options();

    options.tick = SECOND / 10;
    options.lateness = SECOND / 10;
    restart(&options);
    send(series, request("shop", "/"), 50);
    for (unsigned i = 1; i < 6; i++) {
        send(series, beat("host/1/1", ""), i * 1000);
    }
    pass_time(series, 5100);
    for (unsigned i = 1; i < recorder->tick_count; i++) {
        ck_assert(row(recorder, i, "server=shop,route=/")->alive);
    }
}
END_TEST

START_TEST(the_idle_leave)
{
    struct series_options options = default_options();

    options.idle = 5 * SECOND;
    restart(&options);
    send(series, request("shop", "/a"), 100);
    for (unsigned i = 0; i < 10; i++) {
        send(series, request("shop", "/b"), 200 + i * 1000);
    }
    pass_time(series, 10600);
    ck_assert_uint_eq(series_stats(series)->idled, 1);
    ck_assert_uint_eq(series_stats(series)->series, 1);
    ck_assert_uint_eq(recorder->left, 1);
    ck_assert_ptr_nonnull(find_row(recorder, 5, "server=shop,route=/a"));
    ck_assert_ptr_null(find_row(recorder, 8, "server=shop,route=/a"));
}
END_TEST

/* --------------------------------------------------------------- counting */

START_TEST(requests_are_tallied)
{
    struct tocsin_event ev = request("shop", "/");
    const struct aggregate *a;

    ev.out = 500;
    ev.cache = tocsin_span_str("HIT");
    send(series, ev, 10);
    ev.status = 503;
    ev.attempts = 3;
    ev.weight = 2500;
    ev.cache = tocsin_span_str("MISS");
    send(series, ev, 20);
    ev = request("shop", "/");
    ev.status = 404;
    send(series, ev, 30);
    ev.status = 499;
    ev.flags = TOCSIN_FLAG_ABORTED;
    send(series, ev, 40);
    ev = request("shop", "/");
    ev.grpc = 14; /* UNAVAILABLE, under status 200 */
    send(series, ev, 50);
    ev.grpc = 5; /* NOT_FOUND */
    send(series, ev, 60);
    ev.grpc = 1; /* CANCELLED */
    send(series, ev, 70);
    pass_time(series, 1600);

    a = row(recorder, 0, "server=shop,route=/");
    ck_assert_uint_eq(a->events, 7);
    ck_assert_uint_eq(a->weight, 8500);
    ck_assert_uint_eq(a->errors, 2500 + 1000);
    ck_assert_uint_eq(a->client_errors, 1000 + 1000);
    ck_assert_uint_eq(a->aborted, 1000);
    ck_assert_uint_eq(a->local_errors, 0);
    ck_assert_uint_eq(a->retries, 2 * 2500);
    ck_assert_uint_eq(a->bytes, 500 + 1250);
    ck_assert_uint_eq(a->cacheable, 3500);
    ck_assert_uint_eq(a->cache_hits, 1000);
    ck_assert_uint_eq(a->duration.count, 8500);
    ck_assert_uint_eq(a->connects, 0);
    ck_assert(!a->inflight_known);
}
END_TEST

START_TEST(attempts_are_tallied)
{
    struct tocsin_event ev = attempt("pool", "p", "", "");
    const struct aggregate *a;

    ev.in = 100;
    ev.connect = 300;
    ev.header = 900;
    send(series, ev, 10);
    ev = attempt("pool", "p", "", "");
    ev.status = 0;
    ev.attempt = 2;
    ev.error = tocsin_span_str("connect");
    ev.dur = 70;
    send(series, ev, 20);
    ev.error = tocsin_span_str("timeout");
    send(series, ev, 30);
    ev.error = tocsin_span_str("aborted");
    send(series, ev, 40);
    ev.error = tocsin_span_str("");
    ev.status = 502;
    send(series, ev, 50);
    pass_time(series, 1600);

    a = row(recorder, 0, "upstream=pool,peer=p");
    ck_assert_uint_eq(a->events, 5);
    ck_assert_uint_eq(a->errors, 3000);
    ck_assert_uint_eq(a->local_errors, 2000);
    ck_assert_uint_eq(a->aborted, 1000);
    ck_assert_uint_eq(a->retries, 4000);
    ck_assert_uint_eq(a->bytes, 100);
    ck_assert_uint_eq(a->connects, 1000);
    ck_assert_uint_eq(a->connect_sum, 300 * 1000);
    ck_assert_uint_eq(a->header.count, 1000);
    /* Whole answers and time-outs; a refusal's 70 us are no latency. */
    ck_assert_uint_eq(a->duration.count, 3000);
}
END_TEST

START_TEST(long_lived_exchanges_have_no_latency)
{
    struct tocsin_event ev = request("shop", "/ws");

    ev.flags = TOCSIN_FLAG_LONG_LIVED;
    send(series, ev, 10);
    ev.flags = TOCSIN_FLAG_UPGRADED;
    send(series, ev, 20);
    pass_time(series, 1600);
    ck_assert_uint_eq(row(recorder, 0, "server=shop,route=/ws")->events, 2);
    ck_assert_uint_eq(row(recorder, 0, "server=shop,route=/ws")->duration.count,
                      0);
}
END_TEST

START_TEST(subrequests_count_by_their_attempts_only)
{
    struct tocsin_event ev = request("shop", "/auth");

    ev.flags = TOCSIN_FLAG_SUBREQUEST;
    send(series, ev, 10);
    ev = attempt("auth", "p", "", "");
    ev.flags = TOCSIN_FLAG_SUBREQUEST;
    send(series, ev, 10);
    pass_time(series, 1600);
    ck_assert_uint_eq(recorder->ticks[0].count, 2);
    ck_assert_uint_eq(row(recorder, 0, "upstream=auth")->events, 1);
}
END_TEST

START_TEST(hostile_numbers_saturate)
{
    struct tocsin_event ev = attempt("pool", "p", "", "");

    ev.weight = ev.dur = ev.in = ev.status = UINT64_MAX - 1;
    ev.connect = ev.header = ev.attempt = UINT64_MAX - 1;
    for (unsigned i = 0; i < 100; i++) {
        send(series, ev, 10 + i);
    }
    pass_time(series, 1600);
    ck_assert_uint_eq(row(recorder, 0, "upstream=pool")->events, 100);
    ck_assert_uint_ge(row(recorder, 0, "upstream=pool")->connect_sum,
                      UINT64_MAX / 2);
    ck_assert_uint_le(row(recorder, 0, "upstream=pool")->errors,
                      row(recorder, 0, "upstream=pool")->weight);
}
END_TEST

/* ------------------------------------------------------------------ beats */

START_TEST(inflight_is_summed_over_producers)
{
    const struct aggregate *a;

    send(series,
         beat("host/1/1", "pool=p=3=1000=aws=eu-1=,pool=q=1=50=aws=eu-2="),
         100);
    send(series, beat("host/2/1", "pool=p=2=9000=aws=eu-1="), 200);
    pass_time(series, 1600);

    a = row(recorder, 0, "upstream=pool,peer=p");
    ck_assert(a->inflight_known);
    ck_assert(a->alive);
    ck_assert_uint_eq(a->events, 0);
    ck_assert_uint_eq(a->inflight, 5);
    ck_assert_uint_eq(a->oldest, 9000);
    ck_assert_uint_eq(row(recorder, 0, "upstream=pool")->inflight, 6);
    ck_assert_uint_eq(row(recorder, 0, "cloud_provider=aws")->inflight, 6);
    ck_assert_uint_eq(
        row(recorder, 0, "cloud_provider=aws,cloud_region=eu-2")->inflight, 1);
}
END_TEST

START_TEST(a_beat_replaces_the_one_before)
{
    send(series, beat("host/1/1", "pool=p=3=1000==="), 100);
    send(series, beat("host/1/1", ""), 1600);
    pass_time(series, 2600);
    ck_assert_uint_eq(row(recorder, 0, "upstream=pool")->inflight, 3);
    ck_assert_uint_eq(row(recorder, 1, "upstream=pool")->inflight, 0);
    ck_assert(row(recorder, 1, "upstream=pool")->inflight_known);
}
END_TEST

START_TEST(a_dead_producer_is_forgotten)
{
    send(series, beat("host/1/1", "pool=p=3=1000==="), 100);
    for (unsigned i = 0; i < 8; i++) {
        send(series, beat("host/2/1", ""), 200 + i * 1000);
    }
    pass_time(series, 8600);
    ck_assert_uint_eq(row(recorder, 2, "upstream=pool")->inflight, 3);
    ck_assert_uint_eq(row(recorder, 7, "upstream=pool")->inflight, 0);
}
END_TEST

START_TEST(beats_say_nothing_of_routes)
{
    send(series, request("shop", "/"), 50);
    send(series, beat("host/1/1", "pool=p=3=1000==="), 100);
    pass_time(series, 1600);
    ck_assert(!row(recorder, 0, "server=shop,route=/")->inflight_known);
}
END_TEST

START_TEST(broken_beats_do_no_harm)
{
    static char long_item[20000];

    memset(long_item, 'x', sizeof(long_item) - 1);
    send(series,
         beat("h", "=,=,,a,b=c,d=e=f=g,u=p=1,u=p=99999999999999999999=1"), 100);
    send(series, beat("h", long_item), 200);
    send(series, beat(long_item, "ok%=p%2C=1=2"), 300);
    pass_time(series, 1600);
    ck_assert_uint_eq(recorder->tick_count, 1);
    ck_assert_ptr_nonnull(find_row(recorder, 0, "upstream=ok%25,peer=p%2C"));
}
END_TEST

static TCase *tick_tests(void)
{
    TCase *tcase = tcase_create("ticks");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_event_counts_in_the_sets_of_its_stream);
    tcase_add_test(tcase, labels_that_are_empty_name_nothing);
    tcase_add_test(tcase, values_are_encoded);
    tcase_add_test(tcase, a_tick_waits_for_lateness);
    tcase_add_test(tcase, order_within_a_tick_does_not_matter);
    tcase_add_test(tcase, late_events_are_counted_as_late_only);
    tcase_add_test(tcase, events_of_the_future_count_now);
    tcase_add_test(tcase, lateness_may_span_ticks);
    tcase_add_test(tcase, time_never_goes_back);
    tcase_add_test(tcase, a_long_gap_is_skipped);
    tcase_add_test(tcase, silence_differs_from_death);
    tcase_add_test(tcase, a_backlog_is_no_silence);
    tcase_add_test(tcase, a_tick_before_the_return_is_dead);
    tcase_add_test(tcase, short_ticks_between_beats_are_alive);
    tcase_add_test(tcase, the_idle_leave);
    return tcase;
}

static TCase *count_tests(void)
{
    TCase *tcase = tcase_create("counts");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, requests_are_tallied);
    tcase_add_test(tcase, attempts_are_tallied);
    tcase_add_test(tcase, long_lived_exchanges_have_no_latency);
    tcase_add_test(tcase, subrequests_count_by_their_attempts_only);
    tcase_add_test(tcase, hostile_numbers_saturate);
    tcase_add_test(tcase, inflight_is_summed_over_producers);
    tcase_add_test(tcase, a_beat_replaces_the_one_before);
    tcase_add_test(tcase, a_dead_producer_is_forgotten);
    tcase_add_test(tcase, beats_say_nothing_of_routes);
    tcase_add_test(tcase, broken_beats_do_no_harm);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("series");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tick_tests());
    suite_add_tcase(suite, count_tests());
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
