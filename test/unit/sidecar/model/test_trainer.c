/* Rounds: who wins, who is refused, and that timing changes nothing. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "../../../../sidecar/model/round.h"
#include "../../../../sidecar/model/versions.h"
#include "fixture.h"
#include "shared/alert_codec.h"

#define TICKS 16
#define COLUMNS 2

static struct err err;
static float x[TICKS * COLUMNS], past[TICKS * 2 * COLUMNS], season[TICKS];

static void options_init(struct trainer_options *options)
{
    trainer_defaults(options, COLUMNS);
    options->ticks = TICKS;
    options->capacity = 60;
    options->batch = 4;
    options->steps = 10;
    options->learning_rate = 0.1;
    options->thread = false;
}

static struct trainer *start(const struct trainer_options *options,
                             const char *name)
{
    struct model *model = model_load(fixture(name), &err);
    struct trainer *trainer;

    ck_assert_msg(model != NULL, "%s", err.message);
    trainer = trainer_create(options, model, &err);
    ck_assert_msg(trainer != NULL, "%s", err.message);
    model_free(model); /* the trainer has its own */
    return trainer;
}

static void feed(struct trainer *trainer, unsigned count, float level)
{
    unsigned i, k;

    for (i = 0; i < count; i++) {
        for (k = 0; k < TICKS * COLUMNS; k++) {
            x[k] = level + (float)((i * 7 + k * 3) % 5) * 0.1f;
        }
        trainer_window(trainer, x, past, season, NULL);
    }
}

static struct model *take(struct trainer *trainer,
                          struct trainer_result *result)
{
    struct timespec pause = {0, 2000000};
    struct model *winner;

    while (!trainer_take(trainer, result, &winner)) {
        nanosleep(&pause, NULL);
    }
    return winner;
}

START_TEST(test_a_better_challenger_wins)
{
    struct trainer_options options;
    struct trainer_result result;
    struct trainer *trainer;
    struct model *winner;

    options_init(&options);
    trainer = start(&options, "toy");
    feed(trainer, 40, 5);
    ck_assert(trainer_round(trainer, 77));
    winner = take(trainer, &result);
    ck_assert_ptr_nonnull(winner);
    ck_assert_int_eq(result.verdict, TRAINER_WON);
    ck_assert_str_eq(result.parent, "toy-1");
    ck_assert_str_eq(result.version, "toy-1+77");
    ck_assert_uint_eq(result.position, 77);
    ck_assert_uint_eq(result.windows, 32);
    ck_assert_uint_eq(result.held, 8);
    ck_assert_double_lt(result.after, result.before * 0.9);
    model_free(winner);

    /* The next one starts from the winner. */
    ck_assert(!trainer_take(trainer, &result, &winner));
    ck_assert(trainer_round(trainer, 78));
    winner = take(trainer, &result);
    ck_assert_double_lt(result.before, 0.9 * 5 * 5);
    ck_assert_str_eq(result.parent, "toy-1+77");
    ck_assert_str_eq(model_describe(winner)->version, "toy-1+78");
    model_free(winner);
    ck_assert_uint_eq(trainer_stats(trainer)->rounds, 2);
    trainer_destroy(trainer);
}
END_TEST

/* Nothing to learn: the champion stays. */
START_TEST(test_no_better_challenger_loses)
{
    struct trainer_options options;
    struct trainer_result result;
    struct trainer *trainer;

    options_init(&options);
    options.margin = 0.5;
    options.learning_rate = 1e-4;
    trainer = start(&options, "toy");
    feed(trainer, 40, 5);
    ck_assert(trainer_round(trainer, 1));
    ck_assert_ptr_null(take(trainer, &result));
    ck_assert_int_eq(result.verdict, TRAINER_LOST);
    ck_assert_ptr_nonnull(strstr(result.reason, "only"));
    trainer_destroy(trainer);
}
END_TEST

/* A loss that becomes NaN; a band that turns inside out while the loss
 * falls: neither serves. */
START_TEST(test_broken_challengers_never_serve)
{
    static const char *const names[] = {"nan_loss", "inverted"};
    struct trainer_options options;
    struct trainer_result result;
    struct trainer *trainer;

    options_init(&options);
    options.steps = 40;
    trainer = start(&options, names[_i]);
    feed(trainer, 40, 5);
    ck_assert(trainer_round(trainer, 1));
    ck_assert_ptr_null(take(trainer, &result));
    ck_assert_int_eq(result.verdict, TRAINER_BROKEN);
    ck_assert_uint_gt(strlen(result.reason), 0);
    ck_assert_uint_eq(trainer_stats(trainer)->won, 0);
    trainer_destroy(trainer);
}
END_TEST

START_TEST(test_windows_in_alarm_are_left_out)
{
    unsigned char calm[TICKS];
    struct trainer_options options;
    struct trainer_result result;
    struct trainer *trainer;
    struct model *winner;
    unsigned i;

    options_init(&options);
    options.steps = 100;
    trainer = start(&options, "toy");
    memset(calm, 1, sizeof(calm));
    memset(calm, 0, TICKS / 2 + 1);
    for (i = 0; i < 40; i++) {
        trainer_window(trainer, x, past, season, calm);
    }
    ck_assert_uint_eq(trainer_stats(trainer)->refused, 40);
    ck_assert(!trainer_round(trainer, 1));

    /* The first six ticks at 1000 are in alarm: the level learned is 5. */
    memset(calm, 1, sizeof(calm));
    memset(calm, 0, 6);
    for (i = 0; i < TICKS * COLUMNS; i++) {
        x[i] = i < 6 * COLUMNS ? 1000 : 5;
    }
    for (i = 0; i < 40; i++) {
        trainer_window(trainer, x, past, season, calm);
    }
    ck_assert_uint_eq(trainer_stats(trainer)->taken, 40);
    ck_assert(trainer_round(trainer, 1));
    winner = take(trainer, &result);
    ck_assert_ptr_nonnull(winner);
    ck_assert_double_lt(result.before, 26);
    ck_assert_double_lt(result.after, 2);
    model_free(winner);
    trainer_destroy(trainer);
}
END_TEST

/* With a thread, and windows that come while it runs: the same figures. */
START_TEST(test_timing_changes_nothing)
{
    struct trainer_result alone, beside;
    struct trainer_options options;
    struct trainer *trainer;

    options_init(&options);
    trainer = start(&options, "toy");
    feed(trainer, 40, 5);
    ck_assert(trainer_round(trainer, 9));
    model_free(take(trainer, &alone));
    trainer_destroy(trainer);

    options.thread = true;
    options.share = 0.5;
    trainer = start(&options, "toy");
    feed(trainer, 40, 5);
    ck_assert(trainer_round(trainer, 9));
    feed(trainer, 100, 500); /* 64 wait, the others are dropped */
    ck_assert(!trainer_round(trainer, 10));
    model_free(take(trainer, &beside));
    ck_assert_double_eq(alone.before, beside.before);
    ck_assert_double_eq(alone.after, beside.after);
    ck_assert_uint_eq(trainer_stats(trainer)->dropped, 36);
    ck_assert_uint_eq(trainer_stats(trainer)->windows, 60);
    trainer_destroy(trainer);
}
END_TEST

/* A round that runs when all is saved is begun again, and so are those after
 * it the same, with the windows that came meanwhile. */
START_TEST(test_a_restored_one_goes_on)
{
    struct trainer_options options;
    struct trainer_result result[2];
    struct trainer *trainer[2];
    struct model *winner;
    struct cursor from;
    struct buf saved;

    options_init(&options);
    options.thread = true;
    trainer[0] = start(&options, "toy");
    feed(trainer[0], 70, 5);
    ck_assert(trainer_round(trainer[0], 9));
    feed(trainer[0], 7, 4);
    buf_init(&saved, 1 << 20);
    trainer_save(trainer[0], &saved);
    from = (struct cursor){saved.data, saved.len, false};
    trainer[1] = start(&options, "toy");
    ck_assert_int_eq(trainer_restore(trainer[1], &from, &err), 0);
    ck_assert_uint_eq(from.len, 0);
    ck_assert(!trainer_idle(trainer[1]));
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 2; i++) {
            winner = take(trainer[i], &result[i]);
            ck_assert_ptr_nonnull(winner);
            model_free(winner);
            feed(trainer[i], 9, 5);
            ck_assert_int_eq(trainer_round(trainer[i], 11 + round), true);
        }
        ck_assert_str_eq(result[1].version, result[0].version);
        ck_assert_double_eq(result[1].before, result[0].before);
        ck_assert_double_eq(result[1].after, result[0].after);
        ck_assert_uint_eq(result[1].windows, result[0].windows);
    }
    ck_assert_uint_eq(trainer_stats(trainer[1])->taken,
                      trainer_stats(trainer[0])->taken);
    trainer_destroy(trainer[0]);
    trainer_destroy(trainer[1]);
    buf_release(&saved);
}
END_TEST

/* Windows of another length, a ring that claims more than there can be, and a
 * file that ends too early: nothing is taken of any. */
START_TEST(test_what_does_not_fit_is_not_restored)
{
    struct trainer_options options;
    struct trainer *trainer;
    struct cursor from;
    struct buf saved;

    options_init(&options);
    if (_i == 0) {
        options.ticks = TICKS / 2;
    }
    trainer = start(&options, "toy");
    feed(trainer, 40, 5);
    buf_init(&saved, 1 << 20);
    trainer_save(trainer, &saved);
    trainer_destroy(trainer);
    options.ticks = TICKS;
    trainer = start(&options, "toy");
    if (_i == 1) {
        memset(saved.data + 4 + 6 * 8 + 2 * 8, 49, 1); /* room for 48 */
    }
    from = (struct cursor){saved.data, saved.len - (_i == 2), false};
    ck_assert_int_eq(trainer_restore(trainer, &from, &err), -1);
    ck_assert_int_eq(err.code, ERR_INPUT);
    ck_assert_uint_eq(trainer_stats(trainer)->windows, 0);
    ck_assert_uint_eq(trainer_stats(trainer)->taken, 0);
    trainer_destroy(trainer);
    buf_release(&saved);
}
END_TEST

/* Who waits for a round does not wait for its share: a millionth would take
 * longer than a test may. */
START_TEST(test_who_waits_is_served)
{
    struct trainer_options options;
    struct trainer_result result;
    struct trainer *trainer;

    options_init(&options);
    options.thread = true;
    options.share = 1e-6;
    trainer = start(&options, "toy");
    feed(trainer, 40, 5);
    ck_assert(trainer_wait(trainer, 0)); /* none runs */
    ck_assert(trainer_round(trainer, 1));
    ck_assert(!trainer_wait(trainer, 1));
    while (!trainer_wait(trainer, 1000000)) {
    }
    model_free(take(trainer, &result));
    trainer_destroy(trainer);
}
END_TEST

START_TEST(test_destroy_ends_a_round)
{
    struct trainer_options options;
    struct trainer *trainer;

    options_init(&options);
    options.thread = true;
    options.share = 0.001;
    options.steps = 1000000;
    trainer = start(&options, "toy");
    feed(trainer, 40, 5);
    ck_assert(trainer_round(trainer, 1));
    trainer_destroy(trainer);
}
END_TEST

START_TEST(test_options_are_checked)
{
    struct model *model = model_load(fixture("toy"), &err);
    struct trainer_options options;

    options_init(&options);
    options.share = 0;
    ck_assert_ptr_null(trainer_create(&options, model, &err));
    ck_assert_int_eq(err.code, ERR_USAGE);
    options_init(&options);
    options.dir = "/nonexistent";
    ck_assert_ptr_null(trainer_create(&options, model, &err));
    ck_assert_int_eq(err.code, ERR_SYSTEM);
    model_free(model);
}
END_TEST

/* ---------------------------------------------------------------- versions */

static void expect_row(struct tocsin_span *rows, const char *verdict,
                       const char *version, uint64_t at)
{
    struct tocsin_round_row row;

    ck_assert_int_eq(tocsin_round_row_next(rows, &row), 1);
    ck_assert(tocsin_span_eq(row.verdict, tocsin_span_str(verdict)));
    ck_assert(tocsin_span_eq(row.version, tocsin_span_str(version)));
    ck_assert_uint_eq(row.at, at);
}

static void expect_rounds(const char *dir)
{
    struct tocsin_span rest;
    struct buf rows;

    buf_init(&rows, 65536);
    ck_assert_int_eq(versions_rounds(dir, &rows, &err), 0);
    rest = tocsin_span_of(rows.data, rows.len);
    expect_row(&rest, "won", "toy-1+1", 1);
    expect_row(&rest, "won", "toy-1+2", 2);
    expect_row(&rest, "rolled%20back", "toy-1", 78);
    ck_assert_uint_eq(rest.len, 0);
    buf_release(&rows);
}

START_TEST(test_versions)
{
    char dir[] = "/tmp/tocsin-versions-XXXXXX", path[PATH_MAX], name[64];
    struct trainer_options options;
    struct trainer_result result;
    struct trainer *trainer;
    struct model *model;
    char command[128];

    ck_assert_ptr_nonnull(mkdtemp(dir));
    options_init(&options);
    options.dir = dir;
    trainer = start(&options, "toy");
    ck_assert_int_eq(versions_current(dir, name, &err), 1);
    ck_assert_int_eq(versions_before(dir, "toy-1", name, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "before toy-1"));
    feed(trainer, 40, 50);
    ck_assert(trainer_round(trainer, 1));
    model_free(take(trainer, &result));
    ck_assert(trainer_round(trainer, 2));
    model_free(take(trainer, &result));
    ck_assert_int_eq(result.verdict, TRAINER_WON);
    trainer_destroy(trainer);

    ck_assert_int_eq(versions_current(dir, name, &err), 0);
    ck_assert_int_eq(versions_path(dir, name, path, &err), 0);
    model = model_load(path, &err);
    ck_assert_msg(model != NULL, "%s", err.message);
    ck_assert_str_eq(model_describe(model)->version, "toy-1+2");
    model_free(model);

    ck_assert_int_eq(versions_before(dir, "toy-1+2", name, &err), 0);
    ck_assert_str_eq(name, "toy-1+1");
    ck_assert_int_eq(versions_use(dir, name, &err), 0);
    ck_assert_int_eq(versions_current(dir, name, &err), 0);
    ck_assert_str_eq(name, "toy-1+1");
    ck_assert_int_eq(versions_path(dir, name, path, &err), 0);
    ck_assert_ptr_nonnull(strstr(path, "models/toy-1+1.pt"));
    ck_assert_int_eq(versions_before(dir, "toy-1+1", name, &err), 0);
    ck_assert_str_eq(name, "toy-1");
    ck_assert_int_eq(versions_use(dir, name, &err), 0);
    ck_assert(!versions_kept(dir, name));
    ck_assert_int_eq(versions_current(dir, name, &err), 1);
    ck_assert_int_eq(
        versions_note(dir, "rolled back", name, "toy-1+1", 78, &err), 0);
    expect_rounds(dir);

    snprintf(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* A history of years is cut, and its newest rounds are told. */
START_TEST(test_versions_history_is_bounded)
{
    char dir[] = "/tmp/tocsin-versions-XXXXXX", path[PATH_MAX];
    struct trainer_result result = {
        .verdict = TRAINER_LOST, .version = "toy-1+9", .parent = "toy-1"};
    struct tocsin_round_row row;
    struct tocsin_span rest;
    struct stat status;
    unsigned i, count = 0;
    struct buf rows;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(versions_prepare(dir, &err), 0);
    snprintf(path, sizeof(path), "%s/models/history", dir);
    for (i = 1; i <= 8000; i++) {
        result.position = i;
        ck_assert_int_eq(versions_record(dir, &result, &err), 0);
        ck_assert_int_eq(stat(path, &status), 0);
        ck_assert_int_lt(status.st_size, 1100000);
    }
    ck_assert_int_lt(status.st_size, 8000 * 150);
    buf_init(&rows, 65536);
    ck_assert_int_eq(versions_rounds(dir, &rows, &err), 0);
    rest = tocsin_span_of(rows.data, rows.len);
    while (tocsin_round_row_next(&rest, &row) == 1) {
        ck_assert_uint_eq(row.at, 8000 - VERSIONS_ROUNDS + ++count);
    }
    ck_assert_uint_eq(count, VERSIONS_ROUNDS);
    buf_release(&rows);
    snprintf(path, sizeof(path), "rm -r %s", dir);
    ck_assert_int_eq(system(path), 0);
}
END_TEST

/* `current` is a file that somebody may have touched. */
START_TEST(test_versions_refuse_paths)
{
    char dir[] = "/tmp/tocsin-versions-XXXXXX", name[VERSIONS_NAME];
    char command[160], path[PATH_MAX];

    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(versions_prepare(dir, &err), 0);
    snprintf(command, sizeof(command),
             "printf ../../etc/shadow > %s/models/current", dir);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(versions_current(dir, name, &err), -1);
    ck_assert_int_eq(err.code, ERR_INPUT);
    ck_assert_int_eq(versions_path(dir, "../escape", path, &err), -1);
    ck_assert(!versions_kept(dir, "../../etc/passwd"));
    snprintf(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* A round that is made again is told once. */
START_TEST(test_versions_tell_a_round_once)
{
    char dir[] = "/tmp/tocsin-versions-XXXXXX", path[PATH_MAX];
    struct trainer_result result = {.verdict = TRAINER_LOST,
                                    .version = "toy-1+9",
                                    .parent = "toy-1",
                                    .position = 9};
    struct stat once, twice;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(versions_prepare(dir, &err), 0);
    snprintf(path, sizeof(path), "%s/models/history", dir);
    ck_assert_int_eq(versions_record(dir, &result, &err), 0);
    ck_assert_int_eq(stat(path, &once), 0);
    ck_assert_int_eq(versions_record(dir, &result, &err), 0);
    ck_assert_int_eq(stat(path, &twice), 0);
    ck_assert_int_eq(twice.st_size, once.st_size);
    snprintf(result.parent, sizeof(result.parent), "toy-1+5");
    ck_assert_int_eq(versions_record(dir, &result, &err), 0);
    ck_assert_int_eq(stat(path, &twice), 0);
    ck_assert_int_gt(twice.st_size, once.st_size);
    snprintf(path, sizeof(path), "rm -r %s", dir);
    ck_assert_int_eq(system(path), 0);
}
END_TEST

/* Only the newest winners keep their files. */
START_TEST(test_versions_are_forgotten)
{
    char dir[] = "/tmp/tocsin-versions-XXXXXX", path[PATH_MAX];
    struct model *model = model_load(fixture("toy"), &err);
    struct trainer_result result = {.verdict = TRAINER_WON};
    char command[128];
    unsigned i;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(versions_prepare(dir, &err), 0);
    for (i = 0; i < VERSIONS_MAX + 5; i++) {
        snprintf(result.version, sizeof(result.version), "v%u", i);
        ck_assert_int_eq(versions_store(dir, model, result.version, &err), 0);
        ck_assert_int_eq(versions_record(dir, &result, &err), 0);
    }
    for (i = 0; i < VERSIONS_MAX + 5; i++) {
        snprintf(path, sizeof(path), "%s/models/v%u.pt", dir, i);
        ck_assert_int_eq(access(path, R_OK), i < 4 ? -1 : 0);
    }
    model_free(model);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer");
    TCase *tcase = tcase_create("trainer");
    SRunner *runner;
    int failed;

    model_threads(1);
    if (fixture_make(__FILE__) != 0) {
        fprintf(stderr, "models.py failed\n");
        return 1;
    }
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_a_better_challenger_wins);
    tcase_add_test(tcase, test_no_better_challenger_loses);
    tcase_add_loop_test(tcase, test_broken_challengers_never_serve, 0, 2);
    tcase_add_test(tcase, test_windows_in_alarm_are_left_out);
    tcase_add_test(tcase, test_timing_changes_nothing);
    tcase_add_test(tcase, test_a_restored_one_goes_on);
    tcase_add_loop_test(tcase, test_what_does_not_fit_is_not_restored, 0, 3);
    tcase_add_test(tcase, test_who_waits_is_served);
    tcase_add_test(tcase, test_destroy_ends_a_round);
    tcase_add_test(tcase, test_options_are_checked);
    tcase_add_test(tcase, test_versions);
    tcase_add_test(tcase, test_versions_history_is_bounded);
    tcase_add_test(tcase, test_versions_tell_a_round_once);
    tcase_add_test(tcase, test_versions_refuse_paths);
    tcase_add_test(tcase, test_versions_are_forgotten);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
