/* Grouping, blame and the lives of alerts, on a small town of series. */
#include <check.h>

#include "town.h"

/* Distinct ids that were told in that state. */
static unsigned ids(const struct town *town, const char *state)
{
    unsigned i, k, count = 0;

    for (i = 0; i < town->told_count; i++) {
        if (strcmp(town->told[i].state, state) != 0) {
            continue;
        }
        for (k = 0; k < i; k++) {
            if (strcmp(town->told[k].state, state) == 0 &&
                strcmp(town->told[k].id, town->told[i].id) == 0) {
                break;
            }
        }
        count += k == i;
    }
    return count;
}

static const struct town_told *only_firing(struct town *town)
{
    town_run(town, 10);
    ck_assert_uint_eq(ids(town, "firing"), 1);
    return town_first(town, "firing");
}

START_TEST(one_bad_peer_is_blamed_not_what_it_spoils)
{
    struct town *town = town_create();
    const struct town_told *told;

    town_alarm(town, "upstream=shop,peer=10.0.0.2:80");
    town_alarm(town, "cloud_region=us-east-1");
    town_set(town, "upstream=shop", FEATURE_ERRORS, true);
    town_clear(town, "10.0.0.1");
    town_clear(town, "10.0.0.3");
    told = only_firing(town);
    ck_assert_str_eq(told->labels,
                     "cloud_provider=aws,cloud_region=us-east-1,upstream=shop,"
                     "peer=10.0.0.2:80");
    ck_assert_str_eq(told->severity, "warning");
    town_free(town);
}
END_TEST

START_TEST(all_peers_of_an_upstream_are_the_upstream)
{
    struct town *town = town_create();
    const struct town_told *told;

    town_alarm(town, "upstream=shop");
    told = only_firing(town);
    ck_assert_str_eq(told->labels, "cloud_provider=aws,cloud_region=us-east-1,"
                                   "upstream=shop");
    ck_assert_str_eq(told->name, "LatencyHigh");
    ck_assert_ptr_nonnull(strstr(told->summary,
                                 "aws us-east-1 shop: "
                                 "95th percentile latency 812 ms, expected "
                                 "95 ms to 140 ms (3 peers)"));
    ck_assert_ptr_null(strstr(told->description, "Retries hide it"));
    town_free(town);

    town = town_create();
    town_set(town, "upstream=shop", FEATURE_ERRORS, true);
    told = only_firing(town);
    ck_assert_ptr_nonnull(strstr(told->description, "Retries hide it"));
    town_free(town);
}
END_TEST

START_TEST(both_upstreams_of_a_region_are_the_region)
{
    struct town *town = town_create();
    const struct town_told *told;

    town_alarm(town, "upstream=shop");
    town_alarm(town, "upstream=pay");
    town_alarm(town, "cloud_region=us-east-1");
    town_set(town, "route=/pay", FEATURE_LATENCY_P95, true);
    town_set(town, "route=/cart", FEATURE_LATENCY_P95, true);
    told = only_firing(town);
    ck_assert_str_eq(told->labels, "cloud_provider=aws,cloud_region=us-east-1");
    ck_assert_str_eq(told->severity, "critical");
    ck_assert_ptr_nonnull(
        strstr(told->summary, "(2 upstreams, 6 peers, 2 routes)"));
    ck_assert_ptr_nonnull(strstr(told->description, "Clients see it."));
    ck_assert_ptr_nonnull(strstr(told->parts, "upstream%3Dshop"));
    town_free(town);
}
END_TEST

START_TEST(all_regions_of_a_cloud_are_the_cloud)
{
    struct town *town = town_create();

    town_alarm(town, "upstream=shop");
    town_alarm(town, "upstream=pay");
    town_alarm(town, "upstream=api");
    town_alarm(town, "cloud_provider=aws");
    ck_assert_str_eq(only_firing(town)->labels, "cloud_provider=aws");
    town_free(town);
}
END_TEST

START_TEST(a_region_with_one_upstream_is_told_as_that_upstream)
{
    struct town *town = town_create();

    town_alarm(town, "upstream=search");
    town_alarm(town, "cloud_provider=gcp");
    ck_assert_str_eq(only_firing(town)->labels,
                     "cloud_provider=gcp,cloud_region=us-c1,upstream=search");
    town_free(town);
}
END_TEST

START_TEST(one_bad_route_is_not_its_upstreams_fault)
{
    struct town *town = town_create();
    const struct town_told *told;
    static const char *const more[] = {"/help", "/about", NULL};
    unsigned i;

    for (i = 0; more[i] != NULL; i++) {
        char labels[64];
        uint32_t route;

        snprintf(labels, sizeof(labels), "server=www,route=%s", more[i]);
        route = town_add(town, SCOPE_ROUTE, true, labels);
        town_link(town, route, town_find(town, "upstream=shop"));
    }
    town_set(town, "upstream=shop", FEATURE_ERRORS, true);
    town_set(town, "route=/cart", FEATURE_ERRORS, true);
    told = only_firing(town);
    ck_assert_str_eq(told->labels, "cloud_provider=aws,cloud_region=us-east-1,"
                                   "server=www,route=/cart");
    ck_assert_str_eq(told->severity, "critical");
    ck_assert_str_eq(told->name, "ErrorsHigh");
    town_free(town);
}
END_TEST

START_TEST(a_route_alone_is_told_alone)
{
    struct town *town = town_create();

    town_set(town, "route=/api", FEATURE_ERRORS, true);
    ck_assert_str_eq(only_firing(town)->labels,
                     "cloud_provider=aws,cloud_region=eu-west-1,server=www,"
                     "route=/api");
    town_free(town);
}
END_TEST

/* The upstream, its region and its cloud fall silent before the route does. */
static void silence_of_search(struct town *town, uint64_t weight)
{
    town->series[town_find(town, "server=www,route=/search")].aggregate.weight =
        weight;
    town_set(town, "search", FEATURE_RATE, true);
    town_set(town, "us-c1", FEATURE_RATE, true);
    town_set(town, "cloud_provider=gcp", FEATURE_RATE, true);
    town_set(town, "route=/search", FEATURE_RATE, false);
}

START_TEST(silence_begins_with_those_who_ask)
{
    struct town *town = town_create();

    silence_of_search(town, 0);
    town_run(town, 2);
    town_set(town, "route=/search", FEATURE_RATE, true);
    ck_assert_ptr_nonnull(
        strstr(only_firing(town)->labels, "server=www,route=/search"));
    town_free(town);
}
END_TEST

START_TEST(silence_of_an_upstream_whose_routes_are_asked_is_its_own)
{
    struct town *town = town_create();

    silence_of_search(town, 20000);
    ck_assert_ptr_nonnull(strstr(only_firing(town)->labels, "upstream=search"));
    town_free(town);
}
END_TEST

START_TEST(two_causes_are_two_alerts)
{
    struct town *town = town_create();

    town_alarm(town, "upstream=shop");
    town_alarm(town, "upstream=search");
    town_run(town, 10);
    ck_assert_uint_eq(ids(town, "firing"), 2);
    town_free(town);
}
END_TEST

START_TEST(what_a_retry_hides_is_a_warning_until_clients_see_it)
{
    struct town *town = town_create();

    town_alarm(town, "upstream=shop");
    town_run(town, 5);
    ck_assert_str_eq(town_last(town)->severity, "warning");
    town_set(town, "route=/shop", FEATURE_ERRORS, true);
    town_set(town, "route=/cart", FEATURE_ERRORS, true);
    town_run(town, 2);
    ck_assert_str_eq(town_last(town)->severity, "critical");
    ck_assert_str_eq(town_last(town)->state, "firing");
    ck_assert_uint_eq(ids(town, "firing"), 1);
    town_free(town);
}
END_TEST

START_TEST(it_widens_when_more_peers_follow)
{
    struct town *town = town_create();
    unsigned i;

    town_alarm(town, "upstream=shop,peer=10.0.0.1:80");
    town_run(town, 5);
    ck_assert_str_eq(town_last(town)->state, "firing");
    town_alarm(town, "upstream=shop");
    town_run(town, 5);
    ck_assert_uint_eq(ids(town, "firing"), 2);
    ck_assert_uint_eq(ids(town, "resolved"), 1);
    ck_assert_ptr_nonnull(
        strstr(town_first(town, "resolved")->description, "wider alert"));
    town_clear(town, "upstream=shop");
    town_run(town, 3);
    ck_assert_uint_eq(ids(town, "resolved"), 2);
    i = town->told_count;
    town_run(town, 50);
    ck_assert_uint_eq(town->told_count, i);
    town_free(town);
}
END_TEST

/* The upstream looked bad because of its first peer, and was told so. */
START_TEST(it_widens_to_what_the_first_peer_had_spoilt)
{
    struct town *town = town_create();
    const struct town_told *told;

    town_alarm(town, "upstream=shop");
    town_clear(town, "upstream=shop,peer=10.0.0.2:80");
    town_clear(town, "upstream=shop,peer=10.0.0.3:80");
    town_run(town, 8);
    told = town_first(town, "firing");
    ck_assert_ptr_nonnull(strstr(told->labels, "peer=10.0.0.1:80"));
    town_alarm(town, "upstream=shop,peer=10.0.0.2:80");
    town_alarm(town, "upstream=shop,peer=10.0.0.3:80");
    town_run(town, 8);
    told = town_last(town);
    ck_assert_str_eq(told->labels, "cloud_provider=aws,cloud_region=us-east-1,"
                                   "upstream=shop");
    ck_assert_str_eq(told->state, "firing");
    ck_assert_uint_eq(ids(town, "firing"), 2);
    ck_assert_uint_eq(ids(town, "resolved"), 1);
    town_free(town);
}
END_TEST

/* All begin in one tick, but the peers' alarms come one after the other: then
 * the upstream alone is told. */
START_TEST(it_widens_before_anybody_hears_of_it)
{
    struct town *town = town_create();

    town_alarm(town, "upstream=shop");
    town_clear(town, "upstream=shop,peer=10.0.0.2:80");
    town_clear(town, "upstream=shop,peer=10.0.0.3:80");
    town_run(town, 1);
    town_alarm(town, "upstream=shop,peer=10.0.0.2:80");
    town_alarm(town, "upstream=shop,peer=10.0.0.3:80");
    ck_assert_str_eq(only_firing(town)->labels,
                     "cloud_provider=aws,cloud_region=us-east-1,"
                     "upstream=shop");
    town_free(town);
}
END_TEST

START_TEST(new_parts_join_silently)
{
    struct town *town = town_create();
    unsigned told;

    town_alarm(town, "upstream=shop");
    town_run(town, 5);
    told = town->told_count;
    town_alarm(town, "cloud_region=us-east-1");
    town_run(town, 5);
    ck_assert_uint_eq(town->told_count, told);
    town_free(town);
}
END_TEST

START_TEST(states_follow_each_other)
{
    struct town *town = town_create();
    const struct town_told *pending, *firing, *resolved;
    uint64_t onset;

    town_run(town, 3);
    onset = town->end;
    town_alarm(town, "upstream=search");
    town_run(town, 2);
    pending = town_first(town, "pending");
    ck_assert_ptr_nonnull(pending);
    town_run(town, 1);
    firing = town_first(town, "firing");
    ck_assert_ptr_nonnull(firing);
    ck_assert_str_eq(pending->id, firing->id);
    ck_assert_uint_eq(firing->started, onset);
    ck_assert_uint_eq(firing->ended, 0);
    ck_assert_uint_eq(strlen(firing->fingerprint), 16);
    ck_assert_mem_eq(firing->id, firing->fingerprint, 16);
    ck_assert_double_eq_tol(firing->observed, 0.812, 1e-6);
    town_run(town, 65); /* a reminder every half minute */
    ck_assert_uint_eq(town_count(town, "firing"), 3);
    town_clear(town, "upstream=search");
    town_run(town, 2);
    resolved = town_first(town, "resolved");
    ck_assert_ptr_nonnull(resolved);
    ck_assert_str_eq(resolved->id, firing->id);
    ck_assert_uint_gt(resolved->ended, resolved->started);
    town_run(town, 60);
    ck_assert_uint_eq(town_count(town, "resolved"), 1);
    town_free(town);
}
END_TEST

START_TEST(overwhelming_evidence_fires_at_once)
{
    struct town *town = town_create();
    uint32_t i;

    town_alarm(town, "upstream=search");
    for (i = 0; i < town->count; i++) {
        town->series[i].verdict.sudden = town->series[i].verdict.alarm;
    }
    town_run(town, 2);
    ck_assert_uint_eq(town_count(town, "pending"), 0);
    ck_assert_uint_eq(town_count(town, "firing"), 1);
    town_free(town);
}
END_TEST

START_TEST(a_blink_is_told_to_nobody)
{
    struct town *town = town_create();

    town_alarm(town, "upstream=search");
    town_run(town, 1);
    town_clear(town, "upstream=search");
    town_run(town, 20);
    ck_assert_uint_eq(town->told_count, 0);
    town_free(town);
}
END_TEST

START_TEST(flapping_is_damped)
{
    struct town *town = town_create();
    unsigned i;

    for (i = 0; i < 60; i++) {
        town_alarm(town, "upstream=search");
        town_run(town, 10);
        town_clear(town, "upstream=search");
        town_run(town, 10);
    }
    ck_assert_uint_le(ids(town, "firing"), 3);
    ck_assert_uint_le(town_count(town, "resolved"), 2);
    town_run(town, 400);
    ck_assert_uint_eq(town_count(town, "resolved"), ids(town, "firing"));
    town_free(town);
}
END_TEST

START_TEST(when_the_cause_is_well_the_rest_gets_its_own_alert)
{
    struct town *town = town_create();

    town_alarm(town, "upstream=shop");
    town_set(town, "route=/shop", FEATURE_ERRORS, true);
    town_set(town, "route=/cart", FEATURE_ERRORS, true);
    town_run(town, 10);
    town_clear(town, "upstream=shop");
    town_clear(town, "route=/shop");
    town_run(town, 40);
    ck_assert_uint_eq(ids(town, "resolved"), 1);
    ck_assert_ptr_nonnull(strstr(town_last(town)->labels, "route=/cart"));
    ck_assert_str_eq(town_last(town)->state, "firing");
    town_free(town);
}
END_TEST

START_TEST(a_series_that_leaves_ends_its_alert)
{
    struct town *town = town_create();
    uint32_t slot = town_find(town, "server=www,route=/api");

    town_set(town, "route=/api", FEATURE_ERRORS, true);
    town_run(town, 5);
    alerts_leave(town->alerts, &town->series[slot].identity);
    town->series[slot].in_use = false;
    town_run(town, 3);
    ck_assert_uint_eq(town_count(town, "resolved"), 1);
    town_free(town);
}
END_TEST

START_TEST(hostile_labels_break_nothing)
{
    struct town *town = town_create();
    uint32_t slot =
        town_add(town, SCOPE_UPSTREAM, false,
                 "upstream=%0d%0aX-Evil:%20<script>%00%ff%2C%3D\"'\\,peer=%");

    town->series[slot].verdict = (struct verdict){
        .alarm = true,
        .since = town->end,
        .incident = 90,
        .feature = FEATURE_LATENCY_P95,
        .column = 2,
    };
    town_run(town, 10);
    ck_assert_uint_eq(ids(town, "firing"), 1);
    ck_assert_ptr_null(strpbrk(town_last(town)->summary, "\r\n"));
    ck_assert_ptr_null(strpbrk(town_last(town)->description, "\r\n"));
    town_free(town);
}
END_TEST

START_TEST(evidence_has_sixty_points_with_their_band)
{
    struct town *town = town_create();
    struct tocsin_span rest;
    uint64_t ts = 0, last = 0;
    unsigned points = 0;

    town_alarm(town, "upstream=search");
    town_run(town, 10);
    rest = tocsin_span_str(town_first(town, "firing")->evidence);
    while (rest.len > 0) {
        const char *comma = memchr(rest.data, ',', rest.len);
        double observed, expected, low, high;

        ck_assert_int_eq(sscanf(rest.data, "%lu=%lf=%lf=%lf=%lf", &ts,
                                &observed, &expected, &low, &high),
                         5);
        ck_assert(last == 0 || ts == last + TOWN_TICK);
        ck_assert_double_eq_tol(high, 0.14, 1e-6);
        last = ts;
        points++;
        rest = comma == NULL
                   ? tocsin_span_of("", 0)
                   : tocsin_span_of(comma + 1,
                                    rest.len - (size_t)(comma + 1 - rest.data));
    }
    ck_assert_uint_eq(points, 60);
    ck_assert_uint_eq(ts, town_first(town, "firing")->updated);
    town_free(town);
}
END_TEST

static void add_groups(TCase *tcase)
{
    tcase_add_test(tcase, one_bad_peer_is_blamed_not_what_it_spoils);
    tcase_add_test(tcase, all_peers_of_an_upstream_are_the_upstream);
    tcase_add_test(tcase, both_upstreams_of_a_region_are_the_region);
    tcase_add_test(tcase, all_regions_of_a_cloud_are_the_cloud);
    tcase_add_test(tcase, a_region_with_one_upstream_is_told_as_that_upstream);
    tcase_add_test(tcase, one_bad_route_is_not_its_upstreams_fault);
    tcase_add_test(tcase, a_route_alone_is_told_alone);
    tcase_add_test(tcase, silence_begins_with_those_who_ask);
    tcase_add_test(tcase,
                   silence_of_an_upstream_whose_routes_are_asked_is_its_own);
    tcase_add_test(tcase, two_causes_are_two_alerts);
    tcase_add_test(tcase, what_a_retry_hides_is_a_warning_until_clients_see_it);
    tcase_add_test(tcase, it_widens_when_more_peers_follow);
    tcase_add_test(tcase, it_widens_to_what_the_first_peer_had_spoilt);
    tcase_add_test(tcase, it_widens_before_anybody_hears_of_it);
    tcase_add_test(tcase, new_parts_join_silently);
}

int main(void)
{
    Suite *suite = suite_create("alert");
    TCase *groups = tcase_create("groups"), *lives = tcase_create("lives");
    SRunner *runner = srunner_create(suite);
    int failed;

    add_groups(groups);
    tcase_add_test(lives, states_follow_each_other);
    tcase_add_test(lives, overwhelming_evidence_fires_at_once);
    tcase_add_test(lives, a_blink_is_told_to_nobody);
    tcase_add_test(lives, flapping_is_damped);
    tcase_add_test(lives, when_the_cause_is_well_the_rest_gets_its_own_alert);
    tcase_add_test(lives, a_series_that_leaves_ends_its_alert);
    tcase_add_test(lives, hostile_labels_break_nothing);
    tcase_add_test(lives, evidence_has_sixty_points_with_their_band);
    suite_add_tcase(suite, groups);
    suite_add_tcase(suite, lives);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
