/* The alert room in a checkpoint: of the same series.max, of a smaller one, of
 * a larger one, and damaged. */
#include <check.h>
#include <stdlib.h>

#include "town.h"

static void save(const struct town *town, struct buf *to)
{
    buf_init(to, 16u << 20);
    alerts_save(town->alerts, to);
    ck_assert(!to->failed);
}

START_TEST(a_restart_neither_loses_nor_repeats_nor_resolves)
{
    struct town *town = town_create();
    struct buf before, after;
    struct cursor cursor;
    struct err err;
    unsigned told;

    town_alarm(town, "upstream=shop");
    town_run(town, 10);
    told = town->told_count;
    save(town, &before);
    alerts_destroy(town->alerts);
    town->alerts = town_alerts(town);
    cursor = (struct cursor){before.data, before.len, false};
    ck_assert_int_eq(alerts_restore(town->alerts, &cursor, &err), 0);
    ck_assert_uint_eq(cursor.len, 0);
    save(town, &after);
    ck_assert_uint_eq(before.len, after.len);
    ck_assert_mem_eq(before.data, after.data, before.len);
    town_run(town, 10);
    ck_assert_uint_eq(town->told_count, told);
    town_run(town, 30);
    ck_assert_uint_eq(town->told_count, told + 1);
    ck_assert_str_eq(town_last(town)->id, town_first(town, "firing")->id);
    ck_assert_str_eq(town_last(town)->state, "firing");
    town_clear(town, "upstream=shop");
    town_run(town, 3);
    ck_assert_uint_eq(town_count(town, "resolved"), 1);
    ck_assert_str_eq(town_last(town)->id, town_first(town, "firing")->id);
    buf_release(&before);
    buf_release(&after);
    town_free(town);
}
END_TEST

START_TEST(room_for_more_series_keeps_alerts_for_fewer_is_refused)
{
    struct town *town = town_create();
    struct buf saved;
    struct cursor cursor;
    struct err err;

    town_alarm(town, "upstream=shop");
    town_run(town, 60);
    ck_assert_uint_ge(town_count(town, "firing"), 1);
    save(town, &saved);
    alerts_destroy(town->alerts);
    town->alerts = town_alerts_of(town, TOWN_MAX - 1);
    cursor = (struct cursor){saved.data, saved.len, false};
    ck_assert_int_eq(alerts_restore(town->alerts, &cursor, &err), -1);
    ck_assert_str_eq(err.message, "alerts are of a series.max of 64, expected "
                                  "at most the present one, 63");
    alerts_destroy(town->alerts);
    town->alerts = town_alerts_of(town, 2 * TOWN_MAX);
    cursor = (struct cursor){saved.data, saved.len, false};
    ck_assert_int_eq(alerts_restore(town->alerts, &cursor, &err), 0);
    ck_assert_uint_eq(cursor.len, 0);
    town_clear(town, "upstream=shop");
    town_run(town, 3);
    ck_assert_uint_eq(town_count(town, "resolved"), 1);
    ck_assert_str_eq(town_last(town)->id, town_first(town, "firing")->id);
    buf_release(&saved);
    town_free(town);
}
END_TEST

START_TEST(a_state_that_is_cut_off_or_flipped_is_refused_or_harmless)
{
    struct town *town = town_create();
    struct buf saved;
    struct err err;
    size_t at;

    town_alarm(town, "upstream=shop");
    town_run(town, 10);
    save(town, &saved);
    for (at = 0; at < saved.len; at += 13) {
        struct cursor cursor = {saved.data, at, false};

        ck_assert_int_eq(alerts_restore(town->alerts, &cursor, &err), -1);
        cursor = (struct cursor){saved.data, saved.len, false};
        saved.data[at] = (char)(saved.data[at] ^ 0x55);
        if (alerts_restore(town->alerts, &cursor, &err) == 0) {
            town_run(town, 2);
        }
        saved.data[at] = (char)(saved.data[at] ^ 0x55);
    }
    buf_release(&saved);
    town_free(town);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alert state");
    TCase *tcase = tcase_create("checkpoint");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_restart_neither_loses_nor_repeats_nor_resolves);
    tcase_add_test(tcase,
                   room_for_more_series_keeps_alerts_for_fewer_is_refused);
    tcase_add_test(tcase,
                   a_state_that_is_cut_off_or_flipped_is_refused_or_harmless);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
