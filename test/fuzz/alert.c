/*
 * Alerts, snapshots and commands as whoever may write to Redis may write them:
 * a byte for the kind, then lines of "name=value" (for rows of a snapshot: the
 * rows). What is decoded is encoded and decoded again to the same, and all that
 * is made of an alert is JSON.
 */
#include <jansson.h>

#include "fuzz.h"
#include "shared/alert_codec.h"
#include "shared/silence_json.h"

#define ROOM (6 * 1024 * 1024)

static char first[ROOM], second[ROOM];

static struct tocsin_span next_bulk(struct tocsin_span *rest)
{
    struct tocsin_span head = tocsin_span_cut(rest, '\n'), text;

    MUST(head.len >= 3 && head.data[0] == '$');
    text = tocsin_span_of(rest->data, strtoul(head.data + 1, NULL, 10));
    MUST(text.len + 2 <= rest->len);
    MUST(memcmp(text.data + text.len, "\r\n", 2) == 0);
    *rest = tocsin_span_of(rest->data + text.len + 2, rest->len - text.len - 2);
    return text;
}

/* decode(text), encode, decode, encode: the same bytes twice. */
#define CHECK_CODEC(what)                                                      \
    static void check_##what(struct tocsin_span rest,                          \
                             struct tocsin_##what *decoded)                    \
    {                                                                          \
        struct tocsin_out out = {first, ROOM, 0}, again = {second, ROOM, 0};   \
        struct tocsin_##what back;                                             \
        unsigned i;                                                            \
                                                                               \
        tocsin_##what##_init(decoded);                                         \
        while (rest.len != 0) {                                                \
            struct tocsin_span value = tocsin_span_cut(&rest, '\n');           \
            struct tocsin_span name = tocsin_span_cut(&value, '=');            \
                                                                               \
            tocsin_##what##_field(decoded, name, value);                       \
        }                                                                      \
        tocsin_##what##_encode(&out, decoded);                                 \
        MUST(tocsin_out_fits(&out));                                           \
        rest = tocsin_span_of(first, out.need);                                \
        tocsin_##what##_init(&back);                                           \
        for (i = 0; i < tocsin_##what##_field_count(); i++) {                  \
            struct tocsin_span name = next_bulk(&rest);                        \
            struct tocsin_span value = next_bulk(&rest);                       \
                                                                               \
            MUST(tocsin_##what##_field(&back, name, value) == 0);              \
        }                                                                      \
        tocsin_##what##_encode(&again, &back);                                 \
        MUST(again.need == out.need);                                          \
        MUST(memcmp(first, second, out.need) == 0);                            \
    }

CHECK_CODEC(alert)
CHECK_CODEC(board)
CHECK_CODEC(command)

static void check_json(struct tocsin_out *out)
{
    json_error_t error;
    json_t *json;

    MUST(tocsin_out_fits(out));
    json = json_loadb(out->data, out->need,
                      JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (json == NULL) {
        fprintf(stderr, "%s\n%.*s\n", error.text, (int)out->need, out->data);
    }
    MUST(json != NULL);
    json_decref(json);
}

static void check_alert_json(const struct tocsin_alert *alert)
{
    struct tocsin_out out = {first, ROOM, 0};

    tocsin_alert_json(&out, alert, alert->model, 300000000);
    check_json(&out);
}

/* Rows: those that can be read can be written and read again. TEXT cells are
 * encoded from plain text, but stay encoded when they are read: so what was
 * read is written as it is. Bytes that should have been encoded are now, and a
 * cell of them may have become too long. */
static void check_rows(struct tocsin_span rest)
{
    struct tocsin_board_row row;
    struct tocsin_round_row round;
    struct tocsin_span again = rest;
    const char *start = rest.data;
    int rc;

    while ((rc = tocsin_board_row_next(&rest, &row)) != 0) {
        struct tocsin_out out = {first, ROOM, 0};
        struct tocsin_span written;
        size_t read = (size_t)(rest.data - start);

        start = rest.data;
        tocsin_board_row_encode(&out, &row);
        MUST(tocsin_out_fits(&out));
        written = tocsin_span_of(first, out.need);
        if (rc > 0 && written.len <= read) {
            MUST(tocsin_board_row_next(&written, &row) == 1);
            MUST(written.len == 0);
        }
    }
    while (tocsin_round_row_next(&again, &round) != 0) {
    }
}

static void check_silences(struct tocsin_span rest)
{
    struct tocsin_silence_row row;
    struct tocsin_out out = {first, ROOM, 0};
    struct tocsin_json json = tocsin_json_begin(&out);
    int rc;

    tocsin_json_open(&json, '[');
    while ((rc = tocsin_silence_row_next(&rest, &row)) != 0) {
        if (rc > 0) {
            tocsin_silence_json(&json, &row, 1700000000000000);
        }
        if (out.need > ROOM / 2) {
            break;
        }
    }
    tocsin_json_close(&json, ']');
    check_json(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tocsin_span rest = fuzz_span(data, size);
    struct tocsin_alert alert;
    struct tocsin_board board;
    struct tocsin_command command;

    switch (fuzz_byte(&rest) % 5) {
    case 0:
        check_alert(rest, &alert);
        check_alert_json(&alert);
        break;
    case 1:
        check_board(rest, &board);
        tocsin_silenced_by(board.silenced, TOCSIN_SPAN("a-1"));
        break;
    case 2:
        check_command(rest, &command);
        tocsin_matchers_check(command.matchers);
        break;
    case 3:
        check_rows(rest);
        break;
    default:
        check_silences(rest);
        break;
    }
    return 0;
}
