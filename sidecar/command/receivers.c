#include "receivers.h"

#include "../base/checkpoint.h"
#include "../base/log.h"

struct notify *receivers_create(const struct config *config, struct err *err)
{
    struct notify_options options = {
        .smtp =
            {
                .server = config->notify_smtp_server,
                .from = config->notify_smtp_from,
                .to = config->notify_smtp_to,
                .username = config->notify_smtp_username,
                .password_file = config->notify_smtp_password_file,
            },
        .generator_url = config->notify_generator_url,
        .alertmanager_count = config->notify_alertmanager.count,
        .webhook_count = config->notify_webhook.count,
    };
    unsigned i;

    for (i = 0; i < options.alertmanager_count; i++) {
        options.alertmanagers[i] = config->notify_alertmanager.url[i];
    }
    for (i = 0; i < options.webhook_count; i++) {
        options.webhooks[i].url = config->notify_webhook.webhook[i].url;
        options.webhooks[i].bearer_file =
            config->notify_webhook.webhook[i].bearer_file;
    }
    return notify_create(&options, err);
}

void receivers_change(struct notify **notify, struct notify *now)
{
    struct cursor from;
    struct buf buf;
    struct err err;

    buf_init(&buf, CHECKPOINT_SIZE_MAX);
    notify_part(*notify); /* the loop must not wait for who is away */
    notify_save(*notify, &buf);
    from = (struct cursor){.data = buf.data, .len = buf.len};
    if (notify_restore(now, &from, &err) != 0) {
        log_warn("run", "reload: %s", err.message);
    }
    buf_release(&buf);
    notify_destroy(*notify);
    *notify = now;
}
