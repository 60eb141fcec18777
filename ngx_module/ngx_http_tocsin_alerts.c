
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tocsin_alerts.h"


#define NGX_HTTP_TOCSIN_RANK_RESOLVED  0
#define NGX_HTTP_TOCSIN_RANK_PENDING   1
#define NGX_HTTP_TOCSIN_RANK_FIRING    2
#define NGX_HTTP_TOCSIN_RANK_NONE      3


static ngx_uint_t ngx_http_tocsin_alerts_rank(struct tocsin_span state);
static ngx_uint_t ngx_http_tocsin_alerts_find(
    ngx_http_tocsin_alerts_t *alerts, struct tocsin_span id);
static ngx_int_t ngx_http_tocsin_alerts_put(ngx_http_tocsin_alerts_t *alerts,
    ngx_http_tocsin_alert_head_t *head, struct tocsin_span pairs,
    ngx_log_t *log);
static void ngx_http_tocsin_alerts_remove(ngx_http_tocsin_alerts_t *alerts,
    ngx_uint_t i);
static void ngx_http_tocsin_alerts_fit(ngx_http_tocsin_alerts_t *alerts);
static ngx_int_t ngx_http_tocsin_alerts_listed(struct tocsin_span list,
    struct tocsin_span id);


void
ngx_http_tocsin_alerts_restore(ngx_http_tocsin_alerts_t *alerts,
    ngx_http_tocsin_board_t *board, ngx_log_t *log)
{
    u_char                        *p, *last;
    ngx_http_tocsin_copy_t         copy;
    ngx_http_tocsin_alert_head_t   head;

    ngx_memzero(alerts, sizeof(ngx_http_tocsin_alerts_t));
    ngx_memzero(&copy, sizeof(ngx_http_tocsin_copy_t));

    /* grows from one feed to the next, too */

    alerts->change = ngx_tocsin_now();
    alerts->room = ngx_http_tocsin_board_room(board,
                                              NGX_HTTP_TOCSIN_DOC_ALERTS);

    if (ngx_http_tocsin_board_read(board, NGX_HTTP_TOCSIN_DOC_ALERTS, &copy)
        != NGX_OK)
    {
        return;
    }

    last = copy.data + copy.len;

    for (p = copy.data; (size_t) (last - p) >= sizeof(head); p += head.size) {

        ngx_memcpy(&head, p, sizeof(head));

        if (head.size < sizeof(head) || head.size > (size_t) (last - p)) {
            break;
        }

        (void) ngx_http_tocsin_alerts_put(alerts, &head,
                   tocsin_span_of((char *) p + sizeof(head),
                                  head.size - sizeof(head)),
                   log);
    }

    ngx_http_tocsin_copy_free(&copy);

    alerts->dirty = 0;
}


ngx_int_t
ngx_http_tocsin_alerts_take(ngx_http_tocsin_alerts_t *alerts,
    ngx_http_tocsin_id_t id, struct tocsin_span pairs, ngx_log_t *log)
{
    ngx_http_tocsin_alert_head_t  head;

    head.size = sizeof(head) + pairs.len;
    head.change = ++alerts->change;
    head.gone = 0;
    head.id = id;

    return ngx_http_tocsin_alerts_put(alerts, &head, pairs, log);
}


static ngx_int_t
ngx_http_tocsin_alerts_put(ngx_http_tocsin_alerts_t *alerts,
    ngx_http_tocsin_alert_head_t *head, struct tocsin_span pairs,
    ngx_log_t *log)
{
    u_char                   *p;
    ngx_uint_t                i, rank;
    struct tocsin_span        copied;
    struct tocsin_alert       alert;
    ngx_http_tocsin_known_t  *known;

    ngx_http_tocsin_alert_decode(&alert, pairs);

    rank = ngx_http_tocsin_alerts_rank(alert.state);

    if (alert.id.len == 0 || rank == NGX_HTTP_TOCSIN_RANK_NONE) {
        return NGX_ERROR;
    }

    i = ngx_http_tocsin_alerts_find(alerts, alert.id);

    if (i < alerts->n) {

        if (!ngx_http_tocsin_id_after(head->id, alerts->known[i].head.id)) {
            return NGX_DECLINED;
        }
    }

    p = ngx_alloc(head->size, log);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    if (i < alerts->n) {
        ngx_http_tocsin_alerts_remove(alerts, i);
    }

    known = &alerts->known[alerts->n++];

    known->pairs = p;
    known->head = *head;

    p = ngx_cpymem(p, head, sizeof(ngx_http_tocsin_alert_head_t));
    ngx_memcpy(p, pairs.data, pairs.len);

    copied = tocsin_span_of((char *) p, pairs.len);
    ngx_http_tocsin_alert_decode(&alert, copied);

    known->id = alert.id;
    known->updated = alert.updated;
    known->rank = head->gone ? NGX_HTTP_TOCSIN_RANK_RESOLVED : rank;

    alerts->size += head->size;
    alerts->change = ngx_max(alerts->change, head->change);
    alerts->dirty = 1;

    ngx_http_tocsin_alerts_fit(alerts);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_tocsin_alerts_rank(struct tocsin_span state)
{
    if (tocsin_span_eq(state, TOCSIN_SPAN("firing"))) {
        return NGX_HTTP_TOCSIN_RANK_FIRING;
    }

    if (tocsin_span_eq(state, TOCSIN_SPAN("pending"))) {
        return NGX_HTTP_TOCSIN_RANK_PENDING;
    }

    if (tocsin_span_eq(state, TOCSIN_SPAN("resolved"))) {
        return NGX_HTTP_TOCSIN_RANK_RESOLVED;
    }

    return NGX_HTTP_TOCSIN_RANK_NONE;
}


static ngx_uint_t
ngx_http_tocsin_alerts_find(ngx_http_tocsin_alerts_t *alerts,
    struct tocsin_span id)
{
    ngx_uint_t  i;

    for (i = 0; i < alerts->n; i++) {
        if (tocsin_span_eq(alerts->known[i].id, id)) {
            break;
        }
    }

    return i;
}


static void
ngx_http_tocsin_alerts_remove(ngx_http_tocsin_alerts_t *alerts, ngx_uint_t i)
{
    alerts->size -= alerts->known[i].head.size;

    ngx_free(alerts->known[i].pairs);

    alerts->known[i] = alerts->known[--alerts->n];
    alerts->dirty = 1;
}


static void
ngx_http_tocsin_alerts_fit(ngx_http_tocsin_alerts_t *alerts)
{
    ngx_uint_t                i, worst;
    ngx_http_tocsin_known_t  *a, *b;

    while (alerts->n > NGX_HTTP_TOCSIN_ALERTS
           || (alerts->n && alerts->size > alerts->room))
    {
        worst = 0;

        for (i = 1; i < alerts->n; i++) {
            a = &alerts->known[i];
            b = &alerts->known[worst];

            if (a->rank < b->rank
                || (a->rank == b->rank && a->updated < b->updated))
            {
                worst = i;
            }
        }

        if (alerts->known[worst].rank != NGX_HTTP_TOCSIN_RANK_RESOLVED) {
            alerts->forgotten++;
        }

        ngx_http_tocsin_alerts_remove(alerts, worst);
    }
}


void
ngx_http_tocsin_alerts_reconcile(ngx_http_tocsin_alerts_t *alerts,
    ngx_http_tocsin_id_t id, uint64_t ts, struct tocsin_span active)
{
    uint64_t                  gone;
    ngx_uint_t                i;
    struct tocsin_span        pairs;
    struct tocsin_alert       alert;
    ngx_http_tocsin_known_t  *known;

    for (i = 0; i < alerts->n; i++) {
        known = &alerts->known[i];

        if ((known->rank == NGX_HTTP_TOCSIN_RANK_RESOLVED
             && known->head.gone == 0)
            || !ngx_http_tocsin_id_after(id, known->head.id))
        {
            continue;
        }

        if (!ngx_http_tocsin_alerts_listed(active, known->id)) {

            if (known->head.gone) {
                continue;
            }

            gone = ts;

        } else if (known->head.gone) {
            gone = 0;

        } else {
            continue;
        }

        pairs = tocsin_span_of((char *) known->pairs + sizeof(known->head),
                               known->head.size - sizeof(known->head));
        ngx_http_tocsin_alert_decode(&alert, pairs);

        known->head.gone = gone;
        known->head.change = ++alerts->change;
        known->rank = gone ? NGX_HTTP_TOCSIN_RANK_RESOLVED
                           : ngx_http_tocsin_alerts_rank(alert.state);
        known->updated = gone ? gone : alert.updated;

        ngx_memcpy(known->pairs, &known->head, sizeof(known->head));

        alerts->dirty = 1;
    }
}


static ngx_int_t
ngx_http_tocsin_alerts_listed(struct tocsin_span list, struct tocsin_span id)
{
    const char  *p, *last, *comma;

    last = list.data + list.len;

    for (p = list.data; p < last; p = comma + 1) {

        comma = memchr(p, ',', last - p);
        if (comma == NULL) {
            comma = last;
        }

        if (tocsin_span_eq(tocsin_span_of(p, comma - p), id)) {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_tocsin_alerts_expire(ngx_http_tocsin_alerts_t *alerts, uint64_t now)
{
    ngx_uint_t  i;

    for (i = alerts->n; i-- > 0; /* void */ ) {

        if (alerts->known[i].rank == NGX_HTTP_TOCSIN_RANK_RESOLVED
            && alerts->known[i].updated + NGX_HTTP_TOCSIN_KEEP < now)
        {
            ngx_http_tocsin_alerts_remove(alerts, i);
        }
    }
}


ngx_int_t
ngx_http_tocsin_alerts_write(ngx_http_tocsin_alerts_t *alerts,
    ngx_http_tocsin_board_t *board)
{
    ngx_int_t   rc;
    ngx_str_t   pieces[NGX_HTTP_TOCSIN_ALERTS + 1];
    ngx_uint_t  i;

    if (!alerts->dirty) {
        return NGX_OK;
    }

    for (i = 0; i < alerts->n; i++) {
        pieces[i].data = alerts->known[i].pairs;
        pieces[i].len = alerts->known[i].head.size;
    }

    rc = ngx_http_tocsin_board_write(board, NGX_HTTP_TOCSIN_DOC_ALERTS,
                                     pieces, alerts->n);

    if (rc == NGX_OK) {
        alerts->dirty = 0;
    }

    return rc;
}


void
ngx_http_tocsin_alerts_free(ngx_http_tocsin_alerts_t *alerts)
{
    while (alerts->n) {
        ngx_http_tocsin_alerts_remove(alerts, alerts->n - 1);
    }
}


ngx_int_t
ngx_http_tocsin_id_after(ngx_http_tocsin_id_t a, ngx_http_tocsin_id_t b)
{
    return a.ms > b.ms || (a.ms == b.ms && a.seq > b.seq);
}
