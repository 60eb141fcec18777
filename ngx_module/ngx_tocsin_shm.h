
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_TOCSIN_SHM_H_INCLUDED_
#define _NGX_TOCSIN_SHM_H_INCLUDED_


#include "ngx_tocsin.h"

#include <shared/ring.h>


/*
 * Two zones.  One holds the counters and the control areas of the rings: it
 * keeps its size, so it lives as long as the master.  The other one holds the
 * data of the rings, "tocsin_buffer" for each slot; its pages are not resident
 * before a ring has grown into them, and it is made anew when the size or the
 * number of slots changes.  What then waits in old rings is sent by the old
 * workers, or counted as dropped.
 *
 * A slot is leased by a process, known by its pid and the time at which it was
 * started; a lease of a dead process can be taken over, with all that waits
 * in the ring.  The producer's name (src) and its running numbers belong to
 * the slot.
 */

#define NGX_TOCSIN_SLOTS  256
#define NGX_TOCSIN_SRC    96


typedef struct {
    _Atomic uint64_t           lease;        /* 0: free */
    _Atomic uint64_t           heartbeat;    /* us, of the holder */
    _Atomic uint64_t           rings;        /* id of the zone of its data */
    _Atomic uint64_t           reconnects;
    _Atomic uint64_t           connected;
    _Atomic uint64_t           working;      /* not only adopted */

    _Atomic uint64_t           trouble_us;   /* 0: none */
    char                       trouble[128];

    char                       src[NGX_TOCSIN_SRC];
    size_t                     src_len;

    struct tocsin_ring_shared  ring;
} ngx_tocsin_slot_t;


typedef struct {
    uint64_t                   cycle;        /* counts configurations */
    _Atomic uint64_t           started;      /* the newest that has workers */
    _Atomic uint64_t           rings;        /* id of its data zone */
    _Atomic uint64_t           homeless;     /* emitted without a slot */
    ngx_tocsin_slot_t          slots[NGX_TOCSIN_SLOTS];
} ngx_tocsin_shm_t;


typedef struct {
    uint64_t                   id;
    ngx_uint_t                 count;
    size_t                     size;         /* of one, with its slack */
    char                      *data;
} ngx_tocsin_ring_zone_t;


/* ngx_tocsin_shm.c */
ngx_int_t ngx_tocsin_shm_init(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf,
    void *tag);

ngx_tocsin_shm_t *ngx_tocsin_shm(ngx_tocsin_conf_t *tcf);
ngx_tocsin_ring_zone_t *ngx_tocsin_ring_zone(ngx_tocsin_conf_t *tcf);

/*
 * The configuration of tcf has workers.  What the master has read may fail
 * after the zones were made; nothing of it is to be seen before this.
 */
void ngx_tocsin_shm_started(ngx_tocsin_conf_t *tcf);

/*
 * Do workers of a younger configuration work over the same rings?  They will
 * send what is left there.
 */
ngx_uint_t ngx_tocsin_shm_succeeded(ngx_tocsin_conf_t *tcf);

/* ngx_tocsin_slot.c */

/* how this process signs a lease */
uint64_t ngx_tocsin_lease_self(void);

/*
 * A slot to work with: one whose holder died, or a free one; NULL if there is
 * none.  It is leased, and said to belong to the data zone of tcf.
 */
ngx_tocsin_slot_t *ngx_tocsin_slot_lease(ngx_tocsin_conf_t *tcf,
    uint64_t lease);

/* the same for a slot that nobody works with though its ring is not empty */
ngx_tocsin_slot_t *ngx_tocsin_slot_adopt(ngx_tocsin_conf_t *tcf,
    uint64_t lease);

void ngx_tocsin_slot_release(ngx_tocsin_slot_t *slot);

/* what is wrong with the link of the one who works with the slot */
void ngx_tocsin_slot_trouble(ngx_tocsin_slot_t *slot, u_char *p, size_t len);

/*
 * The rule of this memory: whoever writes to a slot, or to its ring, holds its
 * lease; counters that all may add to are atomic.  A build with
 * NGX_TOCSIN_DEBUG_LEASES (make leases) looks at every such write, and a worker
 * dies of one that breaks the rule.  With 2 it gives away slots that were not
 * leased: that must be found.
 */
#if (NGX_TOCSIN_DEBUG_LEASES)

void ngx_tocsin_slot_held(ngx_tocsin_slot_t *slot, const char *where);

#define ngx_tocsin_must_hold(slot)  ngx_tocsin_slot_held(slot, __func__)

#else

#define ngx_tocsin_must_hold(slot)

#endif

/*
 * Opens the ring of a leased slot.  What waits in a ring whose data is not
 * within reach any more is dropped; NGX_DECLINED if that was all, since the
 * data zone has no place for this slot.
 */
ngx_int_t ngx_tocsin_slot_open(ngx_tocsin_conf_t *tcf, ngx_tocsin_slot_t *slot,
    struct tocsin_ring *ring);


#endif /* _NGX_TOCSIN_SHM_H_INCLUDED_ */
