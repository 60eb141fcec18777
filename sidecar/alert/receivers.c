/*
 * Receivers, as the configuration names them. What is wrong with one is said
 * before anybody is told of anything; a line break in a name could add headers
 * to what is sent, so none gets this far.
 */
#include "receivers.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char *keep(struct receivers *receivers, const char *text)
{
    char *copy = strdup(text == NULL ? "" : text);

    if (copy == NULL) {
        receivers->out_of_memory = true;
        return "";
    }
    receivers->texts[receivers->text_count++] = copy;
    return copy;
}

static int check_text(const char *what, const char *text, struct err *err)
{
    if (strpbrk(text, "\r\n") != NULL) {
        return err_set(err, ERR_USAGE, "notify: %s has a line break", what);
    }
    return 0;
}

static int check_url(const char *url, const char *first, const char *second,
                     struct err *err)
{
    if (strncmp(url, first, strlen(first)) != 0 &&
        strncmp(url, second, strlen(second)) != 0) {
        return err_set(err, ERR_USAGE, "notify: \"%s\" is neither %s nor %s",
                       url, first, second);
    }
    return check_text("a URL", url, err);
}

static struct receiver *add(struct receivers *receivers,
                            enum receiver_kind kind)
{
    struct receiver *receiver = &receivers->all[receivers->count];

    receivers->kinds[receivers->count++] = kind;
    *receiver = (struct receiver){
        .url = "", .secret_file = "", .username = "", .from = "", .to = ""};
    return receiver;
}

/* The base URL, as it is in everybody's configuration, or the full one. */
static const char *alertmanager_url(struct receivers *receivers,
                                    const char *base)
{
    static const char path[] = "/api/v2/alerts";
    size_t len = strlen(base), tail = sizeof(path) - 1;
    struct buf url;
    const char *kept;

    if (len >= tail && strcmp(base + len - tail, path) == 0) {
        return keep(receivers, base);
    }
    while (len > 0 && base[len - 1] == '/') {
        len--;
    }
    buf_init(&url, len + tail + 1);
    buf_put(&url, base, len);
    buf_puts(&url, path);
    kept = keep(receivers, url.data);
    buf_release(&url);
    return kept;
}

static int add_http(struct receivers *receivers,
                    const struct notify_options *options, struct err *err)
{
    size_t i;

    for (i = 0; i < options->alertmanager_count; i++) {
        const char *url = options->alertmanagers[i];

        if (check_url(url, "http://", "https://", err) != 0) {
            return -1;
        }
        add(receivers, RECEIVER_ALERTMANAGER)->url =
            alertmanager_url(receivers, url);
    }
    for (i = 0; i < options->webhook_count; i++) {
        const struct notify_webhook *webhook = &options->webhooks[i];
        struct receiver *receiver;

        if (check_url(webhook->url, "http://", "https://", err) != 0) {
            return -1;
        }
        receiver = add(receivers, RECEIVER_WEBHOOK);
        receiver->url = keep(receivers, webhook->url);
        receiver->secret_file = keep(receivers, webhook->bearer_file);
    }
    return 0;
}

static int add_smtp(struct receivers *receivers, const struct notify_smtp *smtp,
                    struct err *err)
{
    struct receiver *receiver;

    if (smtp->server == NULL || smtp->server[0] == '\0') {
        return 0;
    }
    if (smtp->from == NULL || smtp->from[0] == '\0' || smtp->to == NULL ||
        smtp->to[0] == '\0') {
        return err_set(err, ERR_USAGE,
                       "notify: mail needs \"from\" and \"to\"");
    }
    if (check_url(smtp->server, "smtp://", "smtps://", err) != 0 ||
        check_text("\"from\"", smtp->from, err) != 0 ||
        check_text("\"to\"", smtp->to, err) != 0) {
        return -1;
    }
    receiver = add(receivers, RECEIVER_SMTP);
    receiver->url = keep(receivers, smtp->server);
    receiver->from = keep(receivers, smtp->from);
    receiver->to = keep(receivers, smtp->to);
    receiver->username = keep(receivers, smtp->username);
    receiver->secret_file = keep(receivers, smtp->password_file);
    return 0;
}

int receivers_init(struct receivers *receivers,
                   const struct notify_options *options, struct err *err)
{
    if (options->alertmanager_count > NOTIFY_TARGETS_MAX ||
        options->webhook_count > NOTIFY_TARGETS_MAX) {
        return err_set(err, ERR_LIMIT, "notify: more than %d receivers",
                       NOTIFY_TARGETS_MAX);
    }
    if (add_http(receivers, options, err) != 0 ||
        add_smtp(receivers, &options->smtp, err) != 0) {
        return -1;
    }
    return receivers->out_of_memory ? err_set(err, ERR_SYSTEM, "no memory") : 0;
}

void receivers_release(struct receivers *receivers)
{
    size_t i;

    for (i = 0; i < receivers->text_count; i++) {
        free(receivers->texts[i]);
    }
    receivers->text_count = receivers->count = 0;
}

uint64_t receivers_key(const struct receivers *receivers, uint32_t index)
{
    const struct receiver *receiver = &receivers->all[index];
    uint64_t key = (uint64_t)receivers->kinds[index];

    key = XXH64(receiver->url, strlen(receiver->url), key);
    return XXH64(receiver->to, strlen(receiver->to), key);
}
