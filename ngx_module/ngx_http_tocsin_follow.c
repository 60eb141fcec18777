
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tocsin_feed.h"


#define NGX_HTTP_TOCSIN_FOLLOW_RETRY  1000
#define NGX_HTTP_TOCSIN_FOLLOW_PAGES  40

#define ngx_http_tocsin_number(n)     #n
#define ngx_http_tocsin_text(n)       ngx_http_tocsin_number(n)


static void ngx_http_tocsin_follow_ready(void *data);
static void ngx_http_tocsin_follow_error(void *data, ngx_uint_t depth,
    u_char *p, size_t len);
static void ngx_http_tocsin_follow_reply(void *data);
static ngx_uint_t ngx_http_tocsin_follow_snapshot(
    ngx_http_tocsin_feed_t *feed, ngx_str_t *args);
static ngx_uint_t ngx_http_tocsin_follow_history(
    ngx_http_tocsin_feed_t *feed, ngx_str_t *args, u_char *buf);
static ngx_uint_t ngx_http_tocsin_follow_news(ngx_http_tocsin_feed_t *feed,
    ngx_str_t *args, u_char *buf);
static ngx_int_t ngx_http_tocsin_follow_command(ngx_http_tocsin_feed_t *feed,
    ngx_str_t *args, ngx_uint_t n);


const ngx_tocsin_link_handler_t  ngx_http_tocsin_feed_handler = {
    ngx_http_tocsin_entry_array,
    ngx_http_tocsin_entry_string,
    ngx_http_tocsin_entry_integer,
    ngx_http_tocsin_entry_nil,
    ngx_http_tocsin_follow_error,
    ngx_http_tocsin_follow_reply,
    ngx_http_tocsin_follow_ready,
    ngx_http_tocsin_follow_lost,
    NULL,
    NULL
};


void
ngx_http_tocsin_follow_fault(ngx_http_tocsin_feed_t *feed, const char *text,
    size_t len)
{
    len = ngx_min(len, sizeof(feed->state.error) - 1);

    ngx_memcpy(feed->state.error, text, len);
    feed->state.error[len] = '\0';
    feed->state.error_us = ngx_tocsin_now();
}


static void
ngx_http_tocsin_follow_ready(void *data)
{
    ngx_http_tocsin_feed_t *feed = data;

    feed->state.up = 1;
    feed->state.whole = 0;
    feed->state.since = ngx_tocsin_now();
    feed->state.replied = feed->state.since;

    feed->step = ngx_http_tocsin_feed_snapshot;
    feed->pages = 0;
    feed->retry = 0;

    ngx_memzero(&feed->alerts_id, sizeof(ngx_http_tocsin_id_t));
    ngx_memzero(&feed->series_id, sizeof(ngx_http_tocsin_id_t));

    ngx_http_tocsin_follow_ask(feed);
}


void
ngx_http_tocsin_follow_lost(void *data)
{
    ngx_http_tocsin_feed_t *feed = data;

    if (feed->state.up) {
        feed->state.up = 0;
        feed->state.since = ngx_tocsin_now();
    }

    feed->step = ngx_http_tocsin_feed_idle;
    feed->retry = 0;
    feed->left = 0;
}


static void
ngx_http_tocsin_follow_error(void *data, ngx_uint_t depth, u_char *p,
    size_t len)
{
    ngx_http_tocsin_feed_t *feed = data;

    (void) depth;

    ngx_http_tocsin_follow_fault(feed, (char *) p, len);

    feed->retry = (ngx_current_msec + NGX_HTTP_TOCSIN_FOLLOW_RETRY) | 1;
}


static void
ngx_http_tocsin_follow_reply(void *data)
{
    ngx_http_tocsin_feed_t *feed = data;

    feed->state.replied = ngx_tocsin_now();

    if (feed->retry) {
        return;
    }

    switch (feed->step) {

    case ngx_http_tocsin_feed_snapshot:
        feed->step = ngx_http_tocsin_feed_history;
        feed->oldest.ms = NGX_MAX_INT_T_VALUE;
        feed->oldest.seq = 0;
        break;

    case ngx_http_tocsin_feed_history:

        if (feed->entries == NGX_HTTP_TOCSIN_FEED_PAGE
            && ++feed->pages < NGX_HTTP_TOCSIN_FOLLOW_PAGES)
        {
            break;
        }

        if (feed->active) {
            ngx_http_tocsin_alerts_reconcile(feed->alerts, feed->series_id,
                            feed->active_ts,
                            tocsin_span_of((char *) feed->active,
                                           feed->active_len));
        }

        feed->step = ngx_http_tocsin_feed_follow;
        feed->state.whole = 1;
        feed->state.error[0] = '\0';
        break;

    case ngx_http_tocsin_feed_follow:
        feed->state.error[0] = '\0';
        break;

    default:
        return;
    }

    ngx_http_tocsin_feed_publish(feed);
    ngx_http_tocsin_follow_ask(feed);
}


void
ngx_http_tocsin_follow_ask(ngx_http_tocsin_feed_t *feed)
{
    u_char      buf[4 * NGX_INT64_LEN + 4];
    ngx_str_t   args[10];
    ngx_uint_t  n;

    feed->entries = 0;
    feed->left = 0;

    switch (feed->step) {

    case ngx_http_tocsin_feed_snapshot:
        n = ngx_http_tocsin_follow_snapshot(feed, args);
        break;

    case ngx_http_tocsin_feed_history:
        n = ngx_http_tocsin_follow_history(feed, args, buf);
        break;

    case ngx_http_tocsin_feed_follow:
        n = ngx_http_tocsin_follow_news(feed, args, buf);
        break;

    default:
        return;
    }

    if (ngx_http_tocsin_follow_command(feed, args, n) != NGX_OK) {
        feed->retry = (ngx_current_msec + NGX_HTTP_TOCSIN_FOLLOW_RETRY) | 1;
    }
}


static ngx_uint_t
ngx_http_tocsin_follow_snapshot(ngx_http_tocsin_feed_t *feed, ngx_str_t *args)
{
    feed->series = 1;

    ngx_str_set(&args[0], "XREVRANGE");
    args[1] = feed->series_key;
    ngx_str_set(&args[2], "+");
    ngx_str_set(&args[3], "-");
    ngx_str_set(&args[4], "COUNT");
    ngx_str_set(&args[5], "1");

    return 6;
}


static ngx_uint_t
ngx_http_tocsin_follow_history(ngx_http_tocsin_feed_t *feed, ngx_str_t *args,
    u_char *buf)
{
    u_char  *p;

    feed->series = 0;

    ngx_str_set(&args[0], "XREVRANGE");
    args[1] = feed->alerts_key;
    ngx_str_set(&args[2], "+");
    ngx_str_set(&args[3], "-");
    ngx_str_set(&args[4], "COUNT");

    if (feed->pages) {

        /* just below the oldest; "(" would need Redis 6.2 */

        args[2].data = buf;

        if (feed->oldest.seq) {
            buf = ngx_sprintf(buf, "%uL-%uL", feed->oldest.ms,
                              feed->oldest.seq - 1);
        } else {
            buf = ngx_sprintf(buf, "%uL", feed->oldest.ms - 1);
        }

        args[2].len = buf - args[2].data;
    }

    p = ngx_sprintf(buf, "%d", NGX_HTTP_TOCSIN_FEED_PAGE);

    args[5].data = buf;
    args[5].len = p - buf;

    return 6;
}


static ngx_uint_t
ngx_http_tocsin_follow_news(ngx_http_tocsin_feed_t *feed, ngx_str_t *args,
    u_char *buf)
{
    u_char  *p;

    ngx_str_set(&args[0], "XREAD");
    ngx_str_set(&args[1], "COUNT");
    ngx_str_set(&args[2], "16");
    ngx_str_set(&args[3], "BLOCK");
    ngx_str_set(&args[4], ngx_http_tocsin_text(NGX_HTTP_TOCSIN_FEED_BLOCK));
    ngx_str_set(&args[5], "STREAMS");
    args[6] = feed->alerts_key;
    args[7] = feed->series_key;

    p = ngx_sprintf(buf, "%uL-%uL", feed->alerts_id.ms, feed->alerts_id.seq);

    args[8].data = buf;
    args[8].len = p - buf;

    args[9].data = p;
    p = ngx_sprintf(p, "%uL-%uL", feed->series_id.ms, feed->series_id.seq);
    args[9].len = p - args[9].data;

    return 10;
}


static ngx_int_t
ngx_http_tocsin_follow_command(ngx_http_tocsin_feed_t *feed, ngx_str_t *args,
    ngx_uint_t n)
{
    u_char      *p, command[2048];
    ngx_uint_t   i;

    p = ngx_sprintf(command, "*%ui" CRLF, n);

    for (i = 0; i < n; i++) {

        if (args[i].len + 32 > (size_t) (command + sizeof(command) - p)) {
            return NGX_ERROR;
        }

        p = ngx_sprintf(p, "$%uz" CRLF "%V" CRLF, args[i].len, &args[i]);
    }

    return ngx_tocsin_link_send(feed->link, command, p - command);
}
