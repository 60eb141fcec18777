/*
 * The thread that tells people. The loop of the sidecar puts copies of alerts
 * into the mailbag under a lock that is never held while anything waits for the
 * network; the thread takes what is due, one delivery at a time to each
 * receiver, all receivers at once by libcurl's multi interface. A receiver
 * that fails is left alone for a while that doubles up to a minute; one that
 * says no (4xx) will not be asked the same again.
 *
 * At the end, what was not told yet is tried for five seconds; whoever hands
 * over to another one leaves it to that, and lets end what is on its way only.
 */
#include "notify.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "receivers.h"

#define SECOND ((uint64_t)CLOCK_SECOND)
#define MAX_DEFAULT 1000
#define RESEND_DEFAULT (60 * SECOND)
#define TIMEOUT_DEFAULT (10 * SECOND)
#define AHEAD 4 /* rounds of resending that an end lies ahead */
#define BACK_OFF_MAX (60 * SECOND)
#define TRIES_MAX 30 /* about half an hour */
#define FLUSH (5 * SECOND)
#define PARTING (SECOND / 5) /* the loop of the sidecar waits for it */
#define SWEEP (10 * SECOND)

/* What a delivery on its way tells. */
struct told {
    uint32_t index, change;
    uint64_t serial;
};

struct target {
    enum receiver_kind kind;
    const struct receiver *receiver;
    struct delivery delivery;
    struct told told[DELIVERY_ALERTS];
    size_t count;
    bool busy;
    unsigned tries;      /* that failed in a row */
    uint64_t not_before; /* monotonic us */
};

struct notify {
    pthread_t thread;
    pthread_mutex_t lock; /* of mailbag, stats, phase */
    bool started;
    enum phase { PHASE_WORK, PHASE_FLUSH, PHASE_PART } phase;
    struct mailbag mailbag;
    struct notify_stats stats;

    /* The thread's own. */
    CURLM *multi;
    struct receivers receivers;
    struct target targets[MAILBAG_RECEIVERS_MAX]; /* one for each of them */
    uint32_t target_count;
    char *generator_url;
    uint64_t resend, timeout, swept;
};

/* -------------------------------------------------------------- deliveries */

static size_t batch_size(enum receiver_kind kind)
{
    return kind == RECEIVER_WEBHOOK ? 1 : DELIVERY_ALERTS;
}

/* Under the lock. Takes what is due, oldest slots first. */
static void collect(struct notify *notify, uint32_t receiver,
                    struct message *message, uint64_t now)
{
    struct target *target = &notify->targets[receiver];
    struct mailbag *mailbag = &notify->mailbag;
    uint32_t i;

    message->count = target->count = 0;
    for (i = 0; i < mailbag->max && target->count < batch_size(target->kind);
         i++) {
        struct mailbag_item *item = mailbag->items[i];

        if (item == NULL || mailbag_due(mailbag, item, receiver) > now) {
            continue;
        }
        message->alerts[message->count++] = &item->alert;
        target->told[target->count++] =
            (struct told){i, item->change, item->serial};
    }
}

static int prepare(struct target *target, const struct message *message,
                   struct err *err)
{
    struct delivery *delivery = &target->delivery;

    delivery_clear(delivery);
    if (delivery->easy == NULL && (delivery->easy = curl_easy_init()) == NULL) {
        return err_set(err, ERR_SYSTEM, "no memory");
    }
    switch (target->kind) {
    case RECEIVER_ALERTMANAGER:
        return alertmanager_prepare(delivery, target->receiver, message, err);
    case RECEIVER_WEBHOOK:
        return webhook_prepare(delivery, target->receiver, message, err);
    case RECEIVER_SMTP:
        break;
    }
    return smtp_prepare(delivery, target->receiver, message, err);
}

/* Under the lock. The i-th item of a delivery, NULL if it is there no more. */
static struct mailbag_item *told_item(struct notify *notify,
                                      const struct target *target, size_t i)
{
    const struct told *told = &target->told[i];
    struct mailbag_item *item = notify->mailbag.items[told->index];

    return item != NULL && item->serial == told->serial ? item : NULL;
}

/* Under the lock: these changes are known to the receiver, or will never be. */
static void settle(struct notify *notify, uint32_t receiver, uint64_t now)
{
    struct target *target = &notify->targets[receiver];
    size_t i;

    for (i = 0; i < target->count; i++) {
        struct mailbag_item *item = told_item(notify, target, i);

        if (item != NULL) {
            item->told[receiver] = target->told[i].change;
            item->sent[receiver] = now;
        }
    }
}

/* The delivery did not end well. If any of it had left, nobody knows whether
 * the receiver has taken it. */
static void leave_open(struct notify *notify, uint32_t receiver)
{
    struct target *target = &notify->targets[receiver];
    curl_off_t left = 0;
    size_t i;

    curl_easy_getinfo(target->delivery.easy, CURLINFO_SIZE_UPLOAD_T, &left);
    pthread_mutex_lock(&notify->lock);
    for (i = 0; left > 0 && i < target->count; i++) {
        struct mailbag_item *item = told_item(notify, target, i);

        if (item != NULL) {
            item->unsure[receiver] = true;
        }
    }
    pthread_mutex_unlock(&notify->lock);
}

static void succeeded(struct notify *notify, uint32_t receiver, uint64_t now)
{
    struct target *target = &notify->targets[receiver];

    pthread_mutex_lock(&notify->lock);
    settle(notify, receiver, now);
    notify->stats.sent++;
    pthread_mutex_unlock(&notify->lock);
    if (target->tries > 0) {
        log_notice("alert", "%s takes notifications again",
                   target->receiver->url);
    }
    target->tries = 0;
    target->not_before = 0;
}

static void failed(struct notify *notify, uint32_t receiver, uint64_t now,
                   const char *why, bool final)
{
    struct target *target = &notify->targets[receiver];
    uint64_t pause = SECOND << (target->tries < 6 ? target->tries : 6);

    target->tries++;
    final = final || target->tries >= TRIES_MAX;
    log_warn("alert", "%s was not told of %zu alerts: %s%s",
             target->receiver->url, target->count, why,
             final ? "; given up" : "");
    pthread_mutex_lock(&notify->lock);
    notify->stats.failed++;
    if (final) {
        notify->stats.given_up++;
        settle(notify, receiver, now);
    }
    pthread_mutex_unlock(&notify->lock);
    if (final) {
        target->tries = 0;
        pause = SECOND;
    }
    target->not_before = now + (pause < BACK_OFF_MAX ? pause : BACK_OFF_MAX);
}

static void start(struct notify *notify, uint32_t receiver, uint64_t now)
{
    struct target *target = &notify->targets[receiver];
    struct message message = {
        .now = clock_now(),
        .lasts = AHEAD * notify->resend,
        .generator_url = notify->generator_url,
    };
    struct err err;
    int refused = 0;

    pthread_mutex_lock(&notify->lock);
    collect(notify, receiver, &message, now);
    if (message.count > 0) {
        refused = prepare(target, &message, &err);
    }
    pthread_mutex_unlock(&notify->lock);
    if (message.count == 0) {
        return;
    }
    if (refused != 0) {
        failed(notify, receiver, now, err.message, false);
        return;
    }
    curl_easy_setopt(target->delivery.easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(target->delivery.easy, CURLOPT_TIMEOUT_MS,
                     (long)(notify->timeout / 1000));
    curl_easy_setopt(target->delivery.easy, CURLOPT_PRIVATE, target);
    target->busy =
        curl_multi_add_handle(notify->multi, target->delivery.easy) == CURLM_OK;
    if (!target->busy) {
        failed(notify, receiver, now, "libcurl refuses", false);
    }
}

/* Will it say the same again? Not if it is busy, or knows us tomorrow. */
static bool is_refusal(long status)
{
    return status >= 400 && status < 500 && status != 401 && status != 403 &&
           status != 408 && status != 429;
}

/* Mail servers answer with codes of their own: libcurl tells good from bad. */
static void finish(struct notify *notify, const CURLMsg *done, uint64_t now)
{
    struct target *target = NULL;
    char why[64];
    long status = 0;
    uint32_t receiver;

    curl_easy_getinfo(done->easy_handle, CURLINFO_PRIVATE, (char **)&target);
    curl_easy_getinfo(done->easy_handle, CURLINFO_RESPONSE_CODE, &status);
    receiver = (uint32_t)(target - notify->targets);
    target->busy = false;
    if (done->data.result != CURLE_OK) {
        leave_open(notify, receiver);
        failed(notify, receiver, now, curl_easy_strerror(done->data.result),
               false);
    } else if (target->kind != RECEIVER_SMTP &&
               (status < 200 || status > 299)) {
        leave_open(notify, receiver);
        snprintf(why, sizeof(why), "it answered %ld", status);
        failed(notify, receiver, now, why, is_refusal(status));
    } else {
        succeeded(notify, receiver, now);
    }
    curl_multi_remove_handle(notify->multi, target->delivery.easy);
}

/* -------------------------------------------------------------- the thread */

static void start_all(struct notify *notify, uint64_t now)
{
    uint32_t i;

    for (i = 0; i < notify->target_count; i++) {
        if (!notify->targets[i].busy && notify->targets[i].not_before <= now) {
            start(notify, i, now);
        }
    }
}

static void finish_all(struct notify *notify)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(notify->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            CURLMsg copy = *message;

            finish(notify, &copy, clock_monotonic());
        }
    }
}

/* When there is something to do again. *untold: somebody does not know all. */
static uint64_t next_due(struct notify *notify, uint64_t now, bool *untold)
{
    uint64_t next = now + SWEEP;
    uint32_t i, k;

    pthread_mutex_lock(&notify->lock);
    for (i = 0; i < notify->mailbag.max; i++) {
        const struct mailbag_item *item = notify->mailbag.items[i];

        for (k = 0; item != NULL && k < notify->target_count; k++) {
            const struct target *target = &notify->targets[k];
            uint64_t due = mailbag_due(&notify->mailbag, item, k);

            *untold = *untold || due == 0;
            due = due > target->not_before ? due : target->not_before;
            if (!target->busy && due < next) {
                next = due;
            }
        }
    }
    if (now - notify->swept >= SWEEP) {
        mailbag_sweep(&notify->mailbag, now);
        notify->swept = now;
    }
    pthread_mutex_unlock(&notify->lock);
    return next;
}

static enum phase get_phase(struct notify *notify)
{
    enum phase phase;

    pthread_mutex_lock(&notify->lock);
    phase = notify->phase;
    pthread_mutex_unlock(&notify->lock);
    return phase;
}

static void *run(void *ctx)
{
    struct notify *notify = ctx;
    uint64_t until = UINT64_MAX;

    for (;;) {
        enum phase phase = get_phase(notify);
        uint64_t now = clock_monotonic(), next;
        bool untold = false;
        int running = 0;

        if (phase != PHASE_PART) {
            start_all(notify, now);
        }
        curl_multi_perform(notify->multi, &running);
        finish_all(notify);
        next = next_due(notify, clock_monotonic(), &untold);
        if (phase != PHASE_WORK) {
            if (until == UINT64_MAX) {
                until = now + (phase == PHASE_FLUSH ? FLUSH : PARTING);
            }
            untold = untold && phase == PHASE_FLUSH;
            if ((!untold && running == 0) || now >= until) {
                return NULL;
            }
            next = next < until ? next : until;
        }
        now = clock_monotonic();
        curl_multi_poll(notify->multi, NULL, 0,
                        next > now ? (int)((next - now) / 1000 + 1) : 0, NULL);
    }
}

/* ------------------------------------------------------------------- facade */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int start_thread(struct notify *notify, struct err *err)
{
    if (notify->target_count == 0) {
        return 0;
    }
    pthread_once(&curl_once, init_curl);
    notify->multi = curl_multi_init();
    if (notify->multi == NULL) {
        return err_set(err, ERR_SYSTEM, "libcurl does not start");
    }
    errno = pthread_create(&notify->thread, NULL, run, notify);
    if (errno != 0) {
        return err_set_errno(err, "no thread for notifications");
    }
    notify->started = true;
    return 0;
}

static int take_options(struct notify *notify,
                        const struct notify_options *options, struct err *err)
{
    uint32_t i;

    if (receivers_init(&notify->receivers, options, err) != 0) {
        return -1;
    }
    notify->generator_url =
        strdup(options->generator_url == NULL ? "" : options->generator_url);
    if (notify->generator_url == NULL) {
        return err_set(err, ERR_SYSTEM, "no memory");
    }
    notify->resend = options->resend ? options->resend : RESEND_DEFAULT;
    notify->timeout = options->timeout ? options->timeout : TIMEOUT_DEFAULT;
    notify->mailbag.resend = notify->resend;
    notify->mailbag.receivers = notify->target_count = notify->receivers.count;
    for (i = 0; i < notify->target_count; i++) {
        struct target *target = &notify->targets[i];

        target->kind = notify->receivers.kinds[i];
        target->receiver = &notify->receivers.all[i];
        buf_init(&target->delivery.body, DELIVERY_MAX);
        notify->mailbag.kinds[i] = target->kind;
        notify->mailbag.keys[i] = receivers_key(&notify->receivers, i);
    }
    return 0;
}

struct notify *notify_create(const struct notify_options *options,
                             struct err *err)
{
    struct notify *notify = calloc(1, sizeof(*notify));

    if (notify == NULL) {
        err_set(err, ERR_SYSTEM, "no memory");
        return NULL;
    }
    pthread_mutex_init(&notify->lock, NULL);
    if (mailbag_init(&notify->mailbag,
                     options->max ? options->max : MAX_DEFAULT, err) != 0 ||
        take_options(notify, options, err) != 0 ||
        start_thread(notify, err) != 0) {
        notify_destroy(notify);
        return NULL;
    }
    return notify;
}

static void end(struct notify *notify, enum phase phase)
{
    uint32_t i;

    if (!notify->started) {
        return;
    }
    pthread_mutex_lock(&notify->lock);
    notify->phase = phase;
    pthread_mutex_unlock(&notify->lock);
    curl_multi_wakeup(notify->multi);
    pthread_join(notify->thread, NULL);
    notify->started = false;
    for (i = 0; i < notify->target_count; i++) {
        if (notify->targets[i].busy) {
            leave_open(notify, i);
        }
    }
}

void notify_finish(struct notify *notify)
{
    end(notify, PHASE_FLUSH);
}

void notify_part(struct notify *notify)
{
    end(notify, PHASE_PART);
}

void notify_destroy(struct notify *notify)
{
    uint32_t i;

    if (notify == NULL) {
        return;
    }
    notify_finish(notify);
    for (i = 0; i < notify->target_count; i++) {
        if (notify->targets[i].busy) {
            curl_multi_remove_handle(notify->multi,
                                     notify->targets[i].delivery.easy);
        }
        delivery_release(&notify->targets[i].delivery);
    }
    curl_multi_cleanup(notify->multi);
    mailbag_release(&notify->mailbag);
    receivers_release(&notify->receivers);
    free(notify->generator_url);
    pthread_mutex_destroy(&notify->lock);
    free(notify);
}

void notify_alert(struct notify *notify, const struct tocsin_alert *alert,
                  bool silenced)
{
    if (notify->target_count == 0) {
        return;
    }
    pthread_mutex_lock(&notify->lock);
    mailbag_put(&notify->mailbag, alert, silenced, clock_monotonic());
    pthread_mutex_unlock(&notify->lock);
    curl_multi_wakeup(notify->multi);
}

void notify_silence(struct notify *notify, struct tocsin_span alert,
                    bool silenced)
{
    if (notify->target_count == 0) {
        return;
    }
    pthread_mutex_lock(&notify->lock);
    mailbag_mute(&notify->mailbag, alert, silenced);
    pthread_mutex_unlock(&notify->lock);
    curl_multi_wakeup(notify->multi);
}

struct notify_stats notify_stats(struct notify *notify)
{
    struct notify_stats stats;

    pthread_mutex_lock(&notify->lock);
    stats = notify->stats;
    stats.dropped = notify->mailbag.dropped;
    pthread_mutex_unlock(&notify->lock);
    return stats;
}

/* -------------------------------------------------------------- checkpoint */

void notify_save(struct notify *notify, struct buf *to)
{
    pthread_mutex_lock(&notify->lock);
    mailbag_save(&notify->mailbag, to);
    pthread_mutex_unlock(&notify->lock);
}

int notify_restore(struct notify *notify, struct cursor *from, struct err *err)
{
    int rc;

    pthread_mutex_lock(&notify->lock);
    rc = mailbag_restore(&notify->mailbag, from, clock_monotonic(), err);
    pthread_mutex_unlock(&notify->lock);
    if (notify->started) {
        curl_multi_wakeup(notify->multi);
    }
    return rc;
}
