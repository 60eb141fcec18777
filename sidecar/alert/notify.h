/*
 * Tells people: Alertmanager (API v2, all of them), webhooks (the body that
 * Alertmanager sends, version "4") and mail. Everything that waits happens in
 * a thread of its own behind a bounded queue: a receiver that hangs delays
 * nobody but itself, and what does not fit is counted.
 *
 * Alertmanagers are told again every `resend` while an alert fires, with an
 * endsAt several rounds ahead, and of its end for five minutes; webhooks and
 * mail are told of each change of state once. A failed delivery is tried
 * again with growing pauses; a newer state of the same alert takes its place.
 */
#ifndef TOCSIN_NOTIFY_H
#define TOCSIN_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "shared/alert_codec.h"

#define NOTIFY_TARGETS_MAX 16

struct notify_webhook {
    const char *url;         /* http:// or https:// */
    const char *bearer_file; /* "" for none; read at every delivery */
};

struct notify_smtp {
    const char *server;    /* smtp://host:port or smtps://...; "" for none */
    const char *from, *to; /* `to` may name several, separated by ',' */
    const char *username;  /* "" for none */
    const char *password_file;
};

/* Copied by notify_create(). */
struct notify_options {
    const char *alertmanagers[NOTIFY_TARGETS_MAX];
    size_t alertmanager_count;
    struct notify_webhook webhooks[NOTIFY_TARGETS_MAX];
    size_t webhook_count;
    struct notify_smtp smtp;
    const char *generator_url; /* link in what is sent; "" for none */
    uint32_t max;              /* alerts held; 0: 1,000 */
    uint64_t resend;           /* us; 0: a minute */
    uint64_t timeout;          /* us, of one delivery; 0: 10 s */
};

struct notify_stats {
    uint64_t sent, failed; /* deliveries, tries that failed */
    uint64_t dropped;      /* lost: too much was waiting, or for a day */
    uint64_t given_up;     /* deliveries that failed too often */
};

struct notify;

/* NULL and *err if an option is wrong or the thread cannot start. Without any
 * receiver it works as well, and does nothing. */
struct notify *notify_create(const struct notify_options *options,
                             struct err *err);

/* Delivers what waits for at most five seconds, then nothing any more. */
void notify_finish(struct notify *notify);
/* Delivers nothing any more, for one that takes over: what is on its way has
 * a fifth of a second, what waits is left. */
void notify_part(struct notify *notify);
/* Finishes first, unless it finished or parted. */
void notify_destroy(struct notify *notify);

/* Copies; never blocks on the network. The same alert again replaces what of
 * it was not yet told. Pending alerts are not told to anybody, nor silenced
 * ones, but their end to those who know of them. */
void notify_alert(struct notify *notify, const struct tocsin_alert *alert,
                  bool silenced);

/* A standing alert falls silent, or may be told again: then it is, to those
 * who do not know of it. */
void notify_silence(struct notify *notify, struct tocsin_span alert,
                    bool silenced);

struct notify_stats notify_stats(struct notify *notify);

/* What is to be told and who knows of it, for a checkpoint or for the one that
 * takes over with other options: nobody is then told again of what they know,
 * but Alertmanagers, and whoever was told of a firing alert hears of its end.
 * Saved after notify_finish() or notify_part() it is exact; what is told after
 * it was saved is told again by the one that restores it. Restored before the
 * first alert; -1 and *err if it is damaged: then nothing is known. */
void notify_save(struct notify *notify, struct buf *to);
int notify_restore(struct notify *notify, struct cursor *from, struct err *err);

#endif
