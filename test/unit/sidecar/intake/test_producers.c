/* Gaps and repeats by (src, seq), in any order, against a plain model. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/intake/producers.h"

static struct producers *producers;
static struct err err;

static void setup(void)
{
    producers = producers_create(8, &err);
    ck_assert_ptr_nonnull(producers);
}

static void teardown(void)
{
    producers_destroy(producers);
}

static bool take(const char *src, uint64_t seq)
{
    return producers_event(producers, tocsin_span_str(src), TOCSIN_REQUEST,
                           seq);
}

static uint64_t gaps(void)
{
    return producers_stats(producers)->gaps;
}

static uint64_t duplicates(void)
{
    return producers_stats(producers)->duplicates;
}

START_TEST(in_order)
{
    uint64_t seq;

    for (seq = 1; seq < 20000; seq++) {
        ck_assert(take("a", seq));
    }
    ck_assert(gaps() == 0);
    ck_assert(duplicates() == 0);
}
END_TEST

START_TEST(begins_anywhere)
{
    ck_assert(take("a", 1000));
    ck_assert(gaps() == 0);
    ck_assert(take("a", 998)); /* before the first one: news, and no hole */
    ck_assert(!take("a", 998));
    ck_assert(gaps() == 0);
}
END_TEST

START_TEST(holes_are_counted_and_filled)
{
    ck_assert(take("a", 1));
    ck_assert(take("a", 5));
    ck_assert(gaps() == 3);
    ck_assert(take("a", 3));
    ck_assert(gaps() == 2);
    ck_assert(!take("a", 3));
    ck_assert(gaps() == 2);
    ck_assert(duplicates() == 1);
    ck_assert(take("a", 2));
    ck_assert(take("a", 4));
    ck_assert(gaps() == 0);
}
END_TEST

START_TEST(adopted_ring_is_sent_again)
{
    uint64_t seq;

    for (seq = 1; seq <= 10000; seq++) {
        take("a", seq);
    }
    for (seq = 3000; seq <= 10000; seq++) { /* older than the window too */
        ck_assert(!take("a", seq));
    }
    for (; seq <= 10010; seq++) {
        ck_assert(take("a", seq));
    }
    ck_assert(duplicates() == 7001);
    ck_assert(gaps() == 0);
}
END_TEST

START_TEST(streams_and_sources_are_apart)
{
    uint64_t beat[PRODUCERS_KINDS] = {2, 1};

    ck_assert(take("a", 1));
    ck_assert(take("b", 1));
    ck_assert(take("ab", 1));
    ck_assert(producers_event(producers, TOCSIN_SPAN("a"), TOCSIN_UPSTREAM, 1));
    ck_assert(
        !producers_event(producers, TOCSIN_SPAN("a"), TOCSIN_UPSTREAM, 1));
    producers_beat(producers, TOCSIN_SPAN("a"), beat);
    ck_assert(gaps() == 1); /* request 2 */
    ck_assert(take("a", 2));
    ck_assert(gaps() == 0);
}
END_TEST

/* The end of a stream is lost too: only a beat can tell. */
START_TEST(beats_tell_of_lost_ends)
{
    uint64_t beat[PRODUCERS_KINDS] = {50, 0};

    producers_beat(producers, TOCSIN_SPAN("a"), beat);
    ck_assert(gaps() == 0); /* sent before we listened */
    ck_assert(take("a", 51));
    beat[0] = 60;
    producers_beat(producers, TOCSIN_SPAN("a"), beat);
    ck_assert(gaps() == 9);
    ck_assert(take("a", 55)); /* it was only late */
    ck_assert(gaps() == 8);
    beat[0] = 58;
    producers_beat(producers, TOCSIN_SPAN("a"), beat);
    ck_assert(gaps() == 8);
}
END_TEST

START_TEST(wide_jumps)
{
    ck_assert(take("a", 1));
    ck_assert(take("a", 1000001));
    ck_assert(gaps() == 999999);
    ck_assert(take("a", UINT64_MAX)); /* nonsense: starts anew */
    ck_assert(gaps() == 999999);
    ck_assert(!take("a", UINT64_MAX));
    ck_assert(!take("a", 0)); /* far below: taken for a repeat */
}
END_TEST

START_TEST(cap_evicts_the_least_recent)
{
    char src[16];
    unsigned i;

    for (i = 0; i < 8; i++) {
        snprintf(src, sizeof(src), "s%u", i);
        ck_assert(take(src, 1));
    }
    ck_assert(!take("s0", 1)); /* used again: not the least recent */
    ck_assert(take("new", 1));
    ck_assert(producers_stats(producers)->evicted == 1);
    ck_assert(!take("s0", 1));
    ck_assert(take("s1", 1)); /* was forgotten */
}
END_TEST

/* Random order, repeats and losses, against two arrays of flags. */
START_TEST(against_a_model)
{
    static unsigned char sent[30000];
    uint64_t lost = 0, repeats = 0, highest = 0, seq;
    unsigned seed = 7, i;

    ck_assert(take("a", 0));
    sent[0] = 1;
    for (i = 0; i < 60000; i++) {
        seq = highest + (uint64_t)rand_r(&seed) % 4;
        if (seq > 1000 && rand_r(&seed) % 2 == 0) {
            seq -= (uint64_t)rand_r(&seed) % 1000;
        }
        if (seq >= sizeof(sent)) {
            break;
        }
        if (sent[seq]) {
            ck_assert(!take("a", seq));
            repeats++;
        } else {
            ck_assert(take("a", seq));
            sent[seq] = 1;
        }
        highest = seq > highest ? seq : highest;
    }
    for (seq = 0; seq < highest; seq++) {
        lost += !sent[seq];
    }
    ck_assert(highest > 10000);
    ck_assert(gaps() == lost);
    ck_assert(duplicates() == repeats);
}
END_TEST

/* A clock that goes back is no repeat, unless repeats are due. */
START_TEST(beats_that_come_again)
{
    const struct tocsin_span a = TOCSIN_SPAN("a"), b = TOCSIN_SPAN("b");

    ck_assert(producers_beat_at(producers, a, 1000, false));
    ck_assert(producers_beat_at(producers, a, 2000, false));
    ck_assert(!producers_beat_at(producers, a, 1000, true));
    ck_assert(!producers_beat_at(producers, a, 2000, true));
    ck_assert(producers_beat_at(producers, a, 2001, true));
    ck_assert(producers_beat_at(producers, b, 1000, true));
    ck_assert(producers_beat_at(producers, a, 500, false));
    ck_assert(producers_beat_at(producers, a, 600, true));
    ck_assert(duplicates() == 2);
}
END_TEST

START_TEST(saved_and_restored)
{
    struct producers *other = producers_create(8, &err);
    struct buf a, b;
    struct cursor from;
    size_t len;

    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    take("a", 1);
    take("a", 9);
    take("b", 3);
    take("b", 3);
    producers_beat_at(producers, TOCSIN_SPAN("a"), 77, false);
    producers_save(producers, &a);
    from = (struct cursor){a.data, a.len, false};
    ck_assert_int_eq(producers_restore(other, &from, &err), 0);
    ck_assert_uint_eq(from.len, 0);
    producers_save(other, &b);
    ck_assert_uint_eq(a.len, b.len);
    ck_assert_mem_eq(a.data, b.data, a.len);
    ck_assert(!producers_event(other, TOCSIN_SPAN("a"), TOCSIN_REQUEST, 9));
    ck_assert(producers_event(other, TOCSIN_SPAN("a"), TOCSIN_REQUEST, 8));
    ck_assert(!producers_beat_at(other, TOCSIN_SPAN("a"), 77, true));
    for (len = 0; len < a.len; len += 7) {
        from = (struct cursor){a.data, len, false};
        ck_assert_int_eq(producers_restore(other, &from, &err), -1);
    }
    producers_destroy(other);
    buf_release(&a);
    buf_release(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("producers");
    TCase *tcase = tcase_create("producers");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, in_order);
    tcase_add_test(tcase, begins_anywhere);
    tcase_add_test(tcase, holes_are_counted_and_filled);
    tcase_add_test(tcase, adopted_ring_is_sent_again);
    tcase_add_test(tcase, streams_and_sources_are_apart);
    tcase_add_test(tcase, beats_tell_of_lost_ends);
    tcase_add_test(tcase, wide_jumps);
    tcase_add_test(tcase, cap_evicts_the_least_recent);
    tcase_add_test(tcase, against_a_model);
    tcase_add_test(tcase, beats_that_come_again);
    tcase_add_test(tcase, saved_and_restored);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
