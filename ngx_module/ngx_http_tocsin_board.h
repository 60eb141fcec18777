
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_HTTP_TOCSIN_BOARD_H_INCLUDED_
#define _NGX_HTTP_TOCSIN_BOARD_H_INCLUDED_


/*
 * The board: what one worker, the feed, knows of alerts and series, in shared
 * memory for all workers to show.
 *
 * It holds a few documents, each in two copies.  The feed writes into the copy
 * that is not current, then makes it current; readers take a private copy and
 * check that it is whole.  Nobody ever waits and nothing is ever locked, so a
 * worker may die at any point: at worst it leaves half a copy that is not
 * current, and which the next feed writes anew.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_tocsin.h"


#define NGX_HTTP_TOCSIN_DOC_LINK    0    /* ngx_http_tocsin_link_state_t */
#define NGX_HTTP_TOCSIN_DOC_ALERTS  1    /* alerts, framed */
#define NGX_HTTP_TOCSIN_DOC_SERIES  2    /* the sidecar's last snapshot */
#define NGX_HTTP_TOCSIN_DOCS        3

#define NGX_HTTP_TOCSIN_ALERTS      512  /* kept at once */

/* the feed is taken over when its worker has not been heard of for so long */
#define NGX_HTTP_TOCSIN_LEASE       1500


/* an entry id of Redis */

typedef struct {
    uint64_t                  ms;
    uint64_t                  seq;
} ngx_http_tocsin_id_t;


/* how the feed is doing */

typedef struct {
    uint64_t                  since;        /* us: of `up`, as it is now */
    uint64_t                  replied;      /* us: last reply of Redis */
    uint64_t                  malformed;    /* entries that made no sense */
    uint64_t                  forgotten;    /* alerts that found no room */
    uint32_t                  up;
    uint32_t                  whole;        /* all alerts have been read */
    uint32_t                  pid;
    char                      error[128];   /* the last one, or "" */
    uint64_t                  error_us;
} ngx_http_tocsin_link_state_t;


/* precedes the pairs of an alert in DOC_ALERTS */

typedef struct {
    uint64_t                  size;         /* of this and the pairs */
    uint64_t                  change;       /* grows with each change */
    uint64_t                  gone;         /* us: missed in a snapshot, or 0 */
    ngx_http_tocsin_id_t      id;
} ngx_http_tocsin_alert_head_t;


/* precedes the pairs of DOC_SERIES */

typedef struct {
    uint64_t                  received;     /* us */
    uint64_t                  cut;          /* bytes of rows left out */
    uint64_t                  history;      /* read from the past, not live */
    ngx_http_tocsin_id_t      id;
} ngx_http_tocsin_series_head_t;


typedef struct ngx_http_tocsin_board_s  ngx_http_tocsin_board_t;


/* a private copy of a document; zeroed to begin with */

typedef struct {
    u_char                   *data;
    size_t                    len;
    uint64_t                  version;
} ngx_http_tocsin_copy_t;


/* the board in a zone of shared memory, created or found there */
ngx_http_tocsin_board_t *ngx_http_tocsin_board_create(ngx_shm_zone_t *zone);

/* bytes that fit into a document */
size_t ngx_http_tocsin_board_room(ngx_http_tocsin_board_t *board,
    ngx_uint_t doc);

/* grows whenever a document is written */
uint64_t ngx_http_tocsin_board_version(ngx_http_tocsin_board_t *board,
    ngx_uint_t doc);

/*
 * Writes a document from `n` pieces.  NGX_DECLINED if this worker is not (or
 * no more) the feed, NGX_ERROR if they don't fit.
 */
ngx_int_t ngx_http_tocsin_board_write(ngx_http_tocsin_board_t *board,
    ngx_uint_t doc, ngx_str_t *pieces, ngx_uint_t n);

/*
 * Brings a private copy up to date.  NGX_OK; NGX_DECLINED if nothing has ever
 * been written; NGX_ERROR if there was no memory: the copy is as before.
 */
ngx_int_t ngx_http_tocsin_board_read(ngx_http_tocsin_board_t *board,
    ngx_uint_t doc, ngx_http_tocsin_copy_t *copy);
void ngx_http_tocsin_copy_free(ngx_http_tocsin_copy_t *copy);

/*
 * The lease of the feed.  acquire: NGX_OK if this worker holds it, be it since
 * now; it has to be called again well within NGX_HTTP_TOCSIN_LEASE ms.
 */
ngx_int_t ngx_http_tocsin_board_acquire(ngx_http_tocsin_board_t *board);
void ngx_http_tocsin_board_release(ngx_http_tocsin_board_t *board);
ngx_int_t ngx_http_tocsin_board_alive(ngx_http_tocsin_board_t *board);
ngx_pid_t ngx_http_tocsin_board_holder(ngx_http_tocsin_board_t *board);

/*
 * A worker has made a silence, of which no snapshot may tell yet; and when
 * that was done last, in us, or 0.
 */
void ngx_http_tocsin_board_silence(ngx_http_tocsin_board_t *board);
uint64_t ngx_http_tocsin_board_silenced(ngx_http_tocsin_board_t *board);


/* pairs of a stream's entry: appended to a buffer, cut off a span */
size_t ngx_http_tocsin_pair_size(size_t name, size_t value);
u_char *ngx_http_tocsin_pair_put(u_char *p, struct tocsin_span name,
    struct tocsin_span value);
ngx_int_t ngx_http_tocsin_pair_next(struct tocsin_span *rest,
    struct tocsin_span *name, struct tocsin_span *value);

/* the member of an alert or a snapshot; errors of single members are passed */
void ngx_http_tocsin_alert_decode(struct tocsin_alert *alert,
    struct tocsin_span pairs);
void ngx_http_tocsin_series_decode(struct tocsin_board *series,
    struct tocsin_span pairs);


#endif /* _NGX_HTTP_TOCSIN_BOARD_H_INCLUDED_ */
