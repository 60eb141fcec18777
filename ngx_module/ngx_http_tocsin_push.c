
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tocsin_push.h"
#include "ngx_http_tocsin_status.h"


#define NGX_HTTP_TOCSIN_PUSH_TICK    250
#define NGX_HTTP_TOCSIN_PUSH_STATE   1000
#define NGX_HTTP_TOCSIN_PUSH_STUCK   30000    /* ms that a client may sleep */
#define NGX_HTTP_TOCSIN_PUSH_MAX     256      /* clients of a worker */


typedef struct {
    ngx_queue_t                queue;
    ngx_http_request_t        *request;
    ngx_http_tocsin_feed_t    *feed;
    ngx_buf_t                  buf;
    u_char                    *data;
    size_t                     size;
    uint64_t                   change;       /* of alerts, seen so far */
    uint64_t                   version;      /* of DOC_ALERTS, likewise */
    ngx_msec_t                 sent;         /* a state */
    ngx_msec_t                 stuck;        /* since when, or 0 */
    unsigned                   queued:1;
} ngx_http_tocsin_push_t;


typedef struct {
    ngx_http_tocsin_push_t    *push;
    ngx_http_tocsin_view_t    *view;
    uint64_t                   change;
    unsigned                   state:1;
} ngx_http_tocsin_news_t;


static void ngx_http_tocsin_push_tick(ngx_event_t *ev);
static ngx_int_t ngx_http_tocsin_push_news(ngx_http_tocsin_push_t *push,
    ngx_http_tocsin_view_t *view);
static ngx_int_t ngx_http_tocsin_push_stuck(ngx_http_tocsin_push_t *push);
static ngx_int_t ngx_http_tocsin_push_send(ngx_http_tocsin_push_t *push,
    ngx_http_tocsin_news_t *news);
static void ngx_http_tocsin_push_text(struct tocsin_out *out,
    ngx_http_tocsin_news_t *news);
static void ngx_http_tocsin_push_event(struct tocsin_out *out,
    const char *name);
static void ngx_http_tocsin_push_writer(ngx_http_request_t *r);
static void ngx_http_tocsin_push_end(ngx_http_tocsin_push_t *push,
    ngx_int_t rc);
static void ngx_http_tocsin_push_leave(ngx_http_tocsin_push_t *push);
static void ngx_http_tocsin_push_cleanup(void *data);


ngx_int_t
ngx_http_tocsin_push(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_http_cleanup_t      *cln;
    ngx_http_tocsin_feed_t  *feed;
    ngx_http_tocsin_push_t  *push;
    ngx_http_tocsin_view_t   view;

    feed = ngx_http_tocsin_get_feed(r);

    if (feed->npushes == NGX_HTTP_TOCSIN_PUSH_MAX || ngx_exiting) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    /* a proxy in front shall not collect what is meant to be seen now */

    if (ngx_http_tocsin_header(r, "Cache-Control", "no-store") != NGX_OK
        || ngx_http_tocsin_header(r, "X-Accel-Buffering", "no") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    push = ngx_pcalloc(r->pool, sizeof(ngx_http_tocsin_push_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (push == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    push->request = r;
    push->feed = feed;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;
    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->keepalive = 0;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (ngx_queue_empty(&feed->pushes)) {
        ngx_add_timer(&feed->push, NGX_HTTP_TOCSIN_PUSH_TICK);
    }

    ngx_queue_insert_tail(&feed->pushes, &push->queue);
    feed->npushes++;
    push->queued = 1;

    cln->handler = ngx_http_tocsin_push_cleanup;
    cln->data = push;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_tocsin_push_writer;

    ngx_http_tocsin_view(feed, &view);

    if (ngx_http_tocsin_push_news(push, &view) == NGX_ERROR) {
        /* the caller ends the request */
        return NGX_ERROR;
    }

    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_tocsin_push_tick(ngx_event_t *ev)
{
    ngx_queue_t             *q, *next;
    ngx_connection_t        *c, *pc;
    ngx_http_tocsin_feed_t  *feed;
    ngx_http_tocsin_push_t  *push;
    ngx_http_tocsin_view_t   view;

    c = ev->data;
    feed = c->data;

    if (ngx_exiting || ngx_terminate) {
        ngx_http_tocsin_push_close(feed);
        return;
    }

    if (ngx_queue_empty(&feed->pushes)) {
        return;
    }

    ngx_http_tocsin_view(feed, &view);

    q = ngx_queue_head(&feed->pushes);

    while (q != ngx_queue_sentinel(&feed->pushes)) {
        next = ngx_queue_next(q);

        push = ngx_queue_data(q, ngx_http_tocsin_push_t, queue);
        pc = push->request->connection;

        if (ngx_http_tocsin_push_news(push, &view) == NGX_ERROR) {
            ngx_http_tocsin_push_end(push, NGX_ERROR);
            ngx_http_run_posted_requests(pc);
        }

        q = next;
    }

    if (!ngx_queue_empty(&feed->pushes)) {
        ngx_add_timer(ev, NGX_HTTP_TOCSIN_PUSH_TICK);
    }
}


static ngx_int_t
ngx_http_tocsin_push_news(ngx_http_tocsin_push_t *push,
    ngx_http_tocsin_view_t *view)
{
    uint64_t                version;
    ngx_int_t               rc;
    ngx_http_tocsin_news_t  news;

    rc = ngx_http_tocsin_push_stuck(push);

    if (rc != NGX_OK) {
        return rc;
    }

    version = push->feed->copies[NGX_HTTP_TOCSIN_DOC_ALERTS].version;

    news.push = push;
    news.view = view;
    news.change = push->change;
    news.state = (version != push->version
                  || push->sent == 0
                  || ngx_current_msec - push->sent
                     >= NGX_HTTP_TOCSIN_PUSH_STATE);

    if (!news.state) {
        return NGX_OK;
    }

    if (ngx_http_tocsin_push_send(push, &news) == NGX_ERROR) {
        return NGX_ERROR;
    }

    push->change = news.change;
    push->version = version;
    push->sent = ngx_current_msec | 1;

    return NGX_OK;
}


/* what was sent before must be gone: there is one buffer, and one only */

static ngx_int_t
ngx_http_tocsin_push_stuck(ngx_http_tocsin_push_t *push)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = push->request;
    c = r->connection;

    if (push->buf.pos == push->buf.last && !r->buffered && !c->buffered) {
        push->stuck = 0;
        return NGX_OK;
    }

    if (push->stuck == 0) {
        push->stuck = ngx_current_msec | 1;

    } else if (ngx_current_msec - push->stuck > NGX_HTTP_TOCSIN_PUSH_STUCK) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "tocsin: client of the stream does not read");
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_tocsin_push_send(ngx_http_tocsin_push_t *push,
    ngx_http_tocsin_news_t *news)
{
    ngx_buf_t           *b;
    ngx_chain_t          out;
    struct tocsin_out    text;
    ngx_http_request_t  *r;

    r = push->request;

    for ( ;; ) {
        news->change = push->change;

        text.data = (char *) push->data;
        text.cap = push->size;
        text.need = 0;

        ngx_http_tocsin_push_text(&text, news);

        if (tocsin_out_fits(&text)) {
            break;
        }

        /* of the pool: what HTTP/2 has sent half of outlives the request */

        if (push->data) {
            (void) ngx_pfree(r->pool, push->data);
            push->size = 0;
        }

        push->data = ngx_palloc(r->pool, text.need + 1024);
        if (push->data == NULL) {
            return NGX_ERROR;
        }

        push->size = text.need + 1024;
    }

    b = &push->buf;

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->start = push->data;
    b->pos = push->data;
    b->last = push->data + text.need;
    b->end = b->last;
    b->memory = 1;
    b->flush = 1;
    b->tag = (ngx_buf_tag_t) push;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static void
ngx_http_tocsin_push_text(struct tocsin_out *out, ngx_http_tocsin_news_t *news)
{
    uint64_t                 seen;
    struct tocsin_span       rest;
    struct tocsin_json       json;
    ngx_http_tocsin_shown_t  shown;

    seen = news->push->change;

    if (news->push->sent == 0) {
        tocsin_out_span(out, TOCSIN_SPAN("retry: 2000\nevent: reset\n"
                                         "data: {}\n\n"));
    }

    rest = news->view->alerts;

    while (ngx_http_tocsin_view_next(news->view, &rest, &shown) == NGX_OK) {

        if (shown.change <= seen) {
            continue;
        }

        news->change = ngx_max(news->change, shown.change);

        ngx_http_tocsin_push_event(out, "alert");
        tocsin_alert_json(out, &shown.alert, shown.silenced_by,
                          NGX_HTTP_TOCSIN_RESOLVE);
        tocsin_out_put(out, "\n\n", 2);
    }

    json = tocsin_json_begin(out);

    ngx_http_tocsin_push_event(out, "state");
    ngx_http_tocsin_state(&json, news->push->request, news->view);
    tocsin_out_put(out, "\n\n", 2);
}


static void
ngx_http_tocsin_push_event(struct tocsin_out *out, const char *name)
{
    tocsin_out_span(out, TOCSIN_SPAN("event: "));
    tocsin_out_span(out, tocsin_span_str(name));
    tocsin_out_span(out, TOCSIN_SPAN("\ndata: "));
}


static void
ngx_http_tocsin_push_writer(ngx_http_request_t *r)
{
    if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (ngx_handle_write_event(r->connection->write, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


/*
 * nothing is waited for: a client that does not read must not hold a worker;
 * one that has sent more than its request is read from for a while, though,
 * so the request may outlive this
 */

static void
ngx_http_tocsin_push_end(ngx_http_tocsin_push_t *push, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = push->request;

    ngx_http_tocsin_push_leave(push);

    if (rc == NGX_OK
        && push->buf.pos == push->buf.last
        && !r->buffered && !r->connection->buffered)
    {
        rc = ngx_http_send_special(r, NGX_HTTP_LAST);

        if (rc == NGX_AGAIN || r->connection->buffered) {
            rc = NGX_ERROR;
        }

    } else {
        rc = NGX_ERROR;
    }

    ngx_http_finalize_request(r, rc);
}


static void
ngx_http_tocsin_push_leave(ngx_http_tocsin_push_t *push)
{
    if (push->queued) {
        push->queued = 0;
        ngx_queue_remove(&push->queue);
        push->feed->npushes--;
    }
}


static void
ngx_http_tocsin_push_cleanup(void *data)
{
    ngx_http_tocsin_push_t *push = data;

    ngx_http_tocsin_push_leave(push);
}


void
ngx_http_tocsin_push_init(ngx_http_tocsin_feed_t *feed)
{
    ngx_queue_init(&feed->pushes);

    feed->push.handler = ngx_http_tocsin_push_tick;
    feed->push.data = &feed->connection;
    feed->push.log = feed->log;

    /*
     * not cancelable: an old worker waits for one more tick, in which streams
     * are ended within the event loop; HTTP/2 needs it to close a connection
     */
}


void
ngx_http_tocsin_push_close(ngx_http_tocsin_feed_t *feed)
{
    ngx_queue_t             *q;
    ngx_connection_t        *c;
    ngx_http_tocsin_push_t  *push;

    while (!ngx_queue_empty(&feed->pushes)) {
        q = ngx_queue_head(&feed->pushes);
        push = ngx_queue_data(q, ngx_http_tocsin_push_t, queue);
        c = push->request->connection;

        ngx_http_tocsin_push_end(push, NGX_OK);
        ngx_http_run_posted_requests(c);
    }
}
