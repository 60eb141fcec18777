
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tocsin_status.h"


static void ngx_http_tocsin_view_series(ngx_http_tocsin_feed_t *feed,
    ngx_http_tocsin_view_t *view);
static void ngx_http_tocsin_view_reasons(ngx_http_tocsin_view_t *view);
static void ngx_http_tocsin_view_reason(ngx_http_tocsin_view_t *view,
    const char *text);
static ngx_uint_t ngx_http_tocsin_view_rank(struct tocsin_span state);
static int ngx_libc_cdecl ngx_http_tocsin_view_compare(const void *one,
    const void *two);


void
ngx_http_tocsin_view(ngx_http_tocsin_feed_t *feed,
    ngx_http_tocsin_view_t *view)
{
    ngx_http_tocsin_copy_t   *copy;
    ngx_http_tocsin_board_t  *board;

    ngx_memzero(view, sizeof(ngx_http_tocsin_view_t));

    board = feed->board;

    view->now = ngx_tocsin_now();
    view->following = ngx_http_tocsin_board_alive(board);
    view->worker = ngx_http_tocsin_board_holder(board);

    copy = &feed->copies[NGX_HTTP_TOCSIN_DOC_LINK];

    if (ngx_http_tocsin_board_read(board, NGX_HTTP_TOCSIN_DOC_LINK, copy)
        == NGX_OK
        && copy->len == sizeof(view->link))
    {
        ngx_memcpy(&view->link, copy->data, sizeof(view->link));
        view->link.error[sizeof(view->link.error) - 1] = '\0';
    }

    view->redis = view->following
                  && view->link.up
                  && view->now < view->link.replied + NGX_HTTP_TOCSIN_SILENCE;

    ngx_http_tocsin_view_series(feed, view);

    copy = &feed->copies[NGX_HTTP_TOCSIN_DOC_ALERTS];

    if (ngx_http_tocsin_board_read(board, NGX_HTTP_TOCSIN_DOC_ALERTS, copy)
        == NGX_OK)
    {
        view->alerts = tocsin_span_of((char *) copy->data, copy->len);
    }

    ngx_tocsin_totals(feed->conf, &view->totals);

    ngx_http_tocsin_view_reasons(view);
}


static void
ngx_http_tocsin_view_series(ngx_http_tocsin_feed_t *feed,
    ngx_http_tocsin_view_t *view)
{
    struct tocsin_span       pairs;
    ngx_http_tocsin_copy_t  *copy;

    tocsin_board_init(&view->series);

    copy = &feed->copies[NGX_HTTP_TOCSIN_DOC_SERIES];

    if (ngx_http_tocsin_board_read(feed->board, NGX_HTTP_TOCSIN_DOC_SERIES,
                                   copy)
        != NGX_OK
        || copy->len < sizeof(view->head))
    {
        return;
    }

    ngx_memcpy(&view->head, copy->data, sizeof(view->head));

    pairs = tocsin_span_of((char *) copy->data + sizeof(view->head),
                           copy->len - sizeof(view->head));

    ngx_http_tocsin_series_decode(&view->series, pairs);

    /*
     * our own clock says when a snapshot came; one that was found in the
     * stream may be old, and there is only the sidecar's clock to tell
     */

    view->heartbeat = view->head.received;

    if (view->head.history) {
        view->heartbeat = ngx_min(view->heartbeat, view->series.ts);
    }

    view->series_known = 1;
    view->sidecar = view->now < view->heartbeat + NGX_HTTP_TOCSIN_SILENCE;
}


static void
ngx_http_tocsin_view_reasons(ngx_http_tocsin_view_t *view)
{
    if (!view->following) {
        ngx_http_tocsin_view_reason(view, "no worker follows the alerts");

    } else if (!view->redis) {
        ngx_http_tocsin_view_reason(view, view->link.up
                                          ? "Redis does not answer"
                                          : "no connection to Redis");

    } else if (!view->link.whole) {
        ngx_http_tocsin_view_reason(view, "the alerts are not read yet");
    }

    if (!view->series_known) {
        ngx_http_tocsin_view_reason(view, "the sidecar was never heard of");

    } else if (!view->sidecar) {
        ngx_http_tocsin_view_reason(view, "the sidecar is silent");

    } else if (view->series.lag > NGX_HTTP_TOCSIN_LAG) {
        ngx_http_tocsin_view_reason(view, "the sidecar lags behind");
    }
}


static void
ngx_http_tocsin_view_reason(ngx_http_tocsin_view_t *view, const char *text)
{
    ngx_str_t  *reason;

    reason = &view->reasons[view->nreasons++];

    reason->data = (u_char *) text;
    reason->len = ngx_strlen(text);
}


ngx_int_t
ngx_http_tocsin_view_next(ngx_http_tocsin_view_t *view,
    struct tocsin_span *rest, ngx_http_tocsin_shown_t *shown)
{
    struct tocsin_alert           *alert;
    ngx_http_tocsin_alert_head_t   head;

    if (rest->len < sizeof(head)) {
        return NGX_DONE;
    }

    ngx_memcpy(&head, rest->data, sizeof(head));

    if (head.size < sizeof(head) || head.size > rest->len) {
        return NGX_DONE;
    }

    alert = &shown->alert;

    ngx_http_tocsin_alert_decode(alert,
                                 tocsin_span_of(rest->data + sizeof(head),
                                                head.size - sizeof(head)));

    if (head.gone) {
        alert->state = TOCSIN_SPAN("resolved");
        alert->ended = head.gone;
        alert->updated = head.gone;
    }

    shown->change = head.change;
    shown->rank = ngx_http_tocsin_view_rank(alert->state);

    if (shown->rank == NGX_HTTP_TOCSIN_RESOLVED) {
        shown->silenced_by = TOCSIN_SPAN("");

    } else {
        shown->silenced_by = tocsin_silenced_by(view->series.silenced,
                                                alert->id);
    }

    *rest = tocsin_span_of(rest->data + head.size, rest->len - head.size);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tocsin_view_rank(struct tocsin_span state)
{
    if (tocsin_span_eq(state, TOCSIN_SPAN("firing"))) {
        return NGX_HTTP_TOCSIN_FIRING;
    }

    return tocsin_span_eq(state, TOCSIN_SPAN("pending"))
           ? NGX_HTTP_TOCSIN_PENDING : NGX_HTTP_TOCSIN_RESOLVED;
}


ngx_array_t *
ngx_http_tocsin_view_alerts(ngx_http_tocsin_view_t *view, ngx_pool_t *pool)
{
    ngx_array_t              *alerts;
    struct tocsin_span        rest;
    ngx_http_tocsin_shown_t   shown, *slot;

    alerts = ngx_array_create(pool, 16, sizeof(ngx_http_tocsin_shown_t));
    if (alerts == NULL) {
        return NULL;
    }

    rest = view->alerts;

    while (ngx_http_tocsin_view_next(view, &rest, &shown) == NGX_OK) {

        slot = ngx_array_push(alerts);
        if (slot == NULL) {
            return NULL;
        }

        *slot = shown;
    }

    ngx_qsort(alerts->elts, alerts->nelts, sizeof(ngx_http_tocsin_shown_t),
              ngx_http_tocsin_view_compare);

    return alerts;
}


static int ngx_libc_cdecl
ngx_http_tocsin_view_compare(const void *one, const void *two)
{
    const ngx_http_tocsin_shown_t *a = one;
    const ngx_http_tocsin_shown_t *b = two;

    if (a->rank != b->rank) {
        return a->rank < b->rank ? -1 : 1;
    }

    if (a->alert.started != b->alert.started) {
        return a->alert.started > b->alert.started ? -1 : 1;
    }

    return 0;
}
