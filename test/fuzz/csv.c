/*
 * Files of history: records, and tables of times and numbers. Cells lie within
 * their records, records within the file and in its order; nothing but ends of
 * lines is between them.
 */
#include "sidecar/command/csv.h"
#include "fuzz.h"
#include "sidecar/command/table.h"

static void check_between(const char *from, const char *to)
{
    for (; from < to; from++) {
        MUST(*from == '\n' || *from == '\r');
    }
}

static void check_records(struct tocsin_span text)
{
    static struct csv_record record;
    struct csv csv;
    struct err err = {0};
    const char *at;
    int rc;

    csv_init(&csv, "fuzz", text);
    at = csv.rest.data;
    while ((rc = csv_next(&csv, &record, &err)) == 1) {
        const char *end = record.raw.data + record.raw.len;

        MUST(record.count > 0 && record.count <= CSV_CELLS_MAX);
        MUST(record.raw.data >= at);
        check_between(at, record.raw.data);
        at = record.raw.data;
        for (unsigned i = 0; i < record.count; i++) {
            struct tocsin_span cell = record.cells[i].text;

            MUST(cell.data >= at && cell.data + cell.len <= end);
            at = cell.data + cell.len;
        }
        at = end;
    }
    MUST(rc == 0 || err.message[0] != '\0');
    if (rc == 0) {
        check_between(at, text.data + text.len);
    }
}

static void check_table(struct tocsin_span text)
{
    struct table table;
    struct buf file;
    struct err err = {0};

    buf_init(&file, TABLE_SIZE_MAX);
    buf_put(&file, text.data, text.len);
    if (table_parse(&table, "fuzz", &file, &err) != 0) {
        MUST(err.message[0] != '\0');
        return;
    }
    MUST(table.columns > 0 && table.columns <= TABLE_COLUMNS_MAX);
    for (size_t i = 0; i < table.rows; i++) {
        MUST(table.raw[i].data >= table.text.data);
        MUST(table.raw[i].data + table.raw[i].len <=
             table.text.data + table.text.len);
        for (unsigned k = 0; k < table.columns; k++) {
            float value = table.values[i * table.columns + k];

            MUST(value != value || value - value == 0); /* never infinite */
        }
    }
    table_release(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_records(fuzz_span(data, size));
    check_table(fuzz_span(data, size));
    return 0;
}
