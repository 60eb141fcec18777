
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tocsin_board.h"

#include <shared/fault.h>


#define NGX_HTTP_TOCSIN_TRIES  8


typedef struct {
    ngx_atomic_t              seq;          /* odd while it is written */
    uint64_t                  version;
    uint64_t                  len;
    uint64_t                  sum;
} ngx_http_tocsin_side_t;


typedef struct {
    ngx_atomic_t              current;      /* 0 or 1 */
    ngx_atomic_t              version;      /* 0: never written */
    size_t                    offset;       /* of side 0; side 1 follows */
    size_t                    room;
    ngx_http_tocsin_side_t    sides[2];
} ngx_http_tocsin_doc_t;


struct ngx_http_tocsin_board_s {
    ngx_atomic_t              holder;       /* pid of the feed, or 0 */
    ngx_atomic_t              beat;         /* ms, monotonic */
    ngx_atomic_t              silenced;     /* s: a silence was made */
    ngx_http_tocsin_doc_t     docs[NGX_HTTP_TOCSIN_DOCS];
};


static void ngx_http_tocsin_board_layout(ngx_http_tocsin_board_t *board,
    size_t size);
static u_char *ngx_http_tocsin_board_side(ngx_http_tocsin_board_t *board,
    ngx_http_tocsin_doc_t *doc, ngx_uint_t side);
static ngx_int_t ngx_http_tocsin_board_take(ngx_http_tocsin_board_t *board,
    ngx_http_tocsin_doc_t *doc, ngx_http_tocsin_copy_t *copy);
static uint64_t ngx_http_tocsin_board_sum(u_char *p, size_t len);
static ngx_int_t ngx_http_tocsin_board_dead(ngx_pid_t pid);


ngx_http_tocsin_board_t *
ngx_http_tocsin_board_create(ngx_shm_zone_t *zone)
{
    size_t                    size;
    ngx_slab_pool_t          *shpool;
    ngx_http_tocsin_board_t  *board;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (shpool->data) {
        return shpool->data;
    }

    size = shpool->pfree * ngx_pagesize;

    board = ngx_slab_calloc(shpool, size);
    if (board == NULL) {
        return NULL;
    }

    ngx_http_tocsin_board_layout(board, size);

    shpool->data = board;

    return board;
}


static void
ngx_http_tocsin_board_layout(ngx_http_tocsin_board_t *board, size_t size)
{
    size_t                  offset, share;
    ngx_uint_t              i;
    ngx_http_tocsin_doc_t  *doc;

    offset = ngx_align(sizeof(ngx_http_tocsin_board_t), 64);
    share = (size - offset - 2 * 1024) / 6;

    /* series are twice as large as alerts, and all have two sides */

    board->docs[NGX_HTTP_TOCSIN_DOC_LINK].room = 1024;
    board->docs[NGX_HTTP_TOCSIN_DOC_ALERTS].room = share;
    board->docs[NGX_HTTP_TOCSIN_DOC_SERIES].room = share * 2;

    for (i = 0; i < NGX_HTTP_TOCSIN_DOCS; i++) {
        doc = &board->docs[i];

        doc->room &= ~(size_t) 63;
        doc->offset = offset;

        offset += 2 * doc->room;
    }
}


size_t
ngx_http_tocsin_board_room(ngx_http_tocsin_board_t *board, ngx_uint_t doc)
{
    return board->docs[doc].room;
}


uint64_t
ngx_http_tocsin_board_version(ngx_http_tocsin_board_t *board, ngx_uint_t doc)
{
    return board->docs[doc].version;
}


static u_char *
ngx_http_tocsin_board_side(ngx_http_tocsin_board_t *board,
    ngx_http_tocsin_doc_t *doc, ngx_uint_t side)
{
    return (u_char *) board + doc->offset + side * doc->room;
}


ngx_int_t
ngx_http_tocsin_board_write(ngx_http_tocsin_board_t *board, ngx_uint_t n,
    ngx_str_t *pieces, ngx_uint_t npieces)
{
    size_t                   len;
    u_char                  *p, *start;
    ngx_uint_t               i, other;
    ngx_http_tocsin_doc_t   *doc;
    ngx_http_tocsin_side_t  *side;

    if (board->holder != (ngx_atomic_uint_t) ngx_pid) {
        return NGX_DECLINED;
    }

    doc = &board->docs[n];
    len = 0;

    for (i = 0; i < npieces; i++) {
        len += pieces[i].len;
    }

    if (len > doc->room) {
        return NGX_ERROR;
    }

    other = !(doc->current & 1);
    side = &doc->sides[other];

    /*
     * odd already if a worker died at it; one that died a little later has not
     * counted the version that readers have of the other side
     */

    side->seq = (side->seq | 1) + 2;

    ngx_memory_barrier();

    start = ngx_http_tocsin_board_side(board, doc, other);
    p = start;

    for (i = 0; i < npieces; i++) {
        p = ngx_cpymem(p, pieces[i].data, pieces[i].len);
    }

    tocsin_fault(BOARD);

    side->len = len;
    side->sum = ngx_http_tocsin_board_sum(start, len);
    side->version = doc->sides[!other].version + 1;

    ngx_memory_barrier();

    side->seq++;

    ngx_memory_barrier();

    tocsin_fault(SIDE);

    doc->current = other;

    tocsin_fault(TURNED);

    doc->version = side->version;

    return NGX_OK;
}


ngx_int_t
ngx_http_tocsin_board_read(ngx_http_tocsin_board_t *board, ngx_uint_t n,
    ngx_http_tocsin_copy_t *copy)
{
    ngx_int_t               rc;
    ngx_uint_t              i;
    ngx_http_tocsin_doc_t  *doc;

    doc = &board->docs[n];

    if (doc->version == 0) {
        return NGX_DECLINED;
    }

    for (i = 0; i < NGX_HTTP_TOCSIN_TRIES; i++) {

        rc = ngx_http_tocsin_board_take(board, doc, copy);

        if (rc != NGX_AGAIN) {
            return rc;
        }
    }

    /* the last one that was whole is better than none */

    return copy->data ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_tocsin_board_take(ngx_http_tocsin_board_t *board,
    ngx_http_tocsin_doc_t *doc, ngx_http_tocsin_copy_t *copy)
{
    size_t                   len;
    u_char                  *data;
    uint64_t                 version, sum;
    ngx_uint_t               current;
    ngx_atomic_uint_t        seq;
    ngx_http_tocsin_side_t  *side;

    current = doc->current & 1;
    side = &doc->sides[current];
    seq = side->seq;

    ngx_memory_barrier();

    len = side->len;
    sum = side->sum;
    version = side->version;

    if ((seq & 1) || len > doc->room) {
        return NGX_AGAIN;
    }

    if (copy->data && copy->version == version) {
        return NGX_OK;
    }

    data = ngx_alloc(len + 1, ngx_cycle->log);
    if (data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(data, ngx_http_tocsin_board_side(board, doc, current), len);

    ngx_memory_barrier();

    /*
     * the sum is for a feed that was stopped in the middle of writing, lost
     * the lease meanwhile, and goes on beside its successor
     */

    if (side->seq != seq || ngx_http_tocsin_board_sum(data, len) != sum) {
        ngx_free(data);
        return NGX_AGAIN;
    }

    ngx_http_tocsin_copy_free(copy);

    copy->data = data;
    copy->len = len;
    copy->version = version;

    return NGX_OK;
}


void
ngx_http_tocsin_copy_free(ngx_http_tocsin_copy_t *copy)
{
    if (copy->data) {
        ngx_free(copy->data);
    }

    ngx_memzero(copy, sizeof(ngx_http_tocsin_copy_t));
}


static uint64_t
ngx_http_tocsin_board_sum(u_char *p, size_t len)
{
    uint64_t  sum, word;

    /* FNV-1a, but by words: it guards against halves, not against malice */

    sum = 14695981039346656037ULL ^ len;

    for ( /* void */ ; len >= 8; len -= 8, p += 8) {
        ngx_memcpy(&word, p, 8);
        sum = (sum ^ word) * 1099511628211ULL;
    }

    while (len--) {
        sum = (sum ^ *p++) * 1099511628211ULL;
    }

    return sum;
}


ngx_int_t
ngx_http_tocsin_board_acquire(ngx_http_tocsin_board_t *board)
{
    ngx_msec_t         now;
    ngx_atomic_uint_t  holder;

    now = ngx_current_msec;
    holder = board->holder;

    if (holder == (ngx_atomic_uint_t) ngx_pid) {
        board->beat = now;
        return NGX_OK;
    }

    if (ngx_http_tocsin_board_alive(board)
        && !ngx_http_tocsin_board_dead((ngx_pid_t) holder))
    {
        return NGX_DECLINED;
    }

    /* whoever else has seen the same loses here */

    if (!ngx_atomic_cmp_set(&board->holder, holder,
                            (ngx_atomic_uint_t) ngx_pid))
    {
        return NGX_DECLINED;
    }

    tocsin_fault(FEED);

    board->beat = now;

    return NGX_OK;
}


static ngx_int_t
ngx_http_tocsin_board_dead(ngx_pid_t pid)
{
    return kill(pid, 0) == -1 && ngx_errno == ESRCH;
}


void
ngx_http_tocsin_board_release(ngx_http_tocsin_board_t *board)
{
    (void) ngx_atomic_cmp_set(&board->holder, (ngx_atomic_uint_t) ngx_pid, 0);
}


ngx_int_t
ngx_http_tocsin_board_alive(ngx_http_tocsin_board_t *board)
{
    ngx_msec_int_t  silent;

    silent = (ngx_msec_int_t) (ngx_current_msec - (ngx_msec_t) board->beat);

    return board->holder != 0 && silent < NGX_HTTP_TOCSIN_LEASE;
}


ngx_pid_t
ngx_http_tocsin_board_holder(ngx_http_tocsin_board_t *board)
{
    return (ngx_pid_t) board->holder;
}


size_t
ngx_http_tocsin_pair_size(size_t name, size_t value)
{
    return 2 * sizeof(uint32_t) + name + value;
}


u_char *
ngx_http_tocsin_pair_put(u_char *p, struct tocsin_span name,
    struct tocsin_span value)
{
    uint32_t  len[2];

    len[0] = (uint32_t) name.len;
    len[1] = (uint32_t) value.len;

    p = ngx_cpymem(p, len, sizeof(len));
    p = ngx_cpymem(p, name.data, name.len);

    return ngx_cpymem(p, value.data, value.len);
}


ngx_int_t
ngx_http_tocsin_pair_next(struct tocsin_span *rest, struct tocsin_span *name,
    struct tocsin_span *value)
{
    size_t    size;
    uint32_t  len[2];

    if (rest->len < sizeof(len)) {
        return NGX_DONE;
    }

    ngx_memcpy(len, rest->data, sizeof(len));

    size = ngx_http_tocsin_pair_size(len[0], len[1]);

    if (rest->len < size) {
        return NGX_DONE;
    }

    *name = tocsin_span_of(rest->data + sizeof(len), len[0]);
    *value = tocsin_span_of(name->data + len[0], len[1]);
    *rest = tocsin_span_of(rest->data + size, rest->len - size);

    return NGX_OK;
}


void
ngx_http_tocsin_alert_decode(struct tocsin_alert *alert,
    struct tocsin_span pairs)
{
    struct tocsin_span  name, value;

    tocsin_alert_init(alert);

    while (ngx_http_tocsin_pair_next(&pairs, &name, &value) == NGX_OK) {
        (void) tocsin_alert_field(alert, name, value);
    }
}


void
ngx_http_tocsin_series_decode(struct tocsin_board *series,
    struct tocsin_span pairs)
{
    struct tocsin_span  name, value;

    tocsin_board_init(series);

    while (ngx_http_tocsin_pair_next(&pairs, &name, &value) == NGX_OK) {
        (void) tocsin_board_field(series, name, value);
    }
}


void
ngx_http_tocsin_board_silence(ngx_http_tocsin_board_t *board)
{
    board->silenced = (ngx_atomic_uint_t) (ngx_tocsin_now() / 1000000);
}


uint64_t
ngx_http_tocsin_board_silenced(ngx_http_tocsin_board_t *board)
{
    return (uint64_t) board->silenced * 1000000;
}
