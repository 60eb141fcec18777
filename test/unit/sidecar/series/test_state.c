/* A checkpoint of the series room: nobody can tell that it was restored. */
#include <stdlib.h>

#include "sidecar/series/room.h"
#include "stream.h"

#define EVENTS 6000

static struct series_options options;
static struct buf text; /* what came out, tick by tick, as bytes */

static void put_sketch(const struct sketch *sketch)
{
    for (unsigned i = 0; i < SKETCH_BUCKETS; i++) {
        const uint32_t *chunk = sketch->chunks[i / SKETCH_CHUNK];

        if (chunk != NULL && chunk[i % SKETCH_CHUNK] != 0) {
            buf_printf(&text, " %u:%u", i, chunk[i % SKETCH_CHUNK]);
        }
    }
}

static void write_tick(void *ctx, const struct series_tick *tick)
{
    (void)ctx;
    buf_printf(&text, "tick %llu\n", (unsigned long long)tick->end);
    for (uint32_t i = 0; i < tick->count; i++) {
        const struct identity *identity = tick->rows[i].identity;
        const struct aggregate *a = tick->rows[i].aggregate;

        buf_printf(&text, "%u %s %llu %llu %llu %llu %d %d", identity->slot,
                   identity->labels, (unsigned long long)a->events,
                   (unsigned long long)a->weight,
                   (unsigned long long)a->inflight,
                   (unsigned long long)a->oldest, a->inflight_known, a->alive);
        put_sketch(&a->duration);
        for (uint32_t k = 0; k < identity->link_count; k++) {
            buf_printf(&text, " %u", identity->links[k]);
        }
        buf_putc(&text, '\n');
    }
}

static void write_leave(void *ctx, const struct identity *identity)
{
    (void)ctx;
    buf_printf(&text, "leave %u %s\n", identity->slot, identity->labels);
}

static struct series *make(void)
{
    struct series_sink sink = {NULL, write_tick, write_leave};
    struct series *series = series_create(&options, sink, NULL);

    ck_assert_ptr_nonnull(series);
    return series;
}

static void setup(void)
{
    options = default_options();
    options.max = 40; /* so that some leave */
    options.idle = 9 * SECOND;
    buf_init(&text, (size_t)64 << 20);
}

static void teardown(void)
{
    buf_release(&text);
}

/* The i-th event of a stream with all that may happen: the same each time. */
static void feed(struct series *series, unsigned i)
{
    uint64_t ms = i * 7 + (i > 3000 ? 90000 : 0); /* and a gap */
    uint32_t r = i * 2654435761u;
    char name[32], more[64];
    struct tocsin_event ev;

    snprintf(name, sizeof(name), "n%u", (r >> 8) % (i % 50 == 0 ? 1000 : 9));
    switch (r >> 29) {
    case 0:
        snprintf(more, sizeof(more), "u=%s=%u=%u=aws=eu=", name, r % 5,
                 r % 999);
        ev = beat(i % 2 != 0 ? "a" : "b", more);
        break;
    case 1:
    case 2:
    case 3:
        ev = request("shop", name);
        break;
    default:
        ev = attempt("u", name, r % 3 != 0 ? "aws" : "gcp", "eu");
        ev.header = r % 5000;
        break;
    }
    ev.seq = i;
    ev.weight = 1000 + r % 3 * 500;
    ev.dur = r >> (r % 20);
    ev.ts = T0 * (uint64_t)SECOND + ms * 1000 - r % 700000;
    series_event(series, &ev, T0 * (uint64_t)1000 + ms);
}

static void save(const struct series *series, struct buf *to)
{
    buf_init(to, (size_t)64 << 20);
    series_save(series, to);
    ck_assert(!to->failed);
}

START_TEST(a_restored_one_goes_on_as_if_nothing_had_been)
{
    struct buf undisturbed, end, again, cut;
    struct series *series = make();
    unsigned restarts = 0;

    for (unsigned i = 0; i < EVENTS; i++) {
        feed(series, i);
    }
    save(series, &end);
    series_destroy(series);
    undisturbed = text;
    buf_init(&text, undisturbed.cap);

    series = make();
    for (unsigned i = 0; i < EVENTS; i++) {
        feed(series, i);
        if (i * 2654435761u >> 24 == 77) { /* any moment */
            struct cursor from;
            struct err err = {0};

            save(series, &cut);
            series_destroy(series);
            series = make();
            from = (struct cursor){cut.data, cut.len, false};
            ck_assert_msg(series_restore(series, &from, &err) == 0, "%s",
                          err.message);
            ck_assert_uint_eq(from.len, 0);
            save(series, &again);
            ck_assert_uint_eq(again.len, cut.len);
            ck_assert(memcmp(again.data, cut.data, cut.len) == 0);
            buf_release(&again);
            buf_release(&cut);
            restarts++;
        }
    }
    ck_assert_uint_gt(restarts, 10);
    ck_assert_uint_gt(series_stats(series)->evicted, 0);
    ck_assert_uint_gt(series_stats(series)->idled, 0);
    ck_assert_uint_gt(series_stats(series)->late, 0);
    ck_assert(!text.failed);
    ck_assert_str_eq(text.data, undisturbed.data);
    save(series, &again);
    ck_assert_uint_eq(again.len, end.len);
    ck_assert(memcmp(again.data, end.data, end.len) == 0);
    series_destroy(series);
    buf_release(&again);
    buf_release(&end);
    buf_release(&undisturbed);
}
END_TEST

static void make_state(struct buf *to)
{
    struct series *series = make();

    for (unsigned i = 0; i < 400; i++) {
        feed(series, i);
    }
    save(series, to);
    series_destroy(series);
}

START_TEST(what_is_cut_short_is_refused)
{
    struct buf state;
    struct series *series;

    make_state(&state);
    series = make();
    for (size_t len = 0; len < state.len; len += 1 + len / 50) {
        struct cursor from = {state.data, len, false};
        struct err err = {0};

        ck_assert_int_eq(series_restore(series, &from, &err), -1);
        ck_assert_int_eq(err.code, ERR_INPUT);
        ck_assert_uint_eq(series_stats(series)->series, 0);
    }
    feed(series, 1); /* and it still works */
    ck_assert_uint_gt(series_stats(series)->series, 0);
    series_destroy(series);
    buf_release(&state);
}
END_TEST

/* What comes back may be refused or odd, but must hold together: the
 * sanitizers and the walk through all ticks are the judges. */
START_TEST(flipped_bits_do_no_harm)
{
    struct buf state;
    struct series *series = make();
    unsigned refused = 0;

    make_state(&state);
    for (size_t bit = 3; bit < state.len * 8; bit += 1 + bit / 300) {
        struct cursor from = {state.data, state.len, false};

        state.data[bit / 8] = (char)(state.data[bit / 8] ^ (1 << bit % 8));
        if (series_restore(series, &from, NULL) != 0) {
            refused++;
        } else {
            buf_clear(&text);
            for (unsigned i = 400; i < 500; i++) {
                feed(series, i);
            }
        }
        state.data[bit / 8] = (char)(state.data[bit / 8] ^ (1 << bit % 8));
    }
    ck_assert_uint_gt(refused, 100);
    series_destroy(series);
    buf_release(&state);
}
END_TEST

START_TEST(other_ticks_are_refused_other_sets_are_not)
{
    struct buf state;
    struct cursor from;
    struct series *series;
    struct err err = {0};

    make_state(&state);
    options.tick = 2 * SECOND;
    series = make();
    from = (struct cursor){state.data, state.len, false};
    ck_assert_int_eq(series_restore(series, &from, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "2000000 us"));
    series_destroy(series);

    options.tick = SECOND;
    options.max = 200;
    options.set_count = 2;
    options.lateness = 3 * SECOND;
    series = make();
    from = (struct cursor){state.data, state.len, false};
    ck_assert_int_eq(series_restore(series, &from, &err), 0);
    buf_clear(&text);
    for (unsigned i = 400; i < 6000; i++) {
        feed(series, i);
    }
    ck_assert_ptr_null(strstr(strrchr(text.data, 't'), "cloud_provider=aws"));
    series_destroy(series);

    options.max = 3;
    series = make();
    from = (struct cursor){state.data, state.len, false};
    ck_assert_int_eq(series_restore(series, &from, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "series.max"));
    series_destroy(series);
    buf_release(&state);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("series state");
    TCase *tcase = tcase_create("state");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_restored_one_goes_on_as_if_nothing_had_been);
    tcase_add_test(tcase, what_is_cut_short_is_refused);
    tcase_add_test(tcase, flipped_bits_do_no_harm);
    tcase_add_test(tcase, other_ticks_are_refused_other_sets_are_not);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
