
/*
 * Copyright (C) Tocsin authors
 */


/*
 * Every asking for a peer passes through here.  The balancer of an upstream
 * is wrapped when the configuration is complete: the functions that it leaves
 * in u->peer are called by ours, with its own data.
 */


#include "ngx_http_tocsin_module.h"


typedef struct {
    ngx_http_upstream_srv_conf_t    *us;
    ngx_http_upstream_init_peer_pt   init;
    ngx_str_t                        name;
    struct tocsin_span               who;
    ngx_http_tocsin_place_t         *place;
} ngx_http_tocsin_wrapped_t;


/*
 * Exchanges come from an array, so that they do not push a request over the
 * first block of its pool; when it is used up, from the pool after all.
 */

#define NGX_HTTP_TOCSIN_EXCHANGES  1024


typedef struct {
    ngx_uint_t                       mask;
    ngx_http_tocsin_wrapped_t       *slots;     /* open addressing */

    ngx_http_tocsin_exchange_t      *exchanges;
    ngx_http_tocsin_exchange_t      *free;
    ngx_uint_t                       used;      /* of the array, ever */
} ngx_http_tocsin_upstreams_t;


static ngx_int_t ngx_http_tocsin_wrap(ngx_conf_t *cf,
    ngx_http_tocsin_upstreams_t *upstreams, ngx_http_upstream_srv_conf_t *us);
static ngx_int_t ngx_http_tocsin_upstream_name(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us, ngx_str_t *name);
static ngx_http_tocsin_wrapped_t *ngx_http_tocsin_find_wrapped(
    ngx_http_tocsin_upstreams_t *upstreams, ngx_http_upstream_srv_conf_t *us);

static ngx_int_t ngx_http_tocsin_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us);
static ngx_http_tocsin_exchange_t *ngx_http_tocsin_alloc_exchange(
    ngx_http_tocsin_upstreams_t *upstreams, ngx_pool_t *pool);
static void ngx_http_tocsin_wrap_peer(ngx_http_tocsin_exchange_t *ex);
static ngx_int_t ngx_http_tocsin_get_peer(ngx_peer_connection_t *pc,
    void *data);
static ngx_int_t ngx_http_tocsin_output_filter(void *data, ngx_chain_t *in);
static void ngx_http_tocsin_finalize(ngx_http_request_t *r, ngx_int_t rc);
static void ngx_http_tocsin_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);
static void ngx_http_tocsin_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type);
#if (NGX_SSL || NGX_COMPAT)
static ngx_int_t ngx_http_tocsin_set_session(ngx_peer_connection_t *pc,
    void *data);
static void ngx_http_tocsin_save_session(ngx_peer_connection_t *pc,
    void *data);
#endif


ngx_int_t
ngx_http_tocsin_wrap_upstreams(ngx_conf_t *cf)
{
    ngx_uint_t                       i, n;
    ngx_http_tocsin_main_conf_t     *tmcf;
    ngx_http_tocsin_upstreams_t     *upstreams;
    ngx_http_upstream_srv_conf_t   **uscfp;
    ngx_http_upstream_main_conf_t   *umcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tocsin_module);
    umcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);

    upstreams = ngx_pcalloc(cf->pool, sizeof(ngx_http_tocsin_upstreams_t));
    if (upstreams == NULL) {
        return NGX_ERROR;
    }

    for (n = 8; n < 2 * umcf->upstreams.nelts; n *= 2) { /* void */ }

    upstreams->mask = n - 1;
    upstreams->slots = ngx_pcalloc(cf->pool,
                                   n * sizeof(ngx_http_tocsin_wrapped_t));
    if (upstreams->slots == NULL) {
        return NGX_ERROR;
    }

    /* pages that are not used are not touched either */

    n = NGX_HTTP_TOCSIN_EXCHANGES * sizeof(ngx_http_tocsin_exchange_t);

    upstreams->exchanges = ngx_palloc(cf->pool, n);
    if (upstreams->exchanges == NULL) {
        return NGX_ERROR;
    }

    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if (uscfp[i]->peer.init == NULL) {
            continue;
        }

        if (ngx_http_tocsin_wrap(cf, upstreams, uscfp[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    tmcf->upstreams = upstreams;

    ngx_http_tocsin_check_clouds(cf, tmcf);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tocsin_wrap(ngx_conf_t *cf, ngx_http_tocsin_upstreams_t *upstreams,
    ngx_http_upstream_srv_conf_t *us)
{
    struct tocsin_event           ev;
    ngx_http_tocsin_wrapped_t    *w;
    ngx_http_tocsin_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tocsin_module);

    w = ngx_http_tocsin_find_wrapped(upstreams, us);

    w->us = us;
    w->init = us->peer.init;

    if (ngx_http_tocsin_upstream_name(cf, us, &w->name) != NGX_OK) {
        return NGX_ERROR;
    }

    ev.upstream = tocsin_span_of((char *) w->name.data, w->name.len);

    if (ngx_http_tocsin_make_piece(cf, &w->who, tocsin_record_who, &ev)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    w->place = ngx_http_tocsin_place_of_upstream(tmcf, &w->name);

    if (w->place == NULL) {
        w->place = ngx_http_tocsin_place_of_upstream(tmcf, &us->host);
    }

    us->peer.init = ngx_http_tocsin_init_peer;

    return NGX_OK;
}


/* of an upstream{} its name, else the host and the port as they are written */

static ngx_int_t
ngx_http_tocsin_upstream_name(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us,
    ngx_str_t *name)
{
    u_char  *p;

    *name = us->host;

    if (us->host.len && us->host.data[0] == '/') {

        p = ngx_pnalloc(cf->pool, us->host.len + sizeof("unix:") - 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        name->data = p;
        name->len = ngx_sprintf(p, "unix:%V", &us->host) - p;

    } else if (us->port && !us->no_port) {

        p = ngx_pnalloc(cf->pool, us->host.len + sizeof(":65535") - 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        name->data = p;
        name->len = ngx_sprintf(p, "%V:%ui", &us->host, (ngx_uint_t) us->port)
                    - p;
    }

    name->len = ngx_min(name->len, TOCSIN_TEXT_MAX);

    return NGX_OK;
}


/* the slot of an upstream, or the empty one where it would be */

static ngx_http_tocsin_wrapped_t *
ngx_http_tocsin_find_wrapped(ngx_http_tocsin_upstreams_t *upstreams,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_uint_t                  i;
    ngx_http_tocsin_wrapped_t  *w;

    i = ((uintptr_t) us >> 4) * 2654435761u >> 8;

    for ( ;; ) {
        w = &upstreams->slots[i++ & upstreams->mask];

        if (w->us == us || w->us == NULL) {
            return w;
        }
    }
}


static ngx_int_t
ngx_http_tocsin_init_peer(ngx_http_request_t *r,
    ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_tocsin_wrapped_t    *w;
    ngx_http_tocsin_request_t    *tr;
    ngx_http_tocsin_exchange_t   *ex;
    ngx_http_tocsin_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tocsin_module);

    w = ngx_http_tocsin_find_wrapped(tmcf->upstreams, us);

    if (w->us == NULL) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "tocsin: upstream \"%V\" is not known", &us->host);
        return NGX_ERROR;
    }

    if (w->init(r, us) != NGX_OK) {
        return NGX_ERROR;
    }

    /* whatever fails from here on must not harm the request */

    tr = ngx_http_tocsin_locate(r);

    if (tr == NULL || !tr->conf->enable) {
        return NGX_OK;
    }

    ex = ngx_http_tocsin_alloc_exchange(tmcf->upstreams, r->pool);
    if (ex == NULL) {
        return NGX_OK;
    }

    ex->request = tr;
    ex->upstream = r->upstream;
    ex->name = w->name;
    ex->who = w->who;
    ex->place = w->place;
    ex->current = NULL;
    ex->attempts = NULL;
    ex->last = &ex->attempts;
    ex->rc = NGX_OK;
    ex->coarse = 0;

    ex->next = tr->exchanges;
    tr->exchanges = ex;

    ngx_http_tocsin_wrap_peer(ex);

    return NGX_OK;
}


/* all is set by who asks, of an attempt when it begins: it is much memory */

static ngx_http_tocsin_exchange_t *
ngx_http_tocsin_alloc_exchange(ngx_http_tocsin_upstreams_t *upstreams,
    ngx_pool_t *pool)
{
    ngx_http_tocsin_exchange_t  *ex;

    if (upstreams->free) {
        ex = upstreams->free;
        upstreams->free = ex->next;

    } else if (upstreams->used < NGX_HTTP_TOCSIN_EXCHANGES) {
        ex = &upstreams->exchanges[upstreams->used++];

    } else {
        ex = ngx_palloc(pool, sizeof(ngx_http_tocsin_exchange_t));
    }

    return ex;
}


/* after the log phase nobody looks at them again */

void
ngx_http_tocsin_free_exchanges(ngx_http_tocsin_main_conf_t *tmcf,
    ngx_http_tocsin_request_t *tr)
{
    ngx_http_tocsin_exchange_t   *ex, *next;
    ngx_http_tocsin_upstreams_t  *upstreams;

    upstreams = tmcf->upstreams;

    for (ex = tr->exchanges; ex; ex = next) {
        next = ex->next;

        if (ex >= upstreams->exchanges
            && ex < upstreams->exchanges + NGX_HTTP_TOCSIN_EXCHANGES)
        {
            ex->next = upstreams->free;
            upstreams->free = ex;
        }
    }

    tr->exchanges = NULL;
}


static void
ngx_http_tocsin_wrap_peer(ngx_http_tocsin_exchange_t *ex)
{
    ngx_http_upstream_t    *u;
    ngx_peer_connection_t  *pc;

    u = ex->upstream;
    pc = &u->peer;

    ex->data = pc->data;
    ex->get = pc->get;
    ex->free = pc->free;
    ex->notify = pc->notify;

    pc->data = ex;
    pc->get = ngx_http_tocsin_get_peer;
    pc->free = ngx_http_tocsin_free_peer;

    if (ex->notify) {
        pc->notify = ngx_http_tocsin_notify_peer;
    }

#if (NGX_SSL || NGX_COMPAT)
    ex->set_session = pc->set_session;
    ex->save_session = pc->save_session;

    if (ex->set_session) {
        pc->set_session = ngx_http_tocsin_set_session;
    }

    if (ex->save_session) {
        pc->save_session = ngx_http_tocsin_save_session;
    }
#endif

    if (u->output.output_filter) {
        ex->output_filter = u->output.output_filter;
        ex->filter_ctx = u->output.filter_ctx;

        u->output.output_filter = ngx_http_tocsin_output_filter;
        u->output.filter_ctx = ex;
    }

    if (u->finalize_request != ngx_http_tocsin_finalize) {
        ex->finalize = u->finalize_request;
        u->finalize_request = ngx_http_tocsin_finalize;

    } else {
        ex->finalize = ex->next->finalize;
    }
}


static ngx_int_t
ngx_http_tocsin_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_tocsin_exchange_t *ex = data;

    ngx_int_t                     rc;
    ngx_http_request_t           *r;
    ngx_http_tocsin_attempt_t    *at;
    ngx_http_tocsin_main_conf_t  *tmcf;

    at = ngx_http_tocsin_begin_attempt(ex);

    rc = ex->get(pc, ex->data);

    if (at == NULL) {
        return rc;
    }

    if (rc == NGX_BUSY) {
        ngx_http_tocsin_end_attempt(ex, TOCSIN_ERROR_NO_LIVE);
        return rc;
    }

    if (rc == NGX_ERROR) {
        ngx_http_tocsin_end_attempt(ex, TOCSIN_ERROR_LOCAL);
        return rc;
    }

    if (pc->name) {
        at->peer.data = pc->name->data;
        at->peer.len = ngx_min(pc->name->len, TOCSIN_TEXT_MAX);
    }

    r = ex->request->request;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tocsin_module);

    ngx_http_tocsin_inflight_enter(tmcf, ex, at, pc->sockaddr);

    return rc;
}


/* what is first sent is sent at once when the connection stands */

static ngx_int_t
ngx_http_tocsin_output_filter(void *data, ngx_chain_t *in)
{
    ngx_http_tocsin_exchange_t *ex = data;

    ngx_http_tocsin_attempt_t  *at;

    at = ex->current;

    if (at && at->connect == TOCSIN_NONE && !ex->upstream->peer.cached) {
        at->connect = ngx_http_tocsin_monotonic() - at->start;
    }

    return ex->output_filter(ex->filter_ctx, in);
}


static void
ngx_http_tocsin_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_tocsin_request_t   *tr;
    ngx_http_tocsin_exchange_t  *ex;

    tr = ngx_http_tocsin_get_request(r);

    for (ex = tr->exchanges; ex->upstream != r->upstream; ex = ex->next) {
        /* void */
    }

    ex->rc = rc;
    ex->finalize(r, rc);
}


static void
ngx_http_tocsin_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_http_tocsin_exchange_t *ex = data;

    ngx_uint_t  failed;

    if (ex->current) {
        failed = state & (NGX_PEER_FAILED|NGX_PEER_NEXT);

        ngx_http_tocsin_end_attempt(ex,
                                    ngx_http_tocsin_error_of(ex, pc, failed));
    }

    ex->free(pc, ex->data, state);
}


static void
ngx_http_tocsin_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type)
{
    ngx_http_tocsin_exchange_t *ex = data;

    ex->notify(pc, ex->data, type);
}


#if (NGX_SSL || NGX_COMPAT)

static ngx_int_t
ngx_http_tocsin_set_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_tocsin_exchange_t *ex = data;

    return ex->set_session(pc, ex->data);
}


static void
ngx_http_tocsin_save_session(ngx_peer_connection_t *pc, void *data)
{
    ngx_http_tocsin_exchange_t *ex = data;

    ex->save_session(pc, ex->data);
}

#endif
