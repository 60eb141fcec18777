/*
 * One message to one receiver over libcurl. Each kind of receiver prepares a
 * delivery (alertmanager.c, webhook.c, smtp.c); notify.c drives it.
 */
#ifndef TOCSIN_DELIVERY_H
#define TOCSIN_DELIVERY_H

#include <curl/curl.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "shared/alert_codec.h"
#include "shared/json.h"

#define DELIVERY_MAX ((size_t)4 << 20) /* bytes of a message */
#define DELIVERY_ALERTS 64             /* alerts in one */

struct delivery {
    CURL *easy;
    struct curl_slist *lines; /* of the HTTP header, or recipients */
    struct buf body;
    size_t sent; /* of it, for mail */
};

/* What is told: alerts that live as long as the delivery. */
struct message {
    const struct tocsin_alert *alerts[DELIVERY_ALERTS];
    size_t count;
    uint64_t now, lasts; /* us: of the clock; how far ahead an end is set */
    const char *generator_url;
};

struct receiver {
    const char *url;
    const char *secret_file; /* bearer token or password; "" for none */
    const char *username, *from, *to;
};

/* Empties, keeps the connection. */
void delivery_clear(struct delivery *delivery);
void delivery_release(struct delivery *delivery);

/* All of a POST but its body and what is special. */
int delivery_post(struct delivery *delivery, const struct receiver *receiver,
                  struct err *err);
int delivery_header(struct delivery *delivery, const char *line,
                    struct err *err);

int alertmanager_prepare(struct delivery *delivery,
                         const struct receiver *receiver,
                         const struct message *message, struct err *err);
int webhook_prepare(struct delivery *delivery, const struct receiver *receiver,
                    const struct message *message, struct err *err);
int smtp_prepare(struct delivery *delivery, const struct receiver *receiver,
                 const struct message *message, struct err *err);

/* ------------------------------------------------------------ the payload */

/* Members "labels" and "annotations", "startsAt", "endsAt", "generatorURL"
 * of an object that is open. A resolved alert's end is told as it was. */
void payload_alert(struct tocsin_json *json, const struct tocsin_alert *alert,
                   const struct message *message);
void payload_labels(struct tocsin_json *json, const char *key,
                    const struct tocsin_alert *alert);
void payload_annotations(struct tocsin_json *json, const char *key,
                         const struct tocsin_alert *alert);
bool payload_is_over(const struct tocsin_alert *alert);

/* Lets write() fill the body, once to measure and once to keep. */
typedef void payload_writer(struct tocsin_out *out,
                            const struct message *message);
int payload_write(struct buf *body, payload_writer *write,
                  const struct message *message, struct err *err);

#endif
