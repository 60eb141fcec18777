/* The saver: one checkpoint at a time, on disk when it says so. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sidecar/base/checkpoint.h"
#include "sidecar/base/file.h"
#include "sidecar/base/log.h"
#include "sidecar/command/saver.h"

static char directory[] = "/tmp/tocsin-saver-XXXXXX";
static char path[PATH_MAX], old[PATH_MAX + 8];
static struct err err;

static void setup(void)
{
    snprintf(directory, sizeof(directory), "%s", "/tmp/tocsin-saver-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/checkpoint", directory);
    snprintf(old, sizeof(old), "%s.old", path);
}

static void teardown(void)
{
    unlink(path);
    unlink(old);
    rmdir(directory);
}

static void put(struct saver *saver, uint64_t value)
{
    struct buf *to = saver_begin(saver);
    size_t at;

    ck_assert_ptr_nonnull(to);
    checkpoint_start(to);
    at = checkpoint_begin(to, "value");
    buf_put_u64(to, value);
    checkpoint_end(to, at);
    ck_assert_int_eq(checkpoint_finish(to, &err), 0);
    saver_write(saver);
}

static uint64_t get(const char *from)
{
    struct cursor section;
    struct buf buf;
    uint64_t value;

    buf_init(&buf, 4096);
    ck_assert_int_eq(file_read(from, &buf, &err), 0);
    ck_assert_int_eq(checkpoint_check(buf.data, buf.len, &err), 0);
    ck_assert_int_eq(
        checkpoint_find(buf.data, buf.len, "value", &section, &err), 0);
    value = cursor_u64(&section);
    buf_release(&buf);
    return value;
}

START_TEST(the_last_two_are_kept)
{
    struct saver *saver = saver_create(path, &err);
    uint64_t i;

    ck_assert_ptr_nonnull(saver);
    for (i = 1; i <= 20; i++) {
        put(saver, i);
        ck_assert_int_eq(saver_wait(saver, &err), 0);
        ck_assert(get(path) == i);
    }
    ck_assert(get(old) == 19);
    saver_destroy(saver);
}
END_TEST

START_TEST(destroying_waits_for_the_disk)
{
    struct saver *saver = saver_create(path, &err);

    put(saver, 7);
    saver_destroy(saver);
    ck_assert(get(path) == 7);
}
END_TEST

START_TEST(the_first_is_due_after_the_interval)
{
    struct saver *saver = saver_create(path, &err);

    ck_assert_ptr_null(saver_due(saver, 5, 30));
    ck_assert_ptr_null(saver_due(saver, 34, 30));
    ck_assert_ptr_nonnull(saver_due(saver, 35, 30));
    saver_destroy(saver);
}
END_TEST

/* Who fails to make one tries again when it is time, not at once. */
START_TEST(the_next_is_due_after_the_interval_whatever_became_of_it)
{
    struct saver *saver = saver_create(path, &err);
    struct buf *to;

    saver_due(saver, 5, 30);
    to = saver_due(saver, 35, 30);
    ck_assert_ptr_nonnull(to);
    to->cap = 8;
    checkpoint_start(to);
    ck_assert_int_eq(checkpoint_finish(to, &err), -1);
    ck_assert_ptr_null(saver_due(saver, 36, 30));
    ck_assert_ptr_null(saver_due(saver, 64, 30));
    ck_assert_ptr_nonnull(saver_due(saver, 65, 30));
    saver_destroy(saver);
}
END_TEST

START_TEST(failures_are_told)
{
    struct saver *saver = saver_create("/nonexistent/dir/checkpoint", &err);

    log_set_level(LOG_ERROR);
    put(saver, 7);
    ck_assert_int_eq(saver_wait(saver, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/dir"));
    saver_destroy(saver);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("saver");
    TCase *tcase = tcase_create("saver");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_last_two_are_kept);
    tcase_add_test(tcase, destroying_waits_for_the_disk);
    tcase_add_test(tcase, the_first_is_due_after_the_interval);
    tcase_add_test(tcase,
                   the_next_is_due_after_the_interval_whatever_became_of_it);
    tcase_add_test(tcase, failures_are_told);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
