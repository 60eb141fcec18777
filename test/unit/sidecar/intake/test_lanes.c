/* Which entries may be delivered, and in which order. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/intake/lanes.h"

static struct lanes lanes;
static struct err err;

static void setup(void)
{
    lanes_init(&lanes, "p", 1);
}

static void teardown(void)
{
    lanes_release(&lanes);
}

/* Entries of one reply for a lane, as intake pushes them. */
static void reply(unsigned lane, const uint64_t *ms, unsigned count)
{
    struct lane *to = &lanes.lane[lane];
    unsigned i;

    for (i = 0; i < count; i++) {
        struct stream_id id = {ms[i], i};

        ck_assert_int_eq(
            lane_push(to, id, tocsin_span_of("xy", i % 3), 1, &err), 0);
        to->read = id;
        to->began = true;
        to->got++;
    }
}

static void ask(void)
{
    bool wait;

    lanes_choose(&lanes, 1000, &wait);
}

/* Delivers what may be, as "lane:ms " for each. */
static const char *deliver(uint64_t bound)
{
    static char text[1024];
    size_t at = 0;
    struct lane *lane;

    text[0] = '\0';
    while ((lane = lanes_next(&lanes, bound)) != NULL) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%u:%llu ",
                               (unsigned)(lane - lanes.lane),
                               (unsigned long long)lane_head(lane)->id.ms);
        lane_pop(lane);
    }
    return text;
}

START_TEST(names)
{
    ck_assert_uint_eq(lanes.count, 3);
    ck_assert_str_eq(lanes.lane[0].key, "p:request");
    ck_assert_str_eq(lanes.lane[1].key, "p:upstream");
    ck_assert_str_eq(lanes.lane[2].key, "p:beat");
    lanes_release(&lanes);
    lanes_init(&lanes, "p", 2);
    ck_assert_uint_eq(lanes.count, 5);
    ck_assert_str_eq(lanes.lane[1].key, "p:request:{1}");
    ck_assert_str_eq(lanes.lane[2].key, "p:upstream:{0}");
    ck_assert_str_eq(lanes.lane[4].key, "p:beat");
    ck_assert_int_eq(lanes.lane[4].kind, TOCSIN_BEAT);
}
END_TEST

START_TEST(merged_and_newest_held_back)
{
    const uint64_t request[] = {10, 12, 15}, upstream[] = {9, 12, 14};
    const uint64_t beat[] = {12};

    ask();
    reply(0, request, 3);
    reply(1, upstream, 3);
    reply(2, beat, 1);
    ck_assert(lanes_settle(&lanes, 100) == 15);
    ck_assert(lanes_bound(&lanes) == 15);
    ck_assert_str_eq(deliver(lanes_bound(&lanes)),
                     "1:9 0:10 0:12 1:12 2:12 1:14 ");
    ck_assert(lanes_hold_any(&lanes));
    ck_assert(lanes_at_end(&lanes));
    ck_assert(lanes.lane[0].delivered.ms == 12);
}
END_TEST

START_TEST(a_full_lane_bounds_the_rest)
{
    const uint64_t request[] = {10, 11, 12}, upstream[] = {9, 30};
    const uint64_t more[] = {12, 31};
    bool wait;

    ask();
    reply(0, request, 3);
    reply(1, upstream, 2);
    lanes_settle(&lanes, 3);
    ck_assert(!lanes_at_end(&lanes));
    ck_assert(lanes_bound(&lanes) == 12);
    ck_assert_str_eq(deliver(lanes_bound(&lanes)), "1:9 0:10 0:11 ");
    /* Redis must not wait for news when there is more to read. */
    ck_assert_uint_eq(lanes_choose(&lanes, 1000, &wait), 3);
    ck_assert(!wait);
    reply(0, more, 2);
    lanes_settle(&lanes, 3);
    ck_assert_str_eq(deliver(lanes_bound(&lanes)), "0:12 0:12 1:30 ");
    lanes_choose(&lanes, 1000, &wait);
    ck_assert(wait);
}
END_TEST

START_TEST(who_holds_much_is_not_asked)
{
    const uint64_t request[] = {10, 11}, beat[] = {10, 1000, 2000};
    bool wait;

    ask();
    reply(0, request, 2);
    reply(2, beat, 3);
    lanes_settle(&lanes, 2); /* the request lane is full */
    deliver(lanes_bound(&lanes));
    ck_assert_uint_eq(lanes_choose(&lanes, 2, &wait), 2);
    ck_assert(!lanes.lane[2].asked);
    ck_assert(lanes.lane[0].asked);
    ck_assert_ptr_null(lanes_asked(&lanes, TOCSIN_SPAN("p:beat")));
    ck_assert_ptr_eq(lanes_asked(&lanes, TOCSIN_SPAN("p:request")),
                     &lanes.lane[0]);
    /* What was not asked keeps what it knew. */
    lanes_settle(&lanes, 2);
    ck_assert(lanes.lane[2].complete_ms == 2000);
}
END_TEST

/* Many replies of random size over random streams: delivered in order, each
 * entry once, nothing lost, fields intact. */
START_TEST(random_streams)
{
    uint64_t next[3] = {0, 0, 0}, clock = 1000, last = 0, pushed = 0, got = 0;
    unsigned seed = 3, round, lane, i, limit = 50;
    char bytes[16];
    struct lane *from;
    bool wait;

    for (round = 0; round < 2000; round++) {
        lanes_choose(&lanes, 200, &wait);
        clock += (uint64_t)rand_r(&seed) % 20;
        for (lane = 0; lane < 3; lane++) {
            unsigned count = (unsigned)rand_r(&seed) % (limit + 1);

            for (i = 0; i < count && lanes.lane[lane].asked; i++) {
                struct stream_id id;
                uint64_t step = (uint64_t)rand_r(&seed) % 3;

                id.ms = lanes.lane[lane].read.ms + step;
                if (id.ms < clock - 20) {
                    id.ms = clock - 20;
                }
                if (id.ms > clock) {
                    break;
                }
                id.n = next[lane]++;
                snprintf(bytes, sizeof(bytes), "%llu",
                         (unsigned long long)id.n);
                ck_assert_int_eq(lane_push(&lanes.lane[lane], id,
                                           tocsin_span_str(bytes), 1, &err),
                                 0);
                lanes.lane[lane].read = id;
                lanes.lane[lane].began = true;
                lanes.lane[lane].got++;
                pushed++;
            }
        }
        lanes_settle(&lanes, limit);
        while ((from = lanes_next(&lanes, lanes_bound(&lanes))) != NULL) {
            const struct held *entry = lane_head(from);

            snprintf(bytes, sizeof(bytes), "%llu",
                     (unsigned long long)entry->id.n);
            ck_assert(tocsin_span_eq(lane_fields(from, entry),
                                     tocsin_span_str(bytes)));
            ck_assert(entry->id.ms < lanes_bound(&lanes));
            last = entry->id.ms > last ? entry->id.ms : last;
            lane_pop(from);
            got++;
        }
    }
    for (lane = 0; lane < 3; lane++) {
        got += lane_held(&lanes.lane[lane]);
    }
    ck_assert(got == pushed);
    ck_assert(pushed > 10000);
    ck_assert(last > 1000);
}
END_TEST

START_TEST(positions_are_saved)
{
    const uint64_t request[] = {10, 12};
    struct cursor from;
    struct buf buf;

    ask();
    reply(0, request, 2);
    lanes_settle(&lanes, 100);
    deliver(12);
    buf_init(&buf, 4096);
    lanes_save(&lanes, &buf);
    lanes_release(&lanes);
    lanes_init(&lanes, "p", 1);
    from = (struct cursor){buf.data, buf.len, false};
    ck_assert_int_eq(lanes_restore(&lanes, &from, &err), 0);
    /* What was read but not delivered is read again. */
    ck_assert(lanes.lane[0].read.ms == 10);
    ck_assert(lanes.lane[0].began);
    ck_assert(!lanes.lane[1].began);
    lanes_release(&lanes);
    lanes_init(&lanes, "p", 2);
    from = (struct cursor){buf.data, buf.len, false};
    ck_assert_int_eq(lanes_restore(&lanes, &from, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "redis.shards has changed"));
    buf_release(&buf);
}
END_TEST

static void read_up_to(struct lane *lane, uint64_t ms)
{
    lane->read = (struct stream_id){ms, 0};
    lane->began = true;
}

START_TEST(marks_are_the_newest_places)
{
    struct lane *lane = &lanes.lane[0];
    uint64_t ms;

    lane_mark(lane);
    ck_assert_uint_eq(lane->mark_count, 0); /* nothing was read */
    for (ms = 1; ms <= LANE_MARKS + 10; ms++) {
        read_up_to(lane, ms);
        lane_mark(lane);
        lane_mark(lane); /* the same place */
    }
    ck_assert_uint_eq(lane->mark_count, LANE_MARKS);
    ck_assert(lane->marks[0].ms == 11);
    ck_assert(lane->marks[LANE_MARKS - 1].ms == LANE_MARKS + 10);
}
END_TEST

START_TEST(gone_back)
{
    struct lane *lane = &lanes.lane[0];
    const uint64_t entries[] = {30};
    uint64_t ms;

    ask();
    reply(0, entries, 1);
    for (ms = 10; ms <= 30; ms += 10) {
        read_up_to(lane, ms);
        lane_mark(lane);
    }
    lanes_settle(&lanes, 100);
    lane_rewind(lane, (struct stream_id){20, 0});
    ck_assert(lane->read.ms == 20 && lane->again.ms == 30);
    ck_assert_uint_eq(lane->mark_count, 2);
    ck_assert_uint_eq(lane_held(lane), 1); /* it has been read: it counts */
    ck_assert(lanes_bound(&lanes) == 0);
    lane_rewind(lane, (struct stream_id){0, 0});
    ck_assert(lane->again.ms == 30); /* not below what it was */
    ck_assert_uint_eq(lane->mark_count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lanes");
    TCase *tcase = tcase_create("lanes");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, names);
    tcase_add_test(tcase, marks_are_the_newest_places);
    tcase_add_test(tcase, gone_back);
    tcase_add_test(tcase, merged_and_newest_held_back);
    tcase_add_test(tcase, a_full_lane_bounds_the_rest);
    tcase_add_test(tcase, who_holds_much_is_not_asked);
    tcase_add_test(tcase, random_streams);
    tcase_add_test(tcase, positions_are_saved);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
