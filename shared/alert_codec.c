/*
 * Alerts and boards on the wire. The sidecar's alert room encodes, the module
 * and the command line decode; the tables of alert_schema.h drive both, so
 * that a new row there is a new field everywhere.
 *
 * What must stay true: what was encoded decodes to the same values; a text
 * that is too long is cut where its reader loses a whole item or character,
 * never half of one; a value from the wire is checked before it is taken, for
 * whoever may write to Redis may write anything; nothing here allocates.
 */
#include "alert_codec.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "event_codec.h"
#include "json.h"
#include "names.h"

#define COUNT(array) ((unsigned)(sizeof(array) / sizeof((array)[0])))
#define NUMBER_MAX 31

enum kind { KIND_UINT, KIND_REAL, KIND_TEXT, KIND_PAIRS, KIND_LONG, KIND_BULK };

struct field {
    const char *name;
    size_t len;
    enum kind kind;
    size_t offset;
};

#define FIELD(type, member, kind, name)                                        \
    {name, sizeof(name) - 1, KIND_##kind, offsetof(struct type, member)},

static const struct field alert_fields[] = {
#define X(member, kind, name, unit, help)                                      \
    FIELD(tocsin_alert, member, kind, name)
    TOCSIN_ALERT_FIELDS(X)
#undef X
};

static const struct field board_fields[] = {
#define X(member, kind, name, unit, help)                                      \
    FIELD(tocsin_board, member, kind, name)
    TOCSIN_BOARD_FIELDS(X)
#undef X
};

static const struct field row_fields[] = {
#define X(member, kind, name, unit, help)                                      \
    FIELD(tocsin_board_row, member, kind, name)
    TOCSIN_BOARD_ROW(X)
#undef X
};

static const struct field command_fields[] = {
#define X(member, kind, name, unit, help)                                      \
    FIELD(tocsin_command, member, kind, name)
    TOCSIN_COMMAND_FIELDS(X)
#undef X
};

static const struct field silence_fields[] = {
#define X(member, kind, name, unit, help)                                      \
    FIELD(tocsin_silence_row, member, kind, name)
    TOCSIN_SILENCE_ROW(X)
#undef X
};

static const struct field round_fields[] = {
#define X(member, kind, name, unit, help)                                      \
    FIELD(tocsin_round_row, member, kind, name)
    TOCSIN_ROUND_ROW(X)
#undef X
};

static const size_t kind_max[] = {
    [KIND_UINT] = NUMBER_MAX,          [KIND_REAL] = NUMBER_MAX,
    [KIND_TEXT] = TOCSIN_TEXT_MAX,     [KIND_PAIRS] = TOCSIN_LABELS_MAX,
    [KIND_LONG] = TOCSIN_EVIDENCE_MAX, [KIND_BULK] = TOCSIN_BOARD_MAX,
};

unsigned tocsin_alert_field_count(void)
{
    return COUNT(alert_fields);
}

unsigned tocsin_board_field_count(void)
{
    return COUNT(board_fields);
}

unsigned tocsin_command_field_count(void)
{
    return COUNT(command_fields);
}

/* ------------------------------------------------------------ numbers */

static struct tocsin_span format_uint(uint64_t value, char *room)
{
    int len = snprintf(room, NUMBER_MAX + 1, "%" PRIu64, value);

    return tocsin_span_of(room, (size_t)len);
}

/* NaN is the empty text; an infinity says no more than NaN does. */
static struct tocsin_span format_real(double value, char *room)
{
    int len;

    if (!isfinite(value)) {
        return tocsin_span_of(room, 0);
    }
    len = snprintf(room, NUMBER_MAX + 1, "%.9g", value);
    return tocsin_span_of(room, (size_t)len);
}

static int parse_uint(struct tocsin_span text, uint64_t *value)
{
    uint64_t sum = 0;
    size_t i;

    if (text.len == 0) {
        return -1;
    }
    for (i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';

        if (digit > 9 || sum > (UINT64_MAX - digit) / 10) {
            return -1;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return 0;
}

/* strtod() would also take spaces, hexadecimals, "inf" and "nan". */
static int parse_real(struct tocsin_span text, double *value)
{
    char room[NUMBER_MAX + 1], *end;
    double number;

    if (text.len == 0) {
        *value = (double)NAN;
        return 0;
    }
    if (text.len > NUMBER_MAX) {
        return -1;
    }
    memcpy(room, text.data, text.len);
    room[text.len] = '\0';
    if (strspn(room, "0123456789+-.eE") != text.len) {
        return -1;
    }
    number = strtod(room, &end);
    if (end != room + text.len || !isfinite(number)) {
        return -1;
    }
    *value = number;
    return 0;
}

/* ------------------------------------------------------------ encoding */

static struct tocsin_span cut_behind(struct tocsin_span text, size_t max,
                                     char separator)
{
    size_t len = max;

    while (len > 0 && text.data[len] != separator) {
        len--;
    }
    return tocsin_span_of(text.data, len);
}

/* Lists lose whole items, prose whole characters. */
static struct tocsin_span cut(struct tocsin_span text, enum kind kind)
{
    size_t max = kind_max[kind];
    struct tocsin_span head;

    if (text.len <= max) {
        return text;
    }
    if (kind == KIND_TEXT) {
        return tocsin_utf8_cut(text, max);
    }
    if (kind == KIND_BULK) {
        head = cut_behind(text, max - 1, '\n');
        if (head.len != 0) {
            head.len++; /* a row ends with its '\n' */
            return head;
        }
    }
    head = cut_behind(text, max, ',');
    return head.len != 0 || kind == KIND_PAIRS ? head
                                               : tocsin_utf8_cut(text, max);
}

static void put_bulk(struct tocsin_out *out, struct tocsin_span text)
{
    char head[NUMBER_MAX + 4];
    int len = snprintf(head, sizeof(head), "$%zu\r\n", text.len);

    tocsin_out_put(out, head, (size_t)len);
    tocsin_out_span(out, text);
    tocsin_out_put(out, "\r\n", 2);
}

static struct tocsin_span value_text(const void *member, enum kind kind,
                                     char *room)
{
    if (kind == KIND_UINT) {
        return format_uint(*(const uint64_t *)member, room);
    }
    if (kind == KIND_REAL) {
        return format_real(*(const double *)member, room);
    }
    return cut(*(const struct tocsin_span *)member, kind);
}

static void encode(struct tocsin_out *out, const void *record,
                   const struct field *fields, unsigned count)
{
    char room[NUMBER_MAX + 1];
    unsigned i;

    for (i = 0; i < count; i++) {
        const struct field *f = &fields[i];
        const void *member = (const char *)record + f->offset;

        put_bulk(out, tocsin_span_of(f->name, f->len));
        put_bulk(out, value_text(member, f->kind, room));
    }
}

void tocsin_alert_encode(struct tocsin_out *out, const struct tocsin_alert *a)
{
    encode(out, a, alert_fields, COUNT(alert_fields));
}

void tocsin_board_encode(struct tocsin_out *out, const struct tocsin_board *b)
{
    encode(out, b, board_fields, COUNT(board_fields));
}

void tocsin_command_encode(struct tocsin_out *out,
                           const struct tocsin_command *c)
{
    encode(out, c, command_fields, COUNT(command_fields));
}

/* ------------------------------------------------------------ decoding */

static void empty(void *record, const struct field *fields, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        void *member = (char *)record + fields[i].offset;

        if (fields[i].kind == KIND_UINT) {
            *(uint64_t *)member = 0;
        } else if (fields[i].kind == KIND_REAL) {
            *(double *)member = (double)NAN;
        } else {
            *(struct tocsin_span *)member = tocsin_span_of("", 0);
        }
    }
}

void tocsin_alert_init(struct tocsin_alert *a)
{
    empty(a, alert_fields, COUNT(alert_fields));
}

void tocsin_board_init(struct tocsin_board *b)
{
    empty(b, board_fields, COUNT(board_fields));
}

void tocsin_command_init(struct tocsin_command *c)
{
    empty(c, command_fields, COUNT(command_fields));
}

static int take(void *member, enum kind kind, struct tocsin_span value)
{
    if (value.len > kind_max[kind]) {
        return -1;
    }
    if (kind == KIND_UINT) {
        return parse_uint(value, member);
    }
    if (kind == KIND_REAL) {
        return parse_real(value, member);
    }
    *(struct tocsin_span *)member = value;
    return 0;
}

static int decode(void *record, const struct field *fields, unsigned count,
                  struct tocsin_span name, struct tocsin_span value)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        if (tocsin_span_eq(name,
                           tocsin_span_of(fields[i].name, fields[i].len))) {
            return take((char *)record + fields[i].offset, fields[i].kind,
                        value);
        }
    }
    return 0;
}

int tocsin_alert_field(struct tocsin_alert *a, struct tocsin_span name,
                       struct tocsin_span value)
{
    return decode(a, alert_fields, COUNT(alert_fields), name, value);
}

int tocsin_board_field(struct tocsin_board *b, struct tocsin_span name,
                       struct tocsin_span value)
{
    return decode(b, board_fields, COUNT(board_fields), name, value);
}

int tocsin_command_field(struct tocsin_command *c, struct tocsin_span name,
                         struct tocsin_span value)
{
    return decode(c, command_fields, COUNT(command_fields), name, value);
}

/* ---------------------------------------------------------------- rows */

/* PAIRS are percent-encoded already; a separator of ours in them is not
 * theirs, and must not begin a new cell. */
static void put_pairs_cell(struct tocsin_out *out, struct tocsin_span cell)
{
    size_t i;

    for (i = 0; i < cell.len; i++) {
        char c = cell.data[i];

        if ((unsigned char)c < 0x21 || c == 0x7f) {
            tocsin_pct_encode(out, tocsin_span_of(&c, 1));
        } else {
            tocsin_out_char(out, c);
        }
    }
}

static void encode_row(struct tocsin_out *out, const void *row,
                       const struct field *fields, unsigned count)
{
    char room[NUMBER_MAX + 1];
    unsigned i;

    for (i = 0; i < count; i++) {
        const struct field *f = &fields[i];
        const void *member = (const char *)row + f->offset;
        struct tocsin_span text = value_text(member, f->kind, room);

        if (i != 0) {
            tocsin_out_char(out, '\t');
        }
        if (f->kind == KIND_PAIRS) {
            put_pairs_cell(out, text);
        } else if (f->kind == KIND_TEXT || f->kind == KIND_LONG) {
            tocsin_pct_encode(out, text);
        } else {
            tocsin_out_span(out, text);
        }
    }
    tocsin_out_char(out, '\n');
}

static int decode_cells(void *row, const struct field *fields, unsigned count,
                        const char *at, const char *end)
{
    bool more = true;
    unsigned i;

    for (i = 0; i < count; i++) {
        const struct field *f = &fields[i];
        /* a TEXT cell is percent-encoded: up to three times as long */
        enum kind kind = f->kind == KIND_TEXT ? KIND_PAIRS : f->kind;
        const char *tab;

        if (!more) {
            return -1;
        }
        tab = memchr(at, '\t', (size_t)(end - at));
        more = tab != NULL;
        if (take((char *)row + f->offset, kind,
                 tocsin_span_of(at, (size_t)((more ? tab : end) - at))) != 0) {
            return -1;
        }
        at = more ? tab + 1 : end;
    }
    return 1; /* further cells are those of a newer producer */
}

static int next_row(struct tocsin_span *rest, void *row,
                    const struct field *fields, unsigned count)
{
    const char *start = rest->data, *newline;

    if (rest->len == 0) {
        return 0;
    }
    empty(row, fields, count);
    newline = memchr(start, '\n', rest->len);
    if (newline == NULL) {
        *rest = tocsin_span_of(start, 0);
        return -1; /* its tail was cut off */
    }
    *rest =
        tocsin_span_of(newline + 1, rest->len - (size_t)(newline + 1 - start));
    return decode_cells(row, fields, count, start, newline);
}

void tocsin_board_row_encode(struct tocsin_out *out,
                             const struct tocsin_board_row *row)
{
    encode_row(out, row, row_fields, COUNT(row_fields));
}

int tocsin_board_row_next(struct tocsin_span *rest,
                          struct tocsin_board_row *row)
{
    return next_row(rest, row, row_fields, COUNT(row_fields));
}

void tocsin_silence_row_encode(struct tocsin_out *out,
                               const struct tocsin_silence_row *row)
{
    encode_row(out, row, silence_fields, COUNT(silence_fields));
}

int tocsin_silence_row_next(struct tocsin_span *rest,
                            struct tocsin_silence_row *row)
{
    return next_row(rest, row, silence_fields, COUNT(silence_fields));
}

void tocsin_round_row_encode(struct tocsin_out *out,
                             const struct tocsin_round_row *row)
{
    encode_row(out, row, round_fields, COUNT(round_fields));
}

int tocsin_round_row_next(struct tocsin_span *rest,
                          struct tocsin_round_row *row)
{
    return next_row(rest, row, round_fields, COUNT(round_fields));
}
