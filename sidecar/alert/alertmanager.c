/*
 * Alertmanager, POST /api/v2/alerts: an array of alerts. Firing ones are sent
 * again and again with an end a few rounds ahead, so that one that we cannot
 * take back ends by itself.
 */
#include "delivery.h"

static void write_alerts(struct tocsin_out *out, const struct message *message)
{
    struct tocsin_json json = tocsin_json_begin(out);
    size_t i;

    tocsin_json_open(&json, '[');
    for (i = 0; i < message->count; i++) {
        tocsin_json_open(&json, '{');
        payload_alert(&json, message->alerts[i], message);
        tocsin_json_close(&json, '}');
    }
    tocsin_json_close(&json, ']');
}

int alertmanager_prepare(struct delivery *delivery,
                         const struct receiver *receiver,
                         const struct message *message, struct err *err)
{
    if (payload_write(&delivery->body, write_alerts, message, err) != 0) {
        return -1;
    }
    return delivery_post(delivery, receiver, err);
}
