
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_TOCSIN_WORKER_H_INCLUDED_
#define _NGX_TOCSIN_WORKER_H_INCLUDED_


/* what a worker has of its own; ngx_tocsin_worker.c, ngx_tocsin_ring.c */


#include "ngx_tocsin_shm.h"

#include <shared/event_record.h>


#define NGX_TOCSIN_RUNS      32
#define NGX_TOCSIN_HEAD      512           /* the longest one */
#define NGX_TOCSIN_ENTRY     (NGX_TOCSIN_HEAD + TOCSIN_EVENT_ENCODED_MAX)
#define NGX_TOCSIN_INFLIGHT  TOCSIN_EVIDENCE_MAX


typedef enum {
    NGX_TOCSIN_OWN = 0,
    NGX_TOCSIN_ADOPTED,
    NGX_TOCSIN_BEAT
} ngx_tocsin_owner_e;


typedef struct {
    ngx_tocsin_owner_e         owner;
    ngx_uint_t                 count;
} ngx_tocsin_run_t;


/* a leased slot; its heads are all of an XADD that precedes the fields */

typedef struct {
    ngx_tocsin_slot_t         *slot;
    struct tocsin_ring         ring;
    struct tocsin_encoder      encoder;
    ngx_str_t                 *heads;      /* [stream][shard] */
    u_char                    *memory;
    ngx_tocsin_owner_e         owner;
} ngx_tocsin_owned_t;


typedef struct {
    ngx_tocsin_conf_t         *tcf;
    ngx_log_t                 *log;
    ngx_tocsin_link_t         *link;
    uint64_t                   lease;
    ngx_uint_t                 shards;

    ngx_tocsin_owned_t         own;
    ngx_tocsin_owned_t         adopted;

    ngx_uint_t                 dirty;      /* the own ring, until a commit */

    ngx_tocsin_run_t           runs[NGX_TOCSIN_RUNS];
    ngx_uint_t                 first;
    ngx_uint_t                 nruns;

    ngx_event_t                flush;
    ngx_event_t                tick;
    ngx_msec_t                 pause;

    ngx_msec_t                 complained_at[2];
    unsigned                   complained[2];

    ngx_str_t                  beat_head;
    ngx_tocsin_inflight_pt     inflight;
    void                      *inflight_data;
    char                      *inflight_text;

    unsigned                   replied:1;  /* this reply is accounted for */
    unsigned                   rewind:1;   /* something has to go again */
    unsigned                   paused:1;   /* until the flush timer */
    unsigned                   probe:1;    /* one at a time */
    unsigned                   lost:1;     /* the link was up before */
} ngx_tocsin_worker_t;


extern const ngx_tocsin_link_handler_t  ngx_tocsin_ring_handler;


/* ngx_tocsin_ring.c */
void ngx_tocsin_ring_init(ngx_tocsin_worker_t *w);
void ngx_tocsin_flush(ngx_tocsin_worker_t *w);
void ngx_tocsin_push(ngx_tocsin_worker_t *w, ngx_tocsin_owner_e owner,
    ngx_uint_t count);

/* ngx_tocsin_head.c */
ngx_uint_t ngx_tocsin_shard(ngx_tocsin_conf_t *tcf, struct tocsin_event *ev);
ngx_int_t ngx_tocsin_heads_create(ngx_tocsin_worker_t *w, ngx_pool_t *pool,
    ngx_tocsin_owned_t *owned);
void ngx_tocsin_heads_set(ngx_tocsin_worker_t *w, ngx_tocsin_owned_t *owned);
ngx_int_t ngx_tocsin_beat_head(ngx_tocsin_worker_t *w, ngx_pool_t *pool);

/* ngx_tocsin_worker.c */
void ngx_tocsin_beat(ngx_tocsin_worker_t *w);
void ngx_tocsin_disown(ngx_tocsin_worker_t *w);


#endif /* _NGX_TOCSIN_WORKER_H_INCLUDED_ */
