/*
 * Regular expressions of people who may silence alerts, matched against a
 * text as a whole, in the words that Alertmanager's users know: . [...] | ()
 * (?:) * + ? ^ $, \d \w \s and their opposites, [:classes:]; no repetition by
 * number, no flags, no references back. Works on UTF-8.
 */
#ifndef TOCSIN_PATTERN_H
#define TOCSIN_PATTERN_H

#include <stdint.h>

#include "span.h"

#define TOCSIN_PATTERN_MAX 255 /* bytes */
#define TOCSIN_PATTERN_OPS 512
#define TOCSIN_PATTERN_RANGES 128
#define TOCSIN_PATTERN_DEPTH 32 /* groups within each other */

struct tocsin_pattern_op {
    uint8_t kind;
    bool negative;  /* of a set */
    uint16_t count; /* ranges of a set */
    int32_t arg;    /* code point, first range, or jump from here */
};

struct tocsin_pattern {
    unsigned count, ranges;
    struct tocsin_pattern_op op[TOCSIN_PATTERN_OPS];
    struct {
        uint32_t low, high;
    } range[TOCSIN_PATTERN_RANGES];
};

/* NULL, or what is wrong with it. */
const char *tocsin_pattern_compile(struct tocsin_pattern *pattern,
                                   struct tocsin_span text);

/* Takes at most as many steps as ops times bytes of the text. */
bool tocsin_pattern_matches(const struct tocsin_pattern *pattern,
                            struct tocsin_span text);

#endif
