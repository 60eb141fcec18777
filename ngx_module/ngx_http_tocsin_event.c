
/*
 * Copyright (C) Tocsin authors
 */


/*
 * The log phase: one event for the request, one for each of its attempts, and
 * the same for each of its subrequests.  Nothing is formatted here, texts are
 * handed over as they lie in the configuration or in the request.
 */


#include "ngx_http_tocsin_module.h"


#define NGX_HTTP_TOCSIN_COMPARE  10000       /* us */

#define ngx_http_tocsin_of_action(tr, at)                                     \
    ((tr)->answer && (at)->state >= (tr)->answer->states)


/* what the attempts of a request say together */

typedef struct {
    ngx_uint_t                       attempts;
    ngx_uint_t                       failed;
    ngx_http_tocsin_attempt_t       *last;
} ngx_http_tocsin_summary_t;


/* one log phase: the moment, and one draw for all that is sampled then */

typedef struct {
    ngx_http_tocsin_main_conf_t     *tmcf;
    uint64_t                         now;       /* us, monotonic */
    uint64_t                         wall;      /* us since the epoch */
    int64_t                          draw;      /* -1: not yet */
} ngx_http_tocsin_log_t;


static void ngx_http_tocsin_log_requests(ngx_http_tocsin_main_conf_t *tmcf,
    ngx_http_tocsin_request_t *tr);
static uint64_t ngx_http_tocsin_wall(ngx_http_tocsin_main_conf_t *tmcf,
    uint64_t now);
static void ngx_http_tocsin_log_request(ngx_http_tocsin_log_t *log,
    ngx_http_tocsin_request_t *tr);
static void ngx_http_tocsin_summarize(ngx_http_tocsin_request_t *tr,
    ngx_http_tocsin_summary_t *sum);
static void ngx_http_tocsin_set_times(ngx_http_tocsin_log_t *log,
    ngx_http_tocsin_request_t *tr, ngx_http_tocsin_attempt_t *last,
    struct tocsin_event *ev);
static ngx_uint_t ngx_http_tocsin_status(ngx_http_request_t *r);
static ngx_inline uint64_t ngx_http_tocsin_flags(
    ngx_http_tocsin_request_t *tr, ngx_uint_t status);
static ngx_uint_t ngx_http_tocsin_long_lived(ngx_http_tocsin_request_t *tr,
    ngx_uint_t status);
static ngx_inline struct tocsin_span ngx_http_tocsin_cache(
    ngx_http_tocsin_request_t *tr);
static ngx_inline void ngx_http_tocsin_set_place(struct tocsin_event *ev,
    ngx_http_tocsin_place_t *place);

static void ngx_http_tocsin_log_attempts(ngx_http_tocsin_log_t *log,
    ngx_http_tocsin_request_t *tr, ngx_http_tocsin_attempt_t *last,
    struct tocsin_event *ev);
static void ngx_http_tocsin_log_attempt(ngx_http_tocsin_log_t *log,
    ngx_http_tocsin_exchange_t *ex, ngx_http_tocsin_attempt_t *at,
    struct tocsin_event *ev);


/* a post_action begins: what is said of the request is as it is now */

void
ngx_http_tocsin_keep_answer(ngx_http_tocsin_request_t *tr)
{
    ngx_http_request_t        *r;
    ngx_http_tocsin_answer_t  *answer;

    r = tr->request;

    answer = ngx_palloc(r->pool, sizeof(ngx_http_tocsin_answer_t));
    if (answer == NULL) {
        return;
    }

    answer->status = ngx_http_tocsin_status(r);
    answer->flags = ngx_http_tocsin_flags(tr, answer->status);
    answer->cache = ngx_http_tocsin_cache(tr);
    answer->states = r->upstream_states ? r->upstream_states->nelts : 0;

    if (r->uri_changes == NGX_HTTP_MAX_URI_CHANGES) {

        /* it was redirected to the action only */

        answer->flags &= ~TOCSIN_FLAG_INTERNAL;
    }

    if (tr->end == 0) {
        tr->end = ngx_http_tocsin_monotonic();
    }

    tr->follow = 0;
    tr->answer = answer;
}


ngx_int_t
ngx_http_tocsin_log_handler(ngx_http_request_t *r)
{
    ngx_http_tocsin_request_t         *tr;
    ngx_http_tocsin_main_conf_t       *tmcf;

    static ngx_http_tocsin_request_t   early;

    tr = ngx_http_tocsin_get_request(r);

    if (r != r->main) {

        /* with "log_subrequest on": it ends here, and is sent with the main */

        if (tr) {
            tr->end = ngx_http_tocsin_monotonic();
            tr->follow = 0;
        }

        return NGX_OK;
    }

    if (tr == NULL) {

        /* refused before anything was kept of it */

        ngx_memzero(&early, sizeof(ngx_http_tocsin_request_t));

        early.request = r;
        early.method = r->method;
        early.version = r->http_version;

        tr = &early;
    }

    if (tr->conf == NULL) {
        tr->conf = ngx_http_get_module_loc_conf(r, ngx_http_tocsin_module);
        tr->early = 1;
    }

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tocsin_module);

    if (tr->conf->enable || tr->next) {
        ngx_http_tocsin_log_requests(tmcf, tr);
    }

    ngx_http_tocsin_free_request(tmcf, tr);

    return NGX_OK;
}


static void
ngx_http_tocsin_log_requests(ngx_http_tocsin_main_conf_t *tmcf,
    ngx_http_tocsin_request_t *tr)
{
    ngx_http_tocsin_log_t       log;
    ngx_http_tocsin_request_t  *sub;

    log.tmcf = tmcf;
    log.now = ngx_http_tocsin_monotonic();
    log.wall = ngx_http_tocsin_wall(tmcf, log.now);
    log.draw = -1;

    for (sub = tr->next; sub; sub = sub->next) {
        if (sub->conf && sub->conf->enable) {
            ngx_http_tocsin_log_request(&log, sub);
            ngx_http_tocsin_free_exchanges(tmcf, sub);
        }
    }

    if (tr->conf->enable) {
        ngx_http_tocsin_log_request(&log, tr);
        ngx_http_tocsin_free_exchanges(tmcf, tr);
    }

    ngx_tocsin_commit(&tmcf->tocsin);
}


/*
 * Both clocks run at one speed and differ by what the other one is set by:
 * that is noticed within 10 ms.
 */

static uint64_t
ngx_http_tocsin_wall(ngx_http_tocsin_main_conf_t *tmcf, uint64_t now)
{
    if (now - tmcf->compared >= NGX_HTTP_TOCSIN_COMPARE) {
        tmcf->compared = now;
        tmcf->difference = ngx_tocsin_now() - now;
    }

    return now + tmcf->difference;
}


static void
ngx_http_tocsin_log_request(ngx_http_tocsin_log_t *log,
    ngx_http_tocsin_request_t *tr)
{
    ngx_http_request_t          *r;
    ngx_http_tocsin_summary_t    sum;
    ngx_http_tocsin_loc_conf_t  *tlcf;

    static u_char                labels[TOCSIN_LABELS_MAX];
    static u_char                fields[TOCSIN_LABELS_MAX];
    static struct tocsin_event   ev;

    r = tr->request;
    tlcf = tr->conf;

    if ((r->upstream_states && r->upstream_states->nelts != tr->attempts)
        || (r->upstream && r->upstream->resolved))
    {
        ngx_http_tocsin_add_coarse(tr, log->now);
    }

    ngx_http_tocsin_summarize(tr, &sum);

    ev.stream = TOCSIN_REQUEST;

    if (tr->answer) {
        ev.status = tr->answer->status;
        ev.flags = tr->answer->flags;
        ev.cache = tr->answer->cache;

    } else {
        ev.status = ngx_http_tocsin_status(r);
        ev.flags = ngx_http_tocsin_flags(tr, ev.status);
        ev.cache = ngx_http_tocsin_cache(tr);
    }

    ngx_http_tocsin_set_times(log, tr, sum.last, &ev);

    if (ngx_http_tocsin_weigh(tlcf, sum.failed, &log->draw, &ev) != NGX_OK) {
        return;
    }

    ev.server = tlcf->server;
    ev.route = tlcf->route ? ngx_http_tocsin_evaluate(r, tlcf->route)
                           : tlcf->location;
    ev.where = tlcf->where;
    ev.how = ngx_http_tocsin_how(tr->method, tr->version);

    ev.in = (r == r->main) ? r->request_length : 0;
    ev.out = (r == r->main) ? r->connection->sent : 0;

    ev.attempts = sum.attempts;
    ev.grpc = sum.last ? sum.last->grpc : TOCSIN_NONE;

    ngx_http_tocsin_set_place(&ev, sum.last ? sum.last->place : NULL);

    ev.labels = tlcf->labels.constant;
    ev.fields = tlcf->fields.constant;

    if (tlcf->labels.variable) {
        ev.labels = ngx_http_tocsin_evaluate_labels(r, &tlcf->labels, labels);
    }

    if (tlcf->fields.variable) {
        ev.fields = ngx_http_tocsin_evaluate_labels(r, &tlcf->fields, fields);
    }

    ev.req = ngx_tocsin_emit(&log->tmcf->tocsin, &ev);

    if (tr->exchanges) {
        ngx_http_tocsin_log_attempts(log, tr, sum.last, &ev);
    }
}


/* turns the exchanges round: from here on, the oldest is the first */

static void
ngx_http_tocsin_summarize(ngx_http_tocsin_request_t *tr,
    ngx_http_tocsin_summary_t *sum)
{
    ngx_http_tocsin_attempt_t   *at;
    ngx_http_tocsin_exchange_t  *ex, *next, *first;

    first = NULL;

    for (ex = tr->exchanges; ex; ex = next) {
        next = ex->next;
        ex->next = first;
        first = ex;
    }

    tr->exchanges = first;

    sum->attempts = 0;
    sum->failed = 0;
    sum->last = NULL;

    for (ex = first; ex; ex = ex->next) {

        if (ex->current) {
            /* its balancer was taken away from it: it was never let go */
            ngx_http_tocsin_end_attempt(ex, TOCSIN_ERROR_LOCAL);
        }

        for (at = ex->attempts; at; at = at->next) {

            if (ngx_http_tocsin_of_action(tr, at)) {
                break;
            }

            sum->attempts++;
            sum->failed += (at->error != TOCSIN_ERROR_NONE);
            sum->last = at;
        }
    }
}


static void
ngx_http_tocsin_set_times(ngx_http_tocsin_log_t *log,
    ngx_http_tocsin_request_t *tr, ngx_http_tocsin_attempt_t *last,
    struct tocsin_event *ev)
{
    uint64_t             end;
    ngx_int_t            ms;
    ngx_time_t          *tp;
    ngx_http_request_t  *r;

    r = tr->request;

    if (tr->start == 0) {

        /* refused while it was read: all that is known is in ms */

        tp = ngx_timeofday();

        ms = (ngx_int_t)
                 ((tp->sec - r->start_sec) * 1000 + (tp->msec - r->start_msec));

        ev->dur = ngx_max(ms, 0) * 1000;
        ev->ts = log->wall;

        return;
    }

    end = log->now;

    if (tr->end) {
        end = tr->end;

        if (last) {
            end = ngx_max(end, last->end);
        }

    } else if (r != r->main) {
        end = last ? last->end : tr->start;
    }

    ev->dur = end - tr->start + tr->before;
    ev->ts = log->wall - (log->now - end);
}


static ngx_uint_t
ngx_http_tocsin_status(ngx_http_request_t *r)
{
    return r->err_status ? r->err_status : r->headers_out.status;
}


static ngx_inline uint64_t
ngx_http_tocsin_flags(ngx_http_tocsin_request_t *tr, ngx_uint_t status)
{
    uint64_t             flags;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = tr->request;
    c = r->connection;

    flags = 0;

    if (ngx_http_tocsin_long_lived(tr, status)) {
        flags |= TOCSIN_FLAG_LONG_LIVED;
    }

    if (status == NGX_HTTP_SWITCHING_PROTOCOLS) {
        flags |= TOCSIN_FLAG_UPGRADED;
    }

    if (r != r->main) {
        flags |= TOCSIN_FLAG_SUBREQUEST;

    } else if (r->internal) {
        flags |= TOCSIN_FLAG_INTERNAL;
    }

    /* after a whole answer, it is only the rest of a body that failed */

    if (status == NGX_HTTP_CLIENT_CLOSED_REQUEST
        || (!r->done
            && (c->error || (c->timedout && status != NGX_HTTP_CLOSE))))
    {
        flags |= TOCSIN_FLAG_ABORTED;
    }

    if (tr->early && (status == 0 || status >= NGX_HTTP_BAD_REQUEST)) {
        flags |= TOCSIN_FLAG_EARLY;
    }

    return flags;
}


static ngx_uint_t
ngx_http_tocsin_long_lived(ngx_http_tocsin_request_t *tr, ngx_uint_t status)
{
    ngx_str_t  *type;

    if (status == NGX_HTTP_SWITCHING_PROTOCOLS) {
        return 1;
    }

    if (tr->method == NGX_HTTP_CONNECT
        && status >= NGX_HTTP_OK && status < NGX_HTTP_SPECIAL_RESPONSE)
    {
        return 1;
    }

    type = &tr->request->headers_out.content_type;

    return type->len >= 17
           && (type->data[5] | 0x20) == 'e'
           && ngx_strncasecmp(type->data, (u_char *) "text/event-stream", 17)
              == 0;
}


/* of the upstream that answered; a redirect may have put another in place */

static ngx_inline struct tocsin_span
ngx_http_tocsin_cache(ngx_http_tocsin_request_t *tr)
{
#if (NGX_HTTP_CACHE)

    ngx_uint_t                   status;
    ngx_str_t                   *text;
    ngx_http_tocsin_exchange_t  *ex;

    if (tr->request->upstream == NULL) {
        return TOCSIN_SPAN("");
    }

    status = tr->request->upstream->cache_status;

    for (ex = tr->exchanges; ex && status == 0; ex = ex->next) {
        status = ex->upstream->cache_status;
    }

    if (status) {
        text = &ngx_http_cache_status[status - 1];
        return tocsin_span_of((char *) text->data, text->len);
    }

#endif

    return TOCSIN_SPAN("");
}


static ngx_inline void
ngx_http_tocsin_set_place(struct tocsin_event *ev,
    ngx_http_tocsin_place_t *place)
{
    ev->place = place ? place->piece : TOCSIN_SPAN("");
}


/* ev holds the event of the request: what is the same stays as it is */

static void
ngx_http_tocsin_log_attempts(ngx_http_tocsin_log_t *log,
    ngx_http_tocsin_request_t *tr, ngx_http_tocsin_attempt_t *last,
    struct tocsin_event *ev)
{
    uint64_t                     flags;
    ngx_http_tocsin_place_t     *place;
    ngx_http_tocsin_attempt_t   *at;
    ngx_http_tocsin_exchange_t  *ex;

    ev->stream = TOCSIN_UPSTREAM;
    ev->attempt = 0;

    place = last ? last->place : NULL;
    flags = ev->flags & (TOCSIN_FLAG_SUBREQUEST|TOCSIN_FLAG_SLOW);

    for (ex = tr->exchanges; ex; ex = ex->next) {
        for (at = ex->attempts; at; at = at->next) {

            if (ngx_http_tocsin_of_action(tr, at)
                && !(flags & TOCSIN_FLAG_SUBREQUEST))
            {
                flags |= TOCSIN_FLAG_SUBREQUEST;
                ev->attempt = 0;
            }

            ev->flags = flags;
            ev->attempt++;

            if (at->place != place) {
                place = at->place;
                ngx_http_tocsin_set_place(ev, place);
            }

            ngx_http_tocsin_log_attempt(log, ex, at, ev);
        }
    }
}


static void
ngx_http_tocsin_log_attempt(ngx_http_tocsin_log_t *log,
    ngx_http_tocsin_exchange_t *ex, ngx_http_tocsin_attempt_t *at,
    struct tocsin_event *ev)
{
    if (at->long_lived) {
        ev->flags |= TOCSIN_FLAG_LONG_LIVED;
    }

    if (at->status == NGX_HTTP_SWITCHING_PROTOCOLS) {
        ev->flags |= TOCSIN_FLAG_UPGRADED;
    }

    if (ex->coarse) {
        ev->flags |= TOCSIN_FLAG_COARSE;
    }

    ev->ts = log->wall - (log->now - at->end);
    ev->dur = at->end - at->start;

    ev->upstream = tocsin_span_of((char *) ex->name.data, ex->name.len);
    ev->who = ex->who;
    ev->peer = tocsin_span_of((char *) at->peer.data, at->peer.len);
    ev->status = at->status;
    ev->error = at->error ? tocsin_error_text(at->error) : TOCSIN_SPAN("");
    ev->connect = at->connect;
    ev->header = at->header;
    ev->in = at->in;
    ev->out = at->out;
    ev->grpc = at->grpc;

    (void) ngx_tocsin_emit(&log->tmcf->tocsin, ev);
}
