/*
 * Writing decimals dominates the price of encoding an event. Up to four digits
 * go by pairs out of a table. Longer numbers go eight digits at a time within
 * one register: the halves of a number below 10^8 are split, then their
 * halves, then theirs, all at once, and leading zeros are shifted out (SWAR;
 * the constants are the reciprocals of 100 and 10 that are exact here).
 *
 * Callers: the event codec, the module's flush. All functions are pure.
 */
#include "resp.h"

#define EIGHT UINT64_C(100000000)

static const char pairs[200] =
    "00010203040506070809101112131415161718192021222324252627282930313233"
    "34353637383940414243444546474849505152535455565758596061626364656667"
    "6869707172737475767778798081828384858687888990919293949596979899";

static inline void put_pair(char *to, unsigned value)
{
    memcpy(to, pairs + 2 * value, 2);
}

/* The eight digits of value < 10^8, the first in the lowest byte, as 0-9. */
static inline uint64_t eight_digits(uint64_t value)
{
    uint64_t fours, hundreds, twos, tens;

    fours = value / 10000 | (value % 10000) << 32;
    hundreds = ((fours * 10486) >> 20) & UINT64_C(0x0000007f0000007f);
    twos = hundreds | (fours - 100 * hundreds) << 16;
    tens = ((twos * 103) >> 10) & UINT64_C(0x000f000f000f000f);
    return tens | (twos - 10 * tens) << 8;
}

static inline void put_eight(char *to, uint64_t digits)
{
    digits |= UINT64_C(0x3030303030303030);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    digits = __builtin_bswap64(digits);
#endif
    memcpy(to, &digits, 8);
}

/* 0 < value < 10^8, without leading zeros; stores eight bytes. */
static inline unsigned put_short(char *to, uint64_t value)
{
    uint64_t digits = eight_digits(value);
    unsigned zeros = (unsigned)__builtin_ctzll(digits) / 8;

    put_eight(to, digits >> 8 * zeros);
    return 8 - zeros;
}

char *tocsin_decimal(char *to, uint64_t value)
{
    if (value == 0) {
        *to = '0';
        return to + 1;
    }
    if (value < EIGHT) {
        return to + put_short(to, value);
    }
    if (value < EIGHT * EIGHT) {
        to += put_short(to, value / EIGHT);
    } else {
        to += put_short(to, value / (EIGHT * EIGHT));
        put_eight(to, eight_digits(value / EIGHT % EIGHT));
        to += 8;
    }
    put_eight(to, eight_digits(value % EIGHT));
    return to + 8;
}

static inline void put_head(char *to, unsigned len)
{
    uint32_t head;

    memcpy(&head, "$0\r\n", 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    head += len << 16;
#else
    head += len << 8;
#endif
    memcpy(to, &head, 4);
}

/* Nine digits and more. */
static char *put_long(char *to, uint64_t value)
{
    char *end = tocsin_decimal(to + 5, value);
    unsigned len = (unsigned)(end - (to + 5));

    if (len < 10) {
        memmove(to + 4, to + 5, len);
        put_head(to, len);
        return tocsin_resp_copy(to + 4 + len, "\r\n", 2);
    }
    memcpy(to, "$00\r\n", 5);
    put_pair(to + 1, len);
    return tocsin_resp_copy(end, "\r\n", 2);
}

char *tocsin_resp_uint_long(char *to, uint64_t value)
{
    unsigned len, small = (unsigned)value;

    if (value >= EIGHT) {
        return put_long(to, value);
    }
    if (value >= 1000) {
        len = put_short(to + 4, value);
        put_head(to, len);
        return tocsin_resp_copy(to + 4 + len, "\r\n", 2);
    }
    if (small >= 100) {
        put_head(to, 3);
        to[4] = (char)('0' + small / 100);
        put_pair(to + 5, small % 100);
        return tocsin_resp_copy(to + 7, "\r\n", 2);
    }
    if (small >= 10) {
        put_head(to, 2);
        put_pair(to + 4, small);
        return tocsin_resp_copy(to + 6, "\r\n", 2);
    }
    return tocsin_resp_uint(to, value);
}

static void put_size(struct tocsin_out *out, char mark, size_t n)
{
    char text[1 + TOCSIN_DECIMAL_MAX + 2 + TOCSIN_RESP_SLACK];
    char *end;

    text[0] = mark;
    end = tocsin_decimal(text + 1, n);
    end = tocsin_resp_copy(end, "\r\n", 2);
    tocsin_out_put(out, text, (size_t)(end - text));
}

void tocsin_resp_put_array(struct tocsin_out *out, size_t elements)
{
    put_size(out, '*', elements);
}

void tocsin_resp_put(struct tocsin_out *out, struct tocsin_span text)
{
    put_size(out, '$', text.len);
    tocsin_out_span(out, text);
    tocsin_out_put(out, "\r\n", 2);
}

void tocsin_resp_put_uint(struct tocsin_out *out, uint64_t value)
{
    char text[TOCSIN_DECIMAL_MAX + TOCSIN_RESP_SLACK];
    char *end = tocsin_decimal(text, value);

    tocsin_resp_put(out, tocsin_span_of(text, (size_t)(end - text)));
}

/* Is it digits '-' digits, as far as it is there? */
static bool is_id(const char *data, size_t len, bool whole)
{
    size_t i = 0, first;

    while (i < len && data[i] >= '0' && data[i] <= '9') {
        i++;
    }
    if (i == len) {
        return !whole;
    }
    if (data[i] != '-' || i == 0) {
        return false;
    }
    first = ++i;
    while (i < len && data[i] >= '0' && data[i] <= '9') {
        i++;
    }
    return i == len && (!whole || i > first);
}

/* The length of "$N\r\n", its N in *size; 0 incomplete, -1 not of this kind */
static int id_size(const char *data, size_t len, size_t *size)
{
    int i = 1;

    if (len == 0) {
        return 0;
    }
    if (data[0] != '$') {
        return -1;
    }
    for (*size = 0; i < 3 && (size_t)i < len; i++) {
        if (data[i] < '0' || data[i] > '9') {
            break;
        }
        *size = *size * 10 + (size_t)(data[i] - '0');
    }
    if ((size_t)i == len) {
        return 0;
    }
    if (i == 1 || data[1] == '0' || *size > 2 * TOCSIN_DECIMAL_MAX + 1 ||
        data[i] != '\r') {
        return -1;
    }
    if ((size_t)i + 1 == len) {
        return 0;
    }
    return data[i + 1] == '\n' ? i + 2 : -1;
}

/* Are these eight bytes digits? Neither below '0' nor above '9'. */
static bool are_digits(const char *data)
{
    uint64_t word;

    memcpy(&word, data, 8);
    return (((word + UINT64_C(0x4646464646464646)) |
             (word - UINT64_C(0x3030303030303030))) &
            UINT64_C(0x8080808080808080)) == 0;
}

/* The ids of this age: "$15\r\n" to "$19\r\n", 13 digits, '-', 1 to 5 digits.
 * 0 if it is not one, or not whole. */
static int is_common_id(const char *data, size_t len)
{
    unsigned size = 10 + (unsigned char)data[2] - '0';
    size_t i;

    if (size < 15 || size > 19 || len < size + 7 || data[0] != '$' ||
        data[1] != '1' || data[3] != '\r' || data[4] != '\n' ||
        !are_digits(data + 5) || !are_digits(data + 10) || data[18] != '-') {
        return 0;
    }
    for (i = 19; i < size + 5; i++) {
        if (data[i] < '0' || data[i] > '9') {
            return 0;
        }
    }
    return data[i] == '\r' && data[i + 1] == '\n' ? (int)size + 7 : 0;
}

int tocsin_resp_id(const char *data, size_t len)
{
    size_t size, rest;
    int head;

    if (len >= 22) {
        head = is_common_id(data, len);
        if (head != 0) {
            return head;
        }
    }

    head = id_size(data, len, &size);
    if (head <= 0) {
        return head;
    }

    rest = len - (size_t)head;
    data += head;
    if (rest < size) {
        return is_id(data, rest, false) ? 0 : -1;
    }
    if (!is_id(data, size, true)) {
        return -1;
    }
    if (rest > size && data[size] != '\r') {
        return -1;
    }
    if (rest > size + 1 && data[size + 1] != '\n') {
        return -1;
    }
    return rest < size + 2 ? 0 : head + (int)size + 2;
}
