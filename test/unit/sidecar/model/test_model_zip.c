/* Sums of archives: what is flipped or cut in a member is noticed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "sidecar/base/buf.h"
#include "sidecar/model/model_zip.h"

#define MOST 100000

static const char text[] = "weights weights weights weights weights weights";

struct member {
    const char *name;
    unsigned method;
    char packed[256];
    uint32_t packed_len, unpacked, sum;
    size_t at, data_at; /* in the file */
};

static struct member members[2];
static struct buf file;
static struct err err;

static void put_u16(struct buf *to, unsigned value)
{
    char bytes[2] = {(char)value, (char)(value >> 8)};

    buf_put(to, bytes, 2);
}

/* What the local header and the directory have in common. */
static void put_member(struct buf *to, const struct member *m)
{
    put_u16(to, m->method);
    buf_put_u32(to, 0); /* time, date */
    buf_put_u32(to, m->sum);
    buf_put_u32(to, m->packed_len);
    buf_put_u32(to, m->unpacked);
    put_u16(to, (unsigned)strlen(m->name));
}

static void put_local(struct member *m)
{
    m->at = file.len;
    buf_put_u32(&file, 0x04034b50);
    put_u16(&file, 20);
    put_u16(&file, 0);
    put_member(&file, m);
    put_u16(&file, 4); /* extra */
    buf_puts(&file, m->name);
    buf_puts(&file, "FB..");
    m->data_at = file.len;
    buf_put(&file, m->packed, m->packed_len);
}

static void put_entry(const struct member *m)
{
    buf_put_u32(&file, 0x02014b50);
    put_u16(&file, 20);
    buf_put_u32(&file, 20);
    put_member(&file, m);
    put_u16(&file, 0);
    put_u16(&file, 0);
    buf_put_u64(&file, 0);
    buf_put_u32(&file, (uint32_t)m->at);
    buf_puts(&file, m->name);
}

static void put_end(size_t directory)
{
    size_t size = file.len - directory;

    buf_put_u32(&file, 0x06054b50);
    buf_put_u32(&file, 0);
    put_u16(&file, 2);
    put_u16(&file, 2);
    buf_put_u32(&file, (uint32_t)size);
    buf_put_u32(&file, (uint32_t)directory);
    put_u16(&file, 0);
}

static void describe(struct member *m, const char *name, unsigned method)
{
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)text,
                       .avail_in = sizeof(text),
                       .next_out = (unsigned char *)m->packed,
                       .avail_out = sizeof(m->packed)};

    m->name = name;
    m->method = method;
    m->unpacked = sizeof(text);
    m->sum = (uint32_t)crc32(0, (const unsigned char *)text, sizeof(text));
    if (method == 0) {
        memcpy(m->packed, text, sizeof(text));
        m->packed_len = sizeof(text);
        return;
    }
    ck_assert_int_eq(
        deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
        Z_OK);
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    m->packed_len = (uint32_t)stream.total_out;
    deflateEnd(&stream);
}

static void write_file(void)
{
    size_t directory;

    buf_clear(&file);
    put_local(&members[0]);
    put_local(&members[1]);
    directory = file.len;
    put_entry(&members[0]);
    put_entry(&members[1]);
    put_end(directory);
}

static void setup(void)
{
    buf_init(&file, 4096);
    describe(&members[0], "archive/data/0", 0);
    describe(&members[1], "archive/code/a.py", 8);
    write_file();
}

static void teardown(void)
{
    buf_release(&file);
}

static int check_copy(size_t len, size_t most)
{
    char *exact = malloc(len + 1); /* the allocator guards its end */
    int rc;

    ck_assert_ptr_nonnull(exact);
    memcpy(exact, file.data, len);
    rc = model_zip_check(exact, len, most, &err);
    free(exact);
    return rc;
}

static void refused(const char *words)
{
    ck_assert_int_eq(check_copy(file.len, MOST), -1);
    ck_assert_int_eq(err.code, ERR_MODEL);
    ck_assert_msg(strstr(err.message, words) != NULL, "%s", err.message);
}

START_TEST(whole)
{
    ck_assert_msg(check_copy(file.len, MOST) == 0, "%s", err.message);
}
END_TEST

START_TEST(every_flipped_bit_of_a_member)
{
    const struct member *m = &members[_i];
    /* the last byte that deflate makes has bits that say nothing */
    size_t bit, end = m->data_at + m->packed_len - (m->method != 0);

    for (bit = 8 * m->data_at; bit < 8 * end; bit++) {
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ (1 << bit % 8));
        refused(m->name);
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ (1 << bit % 8));
    }
}
END_TEST

START_TEST(every_cut)
{
    size_t len;

    for (len = 0; len < file.len; len++) {
        ck_assert_int_eq(check_copy(len, MOST), -1);
        ck_assert_int_eq(err.code, ERR_MODEL);
    }
    ck_assert_int_eq(model_zip_check(NULL, 0, MOST, &err), -1);
}
END_TEST

START_TEST(what_is_larger_than_promised)
{
    members[1].unpacked--;
    write_file();
    refused("archive/code/a.py");
    members[1].unpacked += 2;
    write_file();
    refused("archive/code/a.py");
    ck_assert_int_eq(check_copy(file.len, sizeof(text) - 1), -1);
}
END_TEST

START_TEST(other_methods)
{
    members[0].method = 9;
    write_file();
    refused("archive/data/0");
}
END_TEST

/* Whatever a byte becomes, nothing outside of the file is read. */
START_TEST(every_byte_of_the_frame)
{
    size_t at;
    int value, good = 0;

    for (at = 0; at < file.len; at++) {
        char old = file.data[at];

        for (value = 0; value < 256; value += 3) {
            file.data[at] = (char)value;
            good += check_copy(file.len, MOST) == 0;
        }
        file.data[at] = old;
    }
    ck_assert_int_gt(good, 0); /* times, names and extras are free */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model_zip");
    TCase *tcase = tcase_create("model_zip");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, whole);
    tcase_add_loop_test(tcase, every_flipped_bit_of_a_member, 0, 2);
    tcase_add_test(tcase, every_cut);
    tcase_add_test(tcase, what_is_larger_than_promised);
    tcase_add_test(tcase, other_methods);
    tcase_add_test(tcase, every_byte_of_the_frame);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
