/*
 * What a silence matches alerts by, as in Alertmanager: a label is or is not
 * a text, or matches a pattern as a whole, or does not; a label that is not
 * there is an empty one. All matchers of a silence must hold.
 *
 * On the wire a list is PAIRS of three parts: name=operator=value.
 */
#ifndef TOCSIN_MATCHER_H
#define TOCSIN_MATCHER_H

#include "pattern.h"
#include "span.h"

#define TOCSIN_MATCHERS 16        /* of one silence */
#define TOCSIN_MATCHERS_MAX 2047  /* bytes of an encoded list */
#define TOCSIN_MATCHER_VALUE 1023 /* bytes of a value */

struct tocsin_matcher {
    struct tocsin_span name, value; /* plain */
    bool negative, pattern;
};

/* NULL, or what is wrong with its name or the length of its value. */
const char *tocsin_matcher_check(const struct tocsin_matcher *matcher);

/* NULL, or what is wrong with a list: the matchers of a silence, patterns
 * included. One of them at least must not match the empty text. */
const char *tocsin_matchers_check(struct tocsin_span list);

/* Of a label's value, plain; `pattern` is its value compiled, if it is one. */
bool tocsin_matcher_holds(const struct tocsin_matcher *matcher,
                          const struct tocsin_pattern *pattern,
                          struct tocsin_span value);

/* Appends an item to a list, behind a ',' if it is not the first. */
void tocsin_matcher_put(struct tocsin_out *list,
                        const struct tocsin_matcher *matcher);

/* Cuts the first item off a list; name and value are decoded into `room`.
 * 1, 0 at the end, -1 if it is none. */
int tocsin_matcher_next(struct tocsin_span *list,
                        struct tocsin_matcher *matcher,
                        char room[TOCSIN_MATCHERS_MAX]);

/* From name=value, name!=value, name=~pattern, name!~pattern, the value with
 * or without quotes around it. 0, or -1. */
int tocsin_matcher_parse(struct tocsin_matcher *matcher,
                         struct tocsin_span text);

#endif
