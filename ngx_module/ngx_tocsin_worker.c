
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin_worker.h"

#include <shared/fault.h>


/*
 * The life of a worker's part of the transport: it leases a slot, beats every
 * second, looks after the rings of dead workers, and drains when it exits.
 */

#define NGX_TOCSIN_TICK   1000
#define NGX_TOCSIN_DRAIN  3000
#define NGX_TOCSIN_HASTE  1000             /* the master kills after a while */


static ngx_int_t ngx_tocsin_read_password(ngx_conf_t *cf,
    ngx_tocsin_conf_t *tcf);
static void ngx_tocsin_settle(ngx_tocsin_worker_t *w);
static void ngx_tocsin_tick_handler(ngx_event_t *ev);
static void ngx_tocsin_adopt(ngx_tocsin_worker_t *w);
static void ngx_tocsin_drain(ngx_tocsin_worker_t *w);
static void ngx_tocsin_give_up(ngx_tocsin_worker_t *w);


ngx_int_t
ngx_tocsin_init(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf, void *tag)
{
    ngx_uint_t            i;
    ngx_tocsin_server_t  *server;

    if (ngx_tocsin_read_password(cf, tcf) != NGX_OK) {
        return NGX_ERROR;
    }

    server = tcf->servers.elts;

    for (i = 0; i < tcf->servers.nelts; i++) {

        if (server[i].tls) {

            if (ngx_tocsin_tls_init(cf, tcf) != NGX_OK) {
                return NGX_ERROR;
            }

            break;
        }
    }

    return ngx_tocsin_shm_init(cf, tcf, tag);
}


/* by the master, which may read it: again with every reload */

static ngx_int_t
ngx_tocsin_read_password(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf)
{
    u_char     *p;
    size_t      len;
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_str_t  *name;

    name = &tcf->password_file;

    if (name->len == 0) {
        return NGX_OK;
    }

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_palloc(cf->pool, NGX_TOCSIN_PASSWORD_MAX + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, p, NGX_TOCSIN_PASSWORD_MAX + 1);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_fd_n " \"%V\" failed", name);
    }

    (void) ngx_close_file(fd);

    if (n == -1) {
        return NGX_ERROR;
    }

    for (len = 0; len < (size_t) n; len++) {
        if (p[len] == LF || p[len] == CR) {
            break;
        }
    }

    if (len == 0 || len > NGX_TOCSIN_PASSWORD_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the password in the first line of \"%V\" must "
                           "have from 1 to %d bytes",
                           name, NGX_TOCSIN_PASSWORD_MAX);
        return NGX_ERROR;
    }

    tcf->password.data = p;
    tcf->password.len = len;

    return NGX_OK;
}


ngx_int_t
ngx_tocsin_init_process(ngx_cycle_t *cycle, ngx_tocsin_conf_t *tcf)
{
    ngx_tocsin_worker_t  *w;

    w = ngx_pcalloc(cycle->pool, sizeof(ngx_tocsin_worker_t));
    if (w == NULL) {
        return NGX_ERROR;
    }

    w->tcf = tcf;
    w->log = cycle->log;
    w->shards = tcf->shards;
    w->own.owner = NGX_TOCSIN_OWN;
    w->adopted.owner = NGX_TOCSIN_ADOPTED;
    w->lease = ngx_tocsin_lease_self();

    w->link = ngx_tocsin_link_create(tcf, cycle->pool, cycle->log,
                                     &ngx_tocsin_ring_handler, w);

    w->inflight_text = ngx_palloc(cycle->pool, NGX_TOCSIN_INFLIGHT);

    if (w->link == NULL || w->inflight_text == NULL
        || ngx_tocsin_heads_create(w, cycle->pool, &w->own) != NGX_OK
        || ngx_tocsin_heads_create(w, cycle->pool, &w->adopted) != NGX_OK
        || ngx_tocsin_beat_head(w, cycle->pool) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_tocsin_ring_init(w);

    w->tick.handler = ngx_tocsin_tick_handler;
    w->tick.data = w;
    w->tick.log = w->log;
    w->tick.cancelable = 1;

    tcf->worker = w;

    ngx_tocsin_shm_started(tcf);

    ngx_tocsin_settle(w);

    if (w->own.slot == NULL) {
        ngx_log_error(NGX_LOG_ERR, w->log, 0,
                      "tocsin: all %ui slots are taken, "
                      "events are dropped until one is free", tcf->slots);
    }

    ngx_add_timer(&w->tick, NGX_TOCSIN_TICK);

    ngx_tocsin_link_start(w->link);

    return NGX_OK;
}


static void
ngx_tocsin_settle(ngx_tocsin_worker_t *w)
{
    w->own.slot = ngx_tocsin_slot_lease(w->tcf, w->lease);

    if (w->own.slot == NULL) {
        return;
    }

    (void) ngx_tocsin_slot_open(w->tcf, w->own.slot, &w->own.ring);

    tocsin_fault(OPENED);

    ngx_tocsin_heads_set(w, &w->own);

    atomic_store(&w->own.slot->working, 1);
    atomic_store(&w->own.slot->connected, ngx_tocsin_link_up(w->link));
}


void
ngx_tocsin_set_inflight(ngx_tocsin_conf_t *tcf, ngx_tocsin_inflight_pt handler,
    void *data)
{
    ngx_tocsin_worker_t  *w;

    w = tcf->worker;

    if (w) {
        w->inflight = handler;
        w->inflight_data = data;
    }
}


static void
ngx_tocsin_tick_handler(ngx_event_t *ev)
{
    uint64_t              now;
    ngx_tocsin_worker_t  *w;

    w = ev->data;

    ngx_add_timer(ev, NGX_TOCSIN_TICK);

    if (w->own.slot == NULL) {
        ngx_tocsin_settle(w);
    }

    now = ngx_tocsin_now();

    if (w->own.slot) {
        ngx_tocsin_must_hold(w->own.slot);
        atomic_store(&w->own.slot->heartbeat, now);
    }

    if (w->adopted.slot) {
        ngx_tocsin_must_hold(w->adopted.slot);
        atomic_store(&w->adopted.slot->heartbeat, now);

    } else if (!ngx_exiting) {
        ngx_tocsin_adopt(w);
    }

    ngx_tocsin_beat(w);
}


/* what a dead worker left behind, or an old one that had no time to send it */

static void
ngx_tocsin_adopt(ngx_tocsin_worker_t *w)
{
    if (!ngx_tocsin_link_up(w->link)) {
        return;
    }

    w->adopted.slot = ngx_tocsin_slot_adopt(w->tcf, w->lease);

    if (w->adopted.slot == NULL) {
        return;
    }

    if (ngx_tocsin_slot_open(w->tcf, w->adopted.slot, &w->adopted.ring)
        != NGX_OK
        || w->adopted.ring.now.buffered == 0)
    {
        ngx_tocsin_disown(w);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, w->log, 0,
                  "tocsin: sends %uL events that a worker has left",
                  w->adopted.ring.now.buffered);

    ngx_tocsin_heads_set(w, &w->adopted);
    ngx_tocsin_flush(w);
}


void
ngx_tocsin_disown(ngx_tocsin_worker_t *w)
{
    ngx_tocsin_slot_release(w->adopted.slot);
    w->adopted.slot = NULL;
}


void
ngx_tocsin_beat(ngx_tocsin_worker_t *w)
{
    u_char                    *p;
    ngx_uint_t                 i;
    struct tocsin_out          out;
    struct tocsin_event        ev;
    struct tocsin_ring_state  *state;

    if (w->own.slot == NULL || w->nruns == NGX_TOCSIN_RUNS) {
        return;
    }

    p = ngx_tocsin_link_room(w->link, NGX_TOCSIN_ENTRY, NULL);
    if (p == NULL) {
        return;
    }

    state = &w->own.ring.now;

    tocsin_event_init(&ev, TOCSIN_BEAT);

    ev.v = TOCSIN_SCHEMA_VERSION;
    ev.src = tocsin_span_of(w->own.slot->src, w->own.slot->src_len);
    ev.ts = ngx_tocsin_now();
    ev.request_seq = state->seq[TOCSIN_REQUEST];
    ev.upstream_seq = state->seq[TOCSIN_UPSTREAM];
    ev.emitted = state->emitted;
    ev.delivered = state->delivered;
    ev.buffered = state->buffered;

    for (i = 0; i < NGX_TOCSIN_DROPS; i++) {
        ev.dropped += state->dropped[i];
    }

    if (w->inflight) {
        out.data = w->inflight_text;
        out.cap = NGX_TOCSIN_INFLIGHT;
        out.need = 0;

        w->inflight(w->inflight_data, &out);

        if (tocsin_out_fits(&out)) {
            ev.inflight = tocsin_span_of(out.data, out.need);
        }
    }

    out.data = (char *) ngx_cpymem(p, w->beat_head.data, w->beat_head.len);
    out.cap = TOCSIN_EVENT_ENCODED_MAX;
    out.need = 0;

    tocsin_event_encode(&out, &ev);

    ngx_tocsin_push(w, NGX_TOCSIN_BEAT, 1);
    ngx_tocsin_link_wrote(w->link, (u_char *) out.data + out.need, 1);
    ngx_tocsin_link_flush(w->link);
}


void
ngx_tocsin_exit_process(ngx_cycle_t *cycle, ngx_tocsin_conf_t *tcf)
{
    ngx_tocsin_worker_t  *w;

    w = tcf->worker;

    if (w == NULL) {
        return;
    }

    ngx_tocsin_drain(w);

    /* no reply will be seen any more: what waits is counted from here on */

    ngx_tocsin_link_stop(w->link);

    if (w->adopted.slot) {
        ngx_tocsin_disown(w);
    }

    if (w->own.slot) {

        if (!ngx_tocsin_shm_succeeded(w->tcf)) {
            ngx_tocsin_give_up(w);
        }

        ngx_tocsin_slot_release(w->own.slot);
        w->own.slot = NULL;
    }

    tcf->worker = NULL;

    if (w->tick.timer_set) {
        ngx_del_timer(&w->tick);
    }

    if (w->flush.timer_set) {
        ngx_del_timer(&w->flush);
    }
}


/* the counters may go with the master: the log tells, too */

static void
ngx_tocsin_give_up(ngx_tocsin_worker_t *w)
{
    if (w->own.ring.now.buffered) {
        ngx_log_error(NGX_LOG_WARN, w->log, 0,
                      "tocsin: %uL events could not be sent and are dropped",
                      w->own.ring.now.buffered);
    }

    ngx_tocsin_must_hold(w->own.slot);
    tocsin_ring_clear(&w->own.ring, NGX_TOCSIN_DROP_SHUTDOWN);
}


/*
 * The event loop is over: nothing else but the link is served here.  With a
 * successor there is no need to wait for a redis that does not answer.
 */

static void
ngx_tocsin_drain(ngx_tocsin_worker_t *w)
{
    ngx_msec_t  start, limit, elapsed;

    if (w->own.slot == NULL) {
        return;
    }

    ngx_time_update();

    start = ngx_current_msec;
    limit = ngx_exiting ? NGX_TOCSIN_DRAIN : NGX_TOCSIN_HASTE;

    while (w->own.ring.now.buffered) {

        elapsed = ngx_current_msec - start;

        if (elapsed >= limit
            || (!ngx_tocsin_link_up(w->link)
                && ngx_tocsin_shm_succeeded(w->tcf)))
        {
            break;
        }

        if (w->flush.timer_set) {

            if (w->paused && ngx_tocsin_shm_succeeded(w->tcf)) {
                break;
            }

            if ((ngx_msec_int_t) (w->flush.timer.key - ngx_current_msec) <= 0
                || !w->paused)
            {
                ngx_del_timer(&w->flush);
                w->paused = 0;
            }
        }

        ngx_tocsin_flush(w);

        ngx_tocsin_link_poll(w->link, ngx_min(limit - elapsed, 20));
    }
}
