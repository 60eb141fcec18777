/*
 * Writing decimals dominates the price of encoding an event, so three digits
 * are one copy out of a table, divisions are few (the compiler makes
 * multiplications of them), and the lengths that occur in events have straight
 * code of their own: up to six digits, and the sixteen of a time in us.
 *
 * Callers: the event codec, the module's flush. All functions are pure.
 */
#include "resp.h"

#define TEN(ab)                                                                \
    ab "0\0" ab "1\0" ab "2\0" ab "3\0" ab "4\0" ab "5\0" ab "6\0" ab "7\0" ab \
       "8\0" ab "9\0"
#define HUNDRED(a)                                                             \
    TEN(a "0")                                                                 \
    TEN(a "1")                                                                 \
    TEN(a "2")                                                                 \
    TEN(a "3") TEN(a "4") TEN(a "5") TEN(a "6") TEN(a "7") TEN(a "8") TEN(a "9")

const char tocsin_triples[4001] =
    HUNDRED("0") HUNDRED("1") HUNDRED("2") HUNDRED("3") HUNDRED("4")
        HUNDRED("5") HUNDRED("6") HUNDRED("7") HUNDRED("8") HUNDRED("9");

#define MILLION UINT64_C(1000000)

char *tocsin_decimal(char *to, uint64_t value)
{
    uint32_t low = (uint32_t)(value % MILLION);
    unsigned zeros = 0;
    char six[16]; /* read up to 11 bytes */

    if (value >= MILLION) {
        return tocsin_six(tocsin_decimal(to, value / MILLION), low);
    }
    tocsin_six(six, low);
    while (zeros < 5 && six[zeros] == '0') {
        zeros++;
    }
    memcpy(to, six + zeros, 6);
    return to + 6 - zeros;
}

static inline char *put_end(char *to)
{
    memcpy(to, "\r\n", 2);
    return to + 2;
}

/* Neither short nor a time of this age: whatever it takes. */
static __attribute__((noinline)) char *put_any(char *to, uint64_t value)
{
    char text[TOCSIN_DECIMAL_MAX + TOCSIN_RESP_SLACK];
    size_t len = (size_t)(tocsin_decimal(text, value) - text);

    to = tocsin_resp_size(to, len);
    memcpy(to, text, TOCSIN_DECIMAL_MAX);
    return put_end(to + len);
}

/* 10^15 to 10^16: four digits and twice six. */
static inline char *put_sixteen(char *to, uint64_t value)
{
    uint64_t high = value / MILLION;
    uint32_t four = (uint32_t)(high / MILLION);

    memcpy(to, "$16\r\n", 5);
    to[5] = (char)('0' + four / 1000);
    tocsin_three(to + 6, four % 1000);
    tocsin_six(to + 9, (uint32_t)(high - four * MILLION));
    return put_end(tocsin_six(to + 15, (uint32_t)(value - high * MILLION)));
}

char *tocsin_resp_uint_long(char *to, uint64_t value)
{
    uint32_t high, low;

    if (value >= MILLION) {
        if (value - 1000 * MILLION * MILLION < 9000 * MILLION * MILLION) {
            return put_sixteen(to, value);
        }
        return put_any(to, value);
    }

    high = (uint32_t)value / 1000;
    low = (uint32_t)value - 1000 * high;
    if (high >= 100) {
        memcpy(to, "$6\r\n", 4);
        tocsin_three(to + 4, high);
        return put_end(tocsin_three(to + 7, low));
    }
    if (high >= 10) {
        memcpy(to, "$5\r\n", 4);
        memcpy(to + 4, tocsin_triples + 4 * high + 1, 2);
        return put_end(tocsin_three(to + 6, low));
    }
    if (high > 0) {
        memcpy(to, "$4\r\n", 4);
        to[4] = (char)('0' + high);
        return put_end(tocsin_three(to + 5, low));
    }
    return put_any(to, value);
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

/* Neither below '0' nor above '9', all eight of them. */
static inline bool are_digits(const char *data)
{
    uint64_t word;

    memcpy(&word, data, 8);
    return (((word + UINT64_C(0x4646464646464646)) |
             (word - UINT64_C(0x3030303030303030))) &
            UINT64_C(0x8080808080808080)) == 0;
}

/* The ids of this age: "$15\r\n" to "$19\r\n", 13 digits, '-', 1 to 5 digits.
 * 0 if it is not one, or not whole. */
static inline int is_common_id(const char *data, size_t len)
{
    unsigned size = 10 + (unsigned char)data[2] - '0';
    unsigned i;

    if (size - 15 > 4 || len < size + 7 || memcmp(data, "$1", 2) != 0 ||
        memcmp(data + 3, "\r\n", 2) != 0 || data[18] != '-' ||
        !are_digits(data + 5) || !are_digits(data + 10)) {
        return 0;
    }
    for (i = 19; i < size + 5; i++) {
        if ((unsigned char)(data[i] - '0') > 9) {
            return 0;
        }
    }
    return memcmp(data + i, "\r\n", 2) == 0 ? (int)size + 7 : 0;
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

/*
 * The last eight bytes of an id with one, two or three digits after the '-'.
 * `to_zero` makes a '0' of each byte that must be as it is, and `above` carries
 * into the highest bit what is more than '9', or there more than '0'.
 */
struct tail {
    char to_zero[8], above[8];
};

#define SAME(c) ((c) ^ '0')

static const struct tail tails[3] = {
    {{0, 0, 0, 0, SAME('-'), 0, SAME('\r'), SAME('\n')},
     {0x46, 0x46, 0x46, 0x46, 0x4f, 0x46, 0x4f, 0x4f}},
    {{0, 0, 0, SAME('-'), 0, 0, SAME('\r'), SAME('\n')},
     {0x46, 0x46, 0x46, 0x4f, 0x46, 0x46, 0x4f, 0x4f}},
    {{0, 0, SAME('-'), 0, 0, 0, SAME('\r'), SAME('\n')},
     {0x46, 0x46, 0x4f, 0x46, 0x46, 0x46, 0x4f, 0x4f}},
};

static inline uint64_t load(const char *from)
{
    uint64_t word;

    memcpy(&word, from, sizeof(word));
    return word;
}

/*
 * As many ids as follow the one at data, `size` bytes long, of the same length
 * and with the same first sixteen bytes: so only the last eight are looked at.
 */
static size_t count_alike(const char *data, size_t len, size_t size,
                          size_t most)
{
    uint64_t first = load(data), second = load(data + 8);
    uint64_t to_zero, above, word;
    const char *p = data + size, *end = data + len - size;
    size_t n = 0;

    memcpy(&to_zero, tails[size - 22].to_zero, 8);
    memcpy(&above, tails[size - 22].above, 8);

    for (; n < most && p <= end; n++, p += size) {
        word = load(p + size - 8) ^ to_zero;
        if (load(p) != first || load(p + 8) != second ||
            (((word + above) | (word - UINT64_C(0x3030303030303030))) &
             UINT64_C(0x8080808080808080)) != 0) {
            break;
        }
    }
    return n;
}

size_t tocsin_resp_ids(const char *data, size_t len, size_t most, size_t *size)
{
    size_t n = 0, at = 0, alike;
    int one;

    while (n < most) {
        one = tocsin_resp_id(data + at, len - at);
        if (one <= 0) {
            break;
        }
        n++;
        if (one >= 22 && one <= 24 && data[at + 18] == '-') {
            alike = count_alike(data + at, len - at, (size_t)one, most - n);
            n += alike;
            at += alike * (size_t)one;
        }
        at += (size_t)one;
    }
    *size = at;
    return n;
}
