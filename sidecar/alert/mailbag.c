/*
 * The mailbag. There is at most one item for an alert: a newer state takes the
 * place of an older one that was not told yet, so a receiver that was away for
 * an hour hears how things are, not how they went; and memory is bounded by
 * the number of alerts, not by the time that somebody was away.
 */
#include "mailbag.h"

#include <stdlib.h>
#include <string.h>

#define SECOND 1000000u
#define RETELL (300u * (uint64_t)SECOND) /* Alertmanager hears of an end */
#define STALE (600u * (uint64_t)SECOND)  /* without a word it is forgotten */

int mailbag_init(struct mailbag *mailbag, uint32_t max, struct err *err)
{
    *mailbag = (struct mailbag){.max = max};
    mailbag->items = calloc(max, sizeof(struct mailbag_item *));
    return mailbag->items == NULL
               ? err_set(err, ERR_SYSTEM, "no memory for %u alerts", max)
               : 0;
}

static void free_item(struct mailbag *mailbag, uint32_t index)
{
    struct mailbag_item *item = mailbag->items[index];

    if (item != NULL) {
        free(item->texts);
        free(item);
        mailbag->items[index] = NULL;
    }
}

void mailbag_release(struct mailbag *mailbag)
{
    uint32_t i;

    for (i = 0; mailbag->items != NULL && i < mailbag->max; i++) {
        free_item(mailbag, i);
    }
    free(mailbag->items);
    mailbag->items = NULL;
}

/* ------------------------------------------------------------------ copies */

#define TEXT_UINT(member)
#define TEXT_REAL(member)
#define TEXT_TEXT(member) EACH(member)
#define TEXT_PAIRS(member) EACH(member)
#define TEXT_LONG(member) EACH(member)
#define X(member, kind, name, unit, help) TEXT_##kind(member)

static size_t size_of_texts(const struct tocsin_alert *alert)
{
    size_t size = 1;

#define EACH(member) size += alert->member.len;
    TOCSIN_ALERT_FIELDS(X)
#undef EACH
    return size;
}

static struct tocsin_span copy_text(char **to, struct tocsin_span text)
{
    struct tocsin_span copy = {*to, text.len};

    if (text.len > 0) {
        memcpy(*to, text.data, text.len);
        *to += text.len;
    }
    return copy;
}

static char *copy_alert(struct tocsin_alert *to,
                        const struct tocsin_alert *from)
{
    char *texts = malloc(size_of_texts(from)), *at = texts;

    if (texts == NULL) {
        return NULL;
    }
    *to = *from;
#define EACH(member) to->member = copy_text(&at, from->member);
    TOCSIN_ALERT_FIELDS(X)
#undef EACH
    return texts;
}

#undef X

/* ------------------------------------------------------------------- items */

static uint32_t find(const struct mailbag *mailbag, struct tocsin_span id)
{
    uint32_t i;

    for (i = 0; i < mailbag->max; i++) {
        if (mailbag->items[i] != NULL &&
            tocsin_span_eq(mailbag->items[i]->alert.id, id)) {
            return i;
        }
    }
    return mailbag->max;
}

static uint32_t find_free(const struct mailbag *mailbag)
{
    uint32_t i;

    for (i = 0; i < mailbag->max; i++) {
        if (mailbag->items[i] == NULL) {
            return i;
        }
    }
    return mailbag->max;
}

static bool is_change(const struct mailbag_item *item,
                      const struct tocsin_alert *alert)
{
    return !tocsin_span_eq(item->alert.state, alert->state) ||
           !tocsin_span_eq(item->alert.severity, alert->severity);
}

static int replace(struct mailbag_item *item, const struct tocsin_alert *alert,
                   uint64_t now)
{
    struct tocsin_alert copy;
    char *texts = copy_alert(&copy, alert);

    if (texts == NULL) {
        return -1;
    }
    if (item->texts == NULL || is_change(item, alert)) {
        item->change++;
    }
    free(item->texts);
    item->alert = copy;
    item->texts = texts;
    item->heard = now;
    item->over = tocsin_span_eq(alert->state, TOCSIN_SPAN("resolved"));
    item->ended = !item->over ? 0 : item->ended != 0 ? item->ended : now;
    return 0;
}

static struct mailbag_item *new_item(struct mailbag *mailbag)
{
    struct mailbag_item *item = calloc(1, sizeof(*item));

    if (item != NULL) {
        item->serial = ++mailbag->serial;
    }
    return item;
}

int mailbag_put(struct mailbag *mailbag, const struct tocsin_alert *alert,
                uint64_t now)
{
    uint32_t index = find(mailbag, alert->id);

    if (tocsin_span_eq(alert->state, TOCSIN_SPAN("pending")) ||
        (index == mailbag->max &&
         tocsin_span_eq(alert->state, TOCSIN_SPAN("resolved")))) {
        return 0; /* nobody was told, so nobody needs to know of its end */
    }
    if (index == mailbag->max) {
        index = find_free(mailbag);
        if (index < mailbag->max) {
            mailbag->items[index] = new_item(mailbag);
        }
    }
    if (index == mailbag->max || mailbag->items[index] == NULL ||
        replace(mailbag->items[index], alert, now) != 0) {
        if (index < mailbag->max && mailbag->items[index] != NULL &&
            mailbag->items[index]->texts == NULL) {
            free_item(mailbag, index);
        }
        mailbag->dropped++;
        return -1;
    }
    return 0;
}

uint64_t mailbag_due(const struct mailbag *mailbag,
                     const struct mailbag_item *item, uint32_t receiver)
{
    if (item->told[receiver] < item->change) {
        /* An end of what this one never heard of is no news to it. */
        return item->over && item->told[receiver] == 0 ? UINT64_MAX : 0;
    }
    if (mailbag->kinds[receiver] != RECEIVER_ALERTMANAGER) {
        return UINT64_MAX;
    }
    return item->sent[receiver] + mailbag->resend;
}

static bool is_done(const struct mailbag *mailbag,
                    const struct mailbag_item *item, uint64_t now)
{
    uint32_t i;

    if (now - item->heard > STALE) {
        return true;
    }
    if (!item->over) {
        return false;
    }
    for (i = 0; i < mailbag->receivers; i++) {
        if (mailbag->kinds[i] == RECEIVER_ALERTMANAGER
                ? now - item->ended < RETELL
                : mailbag_due(mailbag, item, i) == 0) {
            return false;
        }
    }
    return true;
}

void mailbag_sweep(struct mailbag *mailbag, uint64_t now)
{
    uint32_t i;

    for (i = 0; i < mailbag->max; i++) {
        if (mailbag->items[i] != NULL &&
            is_done(mailbag, mailbag->items[i], now)) {
            free_item(mailbag, i);
        }
    }
}
