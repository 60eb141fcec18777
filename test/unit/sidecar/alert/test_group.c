/* Whom to blame, where several series have something in common. */
#include <check.h>

#include "town.h"

static const struct town_told *only_firing(struct town *town)
{
    town_run(town, 10);
    ck_assert_uint_eq(town_count(town, "firing"), 1);
    return town_first(town, "firing");
}

START_TEST(a_route_that_fails_in_all_its_upstreams_is_to_blame)
{
    static const char *const none[] = {NULL};
    struct town *town = town_create();
    uint32_t route = town_find(town, "server=www,route=/pay"), i;

    i = town->count;
    town_upstream(town, town_find(town, "cloud_provider=aws"),
                  town_find(town, "cloud_provider=aws,cloud_region=eu-west-1"),
                  "paywest", none);
    town_link(town, route,
              town_find(town, "cloud_provider=aws,cloud_region=eu-west-1"));
    for (; i < town->count; i++) {
        town_link(town, route, i);
    }
    town_set(town, "upstream=pay", FEATURE_ERRORS, true);
    town_set(town, "route=/pay", FEATURE_ERRORS, true);
    ck_assert_str_eq(only_firing(town)->labels,
                     "cloud_provider=aws,server=www,route=/pay");
    town_free(town);

    town = town_create(); /* with another route beside it, the upstream is */
    town_set(town, "upstream=shop", FEATURE_ERRORS, true);
    town_set(town, "route=/shop", FEATURE_ERRORS, true);
    town_set(town, "route=/cart", FEATURE_ERRORS, true);
    ck_assert_str_eq(only_firing(town)->labels,
                     "cloud_provider=aws,cloud_region=us-east-1,upstream=shop");
    town_free(town);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("group");
    SRunner *runner = srunner_create(suite);
    TCase *tcase = tcase_create("routes");
    int failed;

    tcase_add_test(tcase, a_route_that_fails_in_all_its_upstreams_is_to_blame);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
