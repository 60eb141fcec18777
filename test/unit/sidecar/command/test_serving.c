/* Which model serves, and what a restart would load: never two of them. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../model/fixture.h"
#include "sidecar/base/log.h"
#include "sidecar/command/serving.h"
#include "sidecar/model/versions.h"

#define MODELS_PY "test/unit/sidecar/model/models.py"

static char dir[] = "/tmp/tocsin-serving-XXXXXX", path[PATH_MAX];
static struct serving serving;
static struct scorer *scorer;
static struct err err;

static void on_scored(void *ctx, const struct scored_batch *batch)
{
    (void)ctx;
    (void)batch;
}

static struct model *load(const char *name)
{
    struct model *model = model_load(fixture(name), &err);

    ck_assert_msg(model != NULL, "%s", err.message);
    return model;
}

/* As the trainer does with a challenger that won. */
static void keep(const char *name, const char *version, const char *parent)
{
    struct trainer_result result = {.verdict = TRAINER_WON};
    struct model *model = load(name);

    snprintf(result.version, sizeof(result.version), "%s", version);
    snprintf(result.parent, sizeof(result.parent), "%s", parent);
    ck_assert_int_eq(versions_store(dir, model, version, &err), 0);
    ck_assert_int_eq(versions_record(dir, &result, &err), 0);
    model_free(model);
}

static void serve(void)
{
    struct scorer_options options = {.columns = 2, .max = 4};
    struct scorer_sink sink = {NULL, on_scored};
    struct model *model = serving_load(&serving, &err);

    ck_assert_msg(model != NULL, "%s", err.message);
    scorer = scorer_create(model, &options, sink, &err);
    ck_assert_msg(scorer != NULL, "%s", err.message);
}

static const char *served(void)
{
    return model_describe(scorer_model(scorer))->version;
}

/* What a restart would load by its name; "" for the default model. */
static const char *current(void)
{
    static char version[VERSIONS_NAME];
    int rc = versions_current(dir, version, &err);

    ck_assert_int_ge(rc, 0);
    return rc == 0 ? version : "";
}

static void setup(void)
{
    snprintf(dir, sizeof(dir), "%s", "/tmp/tocsin-serving-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(versions_prepare(dir, &err), 0);
    snprintf(path, sizeof(path), "%s", fixture("toy"));
    serving_init(&serving, dir, path);
    scorer = NULL;
}

static void teardown(void)
{
    char command[128];

    serving_release(&serving);
    scorer_destroy(scorer);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static int leave(const char *from)
{
    return serving_leave(&serving, scorer, tocsin_span_str(from), &err);
}

START_TEST(test_the_way_back)
{
    keep("toy", "toy-1+1", "toy-1");
    keep("toy", "toy-1+2", "toy-1+1");
    serve();
    ck_assert_str_eq(served(), "toy-1+2");
    ck_assert_int_eq(leave("toy-1+1"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "it is toy-1+2 that serves"));
    ck_assert_int_eq(leave("toy-1+2"), 0);
    ck_assert_str_eq(served(), "toy-1+2");
    serving_tick(&serving, scorer, NULL, 7);
    ck_assert_str_eq(served(), "toy-1+1");
    ck_assert_str_eq(current(), "toy-1+1");
    ck_assert_uint_eq(serving.since, 7);
    ck_assert_int_eq(leave("toy-1+1"), 0);
    serving_tick(&serving, scorer, NULL, 8);
    ck_assert_str_eq(served(), "toy-1");
    ck_assert_str_eq(current(), "");
    ck_assert_int_eq(leave("toy-1"), -1);
}
END_TEST

/* The one before reads other things by now. */
START_TEST(test_a_way_back_that_is_barred)
{
    keep("other_shape", "toy-1+1", "toy-1");
    keep("toy", "toy-1+2", "toy-1+1");
    serve();
    ck_assert_int_eq(leave("toy-1+2"), 0);
    serving_tick(&serving, scorer, NULL, 7);
    ck_assert_str_eq(served(), "toy-1+2");
    ck_assert_str_eq(current(), "toy-1+2");
}
END_TEST

/* The one before is damaged: one step further. */
START_TEST(test_the_way_back_goes_past_what_is_damaged)
{
    keep("toy", "toy-1+1", "toy-1");
    keep("toy", "toy-1+2", "toy-1+1");
    keep("toy", "toy-1+3", "toy-1+2");
    serve();
    ck_assert_int_eq(versions_path(dir, "toy-1+2", path, &err), 0);
    ck_assert_int_eq(truncate(path, 100), 0);
    ck_assert_int_eq(leave("toy-1+3"), 0);
    serving_tick(&serving, scorer, NULL, 7);
    ck_assert_str_eq(served(), "toy-1+1");
    ck_assert_str_eq(current(), "toy-1+1");
}
END_TEST

START_TEST(test_a_winner_that_cannot_serve)
{
    keep("toy", "toy-1+1", "toy-1");
    serve();
    keep("other_shape", "toy-1+2", "toy-1+1");
    serving.winner = load("other_shape");
    serving_tick(&serving, scorer, NULL, 7);
    ck_assert_ptr_null(serving.winner);
    ck_assert_str_eq(served(), "toy-1+1");
    ck_assert_str_eq(current(), "toy-1+1");
}
END_TEST

/* What a checkpoint says served then serves again, though a restart would load
 * what won after it. */
START_TEST(test_what_served_then_serves_again)
{
    struct cursor from;
    struct buf saved;

    keep("toy", "toy-1+1", "toy-1");
    serve();
    buf_init(&saved, 4096);
    serving_save(&serving, scorer, &saved);
    scorer_destroy(scorer);
    keep("toy", "toy-1+2", "toy-1+1");
    serve();
    ck_assert_str_eq(served(), "toy-1+2");
    from = (struct cursor){saved.data, saved.len, false};
    ck_assert_int_eq(serving_restore(&serving, scorer, NULL, &from, &err), 0);
    ck_assert_uint_eq(from.len, 0);
    ck_assert_str_eq(served(), "toy-1+1");
    ck_assert_str_eq(current(), "toy-1+1");

    /* It is not there any more; then there is nothing to go back to. */
    ck_assert_int_eq(versions_use(dir, "toy-1+2", &err), 0);
    ck_assert_int_eq(versions_path(dir, "toy-1+1", path, &err), 0);
    ck_assert_int_eq(unlink(path), 0);
    snprintf(path, sizeof(path), "%s", fixture("toy"));
    scorer_destroy(scorer);
    serve();
    from = (struct cursor){saved.data, saved.len, false};
    ck_assert_int_eq(serving_restore(&serving, scorer, NULL, &from, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "toy-1+1 is not kept"));
    ck_assert_str_eq(served(), "toy-1+2");
    from = (struct cursor){saved.data, 7, false};
    ck_assert_int_eq(serving_restore(&serving, scorer, NULL, &from, &err), -1);
    buf_release(&saved);
}
END_TEST

/* Where nothing is trained there is the default model alone. */
START_TEST(test_without_a_directory)
{
    struct serving bare;
    struct model *model;

    keep("toy", "toy-1+1", "toy-1");
    serving_init(&bare, NULL, fixture("toy"));
    model = serving_load(&bare, &err);
    ck_assert_ptr_nonnull(model);
    ck_assert_str_eq(model_describe(model)->version, "toy-1");
    model_free(model);
    serving_release(&bare);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serving");
    TCase *tcase = tcase_create("serving");
    SRunner *runner;
    int failed;

    model_threads(1);
    if (fixture_make(MODELS_PY) != 0) {
        fprintf(stderr, "models.py failed\n");
        return 1;
    }
    log_set_level(LOG_ERROR);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_the_way_back);
    tcase_add_test(tcase, test_a_way_back_that_is_barred);
    tcase_add_test(tcase, test_the_way_back_goes_past_what_is_damaged);
    tcase_add_test(tcase, test_a_winner_that_cannot_serve);
    tcase_add_test(tcase, test_what_served_then_serves_again);
    tcase_add_test(tcase, test_without_a_directory);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
