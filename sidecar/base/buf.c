/*
 * The capped buffer and its reader. Callers put without looking and ask once
 * at the end; so every path that cannot put must set `failed` and leave what
 * is there alone. Numbers are little-endian on every machine, so a checkpoint
 * can move between machines.
 */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_ROOM_MIN 256

void buf_init(struct buf *buf, size_t cap)
{
    memset(buf, 0, sizeof(*buf));
    buf->cap = cap;
}

void buf_release(struct buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->cap);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}

char *buf_reserve(struct buf *buf, size_t len)
{
    size_t room = buf->room > BUF_ROOM_MIN ? buf->room : BUF_ROOM_MIN;
    char *data;

    if (buf->failed || len > buf->cap - buf->len) {
        buf->failed = true;
        return NULL;
    }
    if (buf->data == NULL || len > buf->room - buf->len) {
        while (room < buf->len + len) {
            room *= 2;
        }
        room = room < buf->cap ? room : buf->cap;
        data = realloc(buf->data, room + 1); /* and the '\0' */
        if (data == NULL) {
            buf->failed = true;
            return NULL;
        }
        buf->data = data;
        buf->room = room;
    }
    return buf->data + buf->len;
}

void buf_put(struct buf *buf, const void *data, size_t len)
{
    char *to = buf_reserve(buf, len);

    if (to != NULL) {
        if (len != 0) {
            memcpy(to, data, len);
        }
        buf->len += len;
        buf->data[buf->len] = '\0';
    }
}

void buf_puts(struct buf *buf, const char *terminated)
{
    buf_put(buf, terminated, strlen(terminated));
}

void buf_putc(struct buf *buf, char c)
{
    buf_put(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    char *to;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        buf->failed = true;
        return;
    }
    to = buf_reserve(buf, (size_t)len);
    if (to != NULL) {
        va_start(args, format);
        vsnprintf(to, (size_t)len + 1, format, args);
        va_end(args);
        buf->len += (size_t)len;
    }
}

void buf_put_u32(struct buf *buf, uint32_t value)
{
    unsigned char bytes[4];
    unsigned i;

    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
    buf_put(buf, bytes, sizeof(bytes));
}

void buf_put_u64(struct buf *buf, uint64_t value)
{
    unsigned char bytes[8];
    unsigned i;

    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
    buf_put(buf, bytes, sizeof(bytes));
}

void buf_put_f32(struct buf *buf, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    buf_put_u32(buf, bits);
}

void buf_put_f64(struct buf *buf, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    buf_put_u64(buf, bits);
}

void buf_put_f32s(struct buf *buf, const float *values, size_t count)
{
    unsigned char *to = (unsigned char *)buf_reserve(buf, 4 * count);

    for (size_t i = 0; to != NULL && i < count; i++, to += 4) {
        uint32_t bits;

        memcpy(&bits, &values[i], sizeof(bits));
        to[0] = (unsigned char)bits;
        to[1] = (unsigned char)(bits >> 8);
        to[2] = (unsigned char)(bits >> 16);
        to[3] = (unsigned char)(bits >> 24);
    }
    if (to != NULL) {
        buf->len += 4 * count;
        buf->data[buf->len] = '\0';
    }
}

const char *cursor_bytes(struct cursor *cursor, size_t len)
{
    const char *at = cursor->data;

    if (cursor->failed || len > cursor->len) {
        cursor->failed = true;
        return NULL;
    }
    cursor->data += len;
    cursor->len -= len;
    return at;
}

static uint64_t cursor_uint(struct cursor *cursor, unsigned size)
{
    const char *at = cursor_bytes(cursor, size);
    uint64_t value = 0;
    unsigned i;

    for (i = 0; at != NULL && i < size; i++) {
        value |= (uint64_t)(unsigned char)at[i] << (8 * i);
    }
    return value;
}

uint32_t cursor_u32(struct cursor *cursor)
{
    return (uint32_t)cursor_uint(cursor, 4);
}

uint64_t cursor_u64(struct cursor *cursor)
{
    return cursor_uint(cursor, 8);
}

float cursor_f32(struct cursor *cursor)
{
    uint32_t bits = cursor_u32(cursor);
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

double cursor_f64(struct cursor *cursor)
{
    uint64_t bits = cursor_u64(cursor);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

void cursor_f32s(struct cursor *cursor, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = cursor_f32(cursor);
    }
}
