
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_HTTP_TOCSIN_ALERTS_H_INCLUDED_
#define _NGX_HTTP_TOCSIN_ALERTS_H_INCLUDED_


/*
 * The newest state of every alert, in the memory of the worker that is the
 * feed; written to the board whenever it has changed.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tocsin_board.h"


/* a resolved alert is shown for so long, in us */
#define NGX_HTTP_TOCSIN_KEEP  (24 * 3600 * (uint64_t) 1000000)


typedef struct {
    ngx_http_tocsin_alert_head_t   head;
    u_char                        *pairs;        /* the head again, pairs */
    struct tocsin_span             id;
    uint64_t                       updated;
    ngx_uint_t                     rank;         /* the lowest leaves first */
} ngx_http_tocsin_known_t;


typedef struct {
    ngx_http_tocsin_known_t        known[NGX_HTTP_TOCSIN_ALERTS + 1];
    ngx_uint_t                     n;
    size_t                         size;
    size_t                         room;
    uint64_t                       change;
    uint64_t                       forgotten;
    unsigned                       dirty:1;
} ngx_http_tocsin_alerts_t;


/* takes over what the board shows */
void ngx_http_tocsin_alerts_restore(ngx_http_tocsin_alerts_t *alerts,
    ngx_http_tocsin_board_t *board, ngx_log_t *log);

/* an entry of the stream: NGX_OK, NGX_DECLINED if a newer one is known,
 * NGX_ERROR if it is no alert */
ngx_int_t ngx_http_tocsin_alerts_take(ngx_http_tocsin_alerts_t *alerts,
    ngx_http_tocsin_id_t id, struct tocsin_span pairs, ngx_log_t *log);

/* alerts that lasted when a snapshot was made, but are not in its list */
void ngx_http_tocsin_alerts_reconcile(ngx_http_tocsin_alerts_t *alerts,
    ngx_http_tocsin_id_t id, uint64_t ts, struct tocsin_span active);

/* forgets what was resolved long ago */
void ngx_http_tocsin_alerts_expire(ngx_http_tocsin_alerts_t *alerts,
    uint64_t now);

ngx_int_t ngx_http_tocsin_alerts_write(ngx_http_tocsin_alerts_t *alerts,
    ngx_http_tocsin_board_t *board);
void ngx_http_tocsin_alerts_free(ngx_http_tocsin_alerts_t *alerts);

ngx_int_t ngx_http_tocsin_id_after(ngx_http_tocsin_id_t a,
    ngx_http_tocsin_id_t b);


#endif /* _NGX_HTTP_TOCSIN_ALERTS_H_INCLUDED_ */
