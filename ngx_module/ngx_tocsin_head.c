
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin_worker.h"

#include <shared/resp.h>


/*
 * All of an XADD that is the same for every event of a stream, shard and
 * producer is made once: the command, its key and cap, v and src.
 */

#define NGX_TOCSIN_BEATS  10000


static void ngx_tocsin_head(struct tocsin_out *out, ngx_tocsin_conf_t *tcf,
    const char *stream, ngx_int_t shard, uint64_t maxlen, ngx_uint_t fields);


static const char  *ngx_tocsin_streams[] = {
    TOCSIN_STREAM_REQUEST,
    TOCSIN_STREAM_UPSTREAM,
    TOCSIN_STREAM_BEAT
};


/* the same for a request and its attempts */

ngx_uint_t
ngx_tocsin_shard(ngx_tocsin_conf_t *tcf, struct tocsin_event *ev)
{
    uint32_t  hash;

    ngx_crc32_init(hash);
    ngx_crc32_update(&hash, (u_char *) ev->server.data, ev->server.len);
    ngx_crc32_update(&hash, (u_char *) "", 1);
    ngx_crc32_update(&hash, (u_char *) ev->route.data, ev->route.len);
    ngx_crc32_final(hash);

    return hash % tcf->shards;
}


static void
ngx_tocsin_head(struct tocsin_out *out, ngx_tocsin_conf_t *tcf,
    const char *stream, ngx_int_t shard, uint64_t maxlen, ngx_uint_t fields)
{
    u_char  *p;
    u_char   key[NGX_TOCSIN_HEAD];

    if (shard < 0) {
        p = ngx_slprintf(key, key + sizeof(key), "%V:%s",
                         &tcf->prefix, stream);
    } else {
        p = ngx_slprintf(key, key + sizeof(key), "%V:%s:{%i}",
                         &tcf->prefix, stream, shard);
    }

    tocsin_resp_put_array(out, 6 + 2 * fields);
    tocsin_resp_put(out, TOCSIN_SPAN("XADD"));
    tocsin_resp_put(out, tocsin_span_of((char *) key, p - key));
    tocsin_resp_put(out, TOCSIN_SPAN("MAXLEN"));
    tocsin_resp_put(out, TOCSIN_SPAN("~"));
    tocsin_resp_put_uint(out, maxlen);
    tocsin_resp_put(out, TOCSIN_SPAN("*"));
}


ngx_int_t
ngx_tocsin_heads_create(ngx_tocsin_worker_t *w, ngx_pool_t *pool,
    ngx_tocsin_owned_t *owned)
{
    owned->heads = ngx_palloc(pool, 2 * w->shards * sizeof(ngx_str_t));
    owned->memory = ngx_palloc(pool, 2 * w->shards * NGX_TOCSIN_HEAD);

    return (owned->heads && owned->memory) ? NGX_OK : NGX_ERROR;
}


void
ngx_tocsin_heads_set(ngx_tocsin_worker_t *w, ngx_tocsin_owned_t *owned)
{
    ngx_int_t          shard;
    ngx_str_t         *head;
    ngx_uint_t         i;
    struct tocsin_out  out;
    ngx_tocsin_slot_t *slot;

    slot = owned->slot;

    tocsin_encoder_init(&owned->encoder);

    for (i = 0; i < 2 * w->shards; i++) {
        head = &owned->heads[i];

        out.data = (char *) owned->memory + i * NGX_TOCSIN_HEAD;
        out.cap = NGX_TOCSIN_HEAD;
        out.need = 0;

        shard = (w->shards == 1) ? -1 : (ngx_int_t) (i % w->shards);

        ngx_tocsin_head(&out, w->tcf, ngx_tocsin_streams[i / w->shards],
                        shard, w->tcf->maxlen,
                        tocsin_event_field_count(i / w->shards));

        tocsin_resp_put(&out, TOCSIN_SPAN("v"));
        tocsin_resp_put_uint(&out, TOCSIN_SCHEMA_VERSION);
        tocsin_resp_put(&out, TOCSIN_SPAN("src"));
        tocsin_resp_put(&out, tocsin_span_of(slot->src, slot->src_len));

        head->data = (u_char *) out.data;
        head->len = ngx_min(out.need, out.cap);
    }
}


ngx_int_t
ngx_tocsin_beat_head(ngx_tocsin_worker_t *w, ngx_pool_t *pool)
{
    struct tocsin_out  out;

    out.data = ngx_palloc(pool, NGX_TOCSIN_HEAD);
    if (out.data == NULL) {
        return NGX_ERROR;
    }

    out.cap = NGX_TOCSIN_HEAD;
    out.need = 0;

    ngx_tocsin_head(&out, w->tcf, ngx_tocsin_streams[TOCSIN_BEAT], -1,
                    NGX_TOCSIN_BEATS, tocsin_event_field_count(TOCSIN_BEAT));

    w->beat_head.data = (u_char *) out.data;
    w->beat_head.len = ngx_min(out.need, out.cap);

    return NGX_OK;
}
