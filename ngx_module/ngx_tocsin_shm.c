
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin_shm.h"


#define NGX_TOCSIN_SHM_SIZE  (512 * 1024)
#define NGX_TOCSIN_HOST      48

#define NGX_TOCSIN_RINGS_NAME                                                 \
    (sizeof("tocsin_rings_x") - 1 + NGX_INT_T_LEN + NGX_SIZE_T_LEN)


static ngx_int_t ngx_tocsin_test_slots(ngx_tocsin_conf_t *tcf, ngx_log_t *log);
static ngx_int_t ngx_tocsin_init_zone(ngx_shm_zone_t *zone, void *data);
static ngx_int_t ngx_tocsin_init_ring_zone(ngx_shm_zone_t *zone, void *data);
static void ngx_tocsin_shm_raise(_Atomic uint64_t *value, uint64_t least);
static ngx_int_t ngx_tocsin_hostname(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf);


ngx_int_t
ngx_tocsin_shm_init(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf, void *tag)
{
    u_char    *p;
    size_t     size, pages;
    ngx_int_t  workers;
    ngx_str_t  name;

    if (ngx_tocsin_hostname(cf, tcf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_str_set(&name, "tocsin_slots");

    tcf->zone = ngx_shared_memory_add(cf, &name, NGX_TOCSIN_SHM_SIZE, tag);
    if (tcf->zone == NULL) {
        return NGX_ERROR;
    }

    tcf->zone->init = ngx_tocsin_init_zone;
    tcf->zone->data = tcf;

    /* "worker_processes" may follow the http block: it is unset then */

    tcf->core = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                                 ngx_core_module);

    workers = ngx_max(tcf->core->worker_processes, ngx_ncpu);

    /* several generations of workers may drain while new ones start */

    tcf->slots = ngx_min(4 * ngx_max(workers, 1) + 8, NGX_TOCSIN_SLOTS);

    tcf->buffer_size = ngx_align(tcf->buffer_size, ngx_pagesize);

    /* nginx keeps a descriptor for every page of a zone */

    pages = tcf->slots * (tcf->buffer_size / ngx_pagesize) + 1;
    size = pages * (ngx_pagesize + sizeof(ngx_slab_page_t))
           + 16 * ngx_pagesize;

    /*
     * A zone of the same name and size is that of the cycle before: the name
     * tells how it is divided, as other numbers may have the same product.
     */

    p = ngx_pnalloc(cf->pool, NGX_TOCSIN_RINGS_NAME);
    if (p == NULL) {
        return NGX_ERROR;
    }

    name.data = p;
    name.len = ngx_snprintf(p, NGX_TOCSIN_RINGS_NAME, "tocsin_rings_%uix%uz",
                            tcf->slots, tcf->buffer_size)
               - p;

    tcf->ring_zone = ngx_shared_memory_add(cf, &name,
                                           ngx_align(size, ngx_pagesize), tag);
    if (tcf->ring_zone == NULL) {
        return NGX_ERROR;
    }

    tcf->ring_zone->init = ngx_tocsin_init_ring_zone;
    tcf->ring_zone->data = tcf;

    return NGX_OK;
}


/* the part of src that tells hosts from each other */

static ngx_int_t
ngx_tocsin_hostname(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf)
{
    u_char     *p, ch;
    ngx_uint_t  i;
    ngx_str_t  *host;

    host = &cf->cycle->hostname;

    tcf->hostname.len = ngx_min(host->len, NGX_TOCSIN_HOST);

    p = ngx_pnalloc(cf->pool, tcf->hostname.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    tcf->hostname.data = p;

    for (i = 0; i < tcf->hostname.len; i++) {
        ch = host->data[i];

        *p++ = ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
                || (ch >= '0' && ch <= '9') || ch == '.' || ch == '-')
               ? ch : '_';
    }

    return NGX_OK;
}


/* the whole of the configuration was read */

static ngx_int_t
ngx_tocsin_test_slots(ngx_tocsin_conf_t *tcf, ngx_log_t *log)
{
    ngx_uint_t  workers;

    workers = tcf->core->worker_processes;

    if (workers > NGX_TOCSIN_SLOTS) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "with tocsin, \"worker_processes\" must be %d at most",
                      NGX_TOCSIN_SLOTS);
        return NGX_ERROR;
    }

    if (workers > tcf->slots) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "tocsin has %ui slots for %ui workers, "
                      "\"worker_processes\" must stand before \"http\"",
                      tcf->slots, workers);
        return NGX_ERROR;
    }

    if (2 * workers > tcf->slots && tcf->slots < NGX_TOCSIN_SLOTS) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "tocsin has %ui slots for %ui workers and for those "
                      "that drain after a reload, \"worker_processes\" "
                      "should stand before \"http\"",
                      tcf->slots, workers);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tocsin_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_tocsin_conf_t  *old = data;

    u_char             *p, *last;
    uint64_t            now;
    ngx_uint_t          i;
    ngx_slab_pool_t    *shpool;
    ngx_tocsin_shm_t   *shm;
    ngx_tocsin_conf_t  *tcf;
    ngx_tocsin_slot_t  *slot;

    tcf = zone->data;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (ngx_tocsin_test_slots(tcf, zone->shm.log) != NGX_OK) {
        return NGX_ERROR;
    }

    if (old || zone->shm.exists) {
        shm = shpool->data;
        tcf->cycle = ++shm->cycle;
        return NGX_OK;
    }

    shm = ngx_slab_calloc(shpool, sizeof(ngx_tocsin_shm_t));
    if (shm == NULL) {
        return NGX_ERROR;
    }

    shpool->data = shm;
    tcf->cycle = ++shm->cycle;

    now = ngx_tocsin_now();

    for (i = 0; i < NGX_TOCSIN_SLOTS; i++) {
        slot = &shm->slots[i];

        p = (u_char *) slot->src;
        last = p + NGX_TOCSIN_SRC;

        slot->src_len = ngx_slprintf(p, last, "%V/%ui/%xL-%xi",
                                     &tcf->hostname, i, (int64_t) now,
                                     (ngx_int_t) ngx_pid)
                        - p;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_tocsin_init_ring_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_tocsin_conf_t  *old = data;

    ngx_slab_pool_t         *shpool;
    ngx_tocsin_conf_t       *tcf;
    ngx_tocsin_ring_zone_t  *rings;

    tcf = zone->data;
    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (old || zone->shm.exists) {
        return NGX_OK;
    }

    rings = ngx_slab_calloc(shpool, sizeof(ngx_tocsin_ring_zone_t));
    if (rings == NULL) {
        return NGX_ERROR;
    }

    /* in one piece: it is not touched, and its pages are zero when they are */

    rings->data = ngx_slab_alloc(shpool, tcf->slots * tcf->buffer_size);
    if (rings->data == NULL) {
        return NGX_ERROR;
    }

    rings->id = tcf->cycle;
    rings->count = tcf->slots;
    rings->size = tcf->buffer_size;

    shpool->data = rings;

    return NGX_OK;
}


/* workers of two configurations may start at once: the younger one stays */

void
ngx_tocsin_shm_started(ngx_tocsin_conf_t *tcf)
{
    ngx_tocsin_shm_t  *shm;

    shm = ngx_tocsin_shm(tcf);

    /* in this order: who sees that it has started sees its rings */

    ngx_tocsin_shm_raise(&shm->rings, ngx_tocsin_ring_zone(tcf)->id);
    ngx_tocsin_shm_raise(&shm->started, tcf->cycle);
}


static void
ngx_tocsin_shm_raise(_Atomic uint64_t *value, uint64_t least)
{
    uint64_t  now;

    now = atomic_load(value);

    while (now < least && !atomic_compare_exchange_weak(value, &now, least)) {
        /* void */
    }
}


ngx_uint_t
ngx_tocsin_shm_succeeded(ngx_tocsin_conf_t *tcf)
{
    ngx_tocsin_shm_t  *shm;

    shm = ngx_tocsin_shm(tcf);

    return atomic_load(&shm->started) > tcf->cycle
           && atomic_load(&shm->rings) == ngx_tocsin_ring_zone(tcf)->id;
}


ngx_tocsin_shm_t *
ngx_tocsin_shm(ngx_tocsin_conf_t *tcf)
{
    return ((ngx_slab_pool_t *) tcf->zone->shm.addr)->data;
}


ngx_tocsin_ring_zone_t *
ngx_tocsin_ring_zone(ngx_tocsin_conf_t *tcf)
{
    return ((ngx_slab_pool_t *) tcf->ring_zone->shm.addr)->data;
}
