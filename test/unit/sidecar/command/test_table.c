/* CSV files: what is read, and what is said of those that are off. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sidecar/command/table.h"

static char path[] = "/tmp/tocsin-table-XXXXXX";
static struct table table;
static struct err err;

static void setup(void)
{
    int fd;

    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void teardown(void)
{
    table_release(&table);
    unlink(path);
}

static int reading_bytes(const char *text, size_t len)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fwrite(text, 1, len, file);
    fclose(file);
    memset(&err, 0, sizeof(err));
    return table_read(&table, path, &err);
}

static int reading(const char *text)
{
    return reading_bytes(text, strlen(text));
}

static void raw_is(struct tocsin_span raw, const char *text)
{
    ck_assert_msg(tocsin_span_eq(raw, tocsin_span_str(text)), "%.*s",
                  (int)raw.len, raw.data);
}

START_TEST(columns_find_their_places)
{
    ck_assert_int_eq(reading("a,TimeStamp,LABEL,b\n"
                             "1.5,2026-01-01 00:00:00,0,-3e2\n"
                             ",2026-01-01 00:01:00,1,nan\n"
                             "7,2026-01-01 00:02:00,False,0\n"),
                     0);
    ck_assert_uint_eq(table.rows, 3);
    ck_assert_uint_eq(table.columns, 2);
    ck_assert(table.values[0] == 1.5f);
    ck_assert(table.values[1] == -300.0f);
    ck_assert(isnan(table.values[2]));
    ck_assert(isnan(table.values[3]));
    ck_assert(table.times[1] - table.times[0] == 60000000);
    ck_assert_uint_eq(table.labels[0], 0);
    ck_assert_uint_eq(table.labels[1], 1);
    ck_assert_uint_eq(table.labels[2], 0);
    raw_is(table.raw[1], ",2026-01-01 00:01:00,1,nan");
}
END_TEST

START_TEST(the_first_column_is_time_if_none_is_called_so)
{
    ck_assert_int_eq(reading("when,x\n60,1\n120,2\n"), 0);
    ck_assert_uint_eq(table.columns, 1);
    ck_assert(table.times[1] == 120000000);
    ck_assert_ptr_null(table.labels);
}
END_TEST

START_TEST(all_ends_of_lines_and_quotes)
{
    ck_assert_int_eq(reading("\xef\xbb\xbf\"time\",\"x, or \"\"y\"\"\"\r\n"
                             "\"2026-01-01T00:00:00Z\",\"4\"\r\n\r\n"
                             "\"2026-01-01T00:01:00Z\",5"),
                     0);
    ck_assert_uint_eq(table.rows, 2);
    ck_assert(table.values[0] == 4.0f);
    ck_assert(table.values[1] == 5.0f);
    raw_is(table.header, "\"time\",\"x, or \"\"y\"\"\"");
    raw_is(table.raw[0], "\"2026-01-01T00:00:00Z\",\"4\"");
    raw_is(table.raw[1], "\"2026-01-01T00:01:00Z\",5");
    table_release(&table);
    ck_assert_int_eq(reading("t,x\r\n60,\"5\"\r"), 0);
    ck_assert(table.values[0] == 5.0f);
}
END_TEST

START_TEST(a_header_alone_is_a_file_without_rows)
{
    ck_assert_int_eq(reading("t,x\n"), 0);
    ck_assert_uint_eq(table.rows, 0);
}
END_TEST

START_TEST(many_rows)
{
    struct buf text;

    buf_init(&text, 1 << 24);
    buf_puts(&text, "t,x\n");
    for (unsigned i = 0; i < 30000; i++) {
        buf_printf(&text, "%u,%u\n", i * 60, i);
    }
    ck_assert_int_eq(reading_bytes(text.data, text.len), 0);
    ck_assert_uint_eq(table.rows, 30000);
    ck_assert(table.values[29999] == 29999.0f);
    buf_release(&text);
}
END_TEST

START_TEST(errors_say_where)
{
    static const struct {
        const char *text, *where, *what;
    } cases[] = {
        {"", "", "expected a header"},
        {"t\n1\n", ":1:1:", "no column of numbers"},
        {"t,label\n1,0\n", ":1:1:", "no column of numbers"},
        {"t,x\n1,2\n2,abc\n", ":3:3:", "\"abc\": expected a number"},
        {"t,x\n1,inf\n", ":2:3:", "\"inf\""},
        {"t,x\n1,1e300\n", ":2:3:", "\"1e300\""},
        {"t,x\n1,2 3\n", ":2:3:", "\"2 3\""},
        {"t,x\n\n\nnow,2\n", ":4:1:", "\"now\": expected a time"},
        {"x,time\n2,\n", ":2:3:", "\"\": expected a time"},
        {"t,x\n1,2,3\n", ":2:1:", "3 cells: expected 2"},
        {"t,x\n1\n", ":2:1:", "1 cells: expected 2"},
        {"t,x\n1,\"2\n", ":2:3:", "a quote is not closed"},
        {"t,x\n1,\"2\"3\n", ":2:6:", "text after a closing quote"},
        {"t,x\n1,\"2\"\r3,4\n", ":2:6:", "text after a closing quote"},
        {"t,\"a\nb\"\n1,z\n", ":3:3:", "\"z\""},
        {"t,x,Alert\n1,2,0\n", ":1:5:", "\"Alert\" is a column of what"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_int_eq(reading(cases[i].text), -1);
        ck_assert_int_eq(err.code, ERR_INPUT);
        ck_assert_msg(strncmp(err.message, path, strlen(path)) == 0 &&
                          strstr(err.message, cases[i].where) != NULL &&
                          strstr(err.message, cases[i].what) != NULL,
                      "%s", err.message);
    }
}
END_TEST

START_TEST(caps)
{
    struct buf text;

    buf_init(&text, 1 << 20);
    buf_puts(&text, "t");
    for (unsigned i = 0; i < 32; i++) {
        buf_printf(&text, ",x%u", i);
    }
    ck_assert_int_eq(reading_bytes(text.data, text.len), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "more than 31 columns"));
    for (unsigned i = 32; i < 300; i++) {
        buf_printf(&text, ",x%u", i);
    }
    ck_assert_int_eq(reading_bytes(text.data, text.len), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "more than 256 columns"));
    buf_release(&text);
    ck_assert_int_eq(table_read(&table, "/nowhere/file.csv", &err), -1);
    ck_assert_int_eq(err.code, ERR_SYSTEM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("table");
    TCase *tcase = tcase_create("table");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, columns_find_their_places);
    tcase_add_test(tcase, the_first_column_is_time_if_none_is_called_so);
    tcase_add_test(tcase, all_ends_of_lines_and_quotes);
    tcase_add_test(tcase, a_header_alone_is_a_file_without_rows);
    tcase_add_test(tcase, many_rows);
    tcase_add_test(tcase, errors_say_where);
    tcase_add_test(tcase, caps);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
