/* Whole files: replaced or left alone, never half. */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sidecar/base/file.h"

static char directory[] = "/tmp/tocsin-file-XXXXXX";
static char path[PATH_MAX];
static struct buf buf;
static struct err err;

static void setup(void)
{
    snprintf(directory, sizeof(directory), "%s", "/tmp/tocsin-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/state", directory);
    buf_init(&buf, 1 << 20);
}

static void teardown(void)
{
    static const char *const suffixes[] = {"", ".old", ".new", ".lnk"};
    char name[PATH_MAX + 8];
    unsigned i;

    buf_release(&buf);
    for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        unlink(name);
    }
    ck_assert_int_eq(rmdir(directory), 0);
}

static void expect(const char *suffix, const char *content)
{
    char name[PATH_MAX + 8];

    snprintf(name, sizeof(name), "%s%s", path, suffix);
    buf_clear(&buf);
    ck_assert_int_eq(file_read(name, &buf, &err), 0);
    ck_assert_str_eq(buf.data, content);
}

START_TEST(replaces_and_keeps)
{
    char name[PATH_MAX + 8];
    struct stat st;

    ck_assert_int_eq(file_replace(path, "one", 3, true, &err), 0);
    expect("", "one");
    ck_assert_int_eq(file_replace(path, "two", 3, true, &err), 0);
    ck_assert_int_eq(file_replace(path, "three", 5, true, &err), 0);
    expect("", "three");
    expect(".old", "two");
    ck_assert_int_eq(file_replace(path, "", 0, false, &err), 0);
    expect("", "");
    expect(".old", "two");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    snprintf(name, sizeof(name), "%s.new", path);
    ck_assert_int_eq(access(name, F_OK), -1);
    snprintf(name, sizeof(name), "%s.lnk", path);
    ck_assert_int_eq(access(name, F_OK), -1);
}
END_TEST

/* As on a full disk: the write fails midway, the old file stays. */
START_TEST(failed_write_leaves_the_old)
{
    struct rlimit limit = {4096, 4096};
    char *large = calloc(1, 100000);
    char name[PATH_MAX + 8];

    ck_assert_int_eq(file_replace(path, "good", 4, true, &err), 0);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(file_replace(path, large, 100000, true, &err), -1);
    ck_assert_int_eq(err.code, ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.message, "state.new: write: File too"));
    expect("", "good");
    snprintf(name, sizeof(name), "%s.new", path);
    ck_assert_int_eq(access(name, F_OK), -1);
    free(large);
}
END_TEST

START_TEST(caps_and_kinds)
{
    struct buf small;

    ck_assert_int_eq(file_replace(path, "12345678", 8, false, &err), 0);
    buf_init(&small, 7);
    ck_assert_int_eq(file_read(path, &small, &err), -1);
    ck_assert_int_eq(err.code, ERR_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.message, "larger than 7 bytes"));
    buf_release(&small);
    buf_init(&small, 8);
    ck_assert_int_eq(file_read(path, &small, &err), 0);
    ck_assert_str_eq(small.data, "12345678");
    buf_release(&small);

    ck_assert_int_eq(file_read(directory, &buf, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "not a regular file"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* must not hang */
    ck_assert_int_eq(file_read(path, &buf, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "not a regular file"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(file_read(path, &buf, &err), -1);
    ck_assert_int_eq(err.code, ERR_SYSTEM);
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(secrets_are_one_line)
{
    struct buf secret;

    buf_init(&secret, 16384);
    ck_assert_int_eq(file_replace(path, "pass word\r\nmore", 15, false, &err),
                     0);
    ck_assert_int_eq(file_read_secret(path, &secret, &err), 0);
    ck_assert_str_eq(secret.data, "pass word");
    file_forget(&secret);
    ck_assert_ptr_null(secret.data);
    ck_assert_int_eq(file_replace(path, "\nx", 2, false, &err), 0);
    ck_assert_int_eq(file_read_secret(path, &secret, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "first line is empty"));
    file_forget(&secret);
}
END_TEST

START_TEST(missing_directory)
{
    ck_assert_int_eq(file_replace("/nonexistent/x/y", "", 0, false, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "No such file"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *tcase = tcase_create("file");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, replaces_and_keeps);
    tcase_add_test(tcase, failed_write_leaves_the_old);
    tcase_add_test(tcase, caps_and_kinds);
    tcase_add_test(tcase, secrets_are_one_line);
    tcase_add_test(tcase, missing_directory);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
