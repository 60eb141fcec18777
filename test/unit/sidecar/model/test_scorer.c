/* States belong to slots: they follow their series through batches of any
 * size, leave with it, and come back from a checkpoint byte for byte. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../../../sidecar/model/scorer.h"
#include "fixture.h"

#define MAX 200
#define COLUMNS 13
#define EVIDENCE_MAX 32

static struct err err;

/* What was said of each slot in the last batch. */
struct heard {
    float evidence[MAX][EVIDENCE_MAX], expected[MAX][COLUMNS];
    uint32_t age[MAX];
    unsigned batches;
};

static void scored(void *ctx, const struct scored_batch *scored)
{
    struct heard *heard = ctx;
    uint32_t i, slot;

    heard->batches++;
    for (i = 0; i < scored->batch->count; i++) {
        slot = scored->batch->rows[i].identity->slot;
        memcpy(heard->evidence[slot],
               scored->evidence + i * scored->evidence_count,
               scored->evidence_count * sizeof(float));
        if (scored->expected != NULL) {
            memcpy(heard->expected[slot], scored->expected + i * COLUMNS,
                   COLUMNS * sizeof(float));
        }
        heard->age[slot] = scored->age[i];
    }
}

static struct scorer *start_with(struct heard *heard, const char *path,
                                 bool band)
{
    struct scorer_sink sink = {heard, scored};
    struct scorer_options options = {COLUMNS, MAX, band};
    struct model *model = model_load(path, &err);
    struct scorer *scorer;

    ck_assert_msg(model != NULL, "%s", err.message);
    memset(heard, 0, sizeof(*heard));
    scorer = scorer_create(model, &options, sink, &err);
    ck_assert_msg(scorer != NULL, "%s", err.message);
    return scorer;
}

static struct scorer *start(struct heard *heard, const char *path)
{
    return start_with(heard, path, true);
}

/* One tick in which the slots first, first + every, ... are there. */
static void tick(struct scorer *scorer, unsigned t, unsigned first,
                 unsigned every)
{
    static struct identity identities[MAX];
    static struct series_row rows[MAX];
    static float x[MAX][COLUMNS], season[MAX][6 * 2];
    struct feature_batch batch = {
        .column_count = COLUMNS,
        .season_count = 6,
        .season_column_count = 2,
        .rows = rows,
        .x = x[0],
        .season = season[0],
    };
    unsigned slot, k;

    for (slot = first; slot < MAX; slot += every) {
        identities[slot].slot = slot;
        rows[batch.count].identity = &identities[slot];
        for (k = 0; k < COLUMNS; k++) {
            x[batch.count][k] = (float)((slot * 31 + t * 17 + k * 7) % 23);
        }
        for (k = 0; k < 12; k++) {
            season[batch.count][k] = k % 3 == 0 ? NAN : (float)(t % 9);
        }
        batch.count++;
    }
    ck_assert_msg(scorer_batch(scorer, &batch, &err) == 0, "%s", err.message);
}

static void same(const struct heard *a, const struct heard *b, unsigned slot)
{
    ck_assert_mem_eq(a->evidence[slot], b->evidence[slot],
                     sizeof(a->evidence[slot]));
    ck_assert_mem_eq(a->expected[slot], b->expected[slot],
                     sizeof(a->expected[slot]));
    ck_assert_uint_eq(a->age[slot], b->age[slot]);
}

START_TEST(test_a_series_does_not_see_the_others)
{
    static struct heard many, one;
    struct scorer *a = start(&many, fixture("default"));
    struct scorer *b = start(&one, fixture("default"));
    unsigned t;

    for (t = 0; t < 30; t++) {
        tick(a, t, 3, t % 2 == 0 ? 1 : 4);
        tick(b, t, 3, MAX);
        same(&many, &one, 3);
    }
    ck_assert_uint_eq(one.batches, 30);
    ck_assert_uint_eq(one.age[3], 30);
    scorer_destroy(a);
    scorer_destroy(b);
}
END_TEST

/* Who wants no band gets none, and is told the same of all else: whether the
 * statistics are the host's or the module's own. */
START_TEST(test_without_a_band)
{
    static const char *const models[] = {"default", "by_hand"};
    static struct heard with, without;
    struct scorer *a = start_with(&with, fixture(models[_i]), true);
    struct scorer *b = start_with(&without, fixture(models[_i]), false);
    unsigned t, slot;

    for (t = 0; t < 20; t++) {
        tick(a, t, t % 3, 1 + t % 2);
        tick(b, t, t % 3, 1 + t % 2);
    }
    for (slot = 0; slot < MAX; slot++) {
        ck_assert_mem_eq(with.evidence[slot], without.evidence[slot],
                         sizeof(with.evidence[slot]));
        ck_assert_uint_eq(with.age[slot], without.age[slot]);
    }
    ck_assert(with.expected[7][0] > 0);
    ck_assert(without.expected[7][0] == 0);
    scorer_destroy(a);
    scorer_destroy(b);
}
END_TEST

START_TEST(test_leaving_forgets)
{
    static struct heard heard, fresh;
    struct scorer *scorer = start(&heard, fixture("default"));
    struct scorer *other = start(&fresh, fixture("default"));
    struct identity who = {.slot = 5};
    unsigned t;

    for (t = 0; t < 20; t++) {
        tick(scorer, t, 5, 20);
    }
    scorer_leave(scorer, &who);
    for (t = 20; t < 40; t++) {
        tick(scorer, t, 5, 20);
        tick(other, t, 5, 20);
        same(&heard, &fresh, 5);
    }
    ck_assert_uint_eq(heard.age[25], 40);
    scorer_destroy(scorer);
    scorer_destroy(other);
}
END_TEST

START_TEST(test_checkpoint)
{
    static struct heard before, after;
    struct scorer *a = start(&before, fixture("default"));
    struct scorer *b = start(&after, fixture("default"));
    struct buf saved, again;
    struct cursor cursor;
    unsigned t, slot;
    size_t cut;

    buf_init(&saved, 64u << 20);
    buf_init(&again, 64u << 20);
    for (t = 0; t < 25; t++) {
        tick(a, t, 0, 3);
    }
    scorer_save(a, &saved);
    ck_assert(!saved.failed);
    cursor = (struct cursor){.data = saved.data, .len = saved.len};
    ck_assert_msg(scorer_restore(b, &cursor, &err) == 0, "%s", err.message);
    ck_assert_uint_eq(cursor.len, 0);
    scorer_save(b, &again);
    ck_assert_uint_eq(saved.len, again.len);
    ck_assert_mem_eq(saved.data, again.data, saved.len);
    tick(a, t, 0, 1);
    tick(b, t, 0, 1);
    for (slot = 0; slot < MAX; slot++) {
        same(&before, &after, slot);
    }

    /* A cut one is refused, and leaves a scorer that starts afresh. */
    for (cut = 0; cut < saved.len; cut += saved.len / 7) {
        cursor = (struct cursor){.data = saved.data, .len = cut};
        ck_assert_int_eq(scorer_restore(b, &cursor, &err), -1);
        ck_assert_int_eq(err.code, ERR_INPUT);
    }
    tick(b, t, 0, 1);
    ck_assert_uint_eq(after.age[0], 1);
    buf_release(&saved);
    buf_release(&again);
    scorer_destroy(a);
    scorer_destroy(b);
}
END_TEST

START_TEST(test_swap)
{
    static struct heard heard;
    struct scorer *scorer = start(&heard, fixture("default"));
    struct model *other = model_load(fixture("toy"), &err);
    struct model *copy = model_copy(scorer_model(scorer), &err);
    unsigned t;

    for (t = 0; t < 10; t++) {
        tick(scorer, t, 0, 1);
    }
    ck_assert_int_eq(scorer_swap(scorer, other, &err), -1);
    ck_assert_int_eq(err.code, ERR_MODEL);
    model_free(other); /* a refused one stays the caller's */
    ck_assert_int_eq(scorer_swap(scorer, copy, &err), 0);
    ck_assert_ptr_eq(scorer_model(scorer), copy);
    tick(scorer, t, 0, 1);
    ck_assert_uint_eq(heard.age[0], 11);
    scorer_destroy(scorer);
}
END_TEST

START_TEST(test_a_batch_of_another_shape)
{
    static struct heard heard;
    struct scorer *scorer = start(&heard, fixture("default"));
    struct identity who = {.slot = MAX};
    struct series_row row = {.identity = &who};
    float x[COLUMNS] = {0}, season[12] = {0};
    struct feature_batch batch = {.count = 1,
                                  .column_count = COLUMNS,
                                  .season_count = 6,
                                  .season_column_count = 2,
                                  .rows = &row,
                                  .x = x,
                                  .season = season};

    ck_assert_int_eq(scorer_batch(scorer, &batch, &err), -1);
    ck_assert_int_eq(err.code, ERR_USAGE);
    who.slot = 0;
    batch.season_count = 5;
    ck_assert_int_eq(scorer_batch(scorer, &batch, &err), -1);
    batch.season_count = 6;
    ck_assert_int_eq(scorer_batch(scorer, &batch, &err), 0);
    batch.count = 0;
    ck_assert_int_eq(scorer_batch(scorer, &batch, &err), 0);
    ck_assert_uint_eq(heard.batches, 2);
    scorer_destroy(scorer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scorer");
    TCase *tcase = tcase_create("scorer");
    SRunner *runner;
    int failed;

    model_threads(1);
    if (fixture_make(__FILE__) != 0) {
        fprintf(stderr, "models.py failed\n");
        return 1;
    }
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_a_series_does_not_see_the_others);
    tcase_add_loop_test(tcase, test_without_a_band, 0, 2);
    tcase_add_test(tcase, test_leaving_forgets);
    tcase_add_test(tcase, test_checkpoint);
    tcase_add_test(tcase, test_swap);
    tcase_add_test(tcase, test_a_batch_of_another_shape);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
