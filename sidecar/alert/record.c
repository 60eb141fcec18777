/*
 * The record of an alert: what it is called and how it is known. A name is
 * fixed when the alert is first told and never changes: people silence it,
 * Alertmanager groups by it, and the same trouble tomorrow has the same
 * fingerprint (a hash of its labels) with another onset (its id).
 *
 * Labels are those of the series to blame, and its cloud and region where it
 * lies in one only: that is what an operator of several clouds asks first.
 */
#include "record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "../detect/score.h"
#include "shared/event_codec.h"
#include "text.h"

void record_begin(struct record *record, const struct standings *standings,
                  uint32_t slot)
{
    const struct standing *row = &standings->rows[slot];
    struct band band = {row->expected, row->low, row->high};

    *record = (struct record){
        .slot = slot,
        .hash = row->identity->hash,
        .scope = row->identity->scope,
        .of_requests = row->identity->of_requests,
        .started = row->since,
        .age = row->orphan > 0 ? row->orphan - 1 : 0,
        .feature = row->feature,
        .column = row->column,
        .score = row->incident,
    };
    trace_init(&record->trace, band);
}

static bool has_label(const char *labels, struct tocsin_span wanted)
{
    struct tocsin_span rest = tocsin_span_str(labels), name, value;

    while (tocsin_pairs_next(&rest, &name, &value)) {
        if (tocsin_span_eq(name, wanted)) {
            return true;
        }
    }
    return false;
}

/* Adds those labels that are not there, whole or not at all. */
static void add_labels(char *to, const char *labels)
{
    struct tocsin_span rest = tocsin_span_str(labels), name, value;
    size_t len = strlen(to);

    while (tocsin_pairs_next(&rest, &name, &value)) {
        size_t more = name.len + value.len + 2;

        if (has_label(to, name) || len + more > TOCSIN_LABELS_MAX) {
            continue;
        }
        if (len > 0) {
            to[len++] = ',';
        }
        memcpy(to + len, name.data, name.len);
        len += name.len;
        to[len++] = '=';
        memcpy(to + len, value.data, value.len);
        len += value.len;
        to[len] = '\0';
    }
}

/* The only series of that scope which this one is linked with, or NULL. */
static const struct identity *only_link(const struct standings *standings,
                                        const struct identity *who,
                                        enum scope scope)
{
    const struct identity *only = NULL;
    uint32_t i;

    for (i = 0; i < who->link_count; i++) {
        uint32_t slot = who->links[i];
        const struct identity *other =
            slot < standings->max ? standings->rows[slot].identity : NULL;

        if (other == NULL || other->scope != scope) {
            continue;
        }
        if (only != NULL) {
            return NULL;
        }
        only = other;
    }
    return only;
}

static void set_labels(struct record *record, const struct standings *standings)
{
    const struct identity *who = standings->rows[record->slot].identity;
    const struct identity *region = only_link(standings, who, SCOPE_REGION);
    const struct identity *cloud = only_link(standings, who, SCOPE_CLOUD);

    record->labels[0] = '\0';
    if (who->scope == SCOPE_REGION || who->scope == SCOPE_ZONE) {
        region = NULL;
    }
    if (region != NULL) {
        add_labels(record->labels, region->labels);
    } else if (cloud != NULL) {
        add_labels(record->labels, cloud->labels);
    }
    add_labels(record->labels, who->labels);
}

void record_name(struct record *record, const struct standings *standings,
                 uint64_t tick)
{
    const struct standing *row = &standings->rows[record->slot];
    char text[TEXT_NAME_MAX + TOCSIN_LABELS_MAX + 2];
    int len;

    if (row->alarm && row->feature != record->feature) {
        struct band band = {row->expected, row->low, row->high};

        record->feature = row->feature;
        record->column = row->column;
        trace_init(&record->trace, band);
    }
    set_labels(record, standings);
    len = snprintf(text, sizeof(text), "%s,%s", record_alertname(record),
                   record->labels);
    snprintf(record->fingerprint, sizeof(record->fingerprint), "%016" PRIx64,
             (uint64_t)XXH64(text, len > 0 ? (size_t)len : 0, 0));
    snprintf(record->id, sizeof(record->id), "%s-%" PRIu64, record->fingerprint,
             record->started / tick);
}

bool record_is_failing(const struct record *record)
{
    return record->feature == FEATURE_ERRORS ||
           record->feature == FEATURE_LOCAL_ERRORS;
}

bool record_is_hidden(const struct record *record)
{
    return (record_is_failing(record) || record->feature == FEATURE_RETRIES) &&
           (record->users_known || record->of_requests) && !record->clients_see;
}

const char *record_alertname(const struct record *record)
{
    return text_alertname(record->feature, record->scope);
}

const char *record_state_name(enum record_state state)
{
    return state == RECORD_FIRING ? "firing" : "pending";
}

const char *record_severity_name(enum severity severity)
{
    static const char *const names[] = {"info", "warning", "critical"};

    return names[severity];
}

static void put_text(struct buf *to, const char *text)
{
    size_t len = strlen(text);

    buf_put_u32(to, (uint32_t)len);
    buf_put(to, text, len);
}

static void take_text(struct cursor *from, char *text, size_t size)
{
    uint32_t len = cursor_u32(from);
    const char *data = len < size ? cursor_bytes(from, len) : NULL;

    text[0] = '\0';
    if (data == NULL) {
        from->failed = true;
        return;
    }
    memcpy(text, data, len);
    text[len] = '\0';
}

void record_save(const struct record *record, struct buf *to)
{
    buf_put_u32(to, (uint32_t)record->state);
    buf_put_u32(to, (uint32_t)record->severity);
    buf_put_u32(to, record->slot);
    buf_put_u64(to, record->hash);
    buf_put_u32(to, (uint32_t)record->scope);
    buf_put_u32(to, record->of_requests);
    put_text(to, record->id);
    put_text(to, record->fingerprint);
    put_text(to, record->labels);
    buf_put_u64(to, record->started);
    buf_put_u64(to, record->told);
    buf_put_u32(to, (uint32_t)record->feature);
    buf_put_u32(to, record->column);
    buf_put_f32(to, record->score);
    trace_save(&record->trace, to);
    buf_put_u32(to, record->age);
    buf_put_u32(to, record->quiet);
    buf_put_u32(to, record->innocent);
    buf_put_u32(to, record->flaps);
    buf_put_u32(to, record->seen);
}

int record_restore(struct record *record, struct cursor *from)
{
    uint32_t state, severity, scope, feature;

    *record = (struct record){0};
    state = cursor_u32(from);
    severity = cursor_u32(from);
    record->slot = cursor_u32(from);
    record->hash = cursor_u64(from);
    scope = cursor_u32(from);
    record->of_requests = cursor_u32(from) != 0;
    take_text(from, record->id, sizeof(record->id));
    take_text(from, record->fingerprint, sizeof(record->fingerprint));
    take_text(from, record->labels, sizeof(record->labels));
    record->started = cursor_u64(from);
    record->told = cursor_u64(from);
    feature = cursor_u32(from);
    record->column = cursor_u32(from);
    record->score = cursor_f32(from);
    trace_restore(&record->trace, from);
    record->age = cursor_u32(from);
    record->quiet = cursor_u32(from);
    record->innocent = cursor_u32(from);
    record->flaps = cursor_u32(from);
    record->seen = cursor_u32(from);
    if (from->failed || state > RECORD_FIRING || severity > SEVERITY_CRITICAL ||
        scope > SCOPE_COLUMN || feature > FEATURE_COUNT ||
        !(record->score >= 0 && record->score <= SCORE_MAX)) {
        return -1;
    }
    record->state = (enum record_state)state;
    record->severity = (enum severity)severity;
    record->scope = (enum scope)scope;
    record->feature = (enum feature)feature;
    return 0;
}
