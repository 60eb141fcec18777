
/*
 * Copyright (C) Tocsin authors
 */


/*
 * What this worker waits for, by upstream and peer: the count, and the age of
 * the oldest attempt that has got no header yet.  A peer that swallows
 * requests shows here long before a timeout ends them, while a slow client or
 * an open WebSocket does not age.
 *
 * The table is of fixed size and eight-way associative, as a cache of a CPU
 * is: a peer has eight slots to be in, and takes over one where nothing is in
 * flight.  Attempts that find none are counted together, under no name.
 */


#include "ngx_http_tocsin_module.h"


#define NGX_HTTP_TOCSIN_WAYS      8
#define NGX_HTTP_TOCSIN_SETS      128
#define NGX_HTTP_TOCSIN_SLOTS     (NGX_HTTP_TOCSIN_WAYS * NGX_HTTP_TOCSIN_SETS)
#define NGX_HTTP_TOCSIN_PEER_MAX  128
#define NGX_HTTP_TOCSIN_REST_MAX  64    /* of the item of what has no room */


/* a short name is wholly in its first and its last eight bytes */

typedef struct {
    uint64_t                     first;
    uint64_t                     last;
    size_t                       len;
} ngx_http_tocsin_key_t;


typedef struct {
    ngx_str_t                    upstream;
    ngx_http_tocsin_place_t     *place;
    ngx_uint_t                   count;
    ngx_queue_t                  waiting;    /* for a header; oldest first */
    ngx_http_tocsin_key_t        key;
    u_char                       peer[NGX_HTTP_TOCSIN_PEER_MAX];
} ngx_http_tocsin_slot_t;


typedef struct {
    ngx_http_tocsin_slot_t       slots[NGX_HTTP_TOCSIN_SLOTS];
    ngx_http_tocsin_slot_t       over;
    ngx_http_tocsin_slot_t      *busy[NGX_HTTP_TOCSIN_SLOTS];
} ngx_http_tocsin_inflight_t;


static ngx_http_tocsin_slot_t *ngx_http_tocsin_find_slot(
    ngx_http_tocsin_inflight_t *table, ngx_str_t *upstream, ngx_str_t *peer);
static ngx_http_tocsin_slot_t *ngx_http_tocsin_take_slot(
    ngx_http_tocsin_inflight_t *table, ngx_str_t *upstream, ngx_str_t *peer);
static ngx_inline ngx_http_tocsin_slot_t *ngx_http_tocsin_slot_set(
    ngx_http_tocsin_inflight_t *table, ngx_str_t *upstream,
    ngx_http_tocsin_key_t key);
static ngx_inline ngx_http_tocsin_key_t ngx_http_tocsin_make_key(
    ngx_str_t *peer);
static void ngx_http_tocsin_write_inflight(void *data, struct tocsin_out *out);
static int ngx_libc_cdecl ngx_http_tocsin_older(const void *one,
    const void *two);
static uint64_t ngx_http_tocsin_oldest(ngx_http_tocsin_slot_t *slot);
static void ngx_http_tocsin_write_slot(struct tocsin_out *out,
    ngx_http_tocsin_slot_t *slot, uint64_t now);
static void ngx_http_tocsin_write_uint(struct tocsin_out *out, uint64_t n);


ngx_int_t
ngx_http_tocsin_inflight_init_process(ngx_cycle_t *cycle,
    ngx_http_tocsin_main_conf_t *tmcf)
{
    ngx_uint_t                   i;
    ngx_http_tocsin_inflight_t  *table;

    table = ngx_pcalloc(cycle->pool, sizeof(ngx_http_tocsin_inflight_t));
    if (table == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_TOCSIN_SLOTS; i++) {
        ngx_queue_init(&table->slots[i].waiting);
    }

    ngx_queue_init(&table->over.waiting);

    tmcf->inflight = table;

    ngx_tocsin_set_inflight(&tmcf->tocsin, ngx_http_tocsin_write_inflight,
                            table);

    return NGX_OK;
}


void
ngx_http_tocsin_inflight_enter(ngx_http_tocsin_main_conf_t *tmcf,
    ngx_http_tocsin_exchange_t *ex, ngx_http_tocsin_attempt_t *at,
    struct sockaddr *sa)
{
    ngx_http_tocsin_slot_t      *slot;
    ngx_http_tocsin_inflight_t  *table;

    table = tmcf->inflight;

    slot = ngx_http_tocsin_find_slot(table, &ex->name, &at->peer);

    if (slot == NULL) {
        slot = ngx_http_tocsin_take_slot(table, &ex->name, &at->peer);

        if (slot != &table->over) {
            slot->place = ngx_http_tocsin_place_of_peer(tmcf, sa);

            if (slot->place == NULL) {
                slot->place = ex->place;
            }
        }
    }

    if (slot->place) {
        at->place = slot->place;
    }

    slot->count++;
    ngx_queue_insert_tail(&slot->waiting, &at->queue);

    at->slot = slot;
}


/* NULL if it is in none of its slots */

static ngx_http_tocsin_slot_t *
ngx_http_tocsin_find_slot(ngx_http_tocsin_inflight_t *table,
    ngx_str_t *upstream, ngx_str_t *peer)
{
    ngx_uint_t               i;
    ngx_http_tocsin_key_t    key;
    ngx_http_tocsin_slot_t  *slot;

    key = ngx_http_tocsin_make_key(peer);
    slot = ngx_http_tocsin_slot_set(table, upstream, key);

    for (i = 0; i < NGX_HTTP_TOCSIN_WAYS; i++, slot++) {

        if (slot->key.first == key.first
            && slot->key.last == key.last
            && slot->key.len == key.len
            && slot->upstream.data == upstream->data
            && (key.len <= 16
                || ngx_memcmp(slot->peer, peer->data, key.len) == 0))
        {
            return slot;
        }
    }

    return NULL;
}


static ngx_http_tocsin_slot_t *
ngx_http_tocsin_take_slot(ngx_http_tocsin_inflight_t *table,
    ngx_str_t *upstream, ngx_str_t *peer)
{
    ngx_uint_t               i;
    ngx_http_tocsin_key_t    key;
    ngx_http_tocsin_slot_t  *slot, *idle;

    if (peer->len > NGX_HTTP_TOCSIN_PEER_MAX) {
        return &table->over;
    }

    key = ngx_http_tocsin_make_key(peer);
    slot = ngx_http_tocsin_slot_set(table, upstream, key);
    idle = NULL;

    for (i = 0; i < NGX_HTTP_TOCSIN_WAYS; i++, slot++) {
        if (slot->count == 0 && (idle == NULL || idle->upstream.data)) {
            idle = slot;
        }
    }

    if (idle == NULL) {
        return &table->over;
    }

    idle->key = key;
    idle->upstream = *upstream;
    ngx_memcpy(idle->peer, peer->data, peer->len);

    return idle;
}


static ngx_inline ngx_http_tocsin_slot_t *
ngx_http_tocsin_slot_set(ngx_http_tocsin_inflight_t *table,
    ngx_str_t *upstream, ngx_http_tocsin_key_t key)
{
    uint64_t  hash;

    hash = (key.first ^ (uintptr_t) upstream->data) * 0x9e3779b97f4a7c15;
    hash = (hash ^ key.last) * 0x9e3779b97f4a7c15;

    return &table->slots[(hash >> 32) % NGX_HTTP_TOCSIN_SETS
                         * NGX_HTTP_TOCSIN_WAYS];
}


static ngx_inline ngx_http_tocsin_key_t
ngx_http_tocsin_make_key(ngx_str_t *peer)
{
    ngx_uint_t             i;
    ngx_http_tocsin_key_t  key;

    key.len = peer->len;
    key.first = 0;
    key.last = 0;

    if (peer->len >= 8) {
        ngx_memcpy(&key.first, peer->data, 8);
        ngx_memcpy(&key.last, peer->data + peer->len - 8, 8);

    } else {

        for (i = 0; i < peer->len; i++) {
            key.first = key.first << 8 | peer->data[i];
        }
    }

    return key;
}


void
ngx_http_tocsin_inflight_answered(ngx_http_tocsin_attempt_t *at)
{
    if (at->slot && at->queue.next) {
        ngx_queue_remove(&at->queue);
        at->queue.next = NULL;
    }
}


void
ngx_http_tocsin_inflight_leave(ngx_http_tocsin_attempt_t *at)
{
    ngx_http_tocsin_slot_t  *slot;

    slot = at->slot;

    if (slot == NULL) {
        return;
    }

    ngx_http_tocsin_inflight_answered(at);

    slot->count--;
    at->slot = NULL;
}


/* for the beat: the oldest first; what does not fit is one item, nameless */

static void
ngx_http_tocsin_write_inflight(void *data, struct tocsin_out *out)
{
    ngx_http_tocsin_inflight_t *table = data;

    size_t                   mark;
    uint64_t                 now;
    ngx_uint_t               i, n;
    ngx_http_tocsin_slot_t   rest, **busy;

    busy = table->busy;
    n = 0;

    for (i = 0; i < NGX_HTTP_TOCSIN_SLOTS; i++) {
        if (table->slots[i].count) {
            busy[n++] = &table->slots[i];
        }
    }

    ngx_qsort(busy, n, sizeof(ngx_http_tocsin_slot_t *),
              ngx_http_tocsin_older);

    now = ngx_http_tocsin_monotonic();

    for (i = 0; i < n; i++) {
        mark = out->need;

        ngx_http_tocsin_write_slot(out, busy[i], now);

        if (out->need + NGX_HTTP_TOCSIN_REST_MAX > out->cap) {
            out->need = mark;
            break;
        }
    }

    rest = table->over;

    if (ngx_queue_empty(&table->over.waiting)) {
        ngx_queue_init(&rest.waiting);
    }

    for ( /* void */ ; i < n; i++) {
        rest.count += busy[i]->count;
    }

    if (rest.count) {
        ngx_http_tocsin_write_slot(out, &rest, now);
    }
}


static int ngx_libc_cdecl
ngx_http_tocsin_older(const void *one, const void *two)
{
    uint64_t                 first, second;
    ngx_http_tocsin_slot_t  *a, *b;

    a = *(ngx_http_tocsin_slot_t **) one;
    b = *(ngx_http_tocsin_slot_t **) two;

    first = ngx_http_tocsin_oldest(a);
    second = ngx_http_tocsin_oldest(b);

    return (first > second) - (first < second);
}


/* when the oldest began to wait; never, if none waits */

static uint64_t
ngx_http_tocsin_oldest(ngx_http_tocsin_slot_t *slot)
{
    ngx_queue_t                *q;
    ngx_http_tocsin_attempt_t  *at;

    if (ngx_queue_empty(&slot->waiting)) {
        return TOCSIN_NONE;
    }

    q = ngx_queue_head(&slot->waiting);
    at = ngx_queue_data(q, ngx_http_tocsin_attempt_t, queue);

    return at->start;
}


static void
ngx_http_tocsin_write_slot(struct tocsin_out *out, ngx_http_tocsin_slot_t *slot,
    uint64_t now)
{
    uint64_t                  oldest;
    ngx_http_tocsin_place_t  *place;

    static ngx_http_tocsin_place_t  nowhere;

    place = slot->place ? slot->place : &nowhere;
    oldest = ngx_http_tocsin_oldest(slot);

    if (out->need) {
        tocsin_out_char(out, ',');
    }

    tocsin_pct_encode(out, tocsin_span_of((char *) slot->upstream.data,
                                          slot->upstream.len));
    tocsin_out_char(out, '=');
    tocsin_pct_encode(out, tocsin_span_of((char *) slot->peer, slot->key.len));
    tocsin_out_char(out, '=');
    ngx_http_tocsin_write_uint(out, slot->count);
    tocsin_out_char(out, '=');
    ngx_http_tocsin_write_uint(out, (oldest < now) ? now - oldest : 0);
    tocsin_out_char(out, '=');
    tocsin_pct_encode(out, place->provider);
    tocsin_out_char(out, '=');
    tocsin_pct_encode(out, place->region);
    tocsin_out_char(out, '=');
    tocsin_pct_encode(out, place->zone);
}


static void
ngx_http_tocsin_write_uint(struct tocsin_out *out, uint64_t n)
{
    u_char  *p;
    u_char   buf[NGX_INT64_LEN];

    p = ngx_sprintf(buf, "%uL", n);

    tocsin_out_put(out, (char *) buf, p - buf);
}
