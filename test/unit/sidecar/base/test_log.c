/* Log lines: one a message, whatever the message holds. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sidecar/base/log.h"

static char captured[8192];

/* Runs in a forked test: standard error is ours to replace. */
static int capture_begin(void)
{
    char path[] = "/tmp/tocsin-log-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    unlink(path);
    ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
    return fd;
}

static const char *capture_end(int fd)
{
    ssize_t n = pread(fd, captured, sizeof(captured) - 1, 0);

    ck_assert_int_ge(n, 0);
    captured[n] = '\0';
    return captured;
}

START_TEST(line_has_time_level_room)
{
    int fd = capture_begin();
    const char *line;

    unsetenv("JOURNAL_STREAM");
    log_notice("intake", "connected to %s", "redis");
    line = capture_end(fd);
    ck_assert_uint_eq(strspn(line, "0123456789-T:.Z"), 24);
    ck_assert_int_eq(line[23], 'Z');
    ck_assert_str_eq(line + 24, " notice intake: connected to redis\n");
}
END_TEST

START_TEST(journal_gets_priority)
{
    int fd = capture_begin();
    char stream[64];
    struct stat st;

    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_warn("alert", "x");
    setenv("JOURNAL_STREAM", "1:1", 1); /* another file: not the journal */
    log_warn("alert", "y");
    capture_end(fd);
    ck_assert_int_eq(strncmp(captured, "<4>alert: x\n", 12), 0);
    ck_assert_ptr_nonnull(strstr(captured + 12, " warn alert: y\n"));
}
END_TEST

START_TEST(no_message_forges_a_line)
{
    int fd = capture_begin();
    const char *line;

    log_error("x", "a\nb\033[2Jc\td\x7f \xc3\xa9");
    line = capture_end(fd);
    ck_assert_ptr_nonnull(
        strstr(line, "a\\x0ab\\x1b[2Jc\\x09d\\x7f \xc3\xa9\n"));
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
}
END_TEST

START_TEST(long_messages_are_cut)
{
    int fd = capture_begin();
    char text[6000];
    const char *line;

    memset(text, '\n', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_error("x", "%s", text);
    line = capture_end(fd);
    ck_assert_uint_gt(strlen(line), 1000);
    ck_assert_uint_le(strlen(line), 2048);
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
}
END_TEST

START_TEST(level_limits)
{
    enum log_level level = LOG_INFO;
    int fd = capture_begin();

    ck_assert_int_eq(log_level_parse("warn", &level), 0);
    ck_assert_int_eq(level, LOG_WARN);
    log_set_level(level);
    log_notice("x", "quiet");
    log_warn("x", "loud");
    capture_end(fd);
    ck_assert_ptr_null(strstr(captured, "quiet"));
    ck_assert_ptr_nonnull(strstr(captured, "loud"));
    ck_assert_int_eq(log_level_parse("WARN", &level), -1);
    ck_assert_int_eq(log_level_parse("", &level), -1);
    ck_assert_int_eq(level, LOG_WARN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = tcase_create("log");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, line_has_time_level_room);
    tcase_add_test(tcase, journal_gets_priority);
    tcase_add_test(tcase, no_message_forges_a_line);
    tcase_add_test(tcase, long_messages_are_cut);
    tcase_add_test(tcase, level_limits);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
