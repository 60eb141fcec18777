/*
 * Telling a change of state: record and standings become a struct
 * tocsin_alert. Its texts live in the room's buffers until the next one.
 */
#include "room.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "shared/event_codec.h"
#include "text.h"

static struct tocsin_span text_of(const struct buf *buf)
{
    return buf->data == NULL ? tocsin_span_of("", 0)
                             : tocsin_span_of(buf->data, buf->len);
}

static void put_labels_again(struct buf *to, const char *labels)
{
    char room[3 * TOCSIN_LABELS_MAX];
    struct tocsin_out out = {room, sizeof(room), 0};

    tocsin_pct_encode(&out, tocsin_span_str(labels));
    if (tocsin_out_fits(&out)) {
        buf_put(to, room, out.need);
    }
}

static const char *feature_name(enum feature feature)
{
    return feature < FEATURE_COUNT ? feature_table[feature].name : "value";
}

/* The series that this alert explains, the one to blame left out. */
static void write_parts(struct alerts *alerts, const struct record *record)
{
    uint32_t slot;

    for (slot = 0; slot < alerts->standings.max; slot++) {
        const struct standing *row = &alerts->standings.rows[slot];
        size_t before = alerts->parts.len;

        if (row->identity == NULL || !row->alarm || slot == record->slot ||
            row->owner == STANDING_NONE ||
            alerts->records[row->owner] != record) {
            continue;
        }
        if (before > 0) {
            buf_putc(&alerts->parts, ',');
        }
        buf_printf(&alerts->parts,
                   "%016" PRIx64 "=%.0f=%s=", row->identity->hash,
                   (double)row->score, feature_name(row->feature));
        put_labels_again(&alerts->parts, row->identity->labels);
        if (alerts->parts.len > TOCSIN_EVIDENCE_MAX) {
            alerts->parts.len = before; /* whole parts only */
            return;
        }
    }
}

static float write_evidence(struct alerts *alerts, const struct record *record)
{
    float values[TRACE_POINTS];
    unsigned count = 0;

    if (alerts_cause(alerts, record) != NULL) {
        count = alerts->history.recent(alerts->history.ctx, record->slot,
                                       record->column, TRACE_POINTS, values);
    }
    trace_text(&record->trace, values, count, alerts->end, alerts->tick,
               &alerts->evidence);
    while (count > 0) { /* the last that was observed */
        count--;
        if (!isnan(values[count])) {
            return values[count];
        }
    }
    return NAN;
}

/* The upstream that all bad parts have, if there is just one. */
static struct tocsin_span only_upstream(const struct alerts *alerts,
                                        const struct record *record)
{
    struct tocsin_span only = {"", 0};
    uint32_t slot;

    for (slot = 0; slot < alerts->standings.max; slot++) {
        const struct standing *row = &alerts->standings.rows[slot];
        struct tocsin_span rest, name, value;

        if (row->identity == NULL || !row->alarm || slot == record->slot ||
            row->owner == STANDING_NONE ||
            alerts->records[row->owner] != record ||
            row->identity->of_requests) {
            continue;
        }
        rest = tocsin_span_str(row->identity->labels);
        while (tocsin_pairs_next(&rest, &name, &value)) {
            if (!tocsin_span_eq(name, TOCSIN_SPAN("upstream"))) {
                continue;
            }
            if (only.len > 0 && !tocsin_span_eq(only, value)) {
                return tocsin_span_of("", 0);
            }
            only = value;
        }
    }
    return only;
}

static bool blames_upstream(const struct record *record)
{
    return record->scope == SCOPE_PEER || record->scope == SCOPE_UPSTREAM ||
           record->of_requests;
}

static struct text_facts facts_of(const struct alerts *alerts,
                                  const struct record *record, double observed)
{
    struct band band = trace_last(&record->trace);
    const struct feature_row *feature = record->feature < FEATURE_COUNT
                                            ? &feature_table[record->feature]
                                            : NULL;
    struct text_facts facts = {
        .labels = tocsin_span_str(record->labels),
        .feature = record->feature,
        .unit = feature == NULL ? "" : feature->unit,
        .column = "value",
        .observed = observed,
        .expected = (double)band.expected,
        .low = (double)band.low,
        .high = (double)band.high,
        .score = (double)record->score,
        .started = record->started,
        .now = alerts->end,
        .peers = record->parts[SCOPE_PEER],
        .upstreams = record->parts[SCOPE_UPSTREAM],
        .routes = record->parts[SCOPE_ROUTE],
        .clients_see = record->clients_see,
        .retried = record_is_hidden(record) && record->users_known,
    };

    if (!blames_upstream(record)) {
        facts.upstream = only_upstream(alerts, record);
    }
    return facts;
}

static const char *const endings[] = {
    [ENDING_NONE] = "",
    [ENDING_BACK] = "",
    [ENDING_PART] = " It is a part of a wider alert from now on.",
    [ENDING_NARROWED] =
        " Most of it is well again; what is left is told on its own.",
    [ENDING_ACCEPTED] =
        " It goes on, for so long now that it is taken for normal.",
    [ENDING_GONE] = " Nothing is heard of it any more.",
};

static void write_texts(struct alerts *alerts, const struct text_facts *facts,
                        enum ending ending)
{
    text_summary(&alerts->summary, facts);
    text_description(&alerts->description, facts);
    buf_puts(&alerts->description, endings[ending]);
}

static void clear(struct alerts *alerts)
{
    buf_clear(&alerts->summary);
    buf_clear(&alerts->description);
    buf_clear(&alerts->evidence);
    buf_clear(&alerts->parts);
}

void alerts_tell(struct alerts *alerts, struct record *record,
                 enum ending ending)
{
    bool over = ending != ENDING_NONE;
    struct tocsin_alert alert;
    struct text_facts facts;
    double observed;

    clear(alerts);
    observed = (double)write_evidence(alerts, record);
    write_parts(alerts, record);
    facts = facts_of(alerts, record, observed);
    facts.ended = over;
    write_texts(alerts, &facts, ending);
    tocsin_alert_init(&alert);
    alert.v = TOCSIN_SCHEMA_VERSION;
    alert.id = tocsin_span_str(record->id);
    alert.fingerprint = tocsin_span_str(record->fingerprint);
    alert.alertname = tocsin_span_str(record_alertname(record));
    alert.state =
        tocsin_span_str(over ? "resolved" : record_state_name(record->state));
    alert.severity = tocsin_span_str(record_severity_name(record->severity));
    alert.labels = facts.labels;
    alert.started = record->started;
    alert.updated = alerts->end;
    alert.ended = over ? alerts->end : 0;
    alert.score = facts.score;
    alert.feature = tocsin_span_str(feature_name(record->feature));
    alert.unit = tocsin_span_str(facts.unit);
    alert.observed = observed;
    alert.expected = facts.expected;
    alert.low = facts.low;
    alert.high = facts.high;
    alert.summary = text_of(&alerts->summary);
    alert.description = text_of(&alerts->description);
    alert.evidence = text_of(&alerts->evidence);
    alert.parts = text_of(&alerts->parts);
    alert.model = tocsin_span_str(alerts->model);
    alerts->sink.changed(alerts->sink.ctx, &alert);
}
