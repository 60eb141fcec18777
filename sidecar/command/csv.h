/*
 * Comma-separated values (RFC 4180) in memory, record by record. Cells are
 * views; errors say file, line and column.
 */
#ifndef TOCSIN_COMMAND_CSV_H
#define TOCSIN_COMMAND_CSV_H

#include <stdbool.h>

#include "../base/err.h"
#include "shared/span.h"

#define CSV_CELLS_MAX 256

struct csv {
    const char *name;        /* of the file, for messages */
    struct tocsin_span rest; /* not read yet */
    unsigned line;           /* of the record that was read last */
    unsigned next_line;
};

struct csv_cell {
    struct tocsin_span text; /* without the quotes around it */
    unsigned column;         /* in the line, in bytes, from 1 */
};

struct csv_record {
    struct tocsin_span raw; /* all of it, without the end of line */
    struct csv_cell cells[CSV_CELLS_MAX];
    unsigned count;
};

/* Skips a byte order mark. The text must outlive the reader. */
void csv_init(struct csv *csv, const char *name, struct tocsin_span text);

/* The next record that is not an empty line: 1, 0 at the end, or -1. */
int csv_next(struct csv *csv, struct csv_record *record, struct err *err);

/* Fills *err with "file:line:column: message" and returns -1. */
int csv_error(const struct csv *csv, unsigned column, struct err *err,
              const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
