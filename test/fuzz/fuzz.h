/*
 * What fuzz targets share. Each target is one file with one function, which
 * takes whatever bytes there are and must neither crash nor break what it
 * says MUST() hold. `make fuzz` links it with libFuzzer, `make fuzz-replay`
 * with replay.c, which runs it over the corpus that is kept.
 */
#ifndef TOCSIN_TEST_FUZZ_H
#define TOCSIN_TEST_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                        \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__,      \
                    #condition);                                               \
            abort();                                                           \
        }                                                                      \
    } while (0)

static inline struct tocsin_span fuzz_span(const uint8_t *data, size_t size)
{
    return tocsin_span_of((const char *)data, size);
}

/* Cuts a byte off, 0 at the end: for choices. */
static inline unsigned fuzz_byte(struct tocsin_span *rest)
{
    unsigned byte = 0;

    if (rest->len != 0) {
        byte = (unsigned char)rest->data[0];
        *rest = tocsin_span_of(rest->data + 1, rest->len - 1);
    }
    return byte;
}

/* A copy of exactly so many bytes, so that a byte too many is seen to be read;
 * the caller frees it. */
static inline char *fuzz_copy(struct tocsin_span text)
{
    char *copy = malloc(text.len != 0 ? text.len : 1);

    MUST(copy != NULL);
    if (text.len != 0) {
        memcpy(copy, text.data, text.len);
    }
    return copy;
}

#endif
