/*
 * A buffer that grows up to a cap it was born with. One that overflowed keeps
 * what it had, ignores further puts, and says so when it is asked: so a
 * sequence of puts needs one check at its end.
 */
#ifndef TOCSIN_BUF_H
#define TOCSIN_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* NULL until the first put; kept terminated by '\0' */
    size_t len;
    size_t room;
    size_t cap;
    bool failed; /* the cap was reached or memory ran out */
};

void buf_init(struct buf *buf, size_t cap);
void buf_release(struct buf *buf); /* frees; as after buf_init() */
void buf_clear(struct buf *buf);   /* empties, keeps the memory */

void buf_put(struct buf *buf, const void *data, size_t len);
void buf_puts(struct buf *buf, const char *terminated);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Makes room for len more bytes and returns where they go, or NULL; the
 * caller adds to buf->len what it wrote. */
char *buf_reserve(struct buf *buf, size_t len);

/* Little-endian, for checkpoints. */
void buf_put_u32(struct buf *buf, uint32_t value);
void buf_put_u64(struct buf *buf, uint64_t value);
void buf_put_f32(struct buf *buf, float value);
void buf_put_f64(struct buf *buf, double value);
void buf_put_f32s(struct buf *buf, const float *values, size_t count);

/* Reading back what was put. After a short read `failed` is set and all that
 * follows reads as zero: one check at the end. */
struct cursor {
    const char *data;
    size_t len;
    bool failed;
};

uint32_t cursor_u32(struct cursor *cursor);
uint64_t cursor_u64(struct cursor *cursor);
float cursor_f32(struct cursor *cursor);
double cursor_f64(struct cursor *cursor);
void cursor_f32s(struct cursor *cursor, float *values, size_t count);
/* The next len bytes, or NULL. */
const char *cursor_bytes(struct cursor *cursor, size_t len);

#endif
