
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_tocsin.h"


#define NGX_TOCSIN_PORT           6379
#define NGX_TOCSIN_SENTINEL_PORT  26379
#define NGX_TOCSIN_DB_MAX         1000000


static char *ngx_tocsin_parse_tcp(ngx_conf_t *cf, ngx_str_t *url,
    size_t scheme, ngx_tocsin_server_t *server);
static char *ngx_tocsin_parse_sentinel(ngx_conf_t *cf, ngx_str_t *url,
    ngx_tocsin_server_t *server);
static char *ngx_tocsin_server_name(ngx_conf_t *cf, ngx_url_t *u,
    ngx_tocsin_server_t *server);
static char *ngx_tocsin_parse_unix(ngx_conf_t *cf, ngx_str_t *url,
    ngx_tocsin_server_t *server);
static char *ngx_tocsin_parse_db(ngx_conf_t *cf, ngx_str_t *url, u_char *p,
    ngx_tocsin_server_t *server);
static char *ngx_tocsin_resolve(ngx_conf_t *cf, ngx_url_t *u,
    ngx_tocsin_server_t *server);


char *
ngx_tocsin_parse_url(ngx_conf_t *cf, ngx_str_t *url,
    ngx_tocsin_server_t *server)
{
    ngx_memzero(server, sizeof(ngx_tocsin_server_t));

    server->url = *url;

    if (url->len > 8 && ngx_strncasecmp(url->data, (u_char *) "redis://", 8)
                        == 0)
    {
        return ngx_tocsin_parse_tcp(cf, url, 8, server);
    }

    if (url->len > 9 && ngx_strncasecmp(url->data, (u_char *) "rediss://", 9)
                        == 0)
    {
        server->tls = 1;
        return ngx_tocsin_parse_tcp(cf, url, 9, server);
    }

    if (url->len > 11
        && ngx_strncasecmp(url->data, (u_char *) "sentinel://", 11) == 0)
    {
        return ngx_tocsin_parse_sentinel(cf, url, server);
    }

    if (url->len > 5 && ngx_strncasecmp(url->data, (u_char *) "unix:", 5)
                        == 0)
    {
        return ngx_tocsin_parse_unix(cf, url, server);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid URL \"%V\" of redis, it may be "
                       "\"redis://HOST[:PORT][/DB]\", "
                       "\"rediss://HOST[:PORT][/DB]\" (by TLS), "
                       "\"sentinel://MASTER@HOST[:PORT][,...][/DB]\" or "
                       "\"unix:/PATH[?db=DB]\"", url);

    return NGX_CONF_ERROR;
}


static char *
ngx_tocsin_parse_tcp(ngx_conf_t *cf, ngx_str_t *url, size_t scheme,
    ngx_tocsin_server_t *server)
{
    u_char     *p, *last;
    ngx_url_t   u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.data = url->data + scheme;
    u.url.len = url->len - scheme;
    last = url->data + url->len;

    if (ngx_strlchr(u.url.data, last, '@')) {
        /* not repeated: it may well hold a password */
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "an URL of redis with user or password in it, "
                           "these are given by \"user=\" "
                           "and \"password_file=\"");
        return NGX_CONF_ERROR;
    }

    p = ngx_strlchr(u.url.data, last, '/');

    if (p) {
        u.url.len = p - u.url.data;

        if (p + 1 != last
            && ngx_tocsin_parse_db(cf, url, p + 1, server) != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    u.default_port = NGX_TOCSIN_PORT;

    if (ngx_tocsin_resolve(cf, &u, server) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_tocsin_server_name(cf, &u, server);
}


/* sentinel://MASTER@HOST[:PORT],HOST[:PORT]/DB */

static char *
ngx_tocsin_parse_sentinel(ngx_conf_t *cf, ngx_str_t *url,
    ngx_tocsin_server_t *server)
{
    u_char     *p, *end, *comma, *last;
    ngx_url_t   u;

    p = url->data + 11;
    last = url->data + url->len;
    end = ngx_strlchr(p, last, '@');

    if (end == NULL || end == p) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no name of a master in \"%V\", it may be "
                           "\"sentinel://MASTER@HOST[:PORT][,...][/DB]\"",
                           url);
        return NGX_CONF_ERROR;
    }

    server->master.data = p;
    server->master.len = end - p;

    p = end + 1;
    end = ngx_strlchr(p, last, '/');

    if (end == NULL) {
        end = last;

    } else if (end + 1 != last
               && ngx_tocsin_parse_db(cf, url, end + 1, server) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    for ( ;; ) {

        comma = ngx_strlchr(p, end, ',');

        ngx_memzero(&u, sizeof(ngx_url_t));

        u.url.data = p;
        u.url.len = (comma ? comma : end) - p;
        u.default_port = NGX_TOCSIN_SENTINEL_PORT;

        if (ngx_tocsin_resolve(cf, &u, server) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }

        if (comma == NULL) {
            return NGX_CONF_OK;
        }

        p = comma + 1;
    }
}


/* with a zero at its end, and without the brackets of an IPv6 address */

static char *
ngx_tocsin_server_name(ngx_conf_t *cf, ngx_url_t *u,
    ngx_tocsin_server_t *server)
{
    u_char     *p;
    ngx_str_t   host;

    host = u->host;

    if (host.len > 2 && host.data[0] == '[') {
        host.data++;
        host.len -= 2;
    }

    p = ngx_pnalloc(cf->pool, host.len + 1);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    server->name.data = p;
    server->name.len = host.len;

    (void) ngx_cpystrn(p, host.data, host.len + 1);

    return NGX_CONF_OK;
}


static char *
ngx_tocsin_parse_unix(ngx_conf_t *cf, ngx_str_t *url,
    ngx_tocsin_server_t *server)
{
    u_char     *p;
    ngx_url_t   u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *url;

    p = ngx_strlchr(url->data, url->data + url->len, '?');

    if (p) {
        u.url.len = p - url->data;

        if (url->data + url->len - p < 5 || ngx_strncmp(p, "?db=", 4) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\", only \"?db=DB\" may follow "
                               "the path of a unix socket", url);
            return NGX_CONF_ERROR;
        }

        if (ngx_tocsin_parse_db(cf, url, p + 4, server) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_tocsin_resolve(cf, &u, server);
}


static char *
ngx_tocsin_parse_db(ngx_conf_t *cf, ngx_str_t *url, u_char *p,
    ngx_tocsin_server_t *server)
{
    ngx_int_t  n;

    n = ngx_atoi(p, url->data + url->len - p);

    if (n == NGX_ERROR || n > NGX_TOCSIN_DB_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid database in \"%V\", "
                           "it is a number from 0 to %d",
                           url, NGX_TOCSIN_DB_MAX);
        return NGX_CONF_ERROR;
    }

    server->db = n;

    return NGX_CONF_OK;
}


/* more addresses of the server */

static char *
ngx_tocsin_resolve(ngx_conf_t *cf, ngx_url_t *u, ngx_tocsin_server_t *server)
{
    ngx_addr_t  *addrs;

    if (ngx_parse_url(cf->pool, u) != NGX_OK || u->naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s in URL \"%V\" of redis",
                           u->err ? u->err : "no address", &server->url);
        return NGX_CONF_ERROR;
    }

    addrs = ngx_palloc(cf->pool,
                       (server->naddrs + u->naddrs) * sizeof(ngx_addr_t));
    if (addrs == NULL) {
        return NGX_CONF_ERROR;
    }

    if (server->naddrs) {
        ngx_memcpy(addrs, server->addrs, server->naddrs * sizeof(ngx_addr_t));
    }

    ngx_memcpy(addrs + server->naddrs, u->addrs,
               u->naddrs * sizeof(ngx_addr_t));

    server->addrs = addrs;
    server->naddrs += u->naddrs;

    return NGX_CONF_OK;
}
