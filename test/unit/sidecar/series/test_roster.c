/* The cap of the roster, and who leaves when somebody invents names. */
#include <stdlib.h>

#include "stream.h"

static struct recorder *recorder;
static struct series *series;

static void begin(uint32_t max)
{
    struct series_options options = default_options();

    options.max = max;
    recorder = calloc(1, sizeof(*recorder));
    recorder->deaf = true;
    series = make_series(&options, recorder);
    pass_time(series, 500);
}

static void finish(void)
{
    series_destroy(series);
    free(recorder);
}

static bool known(const char *labels)
{
    for (uint32_t slot = 0; slot < 1000; slot++) {
        const struct identity *identity = series_identity(series, slot);

        if (identity != NULL && strcmp(identity->labels, labels) == 0) {
            return true;
        }
    }
    return false;
}

START_TEST(the_least_recently_seen_leaves)
{
    char route[16];

    begin(4);
    for (unsigned i = 0; i < 4; i++) { /* 0 is the oldest */
        snprintf(route, sizeof(route), "/%u", i);
        for (unsigned k = 0; k < 4; k++) {
            send(series, request("s", route), i * 5000 + k * 1000);
        }
    }
    send(series, request("s", "/0"), 22000);
    send(series, request("s", "/new"), 25000);
    ck_assert_uint_eq(series_stats(series)->series, 4);
    ck_assert_uint_eq(series_stats(series)->evicted, 1);
    ck_assert_uint_eq(recorder->left, 1);
    ck_assert(known("server=s,route=/0"));
    ck_assert(!known("server=s,route=/1"));
    ck_assert(known("server=s,route=/2"));
    ck_assert(known("server=s,route=/new"));
    finish();
}
END_TEST

START_TEST(nobody_present_leaves)
{
    begin(2);
    send(series, request("s", "/a"), 1000);
    send(series, request("s", "/b"), 1001);
    send(series, request("s", "/c"), 1002);
    ck_assert_uint_eq(series_stats(series)->refused, 1);
    ck_assert_uint_eq(series_stats(series)->evicted, 0);
    ck_assert(known("server=s,route=/a"));
    ck_assert(known("server=s,route=/b"));
    finish();
}
END_TEST

START_TEST(sets_of_one_event_do_not_push_out_each_other)
{
    begin(3);
    send(series, attempt("a", "", "aws", ""), 1000); /* upstream, cloud */
    send(series, request("s", "/"), 2000);
    /* Old series and new ones in one event, and one place to be found. */
    send(series, attempt("a", "p", "aws", ""), 60000);
    ck_assert(known("upstream=a"));
    ck_assert(known("cloud_provider=aws"));
    ck_assert(known("upstream=a,peer=p"));
    ck_assert(!known("server=s,route=/"));
    finish();
}
END_TEST

static void attack(unsigned second, unsigned names)
{
    static unsigned invented;
    char server[32];

    for (unsigned i = 0; i < names; i++) {
        snprintf(server, sizeof(server), "evil-%u", invented++);
        send(series, request(server, "/"), second * 1000 + i * 900 / names);
    }
}

START_TEST(invented_names_do_not_push_out_what_is_seen)
{
    char route[16], labels[64];

    begin(100);
    for (unsigned second = 0; second < 40; second++) {
        for (unsigned i = 0; i < 60; i++) { /* ours: seen every tick */
            snprintf(route, sizeof(route), "/%u", i);
            send(series, request("s", route), second * 1000 + i);
        }
        if (second % 8 == 0) { /* and ten that are seen now and then */
            for (unsigned i = 60; i < 70; i++) {
                snprintf(route, sizeof(route), "/%u", i);
                for (unsigned k = 0; k < 3; k++) {
                    send(series, request("s", route), second * 1000 + i);
                }
            }
        }
        if (second >= 5) {
            attack(second, 10000);
        }
    }
    for (unsigned i = 0; i < 60; i++) {
        snprintf(labels, sizeof(labels), "server=s,route=/%u", i);
        ck_assert_msg(known(labels), "%s was pushed out", labels);
    }
    ck_assert_uint_eq(series_stats(series)->series, 100);
    ck_assert_uint_gt(series_stats(series)->refused, 200000);
    finish();
}
END_TEST

START_TEST(a_newcomer_gets_in_under_attack)
{
    begin(100);
    for (unsigned i = 0; i < 90; i++) { /* room was taken by what is gone */
        char route[16];

        snprintf(route, sizeof(route), "/%u", i);
        for (unsigned k = 0; k < 4; k++) {
            send(series, request("old", route), i + k * 1000);
        }
    }
    for (unsigned second = 10; second < 60; second++) {
        /* Twenty a second among two hundred invented ones. */
        for (unsigned i = 0; i < 20; i++) {
            attack(second, 10);
            send(series, request("new", "/"), second * 1000 + i * 40);
        }
    }
    ck_assert(known("server=new,route=/"));
    finish();
}
END_TEST

START_TEST(leaving_and_coming_back_uses_the_slot_again)
{
    begin(2);
    for (unsigned i = 0; i < 50; i++) {
        char route[16];

        snprintf(route, sizeof(route), "/%u", i);
        send(series, request("s", route), i * 5000);
        send(series, request("s", route), i * 5000 + 1);
    }
    ck_assert_uint_eq(series_stats(series)->series, 2);
    ck_assert_uint_eq(series_stats(series)->evicted, 48);
    ck_assert_uint_eq(recorder->left, 48);
    ck_assert(known("server=s,route=/49"));
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("roster");
    TCase *tcase = tcase_create("roster");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_least_recently_seen_leaves);
    tcase_add_test(tcase, nobody_present_leaves);
    tcase_add_test(tcase, sets_of_one_event_do_not_push_out_each_other);
    tcase_add_test(tcase, invented_names_do_not_push_out_what_is_seen);
    tcase_add_test(tcase, a_newcomer_gets_in_under_attack);
    tcase_add_test(tcase, leaving_and_coming_back_uses_the_slot_again);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
