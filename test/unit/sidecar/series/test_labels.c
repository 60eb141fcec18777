/* Which series an event belongs to, and which belong together. */
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

START_TEST(labels_of_operators_make_series)
{
    struct series_options options = {
        .sets = {{"tenant", "server"}, {"zone", "region", "cloud"}, {NULL}},
        .set_sizes = {2, 3, 0},
        .set_count = 3,
        .tick = SECOND,
        .max = 10,
        .idle = 60 * SECOND,
    };
    struct tocsin_event ev = request("shop", "/");

    restart(&options);
    ev.labels = tocsin_span_str("other=1,tenant=a%2Cb,tenant=late");
    send(series, ev, 10);
    ev = attempt("pool", "p", "gcp", "eu");
    ev.zone = tocsin_span_str("eu-c");
    send(series, ev, 20);
    pass_time(series, 1000);
    ck_assert_uint_eq(recorder->ticks[0].count, 3);
    ck_assert_uint_eq(row(recorder, 0, "server=shop,tenant=a%2Cb")->events, 1);
    ck_assert_uint_eq(row(recorder, 0, "")->events, 1);
    ck_assert_uint_eq(row(recorder, 0,
                          "cloud_provider=gcp,cloud_region=eu,"
                          "cloud_availability_zone=eu-c")
                          ->events,
                      1);
}
END_TEST

START_TEST(scopes_follow_what_is_named)
{
    struct series_options options = default_options();
    const char *labels[] = {"server=shop,route=/cart",
                            "upstream=pool",
                            "upstream=pool,peer=p",
                            "cloud_provider=aws,cloud_region=eu",
                            "cloud_provider=aws",
                            "server=shop",
                            ""};
    enum scope scopes[] = {SCOPE_ROUTE,  SCOPE_UPSTREAM, SCOPE_PEER,
                           SCOPE_REGION, SCOPE_CLOUD,    SCOPE_SERVER,
                           SCOPE_TOTAL};
    const struct seen_row *found;

    options.sets[5][0] = "server";
    options.set_sizes[5] = 1;
    options.set_count = 7;
    restart(&options);
    send(series, request("shop", "/cart"), 10);
    send(series, attempt("pool", "p", "aws", "eu"), 20);
    pass_time(series, 1500);
    ck_assert_uint_eq(recorder->ticks[0].count, 7);
    for (unsigned i = 0; i < 7; i++) {
        found = find_row(recorder, 0, labels[i]);
        ck_assert_ptr_nonnull(found);
        ck_assert_int_eq(series_identity(series, found->slot)->scope,
                         scopes[i]);
    }
    ck_assert_ptr_null(series_identity(series, 99));
    ck_assert_ptr_null(series_identity(series, UINT32_MAX));
}
END_TEST

START_TEST(bad_label_sets_are_refused)
{
    const struct {
        const char *sets[2][2];
        unsigned sizes[2];
        const char *message;
    } cases[] = {
        {{{"no-dash", NULL}, {"cloud", NULL}}, {1, 1}, "\"no-dash\""},
        {{{"severity", NULL}, {"cloud", NULL}}, {1, 1}, "\"severity\""},
        {{{"cloud_provider", NULL}, {"cloud", NULL}}, {1, 1}, "server, route"},
        {{{"method", "peer"}, {"cloud", NULL}}, {2, 1}, "do not tell a method"},
        {{{"peer", "peer"}, {"cloud", NULL}}, {2, 1}, "\"peer\" twice"},
        {{{"peer", "zone"}, {"zone", "peer"}}, {2, 2}, "sets 1 and 2"},
    };
    struct series_sink sink = {NULL, record_tick, record_leave};

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct series_options options = default_options();
        struct err err = {0};

        memcpy(options.sets[0], cases[i].sets[0], sizeof(cases[i].sets[0]));
        memcpy(options.sets[1], cases[i].sets[1], sizeof(cases[i].sets[1]));
        options.set_sizes[0] = cases[i].sizes[0];
        options.set_sizes[1] = cases[i].sizes[1];
        options.set_count = 2;
        ck_assert_ptr_null(series_create(&options, sink, &err));
        ck_assert_int_eq(err.code, ERR_USAGE);
        ck_assert_msg(strstr(err.message, cases[i].message) != NULL, "%s",
                      err.message);
    }
}
END_TEST

START_TEST(long_lateness_is_refused)
{
    struct series_options options = default_options();
    struct series_sink sink = {NULL, record_tick, record_leave};
    struct err err = {0};

    options.lateness = 17 * SECOND;
    ck_assert_ptr_null(series_create(&options, sink, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "lateness"));
    options.lateness = 0;
    options.set_count = 0;
    ck_assert_ptr_null(series_create(&options, sink, &err));
    options.tick = 0;
    ck_assert_ptr_null(series_create(&options, sink, &err));
}
END_TEST

START_TEST(long_names_are_refused)
{
    static char longest[800];
    struct tocsin_event ev;

    memset(longest, 'r', sizeof(longest) - 1);
    ev = request(longest, longest);
    send(series, ev, 10);
    pass_time(series, 1600);
    ck_assert_uint_eq(series_stats(series)->series, 0);
    ck_assert_uint_eq(series_stats(series)->refused, 1);
    ev = request("shop", longest); /* too long for the cache, not for a name */
    send(series, ev, 1610);
    send(series, ev, 1620);
    ck_assert_uint_eq(series_stats(series)->series, 1);
}
END_TEST

/* ----------------------------------------------------------------- links */

START_TEST(who_counts_the_same_is_linked)
{
    const struct seen_row *peer, *cloud;

    send(series, request("shop", "/cart"), 10);
    for (unsigned i = 0; i < 64; i++) {
        send(series, attempt("pool", "p", "aws", "eu"), 20 + i);
        send(series, attempt("pool", "q", "aws", "us"), 20 + i);
    }
    pass_time(series, 1600);
    peer = find_row(recorder, 0, "upstream=pool,peer=p");
    ck_assert_ptr_nonnull(strstr(peer->links, "upstream=pool "));
    ck_assert_ptr_nonnull(strstr(peer->links, "cloud_region=eu "));
    ck_assert_ptr_nonnull(strstr(peer->links, "cloud_provider=aws "));
    ck_assert_ptr_nonnull(strstr(peer->links, "server=shop,route=/cart "));
    ck_assert_ptr_null(strstr(peer->links, "cloud_region=us "));
    ck_assert_ptr_null(strstr(peer->links, "peer=q "));
    cloud = find_row(recorder, 0, "cloud_provider=aws");
    ck_assert_ptr_nonnull(strstr(cloud->links, "peer=p "));
    ck_assert_ptr_nonnull(strstr(cloud->links, "peer=q "));
}
END_TEST

START_TEST(links_fade)
{
    uint64_t ms = 20;

    send(series, attempt("pool", "p", "aws", "eu"), ms);
    recorder->deaf = true;
    for (; ms < 700000; ms += 1000) {
        struct tocsin_event ev = attempt("pool", "p", "", "");

        send(series, ev, ms);
    }
    recorder->deaf = false;
    recorder->tick_count = 0;
    pass_time(series, ms + 2000);
    ck_assert_ptr_nonnull(
        strstr(find_row(recorder, 0, "upstream=pool")->links, "peer=p "));
    ck_assert_ptr_null(
        strstr(find_row(recorder, 0, "upstream=pool")->links, "aws"));
}
END_TEST

static TCase *label_tests(void)
{
    TCase *tcase = tcase_create("labels");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, labels_of_operators_make_series);
    tcase_add_test(tcase, scopes_follow_what_is_named);
    tcase_add_test(tcase, bad_label_sets_are_refused);
    tcase_add_test(tcase, long_lateness_is_refused);
    tcase_add_test(tcase, long_names_are_refused);
    tcase_add_test(tcase, who_counts_the_same_is_linked);
    tcase_add_test(tcase, links_fade);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("labels");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, label_tests());
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
