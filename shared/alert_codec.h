/*
 * Alerts and board snapshots <-> the fields of a stream entry; alert -> JSON
 * in the shape of Alertmanager's API v2. The sidecar encodes, the module
 * decodes; neither allocates here. Texts are views.
 */
#ifndef TOCSIN_ALERT_CODEC_H
#define TOCSIN_ALERT_CODEC_H

#include <stdint.h>

#include "alert_schema.h"
#include "command_schema.h"
#include "json.h"
#include "span.h"

#define TOCSIN_MEMBER_UINT(m) uint64_t m;
#define TOCSIN_MEMBER_REAL(m) double m;
#define TOCSIN_MEMBER_TEXT(m) struct tocsin_span m;
#define TOCSIN_MEMBER_PAIRS(m) struct tocsin_span m;
#define TOCSIN_MEMBER_LONG(m) struct tocsin_span m;
#define TOCSIN_MEMBER_BULK(m) struct tocsin_span m;
#define X(member, kind, name, unit, help) TOCSIN_MEMBER_##kind(member)

struct tocsin_alert {
    TOCSIN_ALERT_FIELDS(X)
};

struct tocsin_board {
    TOCSIN_BOARD_FIELDS(X)
};

struct tocsin_board_row {
    TOCSIN_BOARD_ROW(X)
};

struct tocsin_command {
    TOCSIN_COMMAND_FIELDS(X)
};

struct tocsin_silence_row {
    TOCSIN_SILENCE_ROW(X)
};

struct tocsin_round_row {
    TOCSIN_ROUND_ROW(X)
};

#undef X

unsigned tocsin_alert_field_count(void);
unsigned tocsin_board_field_count(void);
unsigned tocsin_command_field_count(void);

/* Append the RESP bulk strings of all names and values. A text longer than its
 * kind allows is cut: TEXT at a character, the others at an item or row. */
void tocsin_alert_encode(struct tocsin_out *out, const struct tocsin_alert *a);
void tocsin_board_encode(struct tocsin_out *out, const struct tocsin_board *b);
void tocsin_command_encode(struct tocsin_out *out,
                           const struct tocsin_command *c);

/* Empty all; REAL becomes NaN. */
void tocsin_alert_init(struct tocsin_alert *a);
void tocsin_board_init(struct tocsin_board *b);
void tocsin_command_init(struct tocsin_command *c);

/* Take one pair of an entry. 0, or -1 if the value is not of its kind or too
 * long (the member is then as before). Unknown names are ignored. */
int tocsin_alert_field(struct tocsin_alert *a, struct tocsin_span name,
                       struct tocsin_span value);
int tocsin_board_field(struct tocsin_board *b, struct tocsin_span name,
                       struct tocsin_span value);
int tocsin_command_field(struct tocsin_command *c, struct tocsin_span name,
                         struct tocsin_span value);

/* Append a row with its '\n'; cut the first row off `rest`.
 * next: 1 a row, 0 the end, -1 a row that could not be read (it is cut off).
 * TEXT and LONG cells are encoded from plain text and stay percent-encoded
 * when read. */
void tocsin_board_row_encode(struct tocsin_out *out,
                             const struct tocsin_board_row *row);
int tocsin_board_row_next(struct tocsin_span *rest,
                          struct tocsin_board_row *row);
void tocsin_silence_row_encode(struct tocsin_out *out,
                               const struct tocsin_silence_row *row);
int tocsin_silence_row_next(struct tocsin_span *rest,
                            struct tocsin_silence_row *row);
void tocsin_round_row_encode(struct tocsin_out *out,
                             const struct tocsin_round_row *row);
int tocsin_round_row_next(struct tocsin_span *rest,
                          struct tocsin_round_row *row);

/*
 * Append one alert as an object of GET /api/v2/alerts: labels, annotations,
 * startsAt, updatedAt, endsAt, fingerprint, receivers, status, generatorURL;
 * beside these our own score, feature, unit, observed, expected, low, high,
 * evidence, parts, model, all in one object "tocsin". `silenced_by` is an id
 * or empty. `resolve_timeout` in us makes endsAt of an alert that lasts.
 */
void tocsin_alert_json(struct tocsin_out *out, const struct tocsin_alert *a,
                       struct tocsin_span silenced_by,
                       uint64_t resolve_timeout);

/* Append the members of PAIRS to an open object: values decoded, the first of
 * repeated names, never "alertname", "severity" or a name that Prometheus does
 * not allow. */
void tocsin_labels_json(struct tocsin_json *json, struct tocsin_span labels);

#endif
