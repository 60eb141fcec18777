/* The capped buffer: what fits is kept whole, what does not is not put. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/base/buf.h"

START_TEST(keeps_what_was_put)
{
    struct buf buf;

    buf_init(&buf, 64);
    ck_assert_ptr_null(buf.data);
    buf_puts(&buf, "bell");
    buf_putc(&buf, ' ');
    buf_printf(&buf, "%d-%s", 7, "rings");
    buf_put(&buf, "", 0);
    ck_assert_str_eq(buf.data, "bell 7-rings");
    ck_assert_uint_eq(buf.len, strlen("bell 7-rings"));
    ck_assert(!buf.failed);
    buf_clear(&buf);
    ck_assert_str_eq(buf.data, "");
    ck_assert_uint_eq(buf.len, 0);
    buf_release(&buf);
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.cap, 64);
}
END_TEST

START_TEST(cap_is_exact)
{
    char bytes[1000];
    struct buf buf;

    memset(bytes, 'x', sizeof(bytes));
    buf_init(&buf, sizeof(bytes));
    buf_put(&buf, bytes, sizeof(bytes));
    ck_assert(!buf.failed);
    ck_assert_uint_eq(buf.len, sizeof(bytes));
    buf_putc(&buf, 'y');
    ck_assert(buf.failed);
    ck_assert_uint_eq(buf.len, sizeof(bytes));
    buf_release(&buf);
}
END_TEST

START_TEST(overflow_sticks)
{
    struct buf buf;

    buf_init(&buf, 4);
    buf_puts(&buf, "abc");
    buf_printf(&buf, "%s", "de");
    ck_assert(buf.failed);
    ck_assert_str_eq(buf.data, "abc");
    buf_putc(&buf, 'd'); /* would fit, but comes after one that did not */
    ck_assert_str_eq(buf.data, "abc");
    ck_assert_ptr_null(buf_reserve(&buf, 1));
    buf_clear(&buf);
    ck_assert(!buf.failed);
    buf_puts(&buf, "abcd");
    ck_assert_str_eq(buf.data, "abcd");
    buf_release(&buf);
}
END_TEST

START_TEST(huge_lengths_do_not_wrap)
{
    struct buf buf;

    buf_init(&buf, SIZE_MAX);
    buf_puts(&buf, "abc");
    ck_assert_ptr_null(buf_reserve(&buf, SIZE_MAX));
    ck_assert(buf.failed);
    ck_assert_str_eq(buf.data, "abc");
    buf_release(&buf);
}
END_TEST

START_TEST(numbers_come_back)
{
    static const float some[] = {1.5f, -2.0f};
    float back[1];
    struct cursor cursor;
    struct buf buf;

    buf_init(&buf, 4096);
    buf_put_u32(&buf, 0x01020304);
    buf_put_u64(&buf, UINT64_MAX - 1);
    buf_put_f32(&buf, -0.1f);
    buf_put_f64(&buf, (double)NAN);
    buf_put_f32s(&buf, some, 2);
    buf_put(&buf, "tail", 4);
    ck_assert_int_eq(buf.data[0], 4); /* little-endian on every machine */

    cursor = (struct cursor){buf.data, buf.len, false};
    ck_assert_uint_eq(cursor_u32(&cursor), 0x01020304);
    ck_assert(cursor_u64(&cursor) == UINT64_MAX - 1);
    ck_assert(cursor_f32(&cursor) == -0.1f);
    ck_assert(isnan(cursor_f64(&cursor)));
    ck_assert(cursor_f32(&cursor) == 1.5f);
    cursor_f32s(&cursor, back, 1);
    ck_assert(back[0] == -2.0f);
    ck_assert_mem_eq(cursor_bytes(&cursor, 4), "tail", 4);
    ck_assert_uint_eq(cursor.len, 0);
    ck_assert(!cursor.failed);
    buf_release(&buf);
}
END_TEST

START_TEST(short_reads_stick)
{
    const char bytes[6] = {1, 0, 0, 0, 2, 0};
    struct cursor cursor = {bytes, sizeof(bytes), false};

    ck_assert_uint_eq(cursor_u32(&cursor), 1);
    ck_assert_uint_eq(cursor_u32(&cursor), 0);
    ck_assert(cursor.failed);
    ck_assert_ptr_null(cursor_bytes(&cursor, 1)); /* though one byte is left */
    ck_assert_uint_eq(cursor_u64(&cursor), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf");
    TCase *tcase = tcase_create("buf");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, keeps_what_was_put);
    tcase_add_test(tcase, cap_is_exact);
    tcase_add_test(tcase, overflow_sticks);
    tcase_add_test(tcase, huge_lengths_do_not_wrap);
    tcase_add_test(tcase, numbers_come_back);
    tcase_add_test(tcase, short_reads_stick);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
