
/*
 * Copyright (C) Tocsin authors
 */


/*
 * Attempts that passed no balancer which we have wrapped: "proxy_pass" with
 * variables that name no upstream of the configuration.  What nginx keeps in
 * r->upstream_states tells of them afterwards, in milliseconds.
 */


#include "ngx_http_tocsin_module.h"


static ngx_uint_t ngx_http_tocsin_is_seen(ngx_http_tocsin_request_t *tr,
    ngx_uint_t state);
static void ngx_http_tocsin_add_state(ngx_http_tocsin_request_t *tr,
    ngx_http_upstream_state_t *state, ngx_uint_t i, uint64_t now);
static void ngx_http_tocsin_add_unresolved(ngx_http_tocsin_request_t *tr,
    uint64_t now);
static ngx_http_tocsin_exchange_t *ngx_http_tocsin_add_exchange(
    ngx_http_tocsin_request_t *tr, ngx_uint_t i, uint64_t now);
static void ngx_http_tocsin_resolved_name(ngx_http_request_t *r,
    ngx_http_upstream_resolved_t *ur, ngx_str_t *name);
static enum tocsin_error ngx_http_tocsin_state_error(ngx_http_request_t *r,
    ngx_http_upstream_state_t *state);
static ngx_http_tocsin_place_t *ngx_http_tocsin_place_of_name(
    ngx_http_request_t *r, ngx_str_t *upstream, ngx_str_t *peer);


void
ngx_http_tocsin_add_coarse(ngx_http_tocsin_request_t *tr, uint64_t now)
{
    ngx_uint_t                  i;
    ngx_http_request_t         *r;
    ngx_http_upstream_t        *u;
    ngx_http_upstream_state_t  *state;

    r = tr->request;
    u = r->upstream;

    if (r->upstream_states && r->upstream_states->nelts != tr->attempts) {

        state = r->upstream_states->elts;

        for (i = 0; i < r->upstream_states->nelts; i++) {

            /* states without a peer only separate */

            if (state[i].peer && !ngx_http_tocsin_is_seen(tr, i)) {
                ngx_http_tocsin_add_state(tr, &state[i], i, now);
            }
        }
    }

    if (u && u->resolved && u->upstream == NULL
        && u->peer.get == NULL && u->output.output_filter)
    {
        ngx_http_tocsin_add_unresolved(tr, now);
    }
}


static ngx_uint_t
ngx_http_tocsin_is_seen(ngx_http_tocsin_request_t *tr, ngx_uint_t state)
{
    ngx_http_tocsin_attempt_t   *at;
    ngx_http_tocsin_exchange_t  *ex;

    for (ex = tr->exchanges; ex; ex = ex->next) {
        for (at = ex->attempts; at; at = at->next) {
            if (at->state == state) {
                return 1;
            }
        }
    }

    return 0;
}


static void
ngx_http_tocsin_add_state(ngx_http_tocsin_request_t *tr,
    ngx_http_upstream_state_t *state, ngx_uint_t i, uint64_t now)
{
    ngx_http_tocsin_attempt_t   *at;
    ngx_http_tocsin_exchange_t  *ex;

    ex = ngx_http_tocsin_add_exchange(tr, i, now);
    if (ex == NULL) {
        return;
    }

    at = ex->attempts;

    at->peer = *state->peer;
    at->peer.len = ngx_min(at->peer.len, TOCSIN_TEXT_MAX);
    at->in = state->bytes_received;
    at->out = state->bytes_sent;

    if (state->response_time != (ngx_msec_t) -1) {
        at->start -= ngx_min(at->start, state->response_time * 1000);
    }

    if (state->connect_time != (ngx_msec_t) -1) {
        at->connect = state->connect_time * 1000;
    }

    if (state->header_time != (ngx_msec_t) -1) {
        at->header = state->header_time * 1000;
        at->status = state->status;
    }

    at->error = ngx_http_tocsin_state_error(tr->request, state);
    at->place = ngx_http_tocsin_place_of_name(tr->request, &ex->name,
                                              &at->peer);
}


/* the resolver failed, so no peer was asked */

static void
ngx_http_tocsin_add_unresolved(ngx_http_tocsin_request_t *tr, uint64_t now)
{
    ngx_str_t                    none;
    ngx_http_request_t          *r;
    ngx_http_tocsin_exchange_t  *ex;

    r = tr->request;

    ex = ngx_http_tocsin_add_exchange(tr, NGX_MAX_INT32_VALUE, now);
    if (ex == NULL) {
        return;
    }

    ngx_str_null(&none);

    ex->first.error = r->connection->error ? TOCSIN_ERROR_ABORTED
                                           : TOCSIN_ERROR_LOCAL;
    ex->first.place = ngx_http_tocsin_place_of_name(r, &ex->name, &none);
}


/* in the order of the states, the newest first */

static ngx_http_tocsin_exchange_t *
ngx_http_tocsin_add_exchange(ngx_http_tocsin_request_t *tr, ngx_uint_t i,
    uint64_t now)
{
    ngx_http_request_t            *r;
    ngx_http_upstream_t           *u;
    ngx_http_tocsin_attempt_t     *at;
    ngx_http_tocsin_exchange_t    *ex, **prev;
    ngx_http_upstream_resolved_t  *ur;

    r = tr->request;
    u = r->upstream;

    ex = ngx_pcalloc(r->pool, sizeof(ngx_http_tocsin_exchange_t));
    if (ex == NULL) {
        return NULL;
    }

    at = &ex->first;

    at->start = now;
    at->end = now;
    at->connect = TOCSIN_NONE;
    at->header = TOCSIN_NONE;
    at->grpc = TOCSIN_NONE;
    at->state = i;

    ex->request = tr;
    ex->upstream = u;
    ex->attempts = at;
    ex->coarse = 1;

    ur = u ? u->resolved : NULL;

    if (ur) {
        ngx_http_tocsin_resolved_name(r, ur, &ex->name);
    }

    for (prev = &tr->exchanges; *prev; prev = &(*prev)->next) {
        if ((*prev)->attempts && (*prev)->attempts->state < i) {
            break;
        }
    }

    ex->next = *prev;
    *prev = ex;

    return ex;
}


/* as of an upstream of the configuration: with its port if it has one */

static void
ngx_http_tocsin_resolved_name(ngx_http_request_t *r,
    ngx_http_upstream_resolved_t *ur, ngx_str_t *name)
{
    u_char  *p;

    *name = ur->host;

    if (ur->port && !ur->no_port) {

        p = ngx_pnalloc(r->pool, ur->host.len + sizeof(":65535") - 1);

        if (p) {
            name->data = p;
            name->len = ngx_sprintf(p, "%V:%ui", &ur->host,
                                    (ngx_uint_t) ur->port)
                        - p;
        }
    }

    name->len = ngx_min(name->len, TOCSIN_TEXT_MAX);
}


static enum tocsin_error
ngx_http_tocsin_state_error(ngx_http_request_t *r,
    ngx_http_upstream_state_t *state)
{
    if (state->header_time != (ngx_msec_t) -1) {
        return TOCSIN_ERROR_NONE;
    }

    switch (state->status) {

    case NGX_HTTP_GATEWAY_TIME_OUT:
        return (state->connect_time == (ngx_msec_t) -1)
               ? TOCSIN_ERROR_CONNECT_TIMEOUT : TOCSIN_ERROR_TIMEOUT;

    case NGX_HTTP_BAD_GATEWAY:
        return (state->bytes_sent == 0)
               ? TOCSIN_ERROR_CONNECT : TOCSIN_ERROR_RESET;

    default:
        return r->connection->error ? TOCSIN_ERROR_ABORTED
                                    : TOCSIN_ERROR_LOCAL;
    }
}


static ngx_http_tocsin_place_t *
ngx_http_tocsin_place_of_name(ngx_http_request_t *r, ngx_str_t *upstream,
    ngx_str_t *peer)
{
    ngx_addr_t                    addr;
    ngx_http_tocsin_place_t      *place;
    ngx_http_tocsin_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tocsin_module);

    if (tmcf->cloud == NULL) {
        return NULL;
    }

    if (peer->len
        && ngx_parse_addr_port(r->pool, &addr, peer->data, peer->len) == NGX_OK)
    {
        place = ngx_http_tocsin_place_of_peer(tmcf, addr.sockaddr);

        if (place) {
            return place;
        }
    }

    return ngx_http_tocsin_place_of_upstream(tmcf, upstream);
}
