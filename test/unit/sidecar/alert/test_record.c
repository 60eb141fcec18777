/* One alert in a checkpoint: what is saved comes back, what cannot be is
 * refused. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/alert/record.h"
#include "sidecar/base/buf.h"
#include "sidecar/detect/score.h"

static struct record *one(void)
{
    struct record *record = calloc(1, sizeof(*record));

    ck_assert_ptr_nonnull(record);
    *record = (struct record){.state = RECORD_FIRING,
                              .severity = SEVERITY_CRITICAL,
                              .slot = 7,
                              .hash = 0x123456789abcdef0u,
                              .scope = SCOPE_COLUMN,
                              .of_requests = true,
                              .id = "f00d-1",
                              .fingerprint = "f00d",
                              .labels = "upstream=shop",
                              .started = 1000000,
                              .told = 2000000,
                              .feature = FEATURE_COUNT,
                              .column = 3,
                              .score = SCORE_MAX,
                              .age = 60,
                              .quiet = 5,
                              .innocent = 2,
                              .flaps = 4,
                              .seen = 0x80000001u};
    trace_init(&record->trace, (struct band){0.1f, 0.05f, 0.2f});
    return record;
}

static void save(const struct record *record, struct buf *to)
{
    buf_init(to, 1u << 20);
    record_save(record, to);
    ck_assert(!to->failed);
}

/* What becomes of a record that was saved. */
static int restore(const struct record *record, struct record *back)
{
    struct cursor cursor;
    struct buf saved;
    int rc;

    save(record, &saved);
    cursor = (struct cursor){saved.data, saved.len, false};
    rc = record_restore(back, &cursor);
    ck_assert_uint_eq(cursor.len, 0);
    buf_release(&saved);
    return rc;
}

START_TEST(what_is_saved_comes_back)
{
    struct record *record = one(), *back = one();
    struct buf before, after;

    memset(back, 0x55, sizeof(*back));
    ck_assert_int_eq(restore(record, back), 0);
    save(record, &before);
    save(back, &after);
    ck_assert_uint_eq(before.len, after.len);
    ck_assert_mem_eq(before.data, after.data, before.len);
    ck_assert_str_eq(back->labels, "upstream=shop");
    ck_assert_uint_eq(back->seen, 0x80000001u);
    ck_assert(back->score == SCORE_MAX);
    ck_assert(trace_last(&back->trace).high == 0.2f);
    ck_assert_uint_eq(back->members, 0);
    buf_release(&before);
    buf_release(&after);
    free(record);
    free(back);
}
END_TEST

START_TEST(every_length_but_the_whole_is_refused)
{
    struct record *record = one(), *back = one();
    struct buf saved;
    size_t len;

    save(record, &saved);
    for (len = 0; len < saved.len; len++) {
        struct cursor cursor = {saved.data, len, false};

        ck_assert_int_eq(record_restore(back, &cursor), -1);
    }
    buf_release(&saved);
    free(record);
    free(back);
}
END_TEST

START_TEST(a_score_out_of_its_range_is_refused)
{
    static const struct {
        float score;
        int rc;
    } cases[] = {
        {0, 0},    {SCORE_MAX, 0}, {-0.5f, -1},     {SCORE_MAX + 0.5f, -1},
        {NAN, -1}, {INFINITY, -1}, {-INFINITY, -1},
    };
    struct record *record = one(), *back = one();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        record->score = cases[i].score;
        ck_assert_msg(restore(record, back) == cases[i].rc, "score %g",
                      (double)cases[i].score);
    }
    free(record);
    free(back);
}
END_TEST

START_TEST(what_no_list_has_is_refused)
{
    struct record *record = one(), *back = one();

    record->state = (enum record_state)(RECORD_FIRING + 1);
    ck_assert_int_eq(restore(record, back), -1);
    record->state = RECORD_UNTOLD;
    record->severity = (enum severity)(SEVERITY_CRITICAL + 1);
    ck_assert_int_eq(restore(record, back), -1);
    record->severity = SEVERITY_INFO;
    record->scope = (enum scope)(SCOPE_COLUMN + 1);
    ck_assert_int_eq(restore(record, back), -1);
    record->scope = SCOPE_COLUMN;
    record->feature = (enum feature)(FEATURE_COUNT + 1);
    ck_assert_int_eq(restore(record, back), -1);
    record->feature = (enum feature)0;
    ck_assert_int_eq(restore(record, back), 0);
    free(record);
    free(back);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *tcase = tcase_create("checkpoint");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, what_is_saved_comes_back);
    tcase_add_test(tcase, every_length_but_the_whole_is_refused);
    tcase_add_test(tcase, a_score_out_of_its_range_is_refused);
    tcase_add_test(tcase, what_no_list_has_is_refused);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
