
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin_worker.h"

#include <shared/fault.h>


/*
 * From the log phase to the acknowledgement.  Events enter the ring of this
 * worker's slot as compact records.  A timer, or enough of them, has them
 * encoded into the buffer of the link and sent in one piece.  Replies come in
 * the order of commands; a queue of runs tells whose they are.  A record stays
 * in the ring until redis has acknowledged it.
 *
 * When redis says that it cannot take an entry now (OOM, LOADING, ...), what
 * was sent is awaited, then after a pause one record goes as a probe.
 */

#define NGX_TOCSIN_ENOUGH       24576      /* bytes of records */
#define NGX_TOCSIN_PROBE_FIRST  50
#define NGX_TOCSIN_PROBE_LAST   1600
#define NGX_TOCSIN_QUIET        60000      /* between the same complaints */


static void ngx_tocsin_flush_handler(ngx_event_t *ev);
static ngx_uint_t ngx_tocsin_send_ring(ngx_tocsin_worker_t *w,
    ngx_tocsin_owned_t *owned);
static ngx_tocsin_owner_e ngx_tocsin_shift(ngx_tocsin_worker_t *w,
    ngx_uint_t count);
static void ngx_tocsin_pause(ngx_tocsin_worker_t *w);
static void ngx_tocsin_complain(ngx_tocsin_worker_t *w,
    ngx_tocsin_refusal_e refusal, u_char *p, size_t len);
static void ngx_tocsin_on_ids(void *data, ngx_uint_t n);
static void ngx_tocsin_on_string(void *data, ngx_uint_t depth, u_char *p,
    size_t len);
static void ngx_tocsin_on_array(void *data, ngx_uint_t depth, size_t elements);
static void ngx_tocsin_on_integer(void *data, ngx_uint_t depth, int64_t value);
static void ngx_tocsin_on_nil(void *data, ngx_uint_t depth);
static void ngx_tocsin_on_error(void *data, ngx_uint_t depth, u_char *p,
    size_t len);
static void ngx_tocsin_on_end(void *data);
static void ngx_tocsin_on_drained(void *data);
static void ngx_tocsin_on_ready(void *data);
static void ngx_tocsin_on_lost(void *data);


const ngx_tocsin_link_handler_t  ngx_tocsin_ring_handler = {
    ngx_tocsin_on_array,
    ngx_tocsin_on_string,
    ngx_tocsin_on_integer,
    ngx_tocsin_on_nil,
    ngx_tocsin_on_error,
    ngx_tocsin_on_end,
    ngx_tocsin_on_ready,
    ngx_tocsin_on_lost,
    ngx_tocsin_on_ids,
    ngx_tocsin_on_drained
};


uint64_t
ngx_tocsin_emit(ngx_tocsin_conf_t *tcf, struct tocsin_event *ev)
{
    char                 *room;
    size_t                len;
    uint64_t              seq;
    ngx_uint_t            precious;
    struct tocsin_ring   *ring;
    ngx_tocsin_worker_t  *w;

    w = tcf->worker;

    if (w == NULL || w->own.slot == NULL) {
        (void) atomic_fetch_add(&ngx_tocsin_shm(tcf)->homeless, 1);
        return 0;
    }

    ngx_tocsin_must_hold(w->own.slot);

    ring = &w->own.ring;

    w->dirty = 1;

    seq = ++ring->now.seq[ev->stream];
    ev->seq = seq;

    /* what tells of trouble is kept longest */

    precious = (ev->status >= 500)
               || ((ev->stream == TOCSIN_UPSTREAM)
                   ? ev->error.len != 0
                   : (ev->flags & TOCSIN_FLAG_SLOW));

    room = tocsin_ring_room(ring, TOCSIN_RECORD_MAX, precious);

    if (room == NULL) {
        tocsin_ring_drop(ring, NGX_TOCSIN_DROP_FULL);
        return seq;
    }

    len = tocsin_record_pack(room, ev);

    tocsin_fault(RECORD);

    tocsin_ring_put(ring, len, ev->stream,
                    (tcf->shards == 1) ? 0 : ngx_tocsin_shard(tcf, ev));

    tocsin_fault(PUT);

    return seq;
}


void
ngx_tocsin_commit(ngx_tocsin_conf_t *tcf)
{
    ngx_tocsin_worker_t  *w;

    w = tcf->worker;

    if (w == NULL || !w->dirty) {
        return;
    }

    w->dirty = 0;

    ngx_tocsin_must_hold(w->own.slot);
    tocsin_ring_publish(&w->own.ring);

    tocsin_fault(PUBLISHED);

    if (!w->flush.timer_set) {

        if (ngx_tocsin_link_up(w->link)) {
            ngx_add_timer(&w->flush, tcf->flush);
        }

    } else if (tocsin_ring_unsent(&w->own.ring) >= NGX_TOCSIN_ENOUGH
               && !w->paused)
    {
        ngx_tocsin_flush(w);
    }
}


uint64_t
ngx_tocsin_next_seq(ngx_tocsin_conf_t *tcf, enum tocsin_stream stream)
{
    ngx_tocsin_worker_t  *w;

    w = tcf->worker;

    if (w == NULL || w->own.slot == NULL) {
        return 0;
    }

    return w->own.ring.now.seq[stream] + 1;
}


void
ngx_tocsin_flush(ngx_tocsin_worker_t *w)
{
    ngx_uint_t  sent;

    /* with more on the way, what has to go again would never have its turn */

    if (w->paused || w->rewind || !ngx_tocsin_link_up(w->link)) {
        return;
    }

    sent = 0;

    if (w->own.slot) {
        sent += ngx_tocsin_send_ring(w, &w->own);
    }

    if (w->adopted.slot) {
        sent += ngx_tocsin_send_ring(w, &w->adopted);
    }

    if (sent) {
        ngx_tocsin_link_flush(w->link);
        tocsin_fault(SENT);
    }
}


static ngx_uint_t
ngx_tocsin_send_ring(ngx_tocsin_worker_t *w, ngx_tocsin_owned_t *owned)
{
    u_char                           *p, *last;
    ngx_str_t                        *head;
    ngx_uint_t                        sent, most;
    struct tocsin_ring               *ring;
    const struct tocsin_ring_record  *record;

    if (w->nruns == NGX_TOCSIN_RUNS || (w->probe && w->nruns)) {
        return 0;
    }

    p = ngx_tocsin_link_room(w->link, NGX_TOCSIN_ENTRY, &last);
    if (p == NULL) {
        return 0;
    }

    ring = &owned->ring;
    most = w->probe ? 1 : NGX_MAX_UINT32_VALUE;

    for (sent = 0; sent < most && last - p >= NGX_TOCSIN_ENTRY; sent++) {

        record = tocsin_ring_next(ring);
        if (record == NULL) {
            break;
        }

        /* the number of shards may have changed with a reload */

        head = &owned->heads[record->kind * w->shards
                             + (record->tag ? record->tag % w->shards : 0)];

        p = ngx_cpymem(p, head->data, head->len);
        p = (u_char *) tocsin_record_encode(&owned->encoder, (char *) p,
                                            (char *) (record + 1),
                                            record->kind);

        tocsin_ring_sent(ring, record);
    }

    if (sent) {
        ngx_tocsin_link_wrote(w->link, p, sent);
        ngx_tocsin_push(w, owned->owner, sent);
    }

    return sent;
}


static void
ngx_tocsin_flush_handler(ngx_event_t *ev)
{
    ngx_tocsin_worker_t  *w;

    w = ev->data;

    w->paused = 0;

    ngx_tocsin_flush(w);
}


/* the queue of those who await replies: neighbours are one run */

void
ngx_tocsin_push(ngx_tocsin_worker_t *w, ngx_tocsin_owner_e owner,
    ngx_uint_t count)
{
    ngx_tocsin_run_t  *run;

    if (w->nruns) {
        run = &w->runs[(w->first + w->nruns - 1) % NGX_TOCSIN_RUNS];

        if (run->owner == owner) {
            run->count += count;
            return;
        }
    }

    run = &w->runs[(w->first + w->nruns) % NGX_TOCSIN_RUNS];
    run->owner = owner;
    run->count = count;
    w->nruns++;
}


static ngx_tocsin_owner_e
ngx_tocsin_shift(ngx_tocsin_worker_t *w, ngx_uint_t count)
{
    ngx_tocsin_run_t  *run;

    run = &w->runs[w->first];

    run->count -= count;

    if (run->count == 0) {
        w->first = (w->first + 1) % NGX_TOCSIN_RUNS;
        w->nruns--;
    }

    return run->owner;
}


static void
ngx_tocsin_on_ids(void *data, ngx_uint_t n)
{
    ngx_uint_t            count;
    ngx_tocsin_run_t     *run;
    ngx_tocsin_worker_t  *w = data;

    for ( /* void */ ; n; n -= count) {
        run = &w->runs[w->first];
        count = ngx_min(n, run->count);

        if (run->owner != NGX_TOCSIN_BEAT) {
            tocsin_ring_delivered((run->owner == NGX_TOCSIN_OWN)
                                  ? &w->own.ring : &w->adopted.ring,
                                  count);
            w->probe = 0;
            w->pause = 0;
        }

        ngx_tocsin_shift(w, count);
    }
}


/* by the general way: errors, and what redis should not answer to XADD */

static void
ngx_tocsin_on_error(void *data, ngx_uint_t depth, u_char *p, size_t len)
{
    ngx_tocsin_owner_e     owner;
    struct tocsin_ring    *ring;
    ngx_tocsin_refusal_e   refusal;
    ngx_tocsin_worker_t   *w = data;

    if (depth) {
        return;
    }

    w->replied = 1;

    refusal = ngx_tocsin_refusal(p, len);
    owner = ngx_tocsin_shift(w, 1);

    if (refusal != NGX_TOCSIN_ELSEWHERE) {
        /* else the link tells */
        ngx_tocsin_complain(w, refusal, p, len);
    }

    if (owner == NGX_TOCSIN_BEAT) {
        return;
    }

    ring = (owner == NGX_TOCSIN_OWN) ? &w->own.ring : &w->adopted.ring;

    if (refusal == NGX_TOCSIN_REFUSED) {
        tocsin_ring_refused(ring, NGX_TOCSIN_DROP_REFUSED);

        if (w->probe) {
            w->probe = 0;
            w->pause = 0;
        }

        return;
    }

    tocsin_ring_kept(ring);

    w->rewind = 1;
}


static void
ngx_tocsin_on_string(void *data, ngx_uint_t depth, u_char *p, size_t len)
{
    ngx_tocsin_worker_t  *w = data;

    if (depth == 0) {
        w->replied = 1;
        ngx_tocsin_on_ids(w, 1);
    }
}


static void
ngx_tocsin_on_array(void *data, ngx_uint_t depth, size_t elements)
{
    /* void: it is not an answer to XADD, see the end of the reply */
}


static void
ngx_tocsin_on_integer(void *data, ngx_uint_t depth, int64_t value)
{
    /* void */
}


static void
ngx_tocsin_on_nil(void *data, ngx_uint_t depth)
{
    /* void */
}


static void
ngx_tocsin_on_end(void *data)
{
    ngx_tocsin_worker_t  *w = data;

    static u_char  answer[] = "an answer that XADD does not give";

    if (!w->replied) {
        /* the entry may be there or not: keep it, leave this server */
        ngx_tocsin_link_leave(w->link, answer, sizeof(answer) - 1);
        return;
    }

    w->replied = 0;
}


static void
ngx_tocsin_on_drained(void *data)
{
    ngx_tocsin_worker_t  *w = data;

    if (w->own.slot) {
        ngx_tocsin_must_hold(w->own.slot);
        tocsin_ring_publish(&w->own.ring);
    }

    if (w->adopted.slot) {
        ngx_tocsin_must_hold(w->adopted.slot);
        tocsin_ring_publish(&w->adopted.ring);
    }

    if (w->rewind) {

        if (w->nruns == 0) {
            ngx_tocsin_pause(w);
        }

        return;
    }

    if (w->adopted.slot && w->adopted.ring.now.buffered == 0) {
        ngx_tocsin_disown(w);
    }

    if (w->own.slot && tocsin_ring_unsent(&w->own.ring) == 0
        && w->adopted.slot == NULL)
    {
        return;
    }

    if (!w->flush.timer_set) {
        ngx_tocsin_flush(w);
    }
}


/* all replies are in: what has to be sent again waits for a while */

static void
ngx_tocsin_pause(ngx_tocsin_worker_t *w)
{
    w->rewind = 0;
    w->probe = 1;
    w->paused = 1;

    if (w->own.slot) {
        tocsin_ring_rewind(&w->own.ring);
    }

    if (w->adopted.slot) {
        tocsin_ring_rewind(&w->adopted.ring);
    }

    w->pause = w->pause ? ngx_min(2 * w->pause, NGX_TOCSIN_PROBE_LAST)
                        : NGX_TOCSIN_PROBE_FIRST;

    if (w->flush.timer_set) {
        ngx_del_timer(&w->flush);
    }

    ngx_add_timer(&w->flush,
                  w->pause * 3 / 4 + ngx_random() % (w->pause / 2));
}


static void
ngx_tocsin_complain(ngx_tocsin_worker_t *w, ngx_tocsin_refusal_e refusal,
    u_char *p, size_t len)
{
    u_char  text[sizeof(w->own.slot->trouble)];

    ngx_tocsin_words(text, sizeof(text), p, len);

    if (w->own.slot) {
        ngx_tocsin_slot_trouble(w->own.slot, text, ngx_strlen(text));
    }

    if (w->complained[refusal]
        && ngx_current_msec - w->complained_at[refusal] < NGX_TOCSIN_QUIET)
    {
        return;
    }

    w->complained[refusal] = 1;
    w->complained_at[refusal] = ngx_current_msec;

    if (refusal == NGX_TOCSIN_REFUSED) {
        ngx_log_error(NGX_LOG_ERR, w->log, 0,
                      "tocsin: redis refuses entries, they are dropped: %s",
                      text);

    } else {
        ngx_log_error(NGX_LOG_WARN, w->log, 0,
                      "tocsin: redis takes no entries now, they are kept: %s",
                      text);
    }
}


static void
ngx_tocsin_on_ready(void *data)
{
    ngx_tocsin_worker_t  *w = data;

    w->replied = 0;
    w->paused = 0;

    if (w->own.slot) {
        ngx_tocsin_must_hold(w->own.slot);
        atomic_store(&w->own.slot->connected, 1);
        (void) atomic_fetch_add(&w->own.slot->reconnects, w->lost);
    }

    w->lost = 0;

    if (w->flush.timer_set) {
        ngx_del_timer(&w->flush);
    }

    ngx_tocsin_beat(w);
    ngx_tocsin_flush(w);
}


static void
ngx_tocsin_on_lost(void *data)
{
    ngx_tocsin_worker_t  *w = data;

    char  trouble[sizeof(w->own.slot->trouble)];

    w->first = 0;
    w->nruns = 0;
    w->rewind = 0;
    w->paused = 0;
    w->lost = 1;

    if (w->own.slot) {
        ngx_tocsin_must_hold(w->own.slot);
        tocsin_ring_rewind(&w->own.ring);
        tocsin_ring_publish(&w->own.ring);

        atomic_store(&w->own.slot->connected, 0);

        ngx_tocsin_link_trouble(w->link, trouble, sizeof(trouble));
        ngx_tocsin_slot_trouble(w->own.slot, (u_char *) trouble,
                                ngx_strlen(trouble));
    }

    if (w->adopted.slot) {
        ngx_tocsin_must_hold(w->adopted.slot);
        tocsin_ring_rewind(&w->adopted.ring);
        tocsin_ring_publish(&w->adopted.ring);
    }

    if (w->flush.timer_set) {
        ngx_del_timer(&w->flush);
    }
}


void
ngx_tocsin_ring_init(ngx_tocsin_worker_t *w)
{
    w->flush.handler = ngx_tocsin_flush_handler;
    w->flush.data = w;
    w->flush.log = w->log;
    w->flush.cancelable = 1;
}
