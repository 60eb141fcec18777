
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin_link.h"

/*
 * A failed attempt is followed by the next server at once, a failed round of
 * all servers by a pause.  Pauses double from the first to the last figure,
 * counted from the beginning of the attempt, so that a server that returns is
 * found within two seconds even where attempts end by a timeout.
 */

#define NGX_TOCSIN_PAUSE_FIRST  50
#define NGX_TOCSIN_PAUSE_LAST   1400
#define NGX_TOCSIN_AWAY         30000


static ngx_uint_t ngx_tocsin_link_endpoints(ngx_tocsin_link_t *link,
    ngx_pool_t *pool);
static void ngx_tocsin_link_close(ngx_tocsin_link_t *link);
static void ngx_tocsin_link_retry(ngx_tocsin_link_t *link);
static void ngx_tocsin_link_timer_handler(ngx_event_t *ev);


ngx_tocsin_link_t *
ngx_tocsin_link_create(ngx_tocsin_conf_t *tcf, ngx_pool_t *pool,
    ngx_log_t *log, const ngx_tocsin_link_handler_t *handler, void *data)
{
    ngx_tocsin_link_t  *link;

    link = ngx_pcalloc(pool, sizeof(ngx_tocsin_link_t));
    if (link == NULL) {
        return NULL;
    }

    link->tcf = tcf;
    link->log = log;
    link->handler = handler;
    link->data = data;

    /* ngx_event_connect_peer() logs every failed attempt, we log the first */
    link->quiet = *log;
    link->quiet.log_level = NGX_LOG_EMERG;

    link->timer.handler = ngx_tocsin_link_timer_handler;
    link->timer.data = link;
    link->timer.log = log;
    link->timer.cancelable = 1;

    link->out = ngx_palloc(pool, NGX_TOCSIN_OUT);
    link->in = ngx_palloc(pool, NGX_TOCSIN_IN);

    if (link->out == NULL || link->in == NULL
        || ngx_tocsin_link_endpoints(link, pool) == 0)
    {
        return NULL;
    }

    return link;
}


static ngx_uint_t
ngx_tocsin_link_endpoints(ngx_tocsin_link_t *link, ngx_pool_t *pool)
{
    ngx_uint_t              i, j, n;
    ngx_tocsin_server_t    *server;
    ngx_tocsin_endpoint_t  *ep;

    server = link->tcf->servers.elts;
    n = 0;

    for (i = 0; i < link->tcf->servers.nelts; i++) {
        n += server[i].naddrs;
    }

    ep = ngx_pcalloc(pool, n * sizeof(ngx_tocsin_endpoint_t));
    if (ep == NULL) {
        return 0;
    }

    link->endpoints = ep;
    link->nendpoints = n;

    for (i = 0; i < link->tcf->servers.nelts; i++) {
        for (j = 0; j < server[i].naddrs; j++) {
            ep->server = &server[i];
            ep->addr = &server[i].addrs[j];
            ep++;
        }
    }

    return n;
}


void
ngx_tocsin_link_start(ngx_tocsin_link_t *link)
{
    if (link->state == NGX_TOCSIN_LINK_STOPPED) {
        ngx_tocsin_link_connect(link);
    }
}


void
ngx_tocsin_link_stop(ngx_tocsin_link_t *link)
{
    ngx_tocsin_link_close(link);

    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    link->state = NGX_TOCSIN_LINK_STOPPED;
}


void
ngx_tocsin_link_patience(ngx_tocsin_link_t *link, ngx_msec_t patience)
{
    link->patience = patience;
}


ngx_uint_t
ngx_tocsin_link_up(ngx_tocsin_link_t *link)
{
    return link->state == NGX_TOCSIN_LINK_READY && !link->failed;
}


void
ngx_tocsin_link_trouble(ngx_tocsin_link_t *link, char *text, size_t size)
{
    ngx_cpystrn((u_char *) text, (u_char *) link->trouble, size);
}


void
ngx_tocsin_link_leave(ngx_tocsin_link_t *link, u_char *reason, size_t len)
{
    ngx_tocsin_link_fail(link, NGX_LOG_ERR, (char *) reason, len);
}


void
ngx_tocsin_link_greeted(ngx_tocsin_link_t *link)
{
    link->state = NGX_TOCSIN_LINK_READY;
    link->heard = ngx_current_msec;

    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    link->handler->ready(link->data);
}


/* this server answers as it should */

void
ngx_tocsin_link_good(ngx_tocsin_link_t *link)
{
    ngx_tocsin_endpoint_t  *ep;

    if (link->served) {
        return;
    }

    link->served = 1;

    ep = &link->endpoints[link->endpoint];

    if (ep->trouble[0] || link->trouble[0]) {
        ngx_log_error(NGX_LOG_NOTICE, link->log, 0,
                      "tocsin: redis %V serves again",
                      &ngx_tocsin_link_addr(link)->name);

        ep->trouble[0] = '\0';
        link->trouble[0] = '\0';
    }
}


void
ngx_tocsin_link_fail(ngx_tocsin_link_t *link, ngx_uint_t level,
    const char *reason, size_t len)
{
    u_char                  text[NGX_TOCSIN_TROUBLE];
    ngx_uint_t              news;
    ngx_tocsin_endpoint_t  *ep;

    if (link->failed) {
        return;
    }

    link->failed = 1;

    ep = &link->endpoints[link->endpoint];

    if (link->tls_said[0]) {
        level = NGX_LOG_ERR;
        reason = link->tls_said;
        len = ngx_strlen(reason);
    }

    ngx_tocsin_words(text, sizeof(text), (u_char *) reason, len);

    if (ep->trouble[0] == '\0') {
        ep->since = ngx_current_msec;
        ep->error = 0;
    }

    news = (ngx_strcmp(ep->trouble, text) != 0);

    if (!ep->error && ngx_current_msec - ep->since >= NGX_TOCSIN_AWAY) {
        level = NGX_LOG_ERR;
        news = 1;
    }

    if (news) {
        ngx_cpystrn((u_char *) ep->trouble, text, NGX_TOCSIN_TROUBLE);

        ep->error |= (level == NGX_LOG_ERR);

        ngx_log_error(level, link->log, 0, "tocsin: redis %V: %s",
                      &ngx_tocsin_link_addr(link)->name, text);
    }

    ngx_snprintf((u_char *) link->trouble, NGX_TOCSIN_TROUBLE, "%V: %s%Z",
                 &ngx_tocsin_link_addr(link)->name, text);
    link->trouble[NGX_TOCSIN_TROUBLE - 1] = '\0';

    if (!link->reading) {
        ngx_tocsin_link_retry(link);
    }
}


static void
ngx_tocsin_link_close(ngx_tocsin_link_t *link)
{
    ngx_uint_t  ready;

    ready = (link->state == NGX_TOCSIN_LINK_READY);

    if (link->connection) {
        ngx_tocsin_tls_close(link->connection);
        ngx_close_connection(link->connection);
        link->connection = NULL;
    }

    ngx_tocsin_reply_free(link);

    link->greetings = 0;
    link->commands = 0;
    link->state = NGX_TOCSIN_LINK_WAITING;

    if (ready) {
        link->handler->lost(link->data);
    }
}


static void
ngx_tocsin_link_retry(ngx_tocsin_link_t *link)
{
    ngx_msec_t  pause, elapsed;
    ngx_uint_t  round;

    ngx_tocsin_link_close(link);

    if (link->asking && link->known) {
        /* the sentinel has told where the master is */
        link->asking = 0;
        link->started = ngx_current_msec;

        if (link->timer.timer_set) {
            ngx_del_timer(&link->timer);
        }

        ngx_add_timer(&link->timer, 1);
        return;
    }

    link->known = 0;

    if (link->served) {
        /* begin again with the first, maybe with this one */
        link->served = 0;
        link->endpoint = 0;
        link->failures = 0;

    } else {
        link->endpoint = (link->endpoint + 1) % link->nendpoints;
        link->failures++;
    }

    pause = 1;

    if (link->failures % link->nendpoints == 0) {
        round = ngx_min(link->failures / link->nendpoints, 5);

        pause = ngx_min(NGX_TOCSIN_PAUSE_FIRST << round,
                        NGX_TOCSIN_PAUSE_LAST);
        pause = pause * 3 / 4 + ngx_random() % (pause / 2);

        elapsed = ngx_current_msec - link->started;
        pause = (elapsed < pause) ? pause - elapsed : 1;
    }

    ngx_add_timer(&link->timer, pause);
}


ngx_int_t
ngx_tocsin_link_send(ngx_tocsin_link_t *link, u_char *p, size_t len)
{
    u_char  *room;

    room = ngx_tocsin_link_room(link, len, NULL);
    if (room == NULL) {
        return NGX_AGAIN;
    }

    ngx_tocsin_link_wrote(link, ngx_cpymem(room, p, len), 1);
    ngx_tocsin_link_flush(link);

    return NGX_OK;
}


u_char *
ngx_tocsin_link_room(ngx_tocsin_link_t *link, size_t size, u_char **last)
{
    size_t  rest;

    if (link->state != NGX_TOCSIN_LINK_READY || link->failed) {
        return NULL;
    }

    if (last) {
        *last = link->out + NGX_TOCSIN_OUT;
    }

    if ((size_t) (link->out + NGX_TOCSIN_OUT - link->out_last) >= size) {
        return link->out_last;
    }

    rest = link->out_last - link->out_pos;

    if (link->out_pos == link->out || NGX_TOCSIN_OUT - rest < size) {
        return NULL;
    }

    ngx_memmove(link->out, link->out_pos, rest);

    link->out_pos = link->out;
    link->out_last = link->out + rest;

    return link->out_last;
}


void
ngx_tocsin_link_wrote(ngx_tocsin_link_t *link, u_char *end,
    ngx_uint_t commands)
{
    if (link->commands == 0) {
        link->heard = ngx_current_msec;
    }

    link->out_last = end;
    link->commands += commands;
}


void
ngx_tocsin_link_flush(ngx_tocsin_link_t *link)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = link->connection;

    if (c == NULL || link->failed || link->state < NGX_TOCSIN_LINK_GREETING) {
        return;
    }

    while (link->out_pos < link->out_last && c->write->ready) {

        n = c->send(c, link->out_pos, link->out_last - link->out_pos);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            ngx_tocsin_link_lost(link, "broke the connection");
            return;
        }

        link->out_pos += n;
    }

    if (link->out_pos == link->out_last) {
        link->out_pos = link->out;
        link->out_last = link->out;
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_tocsin_link_failed(link, "cannot be written to");
        return;
    }

    if (!link->timer.timer_set) {
        /* it runs on while replies come, see its handler */
        ngx_add_timer(&link->timer, link->tcf->timeout + link->patience);
    }
}


void
ngx_tocsin_link_read_handler(ngx_event_t *rev)
{
    ngx_connection_t   *c;
    ngx_tocsin_link_t  *link;

    c = rev->data;
    link = c->data;

    if (c->close) {
        /* worker_shutdown_timeout */
        ngx_tocsin_link_lost(link, "was left, the worker is shut down");
        return;
    }

    if (link->state == NGX_TOCSIN_LINK_CONNECTING) {
        /* the write handler will tell */
        return;
    }

    link->reading = 1;

    ngx_tocsin_reply_read(link);

    if (!link->failed && link->handler->drained) {
        link->handler->drained(link->data);
    }

    if (!link->failed && ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_tocsin_link_failed(link, "cannot be listened to");
    }

    link->reading = 0;

    if (link->failed) {
        ngx_tocsin_link_retry(link);
    }
}


void
ngx_tocsin_link_write_handler(ngx_event_t *wev)
{
    ngx_connection_t   *c;
    ngx_tocsin_link_t  *link;

    c = wev->data;
    link = c->data;

    if (link->state == NGX_TOCSIN_LINK_CONNECTING) {

        if (ngx_tocsin_link_test(c) != NGX_OK) {
            ngx_tocsin_link_lost(link, "refused the connection");
            return;
        }

        ngx_tocsin_link_connected(link);
        return;
    }

    if (link->out_pos == link->out_last) {
        return;
    }

    ngx_tocsin_link_flush(link);

    if (ngx_tocsin_link_up(link) && link->handler->drained) {
        link->handler->drained(link->data);
    }
}


static void
ngx_tocsin_link_timer_handler(ngx_event_t *ev)
{
    ngx_msec_t          limit, elapsed;
    ngx_tocsin_link_t  *link;

    link = ev->data;

    switch (link->state) {

    case NGX_TOCSIN_LINK_STOPPED:
        return;

    case NGX_TOCSIN_LINK_WAITING:
        ngx_tocsin_link_connect(link);
        return;

    case NGX_TOCSIN_LINK_CONNECTING:
        ngx_tocsin_link_lost(link, "did not take the connection in time");
        return;

    case NGX_TOCSIN_LINK_SECURING:
        ngx_tocsin_link_lost(link, "did not shake hands by TLS in time, "
                                   "it may not speak TLS");
        return;

    case NGX_TOCSIN_LINK_GREETING:
        ngx_tocsin_link_lost(link, "did not answer in time");
        return;

    case NGX_TOCSIN_LINK_READY:
        break;
    }

    if (link->commands == 0) {
        return;
    }

    limit = link->tcf->timeout + link->patience;
    elapsed = ngx_current_msec - link->heard;

    if (elapsed >= limit) {
        ngx_tocsin_link_lost(link, "did not answer in time");
        return;
    }

    ngx_add_timer(&link->timer, limit - elapsed);
}
