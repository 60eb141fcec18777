/*
 * RESP2 as Tocsin writes it: bulk strings, fast, into memory of a known size;
 * and the one reply that it expects thousands of times a second, the id that
 * XADD answers, recognized without a general parser.
 *
 * The raw writers (`char *to` in, `char *` past the end out) may scribble up
 * to TOCSIN_RESP_SLACK bytes beyond what they return: the caller has that
 * much room left. The tocsin_resp_put functions are exact and bounded.
 */
#ifndef TOCSIN_RESP_H
#define TOCSIN_RESP_H

#include <stdint.h>

#include "span.h"

#define TOCSIN_RESP_SLACK 32

/* Most bytes of a bulk string around its text: "$", 10 digits, two CRLF. */
#define TOCSIN_RESP_FRAME 15

/* Most digits of a uint64_t. */
#define TOCSIN_DECIMAL_MAX 20

/* Digits of value, at least one. */
char *tocsin_decimal(char *to, uint64_t value);

/* "$N\r\n<digits>\r\n" for any value; see tocsin_resp_uint(). */
char *tocsin_resp_uint_long(char *to, uint64_t value);

static inline char *tocsin_resp_copy(char *to, const char *from, size_t len)
{
    memcpy(to, from, len);
    return to + len;
}

/* "000\0", "001\0", ... "999\0" */
extern const char tocsin_triples[];

/* Three digits of what is below 1000, six of what is below 1000000: they store
 * one byte more, which is void. */
static inline char *tocsin_three(char *to, uint32_t value)
{
    memcpy(to, tocsin_triples + 4 * value, 4);
    return to + 3;
}

static inline char *tocsin_six(char *to, uint32_t value)
{
    uint32_t high = value / 1000;

    tocsin_three(to, high);
    return tocsin_three(to + 3, value - 1000 * high);
}

static inline char *tocsin_resp_uint(char *to, uint64_t value)
{
    if (value < 10) {
        memcpy(to, "$1\r\n0\r\n", 8);
        to[4] = (char)('0' + value);
        return to + 7;
    }
    if (value < 100) {
        memcpy(to, "$2\r\n00\r\n", 8);
        memcpy(to + 4, tocsin_triples + 4 * value + 1, 2);
        return to + 8;
    }
    if (value < 1000) {
        memcpy(to, "$3\r\n", 4);
        memcpy(to + 4, tocsin_triples + 4 * value, 4);
        return tocsin_resp_copy(to + 7, "\r\n", 2);
    }
    return tocsin_resp_uint_long(to, value);
}

static inline char *tocsin_resp_empty(char *to)
{
    memcpy(to, "$0\r\n\r\n", 6);
    return to + 6;
}

/* "$N\r\n" */
static inline char *tocsin_resp_size(char *to, size_t len)
{
    if (len < 10) {
        memcpy(to, "$0\r\n", 4);
        to[1] = (char)('0' + len);
        return to + 4;
    }
    if (len < 20) { /* most names and labels that are longer */
        memcpy(to, "$10\r\n", 5);
        to[2] = (char)('0' + (len - 10));
        return to + 5;
    }
    to[0] = '$';
    if (len < 100) {
        memcpy(to + 1, tocsin_triples + 4 * len + 1, 2);
        return tocsin_resp_copy(to + 3, "\r\n", 2);
    }
    if (len < 1000) {
        memcpy(to + 1, tocsin_triples + 4 * len, 4);
        return tocsin_resp_copy(to + 4, "\r\n", 2);
    }
    to = tocsin_decimal(to + 1, len);
    return tocsin_resp_copy(to, "\r\n", 2);
}

static inline char *tocsin_resp_bulk(char *to, const char *data, size_t len)
{
    to = tocsin_resp_size(to, len);
    to = tocsin_resp_copy(to, data, len);
    return tocsin_resp_copy(to, "\r\n", 2);
}

/* Append to `out`: "*N\r\n", a bulk string, a number as a bulk string. */
void tocsin_resp_put_array(struct tocsin_out *out, size_t elements);
void tocsin_resp_put(struct tocsin_out *out, struct tocsin_span text);
void tocsin_resp_put_uint(struct tocsin_out *out, uint64_t value);

/*
 * A whole "$N\r\n<ms>-<n>\r\n" at the start of data, with 1 <= N <= 41 and
 * only digits around the '-': its length. 0 if it is the beginning of one and
 * needs more bytes, -1 if it is something else.
 */
int tocsin_resp_id(const char *data, size_t len);

/* How many such replies, at most `most`, stand whole at the start of data; the
 * bytes of them all in *size. */
size_t tocsin_resp_ids(const char *data, size_t len, size_t most, size_t *size);

#endif
