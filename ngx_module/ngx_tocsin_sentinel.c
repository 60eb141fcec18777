
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin_link.h"

#include <shared/resp.h>


/*
 * An endpoint may be a sentinel, which knows where the master is.  A link then
 * connects twice: to the sentinel, asks, and leaves it; to the address that it
 * was told.  A sentinel may be stale, so that one is asked for its role before
 * it is used.  Whenever it fails, or is no master, or says READONLY, the next
 * sentinel is asked.  What is told has to be an address, for names are not
 * resolved here.
 */


static ngx_int_t ngx_tocsin_sentinel_address(ngx_tocsin_link_t *link,
    u_char *p, size_t len);


void
ngx_tocsin_sentinel_ask(ngx_tocsin_link_t *link)
{
    ngx_str_t          *master;
    struct tocsin_out   out;

    master = &link->endpoints[link->endpoint].server->master;

    out.data = (char *) link->out;
    out.cap = NGX_TOCSIN_OUT;
    out.need = 0;

    tocsin_resp_put_array(&out, 3);
    tocsin_resp_put(&out, TOCSIN_SPAN("SENTINEL"));
    tocsin_resp_put(&out, TOCSIN_SPAN("GET-MASTER-ADDR-BY-NAME"));
    tocsin_resp_put(&out, tocsin_span_of((char *) master->data, master->len));

    link->state = NGX_TOCSIN_LINK_GREETING;
    link->greetings = 1;
    link->told = 0;

    link->out_last += out.need;
    ngx_tocsin_link_flush(link);
}


/* the address, then the port */

void
ngx_tocsin_sentinel_string(ngx_tocsin_link_t *link, ngx_uint_t depth,
    u_char *p, size_t len)
{
    ngx_int_t     n;
    ngx_addr_t   *addr;

    addr = &link->master;

    if (depth != 1 || link->told > 1) {
        link->told = 3;
        return;
    }

    if (link->told++ == 0) {

        if (ngx_tocsin_sentinel_address(link, p, len) != NGX_OK) {
            link->told = 3;
        }

        return;
    }

    n = ngx_atoi(p, len);

    if (n < 1 || n > 65535) {
        link->told = 3;
        return;
    }

    ngx_inet_set_port(addr->sockaddr, (in_port_t) n);

    addr->name.data = link->master_name;
    addr->name.len = ngx_sock_ntop(addr->sockaddr, addr->socklen,
                                   link->master_name, NGX_SOCKADDR_STRLEN, 1);
}


static ngx_int_t
ngx_tocsin_sentinel_address(ngx_tocsin_link_t *link, u_char *p, size_t len)
{
    ngx_addr_t           *addr;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    addr = &link->master;

    ngx_memzero(&link->master_sockaddr, sizeof(ngx_sockaddr_t));
    addr->sockaddr = &link->master_sockaddr.sockaddr;

    sin = &link->master_sockaddr.sockaddr_in;
    sin->sin_addr.s_addr = ngx_inet_addr(p, len);

    if (sin->sin_addr.s_addr != INADDR_NONE) {
        sin->sin_family = AF_INET;
        addr->socklen = sizeof(struct sockaddr_in);
        return NGX_OK;
    }

#if (NGX_HAVE_INET6)

    sin6 = &link->master_sockaddr.sockaddr_in6;
    ngx_memzero(sin6, sizeof(struct sockaddr_in6));

    if (ngx_inet6_addr(p, len, sin6->sin6_addr.s6_addr) == NGX_OK) {
        sin6->sin6_family = AF_INET6;
        addr->socklen = sizeof(struct sockaddr_in6);
        return NGX_OK;
    }

#endif

    return NGX_ERROR;
}


/* the reply is whole: on to the master, as soon as the reading is over */

void
ngx_tocsin_sentinel_told(ngx_tocsin_link_t *link)
{
    u_char     *p, text[NGX_TOCSIN_TROUBLE];
    ngx_str_t  *master;

    if (link->told == 2) {
        link->known = 1;
        link->failed = 1;
        return;
    }

    master = &link->endpoints[link->endpoint].server->master;

    p = ngx_snprintf(text, sizeof(text), link->told
                     ? "tells of master \"%V\" what is no address"
                     : "knows no master \"%V\"", master);

    ngx_tocsin_link_fail(link, NGX_LOG_ERR, (char *) text, p - text);
}


/* the first word of the reply to ROLE; replicas and offsets follow */

void
ngx_tocsin_sentinel_role(ngx_tocsin_link_t *link, ngx_uint_t depth,
    u_char *p, size_t len)
{
    if (depth == 1 && link->role[0] == '\0') {
        ngx_tocsin_words((u_char *) link->role, sizeof(link->role), p, len);
    }
}


ngx_int_t
ngx_tocsin_sentinel_is_master(ngx_tocsin_link_t *link)
{
    u_char      *p, text[NGX_TOCSIN_TROUBLE];
    ngx_str_t   *master;

    if (ngx_strcmp(link->role, "master") == 0) {
        return NGX_OK;
    }

    master = &link->endpoints[link->endpoint].server->master;

    p = ngx_snprintf(text, sizeof(text), "is not the master \"%V\" that a "
                     "sentinel takes it for, its role is \"%s\"",
                     master, link->role);

    ngx_tocsin_link_fail(link, NGX_LOG_WARN, (char *) text, p - text);

    return NGX_ERROR;
}
