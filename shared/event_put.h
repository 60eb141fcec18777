/*
 * One macro for each KIND of event_schema.h that writes its value as a bulk
 * string: the encoder of events and that of the ring's compact records expand
 * the same tables with them. Internal to shared/.
 *
 * A name is a literal, so its frame and text fold into a few constant stores.
 */
#ifndef TOCSIN_EVENT_PUT_H
#define TOCSIN_EVENT_PUT_H

#include "event_codec.h"
#include "names.h"
#include "resp.h"

/* Most bytes that a value of a kind takes, with its frame. */
enum {
    TOCSIN_PUT_MAX_UINT = TOCSIN_DECIMAL_MAX + TOCSIN_RESP_FRAME,
    TOCSIN_PUT_MAX_OPT = TOCSIN_PUT_MAX_UINT,
    TOCSIN_PUT_MAX_MILLI = TOCSIN_PUT_MAX_UINT + 4,
    TOCSIN_PUT_MAX_FLAGS = TOCSIN_TEXT_MAX + TOCSIN_RESP_FRAME,
    TOCSIN_PUT_MAX_TEXT = TOCSIN_TEXT_MAX + TOCSIN_RESP_FRAME,
    TOCSIN_PUT_MAX_PAIRS = TOCSIN_LABELS_MAX + TOCSIN_RESP_FRAME,
    TOCSIN_PUT_MAX_LONG = TOCSIN_EVIDENCE_MAX + TOCSIN_RESP_FRAME
};

/* As an X: most bytes of a field; a sum over a table ends in TOCSIN_PUT_END. */
#define TOCSIN_PUT_MAX(member, kind, name, unit, help)                         \
    TOCSIN_RESP_FRAME + (int)sizeof(name) + (int)TOCSIN_PUT_MAX_##kind +
#define TOCSIN_PUT_END TOCSIN_RESP_SLACK

/* Out of line: rare or long. */
char *tocsin_put_milli(char *to, uint64_t value);
char *tocsin_put_flags(char *to, uint64_t value);

/* The part of an over-long text that is sent: PAIRS lose whole items. */
struct tocsin_span tocsin_put_cut(struct tocsin_span text, size_t cap,
                                  bool pairs);

/*
 * The frame of a name, "$6\r\nserver\r\n", is made of whole words, which the
 * compiler knows. TOCSIN_PUT_BYTE() is the byte at `i` of the frame.
 */
#define TOCSIN_PUT_NAME(to, name)                                              \
    tocsin_put_name((to), (name), sizeof(name) - 1)

static inline __attribute__((always_inline)) uint64_t
tocsin_put_byte(const char *name, size_t len, size_t i)
{
    size_t digits = len < 10 ? 1 : 2;

    if (i == 0) {
        return '$';
    }
    if (i <= digits) {
        return '0' + (i == digits ? len % 10 : len / 10);
    }
    if (i >= digits + 3 && i < digits + 3 + len) {
        return (unsigned char)name[i - digits - 3];
    }
    return (i == digits + 1 || i == digits + 3 + len) ? '\r' : '\n';
}

static inline __attribute__((always_inline)) void
tocsin_put_word(char *to, const char *name, size_t len, size_t i)
{
    uint64_t word;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TOCSIN_PUT_BYTE(k) tocsin_put_byte(name, len, i + (k)) << (8 * (k))
#else
#define TOCSIN_PUT_BYTE(k) tocsin_put_byte(name, len, i + (k)) << (56 - 8 * (k))
#endif
    word = TOCSIN_PUT_BYTE(0) | TOCSIN_PUT_BYTE(1) | TOCSIN_PUT_BYTE(2) |
           TOCSIN_PUT_BYTE(3) | TOCSIN_PUT_BYTE(4) | TOCSIN_PUT_BYTE(5) |
           TOCSIN_PUT_BYTE(6) | TOCSIN_PUT_BYTE(7);
#undef TOCSIN_PUT_BYTE
    memcpy(to + i, &word, 8);
}

static inline __attribute__((always_inline)) char *
tocsin_put_name(char *to, const char *name, size_t len)
{
    size_t size = len + (len < 10 ? 6 : 7);

    tocsin_put_word(to, name, len, 0);
    if (size > 8) {
        tocsin_put_word(to, name, len, 8);
    }
    if (size > 16) {
        tocsin_put_word(to, name, len, 16);
    }
    return to + size;
}

#define TOCSIN_PUT_UINT(to, value) tocsin_resp_uint((to), (value))
#define TOCSIN_PUT_OPT(to, value)                                              \
    ((value) == TOCSIN_NONE ? tocsin_resp_empty(to)                            \
                            : tocsin_resp_uint((to), (value)))
#define TOCSIN_PUT_MILLI(to, value)                                            \
    ((value) == 1000 ? tocsin_resp_uint((to), 1)                               \
                     : tocsin_put_milli((to), (value)))
#define TOCSIN_PUT_FLAGS(to, value)                                            \
    ((value) == 0 ? tocsin_resp_empty(to) : tocsin_put_flags((to), (value)))

#endif
