/*
 * Reading and writing PAIRS. Most of what is written needs no code at all, and
 * a label with a variable is written in the log phase of every request: so
 * texts are looked at sixteen bytes at a time, and byte by byte only when
 * there is something to encode.
 *
 * Callers: the module's labels and beat, the event codec, the sidecar's alerts.
 * All functions are pure.
 */
#include "pairs.h"

#include <stdint.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return -1;
}

bool tocsin_pairs_valid(struct tocsin_span text)
{
    size_t i;

    for (i = 0; i < text.len; i++) {
        if ((unsigned char)text.data[i] < 0x21 || text.data[i] == 0x7f) {
            return false;
        }
        if (text.data[i] == '%' &&
            (text.len - i < 3 || hex_digit(text.data[i + 1]) < 0 ||
             hex_digit(text.data[i + 2]) < 0)) {
            return false;
        }
    }
    return true;
}

bool tocsin_pairs_next(struct tocsin_span *rest, struct tocsin_span *name,
                       struct tocsin_span *value)
{
    const char *comma, *equals;
    size_t len;

    if (rest->len == 0) {
        return false;
    }
    comma = memchr(rest->data, ',', rest->len);
    len = comma == NULL ? rest->len : (size_t)(comma - rest->data);

    *name = tocsin_span_of(rest->data, len);
    *value = tocsin_span_of(rest->data + len, 0);
    equals = len == 0 ? NULL : memchr(rest->data, '=', len);
    if (equals != NULL) {
        name->len = (size_t)(equals - rest->data);
        *value = tocsin_span_of(equals + 1, len - name->len - 1);
    }

    if (comma != NULL) {
        len++;
    }
    *rest = tocsin_span_of(rest->data + len, rest->len - len);
    return true;
}

/* ---------------------------------------------------------------- encoding */

typedef uint8_t bytes __attribute__((vector_size(16)));
typedef uint64_t words __attribute__((vector_size(16)));

/* Does one of sixteen bytes not stand for itself? */
static inline bool must_encode(uint64_t low, uint64_t high)
{
    bytes text = (bytes)(words){low, high};
    words hit = (words)((text == '%') | (text == ',') | (text == '=') |
                        (text == 0x7f) | (text < 0x21));

    return (hit[0] | hit[1]) != 0;
}

static inline uint64_t load(const char *from)
{
    uint64_t word;

    memcpy(&word, from, sizeof(word));
    return word;
}

static inline uint64_t load_half(const char *from)
{
    uint32_t half;

    memcpy(&half, from, sizeof(half));
    return half;
}

/* Bytes that do not stand for themselves, a bit each. */
static const uint32_t encoded[8] = {0xffffffff, 0x20001021, 0, 0x80000000,
                                    0,          0,          0, 0};

static inline bool is_encoded(char c)
{
    return encoded[(unsigned char)c >> 5] >> (c & 31) & 1;
}

/* Words overlap where the length is none of theirs. */
static bool is_plain(const char *text, size_t len)
{
    uint64_t word;
    size_t i;

    if (len < 4) {
        for (i = 0; i < len; i++) {
            if (is_encoded(text[i])) {
                return false;
            }
        }
        return true;
    }
    if (len < 8) {
        word = load_half(text) | load_half(text + len - 4) << 32;
        return !must_encode(word, word);
    }
    for (i = 0; i + 16 < len; i += 16) {
        if (must_encode(load(text + i), load(text + i + 8))) {
            return false;
        }
    }
    /* the last 1 to 16 bytes, of a text that has eight at least */
    return !must_encode(load(i + 8 < len ? text + i : text + len - 8),
                        load(text + len - 8));
}

static __attribute__((noinline)) void encode(struct tocsin_out *out,
                                             struct tocsin_span in)
{
    static const char hex[] = "0123456789ABCDEF";
    const char *from = in.data;
    const char *end = in.data + in.len;
    const char *p;
    unsigned char c;
    char code[3];

    for (p = from; p < end; p++) {
        if (!is_encoded(*p)) {
            continue;
        }
        c = (unsigned char)*p;
        tocsin_out_put(out, from, (size_t)(p - from));
        from = p + 1;
        code[0] = '%';
        code[1] = hex[c >> 4];
        code[2] = hex[c & 15];
        tocsin_out_put(out, code, 3);
    }
    tocsin_out_put(out, from, (size_t)(end - from));
}

void tocsin_pct_encode(struct tocsin_out *out, struct tocsin_span in)
{
    if (is_plain(in.data, in.len)) {
        tocsin_out_span(out, in);
    } else {
        encode(out, in);
    }
}

size_t tocsin_pct_decode(char *to, struct tocsin_span in)
{
    size_t i, len = 0;
    int high, low;

    for (i = 0; i < in.len; i++) {
        if (in.data[i] == '%' && in.len - i >= 3) {
            high = hex_digit(in.data[i + 1]);
            low = hex_digit(in.data[i + 2]);
            if (high >= 0 && low >= 0) {
                to[len++] = (char)(high << 4 | low);
                i += 2;
                continue;
            }
        }
        to[len++] = in.data[i];
    }
    return len;
}
