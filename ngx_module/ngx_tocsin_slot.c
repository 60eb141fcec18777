
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin_shm.h"

#include <shared/fault.h>

#include <fcntl.h>
#include <signal.h>


#define NGX_TOCSIN_SILENCE  5000000          /* us */


static uint64_t ngx_tocsin_started(ngx_pid_t pid);
static ngx_uint_t ngx_tocsin_lease_dead(ngx_tocsin_slot_t *slot,
    uint64_t lease);
static ngx_uint_t ngx_tocsin_slot_waits(ngx_tocsin_slot_t *slot);


/* the time of start of a process, in ticks since boot; 0 if there is none */

static uint64_t
ngx_tocsin_started(ngx_pid_t pid)
{
    int         fd;
    u_char     *p, *last;
    u_char      buf[1024];
    ssize_t     n;
    uint64_t    value;
    ngx_uint_t  spaces;

    (void) ngx_sprintf(buf, "/proc/%P/stat%Z", pid);

    fd = open((char *) buf, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return 0;
    }

    n = read(fd, buf, sizeof(buf));

    (void) close(fd);

    if (n <= 0) {
        return 0;
    }

    /* the name in parentheses may hold anything; "starttime" is field 22 */

    last = buf + n;

    for (p = last; p > buf && *p != ')'; p--) { /* void */ }

    for (spaces = 0; p < last && spaces < 20; p++) {
        spaces += (*p == ' ');
    }

    for (value = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (*p - '0');
    }

    return value;
}


uint64_t
ngx_tocsin_lease_self(void)
{
    return (uint64_t) ngx_pid << 32 | (uint32_t) ngx_tocsin_started(ngx_pid);
}


#if (NGX_TOCSIN_DEBUG_LEASES)

void
ngx_tocsin_slot_held(ngx_tocsin_slot_t *slot, const char *where)
{
    static uint64_t   self;
    static ngx_pid_t  pid;

    if (pid != ngx_pid) {
        pid = ngx_pid;
        self = ngx_tocsin_lease_self();
    }

    if (atomic_load(&slot->lease) != self) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "tocsin: %s() writes to a slot that is not leased",
                      where);
        ngx_abort();
    }
}

#endif


static ngx_uint_t
ngx_tocsin_lease_dead(ngx_tocsin_slot_t *slot, uint64_t lease)
{
    uint64_t   heartbeat;
    ngx_pid_t  pid;

    pid = (ngx_pid_t) (lease >> 32);

    if (kill(pid, 0) == -1 && ngx_errno == NGX_ESRCH) {
        return 1;
    }

    /* alive, or its pid was given to another process */

    heartbeat = atomic_load(&slot->heartbeat);

    if (ngx_tocsin_now() - heartbeat < NGX_TOCSIN_SILENCE) {
        return 0;
    }

    return (uint32_t) lease != (uint32_t) ngx_tocsin_started(pid);
}


static ngx_uint_t
ngx_tocsin_slot_waits(ngx_tocsin_slot_t *slot)
{
    struct tocsin_ring_state  state;

    return tocsin_ring_read(&slot->ring, &state) && state.buffered != 0;
}


ngx_tocsin_slot_t *
ngx_tocsin_slot_lease(ngx_tocsin_conf_t *tcf, uint64_t lease)
{
    uint64_t                 holder;
    ngx_uint_t               i, pass;
    ngx_tocsin_shm_t        *shm;
    ngx_tocsin_slot_t       *slot;
    ngx_tocsin_ring_zone_t  *rings;

    shm = ngx_tocsin_shm(tcf);
    rings = ngx_tocsin_ring_zone(tcf);

    /* the slots of the dead come first: something may wait in their rings */

    for (pass = 0; pass < 2; pass++) {

        for (i = 0; i < rings->count; i++) {
            slot = &shm->slots[i];
            holder = atomic_load(&slot->lease);

            if (pass == 0) {
                if (holder == 0 || !ngx_tocsin_lease_dead(slot, holder)) {
                    continue;
                }

            } else if (holder != 0) {
                continue;
            }

#if (NGX_TOCSIN_DEBUG_LEASES == 2)
            return slot;
#endif

            if (atomic_compare_exchange_strong(&slot->lease, &holder, lease)) {
                tocsin_fault(LEASED);
                atomic_store(&slot->heartbeat, ngx_tocsin_now());
                return slot;
            }
        }
    }

    return NULL;
}


ngx_tocsin_slot_t *
ngx_tocsin_slot_adopt(ngx_tocsin_conf_t *tcf, uint64_t lease)
{
    uint64_t                 holder, id, newest;
    ngx_uint_t               i;
    ngx_tocsin_shm_t        *shm;
    ngx_tocsin_slot_t       *slot;

    shm = ngx_tocsin_shm(tcf);
    id = ngx_tocsin_ring_zone(tcf)->id;
    newest = atomic_load(&shm->rings);

    for (i = 0; i < NGX_TOCSIN_SLOTS; i++) {
        slot = &shm->slots[i];
        holder = atomic_load(&slot->lease);

        if (holder == lease
            || (holder != 0 && !ngx_tocsin_lease_dead(slot, holder)))
        {
            continue;
        }

        if (atomic_load(&slot->rings) != id && id != newest) {
            /* its data is out of our reach, but within that of others */
            continue;
        }

        if (holder == 0 && !ngx_tocsin_slot_waits(slot)) {
            continue;
        }

        if (atomic_compare_exchange_strong(&slot->lease, &holder, lease)) {
            tocsin_fault(ADOPTED);
            atomic_store(&slot->heartbeat, ngx_tocsin_now());
            return slot;
        }
    }

    return NULL;
}


void
ngx_tocsin_slot_release(ngx_tocsin_slot_t *slot)
{
    ngx_tocsin_must_hold(slot);

    atomic_store(&slot->working, 0);
    atomic_store(&slot->connected, 0);
    tocsin_fault(RELEASING);
    atomic_store(&slot->lease, 0);
}


ngx_int_t
ngx_tocsin_slot_open(ngx_tocsin_conf_t *tcf, ngx_tocsin_slot_t *slot,
    struct tocsin_ring *ring)
{
    size_t                   size;
    ngx_uint_t               i;
    ngx_tocsin_shm_t        *shm;
    ngx_tocsin_ring_zone_t  *rings;

    ngx_tocsin_must_hold(slot);

    shm = ngx_tocsin_shm(tcf);
    rings = ngx_tocsin_ring_zone(tcf);

    if (atomic_load(&slot->rings) != rings->id) {
        tocsin_ring_abandon(&slot->ring, NGX_TOCSIN_DROP_SHUTDOWN);
        atomic_store(&slot->rings, rings->id);
    }

    i = slot - shm->slots;

    if (i >= rings->count) {
        return NGX_DECLINED;
    }

    size = rings->size - TOCSIN_RING_SLACK;

    (void) tocsin_ring_open(ring, &slot->ring, rings->data + i * rings->size,
                            size, size / 8, NGX_TOCSIN_DROP_SHUTDOWN);

    return NGX_OK;
}


void
ngx_tocsin_slot_trouble(ngx_tocsin_slot_t *slot, u_char *p, size_t len)
{
    ngx_tocsin_must_hold(slot);

    ngx_cpystrn((u_char *) slot->trouble, p,
                ngx_min(len + 1, sizeof(slot->trouble)));

    atomic_store(&slot->trouble_us, ngx_tocsin_now());
}


uint64_t
ngx_tocsin_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


void
ngx_tocsin_totals(ngx_tocsin_conf_t *tcf, ngx_tocsin_totals_t *totals)
{
    uint64_t                   homeless, trouble, now;
    ngx_uint_t                 i, j;
    ngx_tocsin_shm_t          *shm;
    ngx_tocsin_slot_t         *slot;
    struct tocsin_ring_state   state;

    ngx_memzero(totals, sizeof(ngx_tocsin_totals_t));

    shm = ngx_tocsin_shm(tcf);
    now = ngx_tocsin_now();

    for (i = 0; i < NGX_TOCSIN_SLOTS; i++) {
        slot = &shm->slots[i];

        while (!tocsin_ring_read(&slot->ring, &state)) {
            /* its owner is at work: it cannot be for long */
        }

        totals->emitted += state.emitted;
        totals->delivered += state.delivered;
        totals->buffered += state.buffered;

        for (j = 0; j < NGX_TOCSIN_DROPS; j++) {
            totals->dropped[j] += state.dropped[j];
        }

        totals->reconnects += atomic_load(&slot->reconnects);

        if (atomic_load(&slot->working)
            && now - atomic_load(&slot->heartbeat) < NGX_TOCSIN_SILENCE)
        {
            totals->workers++;
            totals->connected += (atomic_load(&slot->connected) != 0);
        }

        trouble = atomic_load(&slot->trouble_us);

        if (trouble > totals->error_us) {
            totals->error_us = trouble;
            ngx_cpystrn((u_char *) totals->error, (u_char *) slot->trouble,
                        sizeof(totals->error));
        }
    }

    homeless = atomic_load(&shm->homeless);

    totals->emitted += homeless;
    totals->dropped[NGX_TOCSIN_DROP_SLOT] += homeless;
}
