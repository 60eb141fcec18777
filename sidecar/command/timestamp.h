/* Times as people write them in files -> us since the epoch. */
#ifndef TOCSIN_COMMAND_TIMESTAMP_H
#define TOCSIN_COMMAND_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/span.h"

#define TIMESTAMP_EXPECTED                                                     \
    "a time: 2026-01-31T23:59:59Z, 2026-01-31 23:59:59, or seconds or "        \
    "milliseconds since 1970"

/*
 * ISO 8601 with 'T' or ' ' between date and time, down to minutes or further
 * to fractions of seconds; UTC unless it ends in Z or an offset; a date alone
 * is its midnight. Or a number: seconds, or milliseconds from 1e11 on.
 */
bool timestamp_parse(struct tocsin_span text, int64_t *us);

#endif
