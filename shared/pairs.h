/*
 * PAIRS, the kind of value that holds labels and lists: items joined by ',',
 * the parts of an item by '='; within a part the bytes % , = and those below
 * 0x21 and 0x7f are percent-encoded.
 */
#ifndef TOCSIN_PAIRS_H
#define TOCSIN_PAIRS_H

#include "span.h"

/*
 * Cuts the first item off `rest` and its first two parts into name and value,
 * still encoded; further parts stay in value, joined by '='. Returns false at
 * the end.
 */
bool tocsin_pairs_next(struct tocsin_span *rest, struct tocsin_span *name,
                       struct tocsin_span *value);

/* Does it hold neither raw control characters nor broken codes? */
bool tocsin_pairs_valid(struct tocsin_span text);

/* Appends one part, encoded. */
void tocsin_pct_encode(struct tocsin_out *out, struct tocsin_span in);

/* Writes at most in.len bytes to `to` and returns how many. */
size_t tocsin_pct_decode(char *to, struct tocsin_span in);

#endif
