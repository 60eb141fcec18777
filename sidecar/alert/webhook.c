/*
 * Webhooks get what Alertmanager's webhook receivers get (version "4"), so
 * that whatever people have built for those works here as well. One alert a
 * message: each alert is a group of its own.
 */
#include "../base/file.h"
#include "delivery.h"

#define TOKEN_MAX 8192

static void put_group(struct tocsin_json *json,
                      const struct tocsin_alert *alert)
{
    tocsin_json_key(json, "groupLabels");
    tocsin_json_open(json, '{');
    tocsin_json_key(json, "alertname");
    tocsin_json_text(json, alert->alertname);
    tocsin_json_close(json, '}');
}

static void put_common(struct tocsin_json *json,
                       const struct tocsin_alert *alert)
{
    payload_labels(json, "commonLabels", alert);
    payload_annotations(json, "commonAnnotations", alert);
}

static void write_message(struct tocsin_out *out, const struct message *message)
{
    const struct tocsin_alert *alert = message->alerts[0];
    struct tocsin_span state = payload_is_over(alert) ? TOCSIN_SPAN("resolved")
                                                      : TOCSIN_SPAN("firing");
    struct tocsin_json json = tocsin_json_begin(out);

    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "version");
    tocsin_json_text(&json, TOCSIN_SPAN("4"));
    tocsin_json_key(&json, "groupKey");
    tocsin_json_text(&json, alert->id);
    tocsin_json_key(&json, "truncatedAlerts");
    tocsin_json_uint(&json, 0);
    tocsin_json_key(&json, "status");
    tocsin_json_text(&json, state);
    tocsin_json_key(&json, "receiver");
    tocsin_json_text(&json, TOCSIN_SPAN("tocsin"));
    put_group(&json, alert);
    put_common(&json, alert);
    tocsin_json_key(&json, "externalURL");
    tocsin_json_text(&json, tocsin_span_str(message->generator_url));
    tocsin_json_key(&json, "alerts");
    tocsin_json_open(&json, '[');
    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "status");
    tocsin_json_text(&json, state);
    payload_alert(&json, alert, message);
    tocsin_json_key(&json, "fingerprint");
    tocsin_json_text(&json, alert->fingerprint);
    tocsin_json_close(&json, '}');
    tocsin_json_close(&json, ']');
    tocsin_json_close(&json, '}');
}

static int put_bearer(struct delivery *delivery,
                      const struct receiver *receiver, struct err *err)
{
    struct buf line;
    int failed;

    if (receiver->secret_file[0] == '\0') {
        return 0;
    }
    buf_init(&line, TOKEN_MAX + 64);
    buf_puts(&line, "Authorization: Bearer ");
    failed = file_read_secret(receiver->secret_file, &line, err);
    if (failed == 0) {
        failed = delivery_header(delivery, line.data, err);
    }
    file_forget(&line);
    return failed;
}

int webhook_prepare(struct delivery *delivery, const struct receiver *receiver,
                    const struct message *message, struct err *err)
{
    if (payload_write(&delivery->body, write_message, message, err) != 0 ||
        put_bearer(delivery, receiver, err) != 0) {
        return -1;
    }
    return delivery_post(delivery, receiver, err);
}
