/*
 * A reader that copies nothing: a record is cut into cells in place. Cells
 * with doubled quotes keep them doubled, which no number or time has; a caller
 * that prints a record prints its raw bytes.
 */
#include "csv.h"

#include <stdio.h>

void csv_init(struct csv *csv, const char *name, struct tocsin_span text)
{
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
        text = tocsin_span_of(text.data + 3, text.len - 3);
    }
    *csv = (struct csv){name, text, 0, 1};
}

int csv_error(const struct csv *csv, unsigned column, struct err *err,
              const char *format, ...)
{
    char message[ERR_MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    err_set(err, ERR_INPUT, "%s:%u:%u: %s", csv->name, csv->line, column,
            message);
    if (err != NULL) {
        err->line = csv->line;
        err->column = column;
    }
    return -1;
}

static unsigned column_of(const char *line, const char *at)
{
    return (unsigned)(at - line) + 1;
}

/* From the quote on; *at is then behind the closing one. */
static int quoted_cell(struct csv *csv, const char *line, const char **at,
                       const char *end, struct csv_cell *cell, struct err *err)
{
    const char *open = (*at)++;

    cell->text.data = *at;
    for (; *at < end; (*at)++) {
        csv->next_line += **at == '\n';
        if (**at != '"') {
            continue;
        }
        if (*at + 1 < end && (*at)[1] == '"') {
            (*at)++;
            continue;
        }
        cell->text.len = (size_t)(*at - cell->text.data);
        (*at)++;
        if (*at < end && **at == '\r' && (*at + 1 == end || (*at)[1] == '\n')) {
            (*at)++;
        }
        if (*at < end && **at != ',' && **at != '\n') {
            return csv_error(csv, column_of(line, *at), err,
                             "text after a closing quote");
        }
        return 0;
    }
    return csv_error(csv, column_of(line, open), err, "a quote is not closed");
}

static void plain_cell(const char **at, const char *end, struct csv_cell *cell)
{
    const char *begin = *at;

    while (*at < end && **at != ',' && **at != '\n') {
        (*at)++;
    }
    cell->text = tocsin_span_of(begin, (size_t)(*at - begin));
    if ((*at == end || **at == '\n') && cell->text.len != 0 &&
        (*at)[-1] == '\r') {
        cell->text.len--;
    }
}

static int read_cells(struct csv *csv, const char **at, const char *end,
                      struct csv_record *record, struct err *err)
{
    const char *line = *at;

    for (record->count = 0;; (*at)++) {
        struct csv_cell *cell = &record->cells[record->count];

        if (record->count == CSV_CELLS_MAX) {
            return csv_error(csv, column_of(line, *at), err,
                             "more than %d columns", CSV_CELLS_MAX);
        }
        record->count++;
        cell->column = column_of(line, *at);
        if (*at < end && **at == '"') {
            if (quoted_cell(csv, line, at, end, cell, err) != 0) {
                return -1;
            }
        } else {
            plain_cell(at, end, cell);
        }
        if (*at == end || **at != ',') {
            return 0;
        }
    }
}

int csv_next(struct csv *csv, struct csv_record *record, struct err *err)
{
    const char *at = csv->rest.data, *end = at + csv->rest.len, *begin;

    while (at < end && (*at == '\n' || *at == '\r')) {
        csv->next_line += *at++ == '\n';
    }
    if (at == end) {
        return 0;
    }
    begin = at;
    csv->line = csv->next_line;
    if (read_cells(csv, &at, end, record, err) != 0) {
        return -1;
    }
    record->raw = tocsin_span_of(begin, (size_t)(at - begin));
    if (record->raw.len != 0 && at[-1] == '\r') {
        record->raw.len--;
    }
    if (at < end) {
        at++; /* the end of line */
        csv->next_line++;
    }
    csv->rest = tocsin_span_of(at, (size_t)(end - at));
    return 1;
}
