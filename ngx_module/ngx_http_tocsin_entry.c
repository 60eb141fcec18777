
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tocsin_feed.h"


/* the most that one entry may hold: an alert, a snapshot */

#define NGX_HTTP_TOCSIN_ALERT_MAX    (64 * 1024)
#define NGX_HTTP_TOCSIN_SERIES_MAX   (3 * TOCSIN_BOARD_MAX + 64 * 1024)


static ngx_uint_t ngx_http_tocsin_entry_depth(ngx_http_tocsin_feed_t *feed);
static ngx_int_t ngx_http_tocsin_entry_parse_id(ngx_http_tocsin_id_t *id,
    u_char *p, size_t len);
static u_char *ngx_http_tocsin_entry_add(ngx_http_tocsin_feed_t *feed,
    size_t len);
static void ngx_http_tocsin_entry_pair(ngx_http_tocsin_feed_t *feed,
    u_char *p, size_t len);
static void ngx_http_tocsin_entry_end(ngx_http_tocsin_feed_t *feed);
static void ngx_http_tocsin_entry_series(ngx_http_tocsin_feed_t *feed);
static ngx_int_t ngx_http_tocsin_entry_write(
    ngx_http_tocsin_feed_t *feed, ngx_http_tocsin_series_head_t *head,
    struct tocsin_span rows);


/* in an answer to XREAD entries lie two levels deeper than to XREVRANGE */

static ngx_uint_t
ngx_http_tocsin_entry_depth(ngx_http_tocsin_feed_t *feed)
{
    return feed->step == ngx_http_tocsin_feed_follow ? 3 : 1;
}


void
ngx_http_tocsin_entry_array(void *data, ngx_uint_t depth, size_t elements)
{
    ngx_http_tocsin_feed_t *feed = data;

    if (depth != ngx_http_tocsin_entry_depth(feed) + 1) {
        return;
    }

    feed->len = 0;
    feed->odd = 0;
    feed->left = elements;
    feed->broken = (elements % 2 != 0);

    /* room for the head of a snapshot: it is written as one piece */

    if (ngx_http_tocsin_entry_add(feed, sizeof(ngx_http_tocsin_series_head_t))
        == NULL)
    {
        feed->broken = 1;
    }

    if (elements == 0) {
        feed->state.malformed++;
    }
}


void
ngx_http_tocsin_entry_string(void *data, ngx_uint_t depth, u_char *p,
    size_t len)
{
    ngx_http_tocsin_feed_t *feed = data;

    ngx_uint_t  base;

    base = ngx_http_tocsin_entry_depth(feed);

    if (base == 3 && depth == 2) {
        feed->series = (len == feed->series_key.len
                        && ngx_memcmp(p, feed->series_key.data, len) == 0);
        return;
    }

    if (depth == base + 1) {
        if (ngx_http_tocsin_entry_parse_id(&feed->id, p, len) != NGX_OK) {
            ngx_memzero(&feed->id, sizeof(ngx_http_tocsin_id_t));
        }

        feed->entries++;
        return;
    }

    if (depth != base + 2 || feed->left == 0) {
        return;
    }

    feed->left--;

    if (!feed->broken) {
        ngx_http_tocsin_entry_pair(feed, p, len);
    }

    if (feed->left == 0) {
        ngx_http_tocsin_entry_end(feed);
    }
}


/* half a pair: its lengths and its name, or the value that belongs to it */

static void
ngx_http_tocsin_entry_pair(ngx_http_tocsin_feed_t *feed, u_char *p, size_t len)
{
    u_char    *to;
    uint32_t   sizes[2];

    sizes[0] = (uint32_t) len;
    sizes[1] = 0;

    if (!feed->odd) {
        to = ngx_http_tocsin_entry_add(feed, sizeof(sizes) + len);
        if (to == NULL) {
            feed->broken = 1;
            return;
        }

        feed->name = to - feed->buf;

        to = ngx_cpymem(to, sizes, sizeof(sizes));
        ngx_memcpy(to, p, len);

    } else {
        to = ngx_http_tocsin_entry_add(feed, len);
        if (to == NULL) {
            feed->broken = 1;
            return;
        }

        ngx_memcpy(feed->buf + feed->name + sizeof(uint32_t), sizes,
                   sizeof(uint32_t));
        ngx_memcpy(to, p, len);
    }

    feed->odd = !feed->odd;
}


void
ngx_http_tocsin_entry_integer(void *data, ngx_uint_t depth, int64_t value)
{
    ngx_http_tocsin_feed_t *feed = data;

    (void) value;

    if (depth == ngx_http_tocsin_entry_depth(feed) + 2 && feed->left) {
        feed->broken = 1;
        feed->left--;
    }
}


void
ngx_http_tocsin_entry_nil(void *data, ngx_uint_t depth)
{
    /* nothing new within the time, or a value that cannot be there */

    ngx_http_tocsin_entry_integer(data, depth, 0);
}


static ngx_int_t
ngx_http_tocsin_entry_parse_id(ngx_http_tocsin_id_t *id, u_char *p, size_t len)
{
    u_char  *dash;
    off_t    ms, seq;

    dash = ngx_strlchr(p, p + len, '-');
    if (dash == NULL) {
        return NGX_ERROR;
    }

    ms = ngx_atoof(p, dash - p);
    seq = ngx_atoof(dash + 1, p + len - dash - 1);

    if (ms == NGX_ERROR || seq == NGX_ERROR) {
        return NGX_ERROR;
    }

    id->ms = ms;
    id->seq = seq;

    return NGX_OK;
}


static u_char *
ngx_http_tocsin_entry_add(ngx_http_tocsin_feed_t *feed, size_t len)
{
    u_char  *p;
    size_t   size, max;

    max = feed->series ? NGX_HTTP_TOCSIN_SERIES_MAX
                       : NGX_HTTP_TOCSIN_ALERT_MAX;

    if (len > max || feed->len + len > max) {
        return NULL;
    }

    if (feed->len + len > feed->size) {

        size = ngx_max(2 * feed->size, feed->len + len);
        size = ngx_max(size, NGX_HTTP_TOCSIN_ALERT_MAX);

        p = ngx_alloc(size, feed->log);
        if (p == NULL) {
            return NULL;
        }

        if (feed->buf) {
            ngx_memcpy(p, feed->buf, feed->len);
            ngx_free(feed->buf);
        }

        feed->buf = p;
        feed->size = size;
    }

    p = feed->buf + feed->len;
    feed->len += len;

    return p;
}


static void
ngx_http_tocsin_entry_end(ngx_http_tocsin_feed_t *feed)
{
    struct tocsin_span     pairs;
    ngx_http_tocsin_id_t  *last;

    last = feed->series ? &feed->series_id : &feed->alerts_id;

    if (ngx_http_tocsin_id_after(feed->id, *last)) {
        *last = feed->id;
    }

    if (ngx_http_tocsin_id_after(feed->oldest, feed->id)) {
        feed->oldest = feed->id;
    }

    if (feed->broken) {
        feed->state.malformed++;
        return;
    }

    if (feed->series) {
        ngx_http_tocsin_entry_series(feed);
        return;
    }

    pairs.data = (char *) feed->buf + sizeof(ngx_http_tocsin_series_head_t);
    pairs.len = feed->len - sizeof(ngx_http_tocsin_series_head_t);

    if (ngx_http_tocsin_alerts_take(feed->alerts, feed->id, pairs, feed->log)
        == NGX_ERROR)
    {
        feed->state.malformed++;
    }
}


static void
ngx_http_tocsin_entry_series(ngx_http_tocsin_feed_t *feed)
{
    u_char                         *p;
    ngx_int_t                       rc;
    struct tocsin_span              pairs;
    struct tocsin_board             series;
    ngx_http_tocsin_series_head_t   head;

    static const char  too_small[] =
        "tocsin_zone is too small for the sidecar's snapshot";

    pairs.data = (char *) feed->buf + sizeof(head);
    pairs.len = feed->len - sizeof(head);

    ngx_http_tocsin_series_decode(&series, pairs);

    if (series.ts == 0) {
        feed->state.malformed++;
        return;
    }

    head.received = ngx_tocsin_now();
    head.history = (feed->step != ngx_http_tocsin_feed_follow);
    head.cut = 0;
    head.id = feed->id;

    rc = ngx_http_tocsin_entry_write(feed, &head, series.rows);

    if (rc == NGX_ERROR) {
        ngx_http_tocsin_follow_fault(feed, too_small, sizeof(too_small) - 1);
    }

    p = ngx_alloc(series.active.len + 1, feed->log);
    if (p == NULL) {
        return;
    }

    ngx_memcpy(p, series.active.data, series.active.len);

    if (feed->active) {
        ngx_free(feed->active);
    }

    feed->active = p;
    feed->active_len = series.active.len;
    feed->active_ts = series.ts;

    if (feed->step == ngx_http_tocsin_feed_follow) {
        ngx_http_tocsin_alerts_reconcile(feed->alerts, feed->id, series.ts,
                                         series.active);
    }
}


static ngx_int_t
ngx_http_tocsin_entry_write(ngx_http_tocsin_feed_t *feed,
    ngx_http_tocsin_series_head_t *head, struct tocsin_span rows)
{
    size_t      room, rest;
    u_char     *start, *cut, *last;
    uint32_t    len;
    ngx_str_t   pieces[2];

    room = ngx_http_tocsin_board_room(feed->board, NGX_HTTP_TOCSIN_DOC_SERIES);
    last = feed->buf + feed->len;

    pieces[0].data = feed->buf;
    pieces[0].len = feed->len;
    pieces[1].data = last;
    pieces[1].len = 0;

    if (feed->len > room) {

        /* the last rows are those that matter least */

        start = (u_char *) rows.data;
        rest = feed->len - rows.len;

        if (rows.len == 0 || rest > room) {
            return NGX_ERROR;
        }

        for (cut = start + (room - rest); cut > start; cut--) {
            if (cut[-1] == '\n') {
                break;
            }
        }

        /* the length of a value lies before the name */

        len = (uint32_t) (cut - start);
        ngx_memcpy(start - (sizeof("rows") - 1) - sizeof(uint32_t), &len,
                   sizeof(uint32_t));

        head->cut = rows.len - len;

        pieces[0].len = cut - feed->buf;
        pieces[1].data = start + rows.len;
        pieces[1].len = last - pieces[1].data;
    }

    ngx_memcpy(feed->buf, head, sizeof(ngx_http_tocsin_series_head_t));

    return ngx_http_tocsin_board_write(feed->board,
                                       NGX_HTTP_TOCSIN_DOC_SERIES, pieces, 2);
}
