/*
 * An alert in the JSON that Alertmanager's API v2 takes and its webhooks give.
 * Labels tell what it is (and must not change while it lasts), annotations
 * what is known of it now. Label names that the data model forbids are left
 * out: one bad tocsin_label must not cost the whole alert.
 */
#include <ctype.h>
#include <math.h>

#include "../base/feature_table.h"
#include "delivery.h"
#include "shared/event_codec.h"
#include "shared/names.h"
#include "text.h"

bool payload_is_over(const struct tocsin_alert *alert)
{
    return tocsin_span_eq(alert->state, TOCSIN_SPAN("resolved"));
}

static bool is_label_name(struct tocsin_span name)
{
    size_t i;

    for (i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];

        if (!(c == '_' || isalpha(c) || (i > 0 && isdigit(c)))) {
            return false;
        }
    }
    return name.len > 0;
}

void payload_labels(struct tocsin_json *json, const char *key,
                    const struct tocsin_alert *alert)
{
    struct tocsin_span rest = alert->labels, name, value;
    char plain[TOCSIN_LABELS_MAX];

    tocsin_json_key(json, key);
    tocsin_json_open(json, '{');
    tocsin_json_key(json, "alertname");
    tocsin_json_text(json, alert->alertname);
    tocsin_json_key(json, "severity");
    tocsin_json_text(json, alert->severity);
    while (tocsin_pairs_next(&rest, &name, &value)) {
        if (!is_label_name(name) || value.len == 0 ||
            value.len > sizeof(plain) ||
            tocsin_span_eq(name, TOCSIN_SPAN("alertname")) ||
            tocsin_span_eq(name, TOCSIN_SPAN("severity"))) {
            continue;
        }
        tocsin_json_key_text(json, name);
        tocsin_json_text(
            json, tocsin_span_of(plain, tocsin_pct_decode(plain, value)));
    }
    tocsin_json_close(json, '}');
}

static bool is_share(const struct tocsin_alert *alert)
{
    char name[TEXT_NAME_MAX];
    enum feature feature;

    if (alert->feature.len >= sizeof(name)) {
        return false;
    }
    memcpy(name, alert->feature.data, alert->feature.len);
    name[alert->feature.len] = '\0';
    feature = feature_by_name(name);
    return feature < FEATURE_COUNT && feature_table[feature].kind == KIND_SHARE;
}

static void put_value(struct tocsin_json *json, const char *key, double value,
                      const struct tocsin_alert *alert)
{
    char unit[16] = "";
    struct buf text;

    if (!isfinite(value)) {
        return;
    }
    if (alert->unit.len < sizeof(unit)) {
        memcpy(unit, alert->unit.data, alert->unit.len);
        unit[alert->unit.len] = '\0';
    }
    if (strcmp(unit, "1") == 0 && !is_share(alert)) {
        unit[0] = '\0';
    }
    buf_init(&text, 128);
    text_value(&text, value, unit);
    tocsin_json_key(json, key);
    tocsin_json_text(json, tocsin_span_of(text.data, text.len));
    buf_release(&text);
}

void payload_annotations(struct tocsin_json *json, const char *key,
                         const struct tocsin_alert *alert)
{
    tocsin_json_key(json, key);
    tocsin_json_open(json, '{');
    tocsin_json_key(json, "summary");
    tocsin_json_text(json, alert->summary);
    tocsin_json_key(json, "description");
    tocsin_json_text(json, alert->description);
    tocsin_json_key(json, "feature");
    tocsin_json_text(json, alert->feature);
    put_value(json, "observed", alert->observed, alert);
    put_value(json, "expected", alert->expected, alert);
    tocsin_json_close(json, '}');
}

void payload_alert(struct tocsin_json *json, const struct tocsin_alert *alert,
                   const struct message *message)
{
    payload_labels(json, "labels", alert);
    payload_annotations(json, "annotations", alert);
    tocsin_json_key(json, "startsAt");
    tocsin_json_time(json, alert->started);
    tocsin_json_key(json, "endsAt");
    tocsin_json_time(json, payload_is_over(alert)
                               ? alert->ended
                               : message->now + message->lasts);
    if (message->generator_url[0] != '\0') {
        tocsin_json_key(json, "generatorURL");
        tocsin_json_text(json, tocsin_span_str(message->generator_url));
    }
}

int payload_write(struct buf *body, payload_writer *write,
                  const struct message *message, struct err *err)
{
    struct tocsin_out out = {NULL, 0, 0};

    write(&out, message);
    buf_clear(body);
    out.data = buf_reserve(body, out.need);
    if (out.data == NULL) {
        return err_set(err, ERR_LIMIT, "a message of %zu bytes is too long",
                       out.need);
    }
    out.cap = out.need;
    out.need = 0;
    write(&out, message);
    body->len += out.need;
    return 0;
}
