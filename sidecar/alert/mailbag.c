/*
 * The mailbag. There is at most one item for an alert: a newer state takes the
 * place of an older one that was not told yet, so a receiver that was away for
 * an hour hears how things are, not how they went; and memory is bounded by
 * the number of alerts, not by the time that somebody was away. What somebody
 * was told of stays until he knows of its end, while Redis is away too; only
 * after a day without a word it goes, and that is counted.
 */
#include "mailbag.h"

#include <stdlib.h>
#include <string.h>

#define SECOND 1000000u
#define RETELL (300u * (uint64_t)SECOND) /* Alertmanager hears of an end */

/* Without a word for so long it is forgotten, if nobody waits for news of it
 * or its end, and if somebody does. */
#define STALE (600u * (uint64_t)SECOND)
#define STALE_OWED (86400u * (uint64_t)SECOND)

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

/* Ends that nobody is to be told of make room for news. */
static uint32_t find_room(struct mailbag *mailbag, uint64_t now)
{
    uint32_t index = find_free(mailbag);

    if (index == mailbag->max) {
        mailbag_sweep(mailbag, now);
        index = find_free(mailbag);
    }
    return index;
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
                bool muted, uint64_t now)
{
    uint32_t index = find(mailbag, alert->id);

    if (tocsin_span_eq(alert->state, TOCSIN_SPAN("pending")) ||
        (index == mailbag->max &&
         tocsin_span_eq(alert->state, TOCSIN_SPAN("resolved")))) {
        return 0; /* nobody was told, so nobody needs to know of its end */
    }
    if (index == mailbag->max) {
        index = find_room(mailbag, now);
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
    mailbag->items[index]->muted = muted;
    return 0;
}

void mailbag_mute(struct mailbag *mailbag, struct tocsin_span id, bool muted)
{
    uint32_t index = find(mailbag, id);

    if (index < mailbag->max) {
        mailbag->items[index]->muted = muted;
    }
}

static bool has_heard(const struct mailbag_item *item, uint32_t receiver)
{
    return item->told[receiver] > 0 || item->unsure[receiver];
}

uint64_t mailbag_due(const struct mailbag *mailbag,
                     const struct mailbag_item *item, uint32_t receiver)
{
    if (item->muted && !item->over) {
        return UINT64_MAX;
    }
    if (item->told[receiver] < item->change) {
        /* An end of what this one never heard of is no news to it. */
        return item->over && !has_heard(item, receiver) ? UINT64_MAX : 0;
    }
    if (mailbag->kinds[receiver] != RECEIVER_ALERTMANAGER) {
        return UINT64_MAX;
    }
    return item->sent[receiver] + mailbag->resend;
}

/* Does this one wait for news, or will it for the end? Alertmanagers end by
 * themselves what they are not told of again. */
static bool owes(const struct mailbag *mailbag, const struct mailbag_item *item,
                 uint32_t receiver, uint64_t now)
{
    uint64_t due = mailbag_due(mailbag, item, receiver);

    if (!item->over) {
        return due == 0 || has_heard(item, receiver);
    }
    if (mailbag->kinds[receiver] == RECEIVER_ALERTMANAGER) {
        return due != UINT64_MAX && now - item->ended < RETELL;
    }
    return due == 0;
}

static bool is_owed(const struct mailbag *mailbag,
                    const struct mailbag_item *item, uint64_t now)
{
    uint32_t i;

    for (i = 0; i < mailbag->receivers; i++) {
        if (owes(mailbag, item, i, now)) {
            return true;
        }
    }
    return false;
}

void mailbag_sweep(struct mailbag *mailbag, uint64_t now)
{
    uint32_t i;

    for (i = 0; i < mailbag->max; i++) {
        const struct mailbag_item *item = mailbag->items[i];
        bool owed;

        if (item == NULL) {
            continue;
        }
        owed = is_owed(mailbag, item, now);
        if (owed ? now - item->heard > STALE_OWED
                 : item->over || now - item->heard > STALE) {
            mailbag->dropped += owed;
            free_item(mailbag, i);
        }
    }
}

/* -------------------------------------------------------------- checkpoint */

#define FORMAT 2

/* A text of an alert is at most so long. */
#define TEXT_SIZE_MAX ((size_t)1 << 20)

static void put_text(struct buf *to, struct tocsin_span text)
{
    buf_put_u32(to, (uint32_t)text.len);
    buf_put(to, text.data, text.len);
}

/* A view of what the cursor stands at. */
static struct tocsin_span take_text(struct cursor *from)
{
    uint32_t len = cursor_u32(from);
    const char *data = len <= TEXT_SIZE_MAX ? cursor_bytes(from, len) : NULL;

    if (data == NULL) {
        from->failed = true;
        return tocsin_span_of("", 0);
    }
    return tocsin_span_of(data, len);
}

#define X(member, kind, name, unit, help) EACH_##kind(member)
#define EACH_PAIRS(member) EACH_TEXT(member)
#define EACH_LONG(member) EACH_TEXT(member)

static void save_alert(const struct tocsin_alert *alert, struct buf *to)
{
#define EACH_UINT(member) buf_put_u64(to, alert->member);
#define EACH_REAL(member) buf_put_f64(to, alert->member);
#define EACH_TEXT(member) put_text(to, alert->member);
    TOCSIN_ALERT_FIELDS(X)
#undef EACH_UINT
#undef EACH_REAL
#undef EACH_TEXT
}

static void take_alert(struct tocsin_alert *alert, struct cursor *from)
{
#define EACH_UINT(member) alert->member = cursor_u64(from);
#define EACH_REAL(member) alert->member = cursor_f64(from);
#define EACH_TEXT(member) alert->member = take_text(from);
    TOCSIN_ALERT_FIELDS(X)
#undef EACH_UINT
#undef EACH_REAL
#undef EACH_TEXT
}

#undef X

static void save_item(const struct mailbag *mailbag,
                      const struct mailbag_item *item, struct buf *to)
{
    uint32_t i;

    save_alert(&item->alert, to);
    buf_put_u32(to, item->muted);
    buf_put_u32(to, item->change);
    for (i = 0; i < mailbag->receivers; i++) {
        buf_put_u32(to, item->told[i]);
        buf_put_u32(to, item->unsure[i]);
    }
}

void mailbag_save(const struct mailbag *mailbag, struct buf *to)
{
    uint32_t i, count = 0;

    for (i = 0; i < mailbag->max; i++) {
        count += mailbag->items[i] != NULL;
    }
    buf_put_u32(to, FORMAT);
    buf_put_u32(to, tocsin_alert_field_count());
    buf_put_u32(to, mailbag->receivers);
    for (i = 0; i < mailbag->receivers; i++) {
        buf_put_u64(to, mailbag->keys[i]);
    }
    buf_put_u32(to, count);
    for (i = 0; i < mailbag->max; i++) {
        if (mailbag->items[i] != NULL) {
            save_item(mailbag, mailbag->items[i], to);
        }
    }
}

/* Whom the saved receivers are now; those that are gone are `receivers`. */
struct mapping {
    uint32_t count, to[MAILBAG_RECEIVERS_MAX];
};

static int take_mapping(const struct mailbag *mailbag, struct mapping *mapping,
                        struct cursor *from)
{
    uint32_t i;

    mapping->count = cursor_u32(from);
    if (mapping->count > MAILBAG_RECEIVERS_MAX) {
        return -1;
    }
    for (i = 0; i < mapping->count; i++) {
        uint64_t key = cursor_u64(from);
        uint32_t at = 0;

        while (at < mailbag->receivers && mailbag->keys[at] != key) {
            at++;
        }
        mapping->to[i] = at;
    }
    return 0;
}

static int take_knowledge(const struct mailbag *mailbag,
                          struct mailbag_item *item,
                          const struct mapping *mapping, struct cursor *from)
{
    uint32_t i;

    item->muted = cursor_u32(from) != 0;
    item->change = cursor_u32(from);
    for (i = 0; i < mapping->count; i++) {
        uint32_t told = cursor_u32(from), unsure = cursor_u32(from);

        if (told > item->change) {
            return -1;
        }
        if (mapping->to[i] < mailbag->receivers) {
            item->told[mapping->to[i]] = told;
            item->unsure[mapping->to[i]] = unsure != 0;
        }
    }
    return item->change == 0 ? -1 : 0;
}

static int restore_item(struct mailbag *mailbag, uint32_t index,
                        const struct mapping *mapping, struct cursor *from,
                        uint64_t now)
{
    struct tocsin_alert alert;
    struct mailbag_item *item;

    take_alert(&alert, from);
    if (from->failed || find(mailbag, alert.id) < mailbag->max ||
        (!tocsin_span_eq(alert.state, TOCSIN_SPAN("firing")) &&
         !tocsin_span_eq(alert.state, TOCSIN_SPAN("resolved")))) {
        return -1;
    }
    item = mailbag->items[index] = new_item(mailbag);
    if (item == NULL || replace(item, &alert, now) != 0) {
        return -1;
    }
    return take_knowledge(mailbag, item, mapping, from);
}

int mailbag_restore(struct mailbag *mailbag, struct cursor *from, uint64_t now,
                    struct err *err)
{
    uint32_t format = cursor_u32(from), fields = cursor_u32(from), count, i;
    struct mapping mapping;

    if (format != FORMAT || fields != tocsin_alert_field_count() ||
        take_mapping(mailbag, &mapping, from) != 0) {
        return err_set(err, ERR_INPUT, "notifications: of another format");
    }
    count = cursor_u32(from);
    for (i = 0; i < count && i < mailbag->max; i++) {
        if (restore_item(mailbag, i, &mapping, from, now) != 0) {
            break;
        }
    }
    if (i < count || from->failed) {
        for (i = 0; i < mailbag->max; i++) {
            free_item(mailbag, i);
        }
        return err_set(err, ERR_INPUT, "notifications: cut short or damaged");
    }
    return 0;
}
