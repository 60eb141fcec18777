/* A view of bytes that somebody else owns; never terminated, never freed. */
#ifndef TOCSIN_SPAN_H
#define TOCSIN_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct tocsin_span {
    const char *data;
    size_t len;
};

#define TOCSIN_SPAN(literal)                                                   \
    ((struct tocsin_span){(literal), sizeof(literal) - 1})

static inline struct tocsin_span tocsin_span_of(const char *data, size_t len)
{
    struct tocsin_span span = {data, len};

    return span;
}

static inline struct tocsin_span tocsin_span_str(const char *terminated)
{
    return tocsin_span_of(terminated, strlen(terminated));
}

static inline bool tocsin_span_eq(struct tocsin_span a, struct tocsin_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Cuts the text before the first `separator` off `rest`, and the separator. */
static inline struct tocsin_span tocsin_span_cut(struct tocsin_span *rest,
                                                 char separator)
{
    struct tocsin_span head = *rest;
    const char *at = NULL;

    if (rest->len != 0) {
        at = (const char *)memchr(rest->data, separator, rest->len);
    }
    if (at == NULL) {
        rest->len = 0;
        return head;
    }
    head.len = (size_t)(at - head.data);
    *rest = tocsin_span_of(at + 1, rest->len - head.len - 1);
    return head;
}

/*
 * Writes into memory of a fixed size. `need` counts all that was asked for,
 * so after any number of puts, `need > cap` tells that something did not fit
 * and how much room would have been enough; nothing is written past `cap`.
 */
struct tocsin_out {
    char *data;
    size_t cap;
    size_t need;
};

static inline bool tocsin_out_fits(const struct tocsin_out *out)
{
    return out->need <= out->cap;
}

static inline void tocsin_out_put(struct tocsin_out *out, const char *data,
                                  size_t len)
{
    if (out->need + len <= out->cap && len != 0) {
        memcpy(out->data + out->need, data, len);
    }
    out->need += len;
}

static inline void tocsin_out_span(struct tocsin_out *out,
                                   struct tocsin_span span)
{
    tocsin_out_put(out, span.data, span.len);
}

static inline void tocsin_out_char(struct tocsin_out *out, char c)
{
    tocsin_out_put(out, &c, 1);
}

#endif
