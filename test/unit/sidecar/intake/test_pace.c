/* Time by ids whose clock is set, as beats see it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/intake/pace.h"

#define BEGIN UINT64_C(1700000000000)
#define HOUR 3600000

static struct pace pace;
static struct pace_beat one, two;

static void setup(void)
{
    memset(&pace, 0, sizeof(pace));
    memset(&one, 0, sizeof(one));
    memset(&two, 0, sizeof(two));
}

/* So many seconds from `at` on: some events and a beat in each, by a Redis
 * whose clock is `off` ms ahead and whose ids never go back. */
static uint64_t live(uint64_t at, unsigned seconds, int64_t off)
{
    static uint64_t last;
    unsigned i;

    last = pace.now == 0 ? 0 : last;
    while (seconds-- > 0) {
        for (i = 1; i <= 4; i++) {
            uint64_t id = (uint64_t)((int64_t)(at + i * 250) + off);

            last = id > last ? id : last;
            pace_entry(&pace, last, at + i * 250 - 10);
        }
        at += 1000;
        pace_beat(&pace, &one, last, at - 5);
    }
    return at;
}

/* What stream time is less what it should be. */
static int64_t error(uint64_t at)
{
    return (int64_t)pace.now - (int64_t)at;
}

START_TEST(time_of_ids)
{
    uint64_t at = live(BEGIN, 100, 0);

    ck_assert(error(at) == 0);
    ck_assert(pace.shift == 0 && pace.jumps == 0);
}
END_TEST

START_TEST(an_hour_ahead_and_back)
{
    uint64_t at = live(BEGIN, 100, 0);

    at = live(at, 100, HOUR);
    ck_assert_msg(llabs(error(at)) <= 1000, "%lld", (long long)error(at));
    ck_assert(pace.jumps == 1);
    at = live(at, 100, 0); /* ids stand still */
    ck_assert_msg(llabs(error(at)) <= 1000, "%lld", (long long)error(at));
    at = live(at, 3700, 0); /* and move again */
    ck_assert_msg(llabs(error(at)) <= 1000, "%lld", (long long)error(at));
    ck_assert_msg(llabs(pace.shift) <= 1000, "%lld", (long long)pace.shift);
}
END_TEST

/* Few seconds are as much as an hour. */
START_TEST(seconds_back_and_ahead)
{
    uint64_t at = live(BEGIN, 100, 0);

    at = live(at, 4, -HOUR);
    at = live(at, 20, 0);
    ck_assert_msg(llabs(error(at)) <= 1000, "%lld", (long long)error(at));
    at = live(at, 20, 5000);
    ck_assert_msg(llabs(error(at)) <= 1000, "%lld", (long long)error(at));
    at = live(at, 20, -5000);
    ck_assert_msg(llabs(error(at)) <= 1000, "%lld", (long long)error(at));
}
END_TEST

START_TEST(an_hour_back)
{
    uint64_t at = live(BEGIN, 100, 0);
    unsigned i;

    for (i = 0; i < 200; i++) {
        uint64_t before = pace.now;

        at = live(at, 1, -HOUR);
        ck_assert(pace.now - before <= 2000);
        ck_assert_msg(llabs(error(at)) <= 1000, "%u: %lld", i,
                      (long long)error(at));
    }
    at = live(at, 3600, -HOUR);
    ck_assert_msg(llabs(error(at)) <= 1000, "%lld", (long long)error(at));
    at = live(at, 100, 0); /* set right: ahead by an hour */
    ck_assert_msg(llabs(error(at)) <= 1000, "%lld", (long long)error(at));
}
END_TEST

/* A master with a slower clock begins the stream anew. */
START_TEST(ids_that_go_back)
{
    uint64_t at = live(BEGIN, 100, 0);
    unsigned i;

    for (i = 1; i <= 20; i++) {
        pace_beat(&pace, &one, at + i * 1000 - HOUR, at + i * 1000 - 5);
    }
    ck_assert(llabs(error(at + 20000)) <= 1000);
}
END_TEST

START_TEST(nothing_for_an_hour)
{
    uint64_t at = live(BEGIN, 100, 0);

    pace_beat(&pace, &one, at + HOUR, at + HOUR - 5);
    ck_assert(error(at + HOUR) == 0);
    at = live(at + HOUR, 10, 0);
    pace_entry(&pace, at + HOUR, at + HOUR - 20); /* its own word */
    ck_assert(error(at + HOUR) == 0);
    pace_beat(&pace, &two, at + 2 * HOUR, at + 2 * HOUR); /* a new one */
    ck_assert(error(at + 2 * HOUR) == 0);
    ck_assert(pace.jumps == 0);
}
END_TEST

/* What comes before the first beat after a jump does not move time. */
START_TEST(unconfirmed)
{
    uint64_t at = live(BEGIN, 100, 0);

    pace_entry(&pace, at + HOUR, at);
    pace_entry(&pace, at + HOUR + 1, 0);
    ck_assert(error(at) == 0);
    pace_beat(&pace, &two, at + HOUR + 2, at + 2); /* one not heard before */
    ck_assert(llabs(error(at)) <= 10);
    pace_beat(&pace, &one, at + HOUR + 1000, at + 995);
    ck_assert(llabs(error(at + 1000)) <= 10);
}
END_TEST

START_TEST(a_producer_whose_clock_is_set)
{
    uint64_t at = live(BEGIN, 100, 0);

    pace_beat(&pace, &one, at + 1000, at + HOUR);
    pace_beat(&pace, &one, at + 2000, at + HOUR + 1000);
    ck_assert(error(at + 2000) == 0);
    pace_beat(&pace, &one, at + 3000, at - HOUR);
    pace_beat(&pace, &one, at + 4000, at - HOUR + 1000);
    ck_assert(error(at + 4000) == 0);
    ck_assert(pace.jumps == 0);
}
END_TEST

/* Redis is stopped; what was sent to it meanwhile comes at once. */
START_TEST(a_slow_way)
{
    uint64_t at = live(BEGIN, 100, 0), ts;

    for (ts = at + 1000; ts <= at + 40000; ts += 1000) {
        pace_beat(&pace, &one, at + 40000, ts);
    }
    ck_assert_msg(llabs(error(at + 40000)) <= 1000, "%lld",
                  (long long)error(at + 40000));
    at = live(at + 40000, 50, 0);
    ck_assert_msg(llabs(error(at)) <= 1000, "%lld", (long long)error(at));
    ck_assert_msg(llabs(pace.shift) <= 1000, "%lld", (long long)pace.shift);
}
END_TEST

START_TEST(clocks_that_drift)
{
    uint64_t i;

    for (i = 1; i < 100000; i++) { /* a day and more, 500 ppm either way */
        pace_beat(&pace, &one, BEGIN + i * 1000, BEGIN + i * 1000 + i / 2);
        pace_beat(&pace, &two, BEGIN + i * 1000, BEGIN + i * 1000 - i / 2);
    }
    ck_assert(pace.jumps == 0 && pace.shift == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pace");
    TCase *tcase = tcase_create("pace");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, time_of_ids);
    tcase_add_test(tcase, an_hour_ahead_and_back);
    tcase_add_test(tcase, seconds_back_and_ahead);
    tcase_add_test(tcase, an_hour_back);
    tcase_add_test(tcase, ids_that_go_back);
    tcase_add_test(tcase, nothing_for_an_hour);
    tcase_add_test(tcase, unconfirmed);
    tcase_add_test(tcase, a_producer_whose_clock_is_set);
    tcase_add_test(tcase, a_slow_way);
    tcase_add_test(tcase, clocks_that_drift);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
