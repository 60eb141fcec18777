/* A file of history: times, and the numbers of its columns. */
#ifndef TOCSIN_COMMAND_TABLE_H
#define TOCSIN_COMMAND_TABLE_H

#include "../base/buf.h"
#include "../base/err.h"
#include "shared/span.h"

#define TABLE_COLUMNS_MAX 31
#define TABLE_SIZE_MAX ((size_t)1 << 30)

struct table {
    struct buf text;
    struct tocsin_span header; /* raw, without the end of line */
    struct tocsin_span *raw;   /* [rows] */
    int64_t *times;            /* [rows], us */
    float *values;             /* [rows][columns]; NaN: an empty cell */
    uint8_t *labels;           /* [rows], or NULL without such a column */
    size_t rows, room;
    unsigned columns;
};

/*
 * Reads a CSV file with a header. The column called timestamp, time, datetime,
 * date or ts, or else the first, holds times; one called label (in any case)
 * is not looked at but for the report; all others hold numbers, empty where
 * nothing was observed.
 */
int table_read(struct table *table, const char *path, struct err *err);

/* The same of a text in memory, which it takes; `name` stands for the path. */
int table_parse(struct table *table, const char *name, struct buf *text,
                struct err *err);

/* How many rows a file seems to have, by its ends of lines; 0 where it cannot
 * be read. */
size_t table_rows(const char *path);

void table_release(struct table *table);

#endif
