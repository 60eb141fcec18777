
/*
 * Copyright (C) Tocsin authors
 */


/*
 * One attempt: from asking for a peer to letting it go, and the reason when
 * the peer gave no whole answer.
 */


#include "ngx_http_tocsin_module.h"


static enum tocsin_error ngx_http_tocsin_peer_error(ngx_http_upstream_t *u,
    ngx_connection_t *c);
static enum tocsin_error ngx_http_tocsin_body_error(
    ngx_http_tocsin_exchange_t *ex, ngx_connection_t *c);
static uint64_t ngx_http_tocsin_grpc_status(ngx_http_upstream_t *u);
static ngx_table_elt_t *ngx_http_tocsin_find_header(ngx_list_t *list,
    ngx_str_t *name);


ngx_http_tocsin_attempt_t *
ngx_http_tocsin_begin_attempt(ngx_http_tocsin_exchange_t *ex)
{
    ngx_http_request_t         *r;
    ngx_http_tocsin_attempt_t  *at;

    r = ex->request->request;

    if (ex->current) {
        /* a balancer that let the previous peer go without telling */
        ngx_http_tocsin_end_attempt(ex, TOCSIN_ERROR_LOCAL);
    }

    if (ex->attempts == NULL) {
        at = &ex->first;

    } else {
        at = ngx_palloc(r->pool, sizeof(ngx_http_tocsin_attempt_t));
        if (at == NULL) {
            return NULL;
        }
    }

    at->next = NULL;
    at->start = ngx_http_tocsin_monotonic();
    at->end = 0;
    at->connect = TOCSIN_NONE;
    at->header = TOCSIN_NONE;
    at->in = 0;
    at->out = 0;
    at->grpc = TOCSIN_NONE;
    ngx_str_null(&at->peer);
    at->place = ex->place;
    at->status = 0;
    at->error = TOCSIN_ERROR_NONE;
    at->long_lived = 0;
    at->slot = NULL;
    at->state = r->upstream_states->nelts - 1;

    *ex->last = at;
    ex->last = &at->next;
    ex->current = at;
    ex->request->attempts++;

    return at;
}


void
ngx_http_tocsin_end_attempt(ngx_http_tocsin_exchange_t *ex,
    enum tocsin_error error)
{
    ngx_str_t                  *type;
    ngx_http_upstream_t        *u;
    ngx_http_tocsin_attempt_t  *at;
    ngx_http_upstream_state_t  *state;

    at = ex->current;
    ex->current = NULL;

    ngx_http_tocsin_inflight_leave(at);

    at->end = ngx_http_tocsin_monotonic();
    at->error = error;

    u = ex->upstream;
    state = ex->request->request->upstream_states->elts;
    state += at->state;

    at->in = state->bytes_received;
    at->out = state->bytes_sent;

    if (state->header_time == (ngx_msec_t) -1) {
        return;
    }

    at->status = state->status;

    if (at->header == TOCSIN_NONE) {
        /* the header was not passed on, so it is only just known */
        at->header = at->end - at->start;
    }

    if (u->conf->module.len == 4
        && ngx_strncmp(u->conf->module.data, "grpc", 4) == 0)
    {
        at->grpc = ngx_http_tocsin_grpc_status(u);
    }

    if (at->status == NGX_HTTP_SWITCHING_PROTOCOLS) {
        at->long_lived = 1;
    }

    if (u->headers_in.content_type) {
        type = &u->headers_in.content_type->value;

        if (type->len >= 17
            && ngx_strncasecmp(type->data, (u_char *) "text/event-stream", 17)
               == 0)
        {
            at->long_lived = 1;
        }
    }
}


enum tocsin_error
ngx_http_tocsin_error_of(ngx_http_tocsin_exchange_t *ex,
    ngx_peer_connection_t *pc, ngx_uint_t failed)
{
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_upstream_state_t  *state;

    c = pc->connection;
    r = ex->request->request;

    state = r->upstream_states->elts;
    state += ex->current->state;

    if (state->header_time != (ngx_msec_t) -1) {

        /* another peer is asked because of the status of this one */

        return failed ? TOCSIN_ERROR_NONE : ngx_http_tocsin_body_error(ex, c);
    }

    if (failed) {
        return c ? ngx_http_tocsin_peer_error(ex->upstream, c)
                 : TOCSIN_ERROR_CONNECT;
    }

    /* not the peer's failure: the client's, or our own */

    if (r->connection->error
        || ex->rc == NGX_DONE
        || (ex->rc >= NGX_HTTP_BAD_REQUEST
            && ex->rc < NGX_HTTP_INTERNAL_SERVER_ERROR))
    {
        return TOCSIN_ERROR_ABORTED;
    }

    return TOCSIN_ERROR_LOCAL;
}


/* the peer failed before its header was whole */

static enum tocsin_error
ngx_http_tocsin_peer_error(ngx_http_upstream_t *u, ngx_connection_t *c)
{
    ngx_uint_t  timedout;

    timedout = c->read->timedout || c->write->timedout;

    if (!u->request_sent) {

#if (NGX_HTTP_SSL)
        if (c->ssl) {
            return timedout ? TOCSIN_ERROR_TIMEOUT : TOCSIN_ERROR_TLS;
        }
#endif

        return timedout ? TOCSIN_ERROR_CONNECT_TIMEOUT : TOCSIN_ERROR_CONNECT;
    }

    if (timedout) {
        return TOCSIN_ERROR_TIMEOUT;
    }

    if (c->read->eof || c->read->error || c->write->error || c->error) {
        return TOCSIN_ERROR_RESET;
    }

    return TOCSIN_ERROR_INVALID;
}


/* the header was whole; what nginx ends the exchange with tells the rest */

static enum tocsin_error
ngx_http_tocsin_body_error(ngx_http_tocsin_exchange_t *ex, ngx_connection_t *c)
{
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ex->request->request;
    u = ex->upstream;

    if (ex->rc == NGX_OK || ex->rc == NGX_DECLINED) {
        return TOCSIN_ERROR_NONE;
    }

    if (r->connection->error
        || (u->pipe && u->pipe->downstream_error)
        || ex->rc == NGX_DONE
        || ex->rc == NGX_HTTP_REQUEST_TIME_OUT
        || ex->rc == NGX_HTTP_CLIENT_CLOSED_REQUEST)
    {
        return TOCSIN_ERROR_ABORTED;
    }

    if (!u->header_sent) {
        /* its status is answered by an error page, or our memory ran out */
        return (ex->rc == NGX_ERROR) ? TOCSIN_ERROR_LOCAL : TOCSIN_ERROR_NONE;
    }

    if (c && (c->read->timedout || c->write->timedout)) {
        return TOCSIN_ERROR_TIMEOUT;
    }

    switch (ex->rc) {

    case NGX_HTTP_BAD_GATEWAY:
        return TOCSIN_ERROR_TRUNCATED;

    case NGX_HTTP_GATEWAY_TIME_OUT:
        return TOCSIN_ERROR_TIMEOUT;

    case NGX_ERROR:
        return TOCSIN_ERROR_INVALID;

    default:
        return TOCSIN_ERROR_LOCAL;
    }
}


/* in a trailer, or in the header if there was nothing else */

static uint64_t
ngx_http_tocsin_grpc_status(ngx_http_upstream_t *u)
{
    ngx_int_t         n;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("grpc-status");

    h = ngx_http_tocsin_find_header(&u->headers_in.trailers, &name);

    if (h == NULL) {
        h = ngx_http_tocsin_find_header(&u->headers_in.headers, &name);
    }

    if (h == NULL) {
        return TOCSIN_NONE;
    }

    n = ngx_atoi(h->value.data, h->value.len);

    return (n == NGX_ERROR) ? TOCSIN_NONE : (uint64_t) n;
}


static ngx_table_elt_t *
ngx_http_tocsin_find_header(ngx_list_t *list, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &list->part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == name->len
                && ngx_strncasecmp(h[i].key.data, name->data, name->len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}
