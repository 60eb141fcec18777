
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_HTTP_TOCSIN_STATUS_H_INCLUDED_
#define _NGX_HTTP_TOCSIN_STATUS_H_INCLUDED_


/*
 * What a location with "tocsin_alerts" serves, all of it from shared memory:
 *
 *     ngx_http_tocsin_status.c     the directive; paths and methods; sending
 *     ngx_http_tocsin_view.c       the board as it is now, and how old
 *     ngx_http_tocsin_api.c        JSON of alerts and series
 *     ngx_http_tocsin_state.c      JSON of how all is going
 *     ngx_http_tocsin_filter.c     which alerts a request asks for
 *     ngx_http_tocsin_silence.c    silences as the board has them
 *     ngx_http_tocsin_post.c       silences made and ended by people
 *     ngx_http_tocsin_command.c    what they ask, on its way to Redis
 *     ngx_http_tocsin_metrics.c    Prometheus text
 *     ngx_http_tocsin_page.c       the page and its files
 *     ngx_http_tocsin_push.c       server-sent events
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <shared/silence_json.h>

#include "ngx_http_tocsin_feed.h"


#define NGX_HTTP_TOCSIN_JSON        "application/json"

#define NGX_HTTP_TOCSIN_REASONS     4
#define NGX_HTTP_TOCSIN_RANKS       4
#define NGX_HTTP_TOCSIN_SEVERITIES  4        /* the last one: any other */

/* us that the sidecar may lag behind the newest event */
#define NGX_HTTP_TOCSIN_LAG         30000000

/* us from the last news of an alert that lasts to the end that we promise */
#define NGX_HTTP_TOCSIN_RESOLVE     300000000


typedef struct {
    struct tocsin_alert            alert;
    struct tocsin_span             silenced_by;  /* id of a silence, or "" */
    uint64_t                       change;
    ngx_uint_t                     rank;
} ngx_http_tocsin_shown_t;


/* of alerts, by urgency; those that are silenced are a matter of counts */

enum {
    NGX_HTTP_TOCSIN_FIRING = 0,
    NGX_HTTP_TOCSIN_PENDING,
    NGX_HTTP_TOCSIN_RESOLVED,
    NGX_HTTP_TOCSIN_SUPPRESSED
};


/* spans point into the private copies of the feed, till the next load */

typedef struct {
    uint64_t                       now;          /* us */

    ngx_http_tocsin_link_state_t   link;
    ngx_pid_t                      worker;       /* that is the feed, or 0 */
    unsigned                       following:1;  /* there is a feed */
    unsigned                       redis:1;      /* it replies */
    unsigned                       series_known:1;
    unsigned                       sidecar:1;    /* it is heard of */

    struct tocsin_board            series;
    ngx_http_tocsin_series_head_t  head;
    uint64_t                       heartbeat;    /* us, 0: never */

    struct tocsin_span             alerts;       /* framed */
    ngx_tocsin_totals_t            totals;

    ngx_uint_t                     nreasons;
    ngx_str_t                      reasons[NGX_HTTP_TOCSIN_REASONS];
} ngx_http_tocsin_view_t;


typedef struct {
    ngx_uint_t        of[NGX_HTTP_TOCSIN_RANKS][NGX_HTTP_TOCSIN_SEVERITIES];
    ngx_uint_t        all[NGX_HTTP_TOCSIN_RANKS];
    ngx_uint_t        silences[TOCSIN_SILENCE_STATES];
} ngx_http_tocsin_counts_t;


typedef struct {
    ngx_str_t                      name;
    ngx_str_t                      type;
    ngx_str_t                      etag;
    ngx_str_t                      body;
} ngx_http_tocsin_file_t;


/* writes a document; called again with more room if it did not fit */
typedef void (*ngx_http_tocsin_write_pt)(struct tocsin_out *out, void *data);

typedef struct ngx_http_tocsin_filter_s  ngx_http_tocsin_filter_t;


/* ngx_http_tocsin_status.c */
ngx_int_t ngx_http_tocsin_header(ngx_http_request_t *r, const char *name,
    const char *value);
ngx_int_t ngx_http_tocsin_write(ngx_http_request_t *r,
    ngx_http_tocsin_write_pt handler, void *data, ngx_str_t *text);
ngx_int_t ngx_http_tocsin_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_str_t *body);
/* data, not a page: never kept, never framed, never run */
ngx_int_t ngx_http_tocsin_answer(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_http_tocsin_write_pt handler, void *data);
/* the nth header of the request by that name, in lower case, or NULL */
ngx_str_t *ngx_http_tocsin_header_in(ngx_http_request_t *r, const char *name,
    ngx_uint_t nth);
ngx_http_tocsin_feed_t *ngx_http_tocsin_get_feed(ngx_http_request_t *r);

/* ngx_http_tocsin_view.c */
void ngx_http_tocsin_view(ngx_http_tocsin_feed_t *feed,
    ngx_http_tocsin_view_t *view);
ngx_int_t ngx_http_tocsin_view_next(ngx_http_tocsin_view_t *view,
    struct tocsin_span *rest, ngx_http_tocsin_shown_t *shown);
/* the order is that of urgency; NULL: no memory */
ngx_array_t *ngx_http_tocsin_view_alerts(ngx_http_tocsin_view_t *view,
    ngx_pool_t *pool);

/* ngx_http_tocsin_api.c */
ngx_int_t ngx_http_tocsin_api_alerts(ngx_http_request_t *r);
ngx_int_t ngx_http_tocsin_api_status(ngx_http_request_t *r);
ngx_int_t ngx_http_tocsin_api_receivers(ngx_http_request_t *r);
ngx_int_t ngx_http_tocsin_api_series(ngx_http_request_t *r);
ngx_int_t ngx_http_tocsin_api_health(ngx_http_request_t *r);
ngx_int_t ngx_http_tocsin_api_summary(ngx_http_request_t *r);

/* ngx_http_tocsin_state.c */
extern const char *const  ngx_http_tocsin_reasons[NGX_TOCSIN_DROPS];
extern const char *const
    ngx_http_tocsin_severities[NGX_HTTP_TOCSIN_SEVERITIES];
extern const char *const  ngx_http_tocsin_ranks[NGX_HTTP_TOCSIN_RANKS];

/* as the location of `r` shows it */
void ngx_http_tocsin_state(struct tocsin_json *json, ngx_http_request_t *r,
    ngx_http_tocsin_view_t *view);
void ngx_http_tocsin_count(ngx_http_tocsin_view_t *view,
    ngx_http_tocsin_counts_t *counts);

/* ngx_http_tocsin_filter.c; `error` is set with NGX_DECLINED */
ngx_int_t ngx_http_tocsin_filter(ngx_http_request_t *r,
    ngx_http_tocsin_filter_t **filter, ngx_str_t *error);
ngx_int_t ngx_http_tocsin_filter_alert(ngx_http_tocsin_filter_t *filter,
    ngx_http_tocsin_shown_t *shown);
ngx_int_t ngx_http_tocsin_next_arg(ngx_http_request_t *r, u_char **pos,
    ngx_str_t *name, ngx_str_t *value);

/* ngx_http_tocsin_silence.c */
ngx_int_t ngx_http_tocsin_silences(ngx_http_request_t *r);
ngx_int_t ngx_http_tocsin_silence(ngx_http_request_t *r);

/* ngx_http_tocsin_post.c: POST to the list, DELETE of one */
ngx_int_t ngx_http_tocsin_silence_write(ngx_http_request_t *r);

/* the rest of a path below the location: "" or begins with a slash */
void ngx_http_tocsin_below(ngx_http_request_t *r, ngx_str_t *rest);

#define NGX_HTTP_TOCSIN_SILENCES  "/api/v2/silences"
#define NGX_HTTP_TOCSIN_ONE       "/api/v2/silence/"

/* ngx_http_tocsin_metrics.c */
ngx_int_t ngx_http_tocsin_metrics(ngx_http_request_t *r);

/* ngx_http_tocsin_page.c */
ngx_int_t ngx_http_tocsin_page(ngx_http_request_t *r);
ngx_int_t ngx_http_tocsin_page_file(ngx_http_request_t *r, ngx_str_t *name);

/* ngx_http_tocsin_push.c */
ngx_int_t ngx_http_tocsin_push(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TOCSIN_STATUS_H_INCLUDED_ */
