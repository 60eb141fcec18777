
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tocsin_command.h"
#include "ngx_http_tocsin_feed.h"
#include "ngx_http_tocsin_module.h"
#include "ngx_http_tocsin_push.h"


#define NGX_HTTP_TOCSIN_FEED_TICK  250


static void ngx_http_tocsin_feed_tick(ngx_event_t *ev);
static void ngx_http_tocsin_feed_begin(ngx_http_tocsin_feed_t *feed);
static void ngx_http_tocsin_feed_end(ngx_http_tocsin_feed_t *feed);
static void ngx_http_tocsin_feed_watch(ngx_http_tocsin_feed_t *feed);
static ngx_int_t ngx_http_tocsin_feed_keys(ngx_cycle_t *cycle,
    ngx_http_tocsin_feed_t *feed);
static ngx_int_t ngx_http_tocsin_feed_init_zone(ngx_shm_zone_t *zone,
    void *data);


static void
ngx_http_tocsin_feed_tick(ngx_event_t *ev)
{
    ngx_connection_t        *c;
    ngx_http_tocsin_feed_t  *feed;

    c = ev->data;
    feed = c->data;

    if (ngx_exiting || ngx_terminate) {
        ngx_http_tocsin_feed_end(feed);
        return;
    }

    if (ngx_http_tocsin_board_acquire(feed->board) == NGX_OK) {

        if (feed->alerts == NULL) {
            ngx_http_tocsin_feed_begin(feed);
        }

        if (feed->alerts) {
            ngx_http_tocsin_feed_watch(feed);
        }

    } else if (feed->alerts) {
        ngx_log_error(NGX_LOG_NOTICE, feed->log, 0,
                      "tocsin: another worker follows the alerts now");
        ngx_http_tocsin_feed_end(feed);
    }

    ngx_add_timer(&feed->tick, NGX_HTTP_TOCSIN_FEED_TICK);
}


static void
ngx_http_tocsin_feed_begin(ngx_http_tocsin_feed_t *feed)
{
    feed->alerts = ngx_alloc(sizeof(ngx_http_tocsin_alerts_t), feed->log);
    if (feed->alerts == NULL) {
        return;
    }

    ngx_log_error(NGX_LOG_INFO, feed->log, 0,
                  "tocsin: this worker follows the alerts");

    ngx_http_tocsin_alerts_restore(feed->alerts, feed->board, feed->log);

    ngx_memzero(&feed->state, sizeof(ngx_http_tocsin_link_state_t));

    feed->state.since = ngx_tocsin_now();
    feed->state.pid = (uint32_t) ngx_pid;
    feed->retry = 0;
    feed->step = ngx_http_tocsin_feed_idle;

    ngx_tocsin_link_start(feed->link);
}


static void
ngx_http_tocsin_feed_end(ngx_http_tocsin_feed_t *feed)
{
    if (feed->alerts == NULL) {
        return;
    }

    ngx_tocsin_link_stop(feed->link);

    feed->step = ngx_http_tocsin_feed_idle;

    ngx_http_tocsin_alerts_free(feed->alerts);
    ngx_free(feed->alerts);
    feed->alerts = NULL;

    if (feed->buf) {
        ngx_free(feed->buf);
        feed->buf = NULL;
        feed->size = 0;
    }

    if (feed->active) {
        ngx_free(feed->active);
        feed->active = NULL;
    }

    ngx_http_tocsin_board_release(feed->board);
}


static void
ngx_http_tocsin_feed_watch(ngx_http_tocsin_feed_t *feed)
{
    char      trouble[128];
    uint64_t  now;

    static const char  silent[] = "no reply in time";

    now = ngx_tocsin_now();

    if (!feed->state.up) {
        ngx_tocsin_link_trouble(feed->link, trouble, sizeof(trouble));

        if (trouble[0]) {
            ngx_http_tocsin_follow_fault(feed, trouble, ngx_strlen(trouble));
        }
    }

    if (feed->state.up
        && now > feed->state.replied + NGX_HTTP_TOCSIN_SILENCE)
    {
        /* it answers at least once a second, if only with nothing */

        ngx_http_tocsin_follow_fault(feed, silent, sizeof(silent) - 1);

        ngx_tocsin_link_stop(feed->link);
        ngx_http_tocsin_follow_lost(feed);
        ngx_tocsin_link_start(feed->link);

    } else if (feed->retry
               && (ngx_msec_int_t) (ngx_current_msec - feed->retry) >= 0)
    {
        feed->retry = 0;
        ngx_http_tocsin_follow_ask(feed);
    }

    ngx_http_tocsin_alerts_expire(feed->alerts, now);

    ngx_http_tocsin_feed_publish(feed);
}


void
ngx_http_tocsin_feed_publish(ngx_http_tocsin_feed_t *feed)
{
    ngx_str_t  piece;

    feed->state.forgotten = feed->alerts->forgotten;

    piece.data = (u_char *) &feed->state;
    piece.len = sizeof(ngx_http_tocsin_link_state_t);

    (void) ngx_http_tocsin_board_write(feed->board,
                                       NGX_HTTP_TOCSIN_DOC_LINK, &piece, 1);

    /* not before the history is complete: nobody shall see half of it */

    if (feed->step == ngx_http_tocsin_feed_follow
        || feed->step == ngx_http_tocsin_feed_idle)
    {
        (void) ngx_http_tocsin_alerts_write(feed->alerts, feed->board);
    }
}


static ngx_int_t
ngx_http_tocsin_feed_init_zone(ngx_shm_zone_t *zone, void *data)
{
    (void) data;

    zone->data = ngx_http_tocsin_board_create(zone);

    return zone->data ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_tocsin_feed_init(ngx_conf_t *cf, ngx_http_tocsin_main_conf_t *tmcf)
{
    u_char                  *p;
    uint32_t                 crc;
    ngx_str_t                name;
    ngx_uint_t               i;
    ngx_shm_zone_t          *zone;
    ngx_tocsin_server_t     *servers;
    ngx_http_tocsin_feed_t  *feed;

    /* another Redis or prefix is another board: a reload begins it anew */

    ngx_crc32_init(crc);

    servers = tmcf->tocsin.servers.elts;

    for (i = 0; i < tmcf->tocsin.servers.nelts; i++) {
        ngx_crc32_update(&crc, servers[i].url.data, servers[i].url.len);
    }

    ngx_crc32_update(&crc, tmcf->tocsin.prefix.data, tmcf->tocsin.prefix.len);
    ngx_crc32_final(crc);

    p = ngx_pnalloc(cf->pool, sizeof("tocsin_board_") + 8);
    if (p == NULL) {
        return NGX_ERROR;
    }

    name.data = p;
    name.len = ngx_sprintf(p, "tocsin_board_%08xD", crc) - p;

    zone = ngx_shared_memory_add(cf, &name, tmcf->tocsin.zone_size,
                                 &ngx_http_tocsin_module);
    if (zone == NULL) {
        return NGX_ERROR;
    }

    zone->init = ngx_http_tocsin_feed_init_zone;

    feed = ngx_pcalloc(cf->pool, sizeof(ngx_http_tocsin_feed_t));
    if (feed == NULL) {
        return NGX_ERROR;
    }

    feed->zone = zone;
    feed->conf = &tmcf->tocsin;

    tmcf->feed = feed;

    return NGX_OK;
}


ngx_int_t
ngx_http_tocsin_feed_init_process(ngx_cycle_t *cycle,
    ngx_http_tocsin_main_conf_t *tmcf)
{
    ngx_http_tocsin_feed_t  *feed;

    feed = tmcf->feed;

    feed->board = feed->zone->data;
    feed->log = cycle->log;

    if (ngx_http_tocsin_feed_keys(cycle, feed) != NGX_OK) {
        return NGX_ERROR;
    }

    feed->link = ngx_tocsin_link_create(&tmcf->tocsin, cycle->pool, cycle->log,
                                        &ngx_http_tocsin_feed_handler, feed);
    if (feed->link == NULL) {
        return NGX_ERROR;
    }

    ngx_tocsin_link_patience(feed->link, 5 * NGX_HTTP_TOCSIN_FEED_BLOCK);

    feed->connection.fd = (ngx_socket_t) -1;
    feed->connection.data = feed;

    feed->tick.handler = ngx_http_tocsin_feed_tick;
    feed->tick.data = &feed->connection;
    feed->tick.log = cycle->log;
    feed->tick.cancelable = 1;

    ngx_http_tocsin_push_init(feed);

    if (ngx_http_tocsin_command_init(cycle, feed) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the first worker to ask becomes the feed */

    ngx_add_timer(&feed->tick, 1);

    return NGX_OK;
}


static ngx_int_t
ngx_http_tocsin_feed_keys(ngx_cycle_t *cycle, ngx_http_tocsin_feed_t *feed)
{
    u_char     *p;
    ngx_str_t  *prefix;

    prefix = &feed->conf->prefix;

    p = ngx_pnalloc(cycle->pool, 2 * prefix->len
                                 + sizeof(":" TOCSIN_STREAM_ALERTS)
                                 + sizeof(":" TOCSIN_STREAM_BOARD));
    if (p == NULL) {
        return NGX_ERROR;
    }

    feed->alerts_key.data = p;
    p = ngx_sprintf(p, "%V:" TOCSIN_STREAM_ALERTS, prefix);
    feed->alerts_key.len = p - feed->alerts_key.data;

    feed->series_key.data = p;
    p = ngx_sprintf(p, "%V:" TOCSIN_STREAM_BOARD, prefix);
    feed->series_key.len = p - feed->series_key.data;

    return NGX_OK;
}


void
ngx_http_tocsin_feed_exit_process(ngx_cycle_t *cycle,
    ngx_http_tocsin_main_conf_t *tmcf)
{
    ngx_uint_t               i;
    ngx_http_tocsin_feed_t  *feed;

    feed = tmcf->feed;

    if (feed->board == NULL) {
        return;
    }

    ngx_http_tocsin_push_close(feed);
    ngx_http_tocsin_command_exit(feed);
    ngx_http_tocsin_feed_end(feed);

    for (i = 0; i < NGX_HTTP_TOCSIN_DOCS; i++) {
        ngx_http_tocsin_copy_free(&feed->copies[i]);
    }
}
