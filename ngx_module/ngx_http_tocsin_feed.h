
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_HTTP_TOCSIN_FEED_H_INCLUDED_
#define _NGX_HTTP_TOCSIN_FEED_H_INCLUDED_


/*
 * The feed: the one worker that follows <prefix>:alerts and <prefix>:board
 * over a link of its own and writes what it reads to the board.
 *
 *     ngx_http_tocsin_feed.c      which worker it is; its life
 *     ngx_http_tocsin_follow.c    what is asked of Redis, and when
 *     ngx_http_tocsin_entry.c     replies -> entries -> board
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tocsin_alerts.h"


/* us without a reply of Redis, or a snapshot of the sidecar: it is silent */
#define NGX_HTTP_TOCSIN_SILENCE       5000000

#define NGX_HTTP_TOCSIN_FEED_PAGE     256    /* entries of history at once */
#define NGX_HTTP_TOCSIN_FEED_BLOCK    1000   /* ms that XREAD may wait */


typedef enum {
    ngx_http_tocsin_feed_idle = 0,
    ngx_http_tocsin_feed_snapshot,          /* the last one, at first */
    ngx_http_tocsin_feed_history,           /* alerts, backwards */
    ngx_http_tocsin_feed_follow
} ngx_http_tocsin_feed_state_e;


typedef struct {
    ngx_shm_zone_t                *zone;
    ngx_tocsin_conf_t             *conf;
    ngx_queue_t                    pushes;       /* streams open to clients */
    ngx_uint_t                     npushes;
    ngx_http_tocsin_copy_t         copies[NGX_HTTP_TOCSIN_DOCS];

    ngx_connection_t               connection;   /* of timers, for the log */
    ngx_event_t                    tick;
    ngx_event_t                    push;
    ngx_msec_t                     retry;        /* when, or 0 */

    ngx_http_tocsin_board_t       *board;
    ngx_tocsin_link_t             *link;
    ngx_log_t                     *log;
    void                          *commands;     /* ngx_http_tocsin_command.c */

    ngx_str_t                      alerts_key;
    ngx_str_t                      series_key;

    ngx_http_tocsin_alerts_t      *alerts;       /* NULL: not the feed */
    ngx_http_tocsin_link_state_t   state;

    ngx_http_tocsin_feed_state_e   step;
    ngx_uint_t                     pages;
    ngx_http_tocsin_id_t           alerts_id;    /* the last ones seen */
    ngx_http_tocsin_id_t           series_id;
    ngx_http_tocsin_id_t           oldest;

    /* of the last snapshot */
    u_char                        *active;
    size_t                         active_len;
    uint64_t                       active_ts;

    /* the entry that is being read */
    ngx_http_tocsin_id_t           id;
    u_char                        *buf;
    size_t                         size;
    size_t                         len;
    size_t                         left;         /* strings of it */
    size_t                         name;         /* offset of a pair */
    ngx_uint_t                     entries;

    unsigned                       series:1;     /* not an alert */
    unsigned                       broken:1;
    unsigned                       odd:1;        /* a value comes next */
} ngx_http_tocsin_feed_t;


/* ngx_http_tocsin_feed.c */
void ngx_http_tocsin_feed_publish(ngx_http_tocsin_feed_t *feed);

/* ngx_http_tocsin_follow.c */
extern const ngx_tocsin_link_handler_t  ngx_http_tocsin_feed_handler;

void ngx_http_tocsin_follow_ask(ngx_http_tocsin_feed_t *feed);
void ngx_http_tocsin_follow_lost(void *data);
void ngx_http_tocsin_follow_fault(ngx_http_tocsin_feed_t *feed,
    const char *text, size_t len);

/* ngx_http_tocsin_entry.c */
void ngx_http_tocsin_entry_array(void *data, ngx_uint_t depth,
    size_t elements);
void ngx_http_tocsin_entry_string(void *data, ngx_uint_t depth, u_char *p,
    size_t len);
void ngx_http_tocsin_entry_integer(void *data, ngx_uint_t depth,
    int64_t value);
void ngx_http_tocsin_entry_nil(void *data, ngx_uint_t depth);


#endif /* _NGX_HTTP_TOCSIN_FEED_H_INCLUDED_ */
