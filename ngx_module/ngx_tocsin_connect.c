
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin_link.h"

#include <shared/resp.h>

#include <poll.h>


/* from nothing to a link that was greeted: connect, TLS, AUTH, SELECT, ROLE */


void
ngx_tocsin_link_connect(ngx_tocsin_link_t *link)
{
    ngx_int_t               rc;
    ngx_atomic_t           *counter;
    ngx_addr_t             *addr;
    ngx_connection_t       *c;
    ngx_tocsin_endpoint_t  *ep;

    static ngx_atomic_t     numbers;

    ep = &link->endpoints[link->endpoint];
    addr = ngx_tocsin_link_addr(link);

    link->asking = (ep->server->master.len && !link->known);
    link->started = ngx_current_msec;
    link->state = NGX_TOCSIN_LINK_CONNECTING;
    link->out_pos = link->out;
    link->out_last = link->out;
    link->failed = 0;
    link->tls_said[0] = '\0';

    if (ngx_tocsin_reply_init(link) != NGX_OK) {
        ngx_tocsin_link_failed(link, "found no memory");
        return;
    }

    ngx_memzero(&link->peer, sizeof(ngx_peer_connection_t));

    link->peer.sockaddr = addr->sockaddr;
    link->peer.socklen = addr->socklen;
    link->peer.name = &addr->name;
    link->peer.get = ngx_event_get_peer;
    link->peer.log = &link->quiet;
    link->peer.log_error = NGX_ERROR_INFO;

    /* $connection is what it would be without links, so they count apart */

    counter = ngx_connection_counter;
    ngx_connection_counter = &numbers;

    rc = ngx_event_connect_peer(&link->peer);

    ngx_connection_counter = counter;

    c = link->peer.connection;

    if (c == NULL || (rc != NGX_OK && rc != NGX_AGAIN)) {
        ngx_tocsin_link_lost(link, "refused the connection");
        return;
    }

    link->connection = c;

    c->data = link;
    c->log = link->log;
    c->read->log = link->log;
    c->write->log = link->log;
    c->read->handler = ngx_tocsin_link_read_handler;
    c->write->handler = ngx_tocsin_link_write_handler;

    ngx_add_timer(&link->timer, link->tcf->timeout);

    if (rc == NGX_OK) {
        ngx_tocsin_link_connected(link);
    }
}


ngx_int_t
ngx_tocsin_link_test(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    return err ? NGX_ERROR : NGX_OK;
}


void
ngx_tocsin_link_connected(ngx_tocsin_link_t *link)
{
    ngx_connection_t       *c;
    ngx_tocsin_endpoint_t  *ep;

    c = link->connection;
    ep = &link->endpoints[link->endpoint];

    if (ep->addr->sockaddr->sa_family != AF_UNIX) {
        /* what is written is a whole batch already */
        (void) ngx_tcp_nodelay(c);
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_tocsin_link_failed(link, "cannot be listened to");
        return;
    }

    if (ep->server->tls) {
        ngx_tocsin_tls_start(link);
        return;
    }

    ngx_tocsin_link_greet(link);
}


void
ngx_tocsin_link_greet(ngx_tocsin_link_t *link)
{
    ngx_uint_t              commands;
    struct tocsin_out       out;
    struct tocsin_span      user, password;
    ngx_tocsin_conf_t      *tcf;
    ngx_tocsin_endpoint_t  *ep;

    if (link->asking) {
        ngx_tocsin_sentinel_ask(link);
        return;
    }

    tcf = link->tcf;
    ep = &link->endpoints[link->endpoint];

    commands = 0;
    out.data = (char *) link->out;
    out.cap = NGX_TOCSIN_OUT;
    out.need = 0;

    if (tcf->password.len) {
        user = tocsin_span_of((char *) tcf->user.data, tcf->user.len);
        password = tocsin_span_of((char *) tcf->password.data,
                                  tcf->password.len);

        tocsin_resp_put_array(&out, user.len ? 3 : 2);
        tocsin_resp_put(&out, TOCSIN_SPAN("AUTH"));

        if (user.len) {
            tocsin_resp_put(&out, user);
        }

        tocsin_resp_put(&out, password);
        commands++;
    }

    if (ep->server->db) {
        tocsin_resp_put_array(&out, 2);
        tocsin_resp_put(&out, TOCSIN_SPAN("SELECT"));
        tocsin_resp_put_uint(&out, ep->server->db);
        commands++;
    }

    if (link->known) {
        /* the last of them, see ngx_tocsin_reply.c */
        tocsin_resp_put_array(&out, 1);
        tocsin_resp_put(&out, TOCSIN_SPAN("ROLE"));
        commands++;

        link->role[0] = '\0';
    }

    link->state = NGX_TOCSIN_LINK_GREETING;
    link->greetings = commands;

    if (commands == 0) {
        ngx_tocsin_link_greeted(link);
        return;
    }

    link->out_last += out.need;
    ngx_tocsin_link_flush(link);
}


void
ngx_tocsin_link_poll(ngx_tocsin_link_t *link, ngx_msec_t timer)
{
    int                n;
    ngx_event_t       *ev, *rev;
    ngx_msec_int_t     left;
    struct pollfd      pfd;
    ngx_connection_t  *c;

    ev = &link->timer;

    if (ev->timer_set) {
        left = (ngx_msec_int_t) (ev->timer.key - ngx_current_msec);
        timer = (left <= 0) ? 0 : ngx_min(timer, (ngx_msec_t) left);
    }

    c = link->connection;

    pfd.fd = c ? c->fd : -1;
    pfd.events = POLLIN;
    pfd.revents = 0;

    if (c && (!c->write->ready || link->out_pos != link->out_last)) {
        pfd.events |= POLLOUT;
    }

    if (c && c->read->posted) {
        /* TLS has more, which the socket does not show */
        timer = 0;
    }

    n = poll(&pfd, 1, (int) timer);

    ngx_time_update();

    if (n > 0 && c && (pfd.revents & (POLLOUT|POLLERR|POLLHUP))) {
        c->write->ready = 1;
        c->write->handler(c->write);
    }

    c = link->connection;

    if (n >= 0 && c && c->fd == pfd.fd
        && ((pfd.revents & (POLLIN|POLLERR|POLLHUP)) || c->read->posted))
    {
        rev = c->read;

        if (rev->posted) {
            ngx_delete_posted_event(rev);
        }

        rev->ready = 1;
        rev->available = -1;
        rev->handler(rev);
    }

    if (ev->timer_set
        && (ngx_msec_int_t) (ev->timer.key - ngx_current_msec) <= 0)
    {
        ngx_del_timer(ev);
        ev->handler(ev);
    }
}
