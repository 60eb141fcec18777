
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_TOCSIN_H_INCLUDED_
#define _NGX_TOCSIN_H_INCLUDED_


/*
 * The transport: a ring per worker in shared memory, shipped to Redis Streams.
 * It knows the nginx core only; the http module, and later the stream module,
 * fill in the settings and emit events.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "../shared/alert_codec.h"
#include "../shared/event_codec.h"
#include "../shared/names.h"


/* reasons of dropped events, as in tocsin_events_dropped_total{reason} */

#define NGX_TOCSIN_DROP_FULL      0    /* no room in the ring */
#define NGX_TOCSIN_DROP_REFUSED   1    /* Redis refused this very entry */
#define NGX_TOCSIN_DROP_SHUTDOWN  2    /* not drained within 3 s */
#define NGX_TOCSIN_DROP_SLOT      3    /* the worker has got no ring */
#define NGX_TOCSIN_DROPS          4


typedef struct {
    ngx_str_t                url;          /* as configured */
    ngx_addr_t              *addrs;
    ngx_uint_t               naddrs;
    ngx_uint_t               db;
} ngx_tocsin_server_t;


typedef struct {
    ngx_array_t              servers;      /* of ngx_tocsin_server_t */
    ngx_str_t                user;
    ngx_str_t                password_file;
    ngx_msec_t               timeout;

    ngx_str_t                prefix;
    ngx_uint_t               maxlen;
    ngx_uint_t               shards;

    size_t                   zone_size;
    size_t                   buffer_size;
    ngx_msec_t               flush;

    ngx_shm_zone_t          *zone;         /* counters, slots, board */
    void                    *rings;        /* of ngx_tocsin_ring.c */
} ngx_tocsin_conf_t;


typedef struct {
    uint64_t                 emitted;
    uint64_t                 delivered;
    uint64_t                 dropped[NGX_TOCSIN_DROPS];
    uint64_t                 buffered;     /* counted in the rings */
    uint64_t                 reconnects;
    ngx_uint_t               connected;    /* workers with a link that is up */
    ngx_uint_t               workers;
    char                     error[128];   /* the last one of a link, or "" */
    uint64_t                 error_us;
} ngx_tocsin_totals_t;


/* adds the shared memory zone; after the directives have been read */
ngx_int_t ngx_tocsin_init(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf, void *tag);

ngx_int_t ngx_tocsin_init_process(ngx_cycle_t *cycle, ngx_tocsin_conf_t *tcf);
void ngx_tocsin_exit_process(ngx_cycle_t *cycle, ngx_tocsin_conf_t *tcf);

/*
 * Takes one event: gives it v, src and seq, copies it into this worker's ring
 * and has it sent.  Never blocks, never fails: what does not fit is counted.
 * Returns the seq given to it, for the `req` of attempts.
 */
uint64_t ngx_tocsin_emit(ngx_tocsin_conf_t *tcf, struct tocsin_event *ev);

/* the seq that the next event of a stream will get */
uint64_t ngx_tocsin_next_seq(ngx_tocsin_conf_t *tcf, enum tocsin_stream stream);

/* writes the `inflight` of the beat that is sent every second */
typedef void (*ngx_tocsin_inflight_pt)(void *data, struct tocsin_out *out);

void ngx_tocsin_set_inflight(ngx_tocsin_conf_t *tcf,
    ngx_tocsin_inflight_pt handler, void *data);

/* sums over all workers, living and dead, of this master */
void ngx_tocsin_totals(ngx_tocsin_conf_t *tcf, ngx_tocsin_totals_t *totals);

/* us since the epoch, true at the moment of the call (not ngx_cached_time) */
uint64_t ngx_tocsin_now(void);


/*
 * The link: one connection to Redis that a worker owns (ngx_tocsin_redis.c).
 * It connects, authenticates and selects by itself, backs off with jitter,
 * and reads replies through a table of functions, fed bytes capped.
 */

typedef struct ngx_tocsin_link_s  ngx_tocsin_link_t;

typedef struct {
    /* events of a parsed reply, depth first; depth 0 is the reply itself */
    void  (*array)(void *data, ngx_uint_t depth, size_t elements);
    void  (*string)(void *data, ngx_uint_t depth, u_char *p, size_t len);
    void  (*integer)(void *data, ngx_uint_t depth, int64_t value);
    void  (*nil)(void *data, ngx_uint_t depth);
    void  (*error)(void *data, ngx_uint_t depth, u_char *p, size_t len);
    void  (*end)(void *data);             /* the reply is whole */

    void  (*ready)(void *data);           /* may send; after every connect */
    void  (*lost)(void *data);            /* all that is not replied is void */
} ngx_tocsin_link_handler_t;

ngx_tocsin_link_t *ngx_tocsin_link_create(ngx_tocsin_conf_t *tcf,
    ngx_pool_t *pool, ngx_log_t *log, const ngx_tocsin_link_handler_t *handler,
    void *data);
void ngx_tocsin_link_start(ngx_tocsin_link_t *link);
void ngx_tocsin_link_stop(ngx_tocsin_link_t *link);

/* queues bytes that stay where they are until replied or lost; NGX_OK,
 * NGX_AGAIN when the link is not up or its queue is full */
ngx_int_t ngx_tocsin_link_send(ngx_tocsin_link_t *link, u_char *p, size_t len);


#endif /* _NGX_TOCSIN_H_INCLUDED_ */
