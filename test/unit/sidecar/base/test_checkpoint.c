/* Checkpoint frames: every cut and every flipped bit is noticed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sidecar/base/checkpoint.h"

static struct buf file;

static void make(void)
{
    struct err err;
    size_t at;

    buf_init(&file, 4096);
    checkpoint_start(&file);
    at = checkpoint_begin(&file, "intake");
    buf_put_u64(&file, 42);
    checkpoint_end(&file, at);
    at = checkpoint_begin(&file, "empty");
    checkpoint_end(&file, at);
    at = checkpoint_begin(&file, "series");
    buf_puts(&file, "labels");
    checkpoint_end(&file, at);
    ck_assert_int_eq(checkpoint_finish(&file, &err), 0);
}

/* Gives forged bytes a hash that fits, as an attacker would. */
static void rehash(void)
{
    struct buf tail;

    buf_init(&tail, 8);
    buf_put_u64(&tail, XXH64(file.data, file.len - 8, 0));
    memcpy(file.data + file.len - 8, tail.data, 8);
    buf_release(&tail);
}

START_TEST(sections_come_back)
{
    struct cursor section;
    struct err err;

    make();
    ck_assert_int_eq(checkpoint_check(file.data, file.len, &err), 0);
    ck_assert_int_eq(
        checkpoint_find(file.data, file.len, "series", &section, &err), 0);
    ck_assert_uint_eq(section.len, 6);
    ck_assert_mem_eq(section.data, "labels", 6);
    ck_assert_int_eq(
        checkpoint_find(file.data, file.len, "intake", &section, &err), 0);
    ck_assert(cursor_u64(&section) == 42);
    ck_assert_uint_eq(section.len, 0);
    ck_assert_int_eq(
        checkpoint_find(file.data, file.len, "empty", &section, &err), 0);
    ck_assert_uint_eq(section.len, 0);
    ck_assert_int_eq(
        checkpoint_find(file.data, file.len, "model", &section, &err), -1);
    ck_assert_str_eq(err.message, "no section \"model\"");
    buf_release(&file);
}
END_TEST

START_TEST(every_cut_is_noticed)
{
    struct err err;
    size_t len;

    make();
    for (len = 0; len < file.len; len++) {
        char *exact = malloc(len + 1); /* the allocator guards its end */

        memcpy(exact, file.data, len);
        ck_assert_int_eq(checkpoint_check(exact, len, &err), -1);
        ck_assert_int_eq(err.code, ERR_INPUT);
        free(exact);
    }
    buf_release(&file);
}
END_TEST

START_TEST(every_flipped_bit_is_noticed)
{
    struct err err;
    size_t bit;

    make();
    for (bit = 0; bit < 8 * file.len; bit++) {
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ (1 << bit % 8));
        ck_assert_int_eq(checkpoint_check(file.data, file.len, &err), -1);
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ (1 << bit % 8));
    }
    ck_assert_int_eq(checkpoint_check(file.data, file.len, &err), 0);
    buf_release(&file);
}
END_TEST

START_TEST(other_versions_are_named)
{
    struct err err;

    make();
    file.data[8] = 9;
    rehash();
    ck_assert_int_eq(checkpoint_check(file.data, file.len, &err), -1);
    ck_assert_str_eq(err.message, "format version 9, expected 1");
    buf_release(&file);
}
END_TEST

/* With a hash that fits, every byte of the frame is tried with every value of
 * its top bits: never a crash, and sections stay within the file. */
START_TEST(forged_lengths_stay_inside)
{
    struct cursor section;
    struct err err;
    size_t at;
    int value;

    make();
    for (at = 8; at < file.len - 8; at++) {
        for (value = 0; value < 256; value += 5) {
            char old = file.data[at];

            file.data[at] = (char)value;
            rehash();
            if (checkpoint_check(file.data, file.len, &err) == 0 &&
                checkpoint_find(file.data, file.len, "series", &section,
                                &err) == 0) {
                ck_assert(section.data >= file.data);
                ck_assert(section.data + section.len <=
                          file.data + file.len - 8);
            }
            file.data[at] = old;
        }
    }
    buf_release(&file);
}
END_TEST

START_TEST(overflow_is_an_error)
{
    struct buf small;
    struct err err;
    size_t at;

    buf_init(&small, 60);
    checkpoint_start(&small);
    at = checkpoint_begin(&small, "intake");
    buf_printf(&small, "%0100d", 1);
    checkpoint_end(&small, at);
    ck_assert_int_eq(checkpoint_finish(&small, &err), -1);
    ck_assert_int_eq(err.code, ERR_LIMIT);
    buf_release(&small);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *tcase = tcase_create("checkpoint");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, sections_come_back);
    tcase_add_test(tcase, every_cut_is_noticed);
    tcase_add_test(tcase, every_flipped_bit_is_noticed);
    tcase_add_test(tcase, other_versions_are_named);
    tcase_add_test(tcase, forged_lengths_stay_inside);
    tcase_add_test(tcase, overflow_is_an_error);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
