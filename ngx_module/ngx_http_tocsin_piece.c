
/*
 * Copyright (C) Tocsin authors
 */


/*
 * Pieces of events that are encoded once: what the configuration says, when it
 * is read; how a request came, its method and protocol, when that pair first
 * comes, as there are few of both.
 */


#include "ngx_http_tocsin_module.h"


#define NGX_HTTP_TOCSIN_METHODS     18
#define NGX_HTTP_TOCSIN_PROTOS      8
#define NGX_HTTP_TOCSIN_HOWS                                                  \
    (NGX_HTTP_TOCSIN_METHODS * NGX_HTTP_TOCSIN_PROTOS)
#define NGX_HTTP_TOCSIN_VERSION_30  3000


typedef struct {
    char                         text[2 * TOCSIN_PIECE_UNIT];
} ngx_http_tocsin_how_t;


static size_t ngx_http_tocsin_set_how(ngx_http_tocsin_how_t *how,
    ngx_uint_t method, ngx_uint_t version);
static struct tocsin_span ngx_http_tocsin_method(ngx_uint_t method);
static struct tocsin_span ngx_http_tocsin_proto(ngx_uint_t version);


ngx_int_t
ngx_http_tocsin_make_piece(ngx_conf_t *cf, struct tocsin_span *piece,
    size_t (*make)(char *to, const struct tocsin_event *ev),
    struct tocsin_event *ev)
{
    char    *p;
    size_t   len;

    char  text[TOCSIN_PIECE_MAX];

    len = make(text, ev);

    p = ngx_pcalloc(cf->pool, ngx_align(len, TOCSIN_PIECE_UNIT));
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, text, len);

    *piece = tocsin_span_of(p, len);

    return NGX_OK;
}


struct tocsin_span
ngx_http_tocsin_how(ngx_uint_t method, ngx_uint_t version)
{
    ngx_uint_t  i, p;

    static u_char                 lens[NGX_HTTP_TOCSIN_HOWS];
    static ngx_http_tocsin_how_t  hows[NGX_HTTP_TOCSIN_HOWS];

    /* a method is one bit; the last place is that of none of them */

    i = __builtin_ctz((uint32_t) method | 1 << (NGX_HTTP_TOCSIN_METHODS - 1));

    switch (version) {

    case NGX_HTTP_VERSION_11:
        p = 1;
        break;
    case NGX_HTTP_VERSION_20:
        p = 2;
        break;
    case NGX_HTTP_VERSION_10:
        p = 3;
        break;
    case NGX_HTTP_VERSION_9:
        p = 4;
        break;
    case NGX_HTTP_TOCSIN_VERSION_30:
        p = 5;
        break;
    default:
        p = 0;
    }

    i = i * NGX_HTTP_TOCSIN_PROTOS + p;

    if (lens[i] == 0) {
        lens[i] = ngx_http_tocsin_set_how(&hows[i], method, version);
    }

    return tocsin_span_of(hows[i].text, lens[i]);
}


static size_t
ngx_http_tocsin_set_how(ngx_http_tocsin_how_t *how, ngx_uint_t method,
    ngx_uint_t version)
{
    size_t               len;
    struct tocsin_event  ev;

    char  text[TOCSIN_PIECE_MAX];

    ev.method = ngx_http_tocsin_method(method);
    ev.proto = ngx_http_tocsin_proto(version);

    len = tocsin_record_how(text, &ev);

    ngx_memcpy(how->text, text, len);

    return len;
}


/* of a table: what a client makes up must not become a series */

static struct tocsin_span
ngx_http_tocsin_method(ngx_uint_t method)
{
    switch (method) {

    case NGX_HTTP_GET:
        return TOCSIN_SPAN("GET");
    case NGX_HTTP_HEAD:
        return TOCSIN_SPAN("HEAD");
    case NGX_HTTP_POST:
        return TOCSIN_SPAN("POST");
    case NGX_HTTP_PUT:
        return TOCSIN_SPAN("PUT");
    case NGX_HTTP_DELETE:
        return TOCSIN_SPAN("DELETE");
    case NGX_HTTP_MKCOL:
        return TOCSIN_SPAN("MKCOL");
    case NGX_HTTP_COPY:
        return TOCSIN_SPAN("COPY");
    case NGX_HTTP_MOVE:
        return TOCSIN_SPAN("MOVE");
    case NGX_HTTP_OPTIONS:
        return TOCSIN_SPAN("OPTIONS");
    case NGX_HTTP_PROPFIND:
        return TOCSIN_SPAN("PROPFIND");
    case NGX_HTTP_PROPPATCH:
        return TOCSIN_SPAN("PROPPATCH");
    case NGX_HTTP_LOCK:
        return TOCSIN_SPAN("LOCK");
    case NGX_HTTP_UNLOCK:
        return TOCSIN_SPAN("UNLOCK");
    case NGX_HTTP_PATCH:
        return TOCSIN_SPAN("PATCH");
    case NGX_HTTP_TRACE:
        return TOCSIN_SPAN("TRACE");
    case NGX_HTTP_CONNECT:
        return TOCSIN_SPAN("CONNECT");
    default:
        return TOCSIN_SPAN("_OTHER");
    }
}


static struct tocsin_span
ngx_http_tocsin_proto(ngx_uint_t version)
{
    switch (version) {

    case NGX_HTTP_VERSION_11:
        return TOCSIN_SPAN("1.1");
    case NGX_HTTP_VERSION_20:
        return TOCSIN_SPAN("2");
    case NGX_HTTP_VERSION_10:
        return TOCSIN_SPAN("1.0");
    case NGX_HTTP_VERSION_9:
        return TOCSIN_SPAN("0.9");
    case NGX_HTTP_TOCSIN_VERSION_30:
        return TOCSIN_SPAN("3");
    default:
        return TOCSIN_SPAN("");
    }
}
