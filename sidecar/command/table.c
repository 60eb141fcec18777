/* From a file to arrays. The raw records are kept: they are printed again. */
#include "table.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "../base/file.h"
#include "csv.h"
#include "timestamp.h"

#define NO_COLUMN UINT32_MAX

/* Which cell is what. */
struct layout {
    unsigned cells;
    unsigned time, label;
    unsigned numbers[TABLE_COLUMNS_MAX];
    unsigned count;
};

static bool is_called(struct tocsin_span cell, const char *name)
{
    while (cell.len != 0 && cell.data[0] == ' ') {
        cell = tocsin_span_of(cell.data + 1, cell.len - 1);
    }
    while (cell.len != 0 && cell.data[cell.len - 1] == ' ') {
        cell.len--;
    }
    return cell.len == strlen(name) &&
           strncasecmp(cell.data, name, cell.len) == 0;
}

static unsigned time_column(const struct csv_record *header)
{
    static const char *const names[] = {"timestamp", "time", "datetime", "date",
                                        "ts"};

    for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
        for (unsigned i = 0; i < header->count; i++) {
            if (is_called(header->cells[i].text, names[k])) {
                return i;
            }
        }
    }
    return 0;
}

static bool is_output(struct tocsin_span cell)
{
    return is_called(cell, "anomaly_score") ||
           is_called(cell, "incident_score") || is_called(cell, "alert");
}

static int read_header(const struct csv *csv, const struct csv_record *header,
                       struct layout *layout, struct err *err)
{
    *layout = (struct layout){.cells = header->count,
                              .time = time_column(header),
                              .label = NO_COLUMN};
    for (unsigned i = 0; i < header->count; i++) {
        struct tocsin_span cell = header->cells[i].text;

        if (is_output(cell)) {
            return csv_error(csv, header->cells[i].column, err,
                             "\"%.*s\" is a column of what backtest writes",
                             (int)cell.len, cell.data);
        }
        if (i == layout->time) {
            continue;
        }
        if (is_called(cell, "label")) {
            layout->label = i;
        } else if (layout->count == TABLE_COLUMNS_MAX) {
            return csv_error(csv, header->cells[i].column, err,
                             "more than %d columns of numbers",
                             TABLE_COLUMNS_MAX);
        } else {
            layout->numbers[layout->count++] = i;
        }
    }
    if (layout->count == 0) {
        return csv_error(csv, 1, err,
                         "no column of numbers: expected a header, a column of "
                         "times and at least one of numbers");
    }
    return 0;
}

static int read_number(const struct csv *csv, const struct csv_cell *cell,
                       float *value, struct err *err)
{
    char text[64], *end;
    double number;

    *value = NAN;
    if (cell->text.len == 0) {
        return 0;
    }
    if (cell->text.len < sizeof(text)) {
        memcpy(text, cell->text.data, cell->text.len);
        text[cell->text.len] = '\0';
        number = strtod(text, &end);
        while (*end == ' ') {
            end++;
        }
        if (end != text && *end == '\0' &&
            (isnan(number) || fabs(number) <= (double)FLT_MAX)) {
            *value = (float)number;
            return 0;
        }
    }
    return csv_error(
        csv, cell->column, err, "\"%.*s\": expected a number or nothing",
        (int)(cell->text.len < 64 ? cell->text.len : 64), cell->text.data);
}

static bool read_label(struct tocsin_span cell)
{
    return cell.len != 0 && !is_called(cell, "0") && !is_called(cell, "0.0") &&
           !is_called(cell, "false");
}

static int grow(struct table *table, struct err *err)
{
    size_t room = table->room != 0 ? 2 * table->room : 1024;
    size_t columns = table->columns != 0 ? table->columns : 1;
    void *raw = realloc(table->raw, room * sizeof(*table->raw));
    void *times, *values, *labels;

    table->raw = raw != NULL ? raw : table->raw;
    times = realloc(table->times, room * sizeof(*table->times));
    table->times = times != NULL ? times : table->times;
    values = realloc(table->values, room * columns * sizeof(*table->values));
    table->values = values != NULL ? values : table->values;
    labels = realloc(table->labels, room);
    table->labels = labels != NULL ? labels : table->labels;
    if (raw == NULL || times == NULL || values == NULL || labels == NULL) {
        return err_set(err, ERR_SYSTEM, "no memory for %zu rows", room);
    }
    table->room = room;
    return 0;
}

static int read_row(struct table *table, const struct layout *layout,
                    const struct csv *csv, const struct csv_record *record,
                    struct err *err)
{
    const struct csv_cell *time = &record->cells[layout->time];
    size_t row = table->rows;

    if (record->count != layout->cells) {
        return csv_error(csv, 1, err, "%u cells: expected %u, as in the header",
                         record->count, layout->cells);
    }
    if (row == table->room && grow(table, err) != 0) {
        return -1;
    }
    if (!timestamp_parse(time->text, &table->times[row])) {
        return csv_error(
            csv, time->column, err, "\"%.*s\": expected " TIMESTAMP_EXPECTED,
            (int)(time->text.len < 64 ? time->text.len : 64), time->text.data);
    }
    for (unsigned i = 0; i < layout->count; i++) {
        if (read_number(csv, &record->cells[layout->numbers[i]],
                        &table->values[row * table->columns + i], err) != 0) {
            return -1;
        }
    }
    table->labels[row] = layout->label != NO_COLUMN &&
                         read_label(record->cells[layout->label].text);
    table->raw[row] = record->raw;
    table->rows++;
    return 0;
}

static int read_all(struct table *table, struct csv *csv, struct err *err)
{
    struct csv_record record;
    struct layout layout;
    int more = csv_next(csv, &record, err);

    if (more == 0) {
        return err_set(err, ERR_INPUT, "%s: empty: expected a header",
                       csv->name);
    }
    if (more < 0 || read_header(csv, &record, &layout, err) != 0) {
        return -1;
    }
    table->header = record.raw;
    table->columns = layout.count;
    while ((more = csv_next(csv, &record, err)) == 1) {
        if (read_row(table, &layout, csv, &record, err) != 0) {
            return -1;
        }
    }
    if (layout.label == NO_COLUMN) {
        free(table->labels);
        table->labels = NULL;
    }
    return more;
}

int table_parse(struct table *table, const char *name, struct buf *text,
                struct err *err)
{
    struct csv csv;

    *table = (struct table){.text = *text};
    *text = (struct buf){0};
    csv_init(&csv, name,
             tocsin_span_of(table->text.data != NULL ? table->text.data : "",
                            table->text.len));
    if (read_all(table, &csv, err) != 0) {
        table_release(table);
        return -1;
    }
    return 0;
}

int table_read(struct table *table, const char *path, struct err *err)
{
    struct buf text;

    memset(table, 0, sizeof(*table));
    buf_init(&text, TABLE_SIZE_MAX);
    if (file_read(path, &text, err) != 0) {
        buf_release(&text);
        return -1;
    }
    return table_parse(table, path, &text, err);
}

size_t table_rows(const char *path)
{
    FILE *from = fopen(path, "r");
    size_t rows = 0, len, i;
    char bytes[65536];
    char last = '\n';

    if (from == NULL) {
        return 0;
    }
    while ((len = fread(bytes, 1, sizeof(bytes), from)) > 0) {
        for (i = 0; i < len; i++) {
            rows += bytes[i] == '\n';
        }
        last = bytes[len - 1];
    }
    fclose(from);
    rows += last != '\n';
    return rows != 0 ? rows - 1 : 0; /* the header */
}

void table_release(struct table *table)
{
    buf_release(&table->text);
    free(table->raw);
    free(table->times);
    free(table->values);
    free(table->labels);
    memset(table, 0, sizeof(*table));
}
