/*
 * Reads JSON (RFC 8259) token by token out of memory: strict, no allocation,
 * no recursion, as deep as TOCSIN_JSON_DEPTH and no deeper.
 *
 *     struct tocsin_json_reader r = tocsin_json_reader(text);
 *     while ((token = tocsin_json_next(&r, &value)) > TOCSIN_JSON_END) ...
 *
 * A KEY or STRING is given as it stands between its quotes; what is in it was
 * checked (escapes, surrogates, UTF-8), tocsin_json_unescape() makes it text.
 */
#ifndef TOCSIN_JSON_READ_H
#define TOCSIN_JSON_READ_H

#include "span.h"

#define TOCSIN_JSON_DEPTH 16

enum tocsin_json_token {
    TOCSIN_JSON_ERROR = -1, /* reader->error tells; all further calls too */
    TOCSIN_JSON_END = 0,    /* one whole value was read, and nothing else */
    TOCSIN_JSON_OBJECT,
    TOCSIN_JSON_OBJECT_END,
    TOCSIN_JSON_ARRAY,
    TOCSIN_JSON_ARRAY_END,
    TOCSIN_JSON_KEY,
    TOCSIN_JSON_STRING,
    TOCSIN_JSON_NUMBER,
    TOCSIN_JSON_TRUE,
    TOCSIN_JSON_FALSE,
    TOCSIN_JSON_NULL
};

struct tocsin_json_reader {
    const char *start, *at, *end;
    const char *error; /* NULL, or what is wrong at `at` */
    unsigned depth;
    char open[TOCSIN_JSON_DEPTH]; /* brackets */
    char expect;                  /* what may come next: see json_read.c */
};

struct tocsin_json_reader tocsin_json_reader(struct tocsin_span text);

/* *value is the text of keys, strings and numbers; else empty. */
enum tocsin_json_token tocsin_json_next(struct tocsin_json_reader *reader,
                                        struct tocsin_span *value);

/* Passes over the rest of the value that `token` began. 0, or -1. */
int tocsin_json_skip(struct tocsin_json_reader *reader,
                     enum tocsin_json_token token);

/* Writes at most text.len bytes of UTF-8 to `to`; returns how many. */
size_t tocsin_json_unescape(char *to, struct tocsin_span text);

#endif
