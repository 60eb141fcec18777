/*
 * An alert as one object of Alertmanager's API v2, with what Alertmanager has
 * no word for (score, band, evidence, parts) in an object "tocsin" beside it.
 * nginx serves it under /_alerts, the sidecar's notifiers send it.
 *
 * What must stay true: the labels of an alert are one JSON object without
 * repeated names, whatever labels its series has; the document is well formed
 * whatever the texts hold (json.c sees to that).
 */
#include "alert_codec.h"

#include <math.h>
#include <stdio.h>

#include "event_codec.h"
#include "json.h"
#include "names.h"

#define EVIDENCE_PARTS 5

static void json_pct(struct tocsin_json *json, struct tocsin_span text)
{
    char room[TOCSIN_LABELS_MAX];

    if (text.len > sizeof(room)) {
        text.len = sizeof(room);
    }
    tocsin_json_text(json, tocsin_span_of(room, tocsin_pct_decode(room, text)));
}

/* ----------------------------------------------------------------- labels */

static bool named_before(struct tocsin_span labels, struct tocsin_span name)
{
    struct tocsin_span before, value;

    while (tocsin_pairs_next(&labels, &before, &value)) {
        if (before.data == name.data) {
            return false; /* itself */
        }
        if (tocsin_span_eq(before, name)) {
            return true;
        }
    }
    return false;
}

/* As Prometheus and Alertmanager have it: [a-zA-Z_][a-zA-Z0-9_]*. */
static bool legal_name(struct tocsin_span name)
{
    size_t i;

    for (i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && c != '_' && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return name.len != 0;
}

void tocsin_labels_json(struct tocsin_json *json, struct tocsin_span labels)
{
    struct tocsin_span rest = labels, name, value;

    while (tocsin_pairs_next(&rest, &name, &value)) {
        if (!legal_name(name) || named_before(labels, name) ||
            tocsin_span_eq(name, TOCSIN_SPAN("alertname")) ||
            tocsin_span_eq(name, TOCSIN_SPAN("severity"))) {
            continue;
        }
        tocsin_json_key_text(json, name);
        json_pct(json, value);
    }
}

/* ------------------------------------------------------------ annotations */

static void json_quantity(struct tocsin_json *json, const char *key,
                          double value, struct tocsin_span unit)
{
    char room[32 + TOCSIN_TEXT_MAX];
    struct tocsin_out out = {room, sizeof(room), 0};
    char number[32];
    int len;

    if (!isfinite(value)) {
        return;
    }
    len = snprintf(number, sizeof(number), "%.6g", value);
    tocsin_out_put(&out, number, (size_t)len);
    if (unit.len != 0 && unit.len <= TOCSIN_TEXT_MAX &&
        !tocsin_span_eq(unit, TOCSIN_SPAN("1"))) {
        tocsin_out_char(&out, ' ');
        tocsin_out_span(&out, unit);
    }
    tocsin_json_key(json, key);
    tocsin_json_text(json, tocsin_span_of(room, out.need));
}

static void json_annotations(struct tocsin_json *json,
                             const struct tocsin_alert *a)
{
    tocsin_json_key(json, "annotations");
    tocsin_json_open(json, '{');
    tocsin_json_key(json, "summary");
    tocsin_json_text(json, a->summary);
    tocsin_json_key(json, "description");
    tocsin_json_text(json, a->description);
    json_quantity(json, "observed", a->observed, a->unit);
    json_quantity(json, "expected", a->expected, a->unit);
    tocsin_json_close(json, '}');
}

/* ------------------------------------------------------ evidence and parts */

/* One point: [seconds, observed, expected, low, high]. */
static void json_point(struct tocsin_json *json, struct tocsin_span item)
{
    struct tocsin_span cell[EVIDENCE_PARTS] = {{NULL, 0}};
    uint64_t us = 0;
    size_t i;

    for (i = 0; i < EVIDENCE_PARTS; i++) {
        cell[i] = tocsin_span_cut(&item, '=');
    }
    if (cell[0].len == 0 || cell[0].len > 18) {
        return;
    }
    for (i = 0; i < cell[0].len; i++) {
        if (cell[0].data[i] < '0' || cell[0].data[i] > '9') {
            return;
        }
        us = us * 10 + (uint64_t)(cell[0].data[i] - '0');
    }
    tocsin_json_open(json, '[');
    tocsin_json_seconds(json, us);
    for (i = 1; i < EVIDENCE_PARTS; i++) {
        tocsin_json_number(json, cell[i]);
    }
    tocsin_json_close(json, ']');
}

/* fingerprint=score=feature=labels; the labels are PAIRS, encoded once more
 * because they stand within a part. */
static void json_part(struct tocsin_json *json, struct tocsin_span item)
{
    char room[TOCSIN_EVIDENCE_MAX];
    struct tocsin_span fingerprint = tocsin_span_cut(&item, '=');
    struct tocsin_span score = tocsin_span_cut(&item, '=');
    struct tocsin_span feature = tocsin_span_cut(&item, '=');

    if (fingerprint.len == 0 || item.len > sizeof(room)) {
        return;
    }
    tocsin_json_open(json, '{');
    tocsin_json_key(json, "fingerprint");
    json_pct(json, fingerprint);
    tocsin_json_key(json, "score");
    tocsin_json_number(json, score);
    tocsin_json_key(json, "feature");
    json_pct(json, feature);
    tocsin_json_key(json, "labels");
    tocsin_json_open(json, '{');
    tocsin_labels_json(json,
                       tocsin_span_of(room, tocsin_pct_decode(room, item)));
    tocsin_json_close(json, '}');
    tocsin_json_close(json, '}');
}

static void json_list(struct tocsin_json *json, const char *key,
                      struct tocsin_span list,
                      void (*item)(struct tocsin_json *, struct tocsin_span))
{
    tocsin_json_key(json, key);
    tocsin_json_open(json, '[');
    while (list.len != 0) {
        item(json, tocsin_span_cut(&list, ','));
    }
    tocsin_json_close(json, ']');
}

static void json_own(struct tocsin_json *json, const struct tocsin_alert *a)
{
    tocsin_json_key(json, "tocsin");
    tocsin_json_open(json, '{');
    tocsin_json_key(json, "id");
    tocsin_json_text(json, a->id);
    tocsin_json_key(json, "state");
    tocsin_json_text(json, a->state);
    tocsin_json_key(json, "score");
    tocsin_json_real(json, a->score);
    tocsin_json_key(json, "feature");
    tocsin_json_text(json, a->feature);
    tocsin_json_key(json, "unit");
    tocsin_json_text(json, a->unit);
    tocsin_json_key(json, "observed");
    tocsin_json_real(json, a->observed);
    tocsin_json_key(json, "expected");
    tocsin_json_real(json, a->expected);
    tocsin_json_key(json, "low");
    tocsin_json_real(json, a->low);
    tocsin_json_key(json, "high");
    tocsin_json_real(json, a->high);
    json_list(json, "evidence", a->evidence, json_point);
    json_list(json, "parts", a->parts, json_part);
    tocsin_json_key(json, "model");
    tocsin_json_text(json, a->model);
    tocsin_json_close(json, '}');
}

/* ------------------------------------------------------------- the object */

static void json_status(struct tocsin_json *json, const struct tocsin_alert *a,
                        struct tocsin_span silenced_by)
{
    const char *state = "active";

    if (silenced_by.len != 0) {
        state = "suppressed";
    } else if (tocsin_span_eq(a->state, TOCSIN_SPAN("pending"))) {
        state = "unprocessed";
    }
    tocsin_json_key(json, "status");
    tocsin_json_open(json, '{');
    tocsin_json_key(json, "state");
    tocsin_json_text(json, tocsin_span_str(state));
    tocsin_json_key(json, "silencedBy");
    tocsin_json_open(json, '[');
    if (silenced_by.len != 0) {
        tocsin_json_text(json, silenced_by);
    }
    tocsin_json_close(json, ']');
    tocsin_json_key(json, "inhibitedBy");
    tocsin_json_open(json, '[');
    tocsin_json_close(json, ']');
    tocsin_json_key(json, "mutedBy");
    tocsin_json_open(json, '[');
    tocsin_json_close(json, ']');
    tocsin_json_close(json, '}');
}

static void json_times(struct tocsin_json *json, const struct tocsin_alert *a,
                       uint64_t resolve_timeout)
{
    uint64_t ends = a->ended;

    if (ends == 0) {
        ends = a->updated > UINT64_MAX - resolve_timeout
                   ? UINT64_MAX
                   : a->updated + resolve_timeout;
    }
    tocsin_json_key(json, "startsAt");
    tocsin_json_time(json, a->started);
    tocsin_json_key(json, "updatedAt");
    tocsin_json_time(json, a->updated);
    tocsin_json_key(json, "endsAt");
    tocsin_json_time(json, ends);
}

void tocsin_alert_json(struct tocsin_out *out, const struct tocsin_alert *a,
                       struct tocsin_span silenced_by, uint64_t resolve_timeout)
{
    struct tocsin_json json = tocsin_json_begin(out);

    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "labels");
    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "alertname");
    tocsin_json_text(&json, a->alertname);
    tocsin_json_key(&json, "severity");
    tocsin_json_text(&json, a->severity);
    tocsin_labels_json(&json, a->labels);
    tocsin_json_close(&json, '}');
    json_annotations(&json, a);
    json_times(&json, a, resolve_timeout);
    tocsin_json_key(&json, "fingerprint");
    tocsin_json_text(&json, a->fingerprint);
    tocsin_json_key(&json, "receivers");
    tocsin_json_open(&json, '[');
    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "name");
    tocsin_json_text(&json, TOCSIN_SPAN("tocsin"));
    tocsin_json_close(&json, '}');
    tocsin_json_close(&json, ']');
    json_status(&json, a, silenced_by);
    tocsin_json_key(&json, "generatorURL");
    tocsin_json_text(&json, TOCSIN_SPAN(""));
    json_own(&json, a);
    tocsin_json_close(&json, '}');
}
