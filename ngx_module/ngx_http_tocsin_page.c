
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tocsin_status.h"

#include "ngx_http_tocsin_page.h"


/* where the page names its files: what leads from its address to theirs */

#define NGX_HTTP_TOCSIN_BASE  "{base}"


static ngx_int_t ngx_http_tocsin_page_base(ngx_http_request_t *r,
    ngx_str_t *base);
static ngx_http_tocsin_file_t *ngx_http_tocsin_page_find(ngx_str_t *name);
static ngx_int_t ngx_http_tocsin_page_etag(ngx_http_request_t *r,
    ngx_str_t *etag);


static const char  ngx_http_tocsin_page_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";


ngx_int_t
ngx_http_tocsin_page(ngx_http_request_t *r)
{
    u_char                  *p, *from, *last, *mark;
    size_t                   marks;
    ngx_str_t                base, body, name;
    ngx_http_tocsin_file_t  *file;

    ngx_str_set(&name, "page.html");

    file = ngx_http_tocsin_page_find(&name);

    if (file == NULL || ngx_http_tocsin_page_base(r, &base) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = file->body.data + file->body.len;
    marks = 0;

    for (from = file->body.data; /* void */ ; from = mark + 1) {

        mark = ngx_strlcasestrn(from, last, (u_char *) NGX_HTTP_TOCSIN_BASE,
                                sizeof(NGX_HTTP_TOCSIN_BASE) - 2);
        if (mark == NULL) {
            break;
        }

        marks++;
    }

    p = ngx_pnalloc(r->pool, file->body.len + marks * base.len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body.data = p;

    for (from = file->body.data; marks; marks--) {

        mark = ngx_strlcasestrn(from, last, (u_char *) NGX_HTTP_TOCSIN_BASE,
                                sizeof(NGX_HTTP_TOCSIN_BASE) - 2);

        p = ngx_cpymem(p, from, mark - from);
        p = ngx_cpymem(p, base.data, base.len);

        from = mark + sizeof(NGX_HTTP_TOCSIN_BASE) - 1;
    }

    p = ngx_cpymem(p, from, last - from);
    body.len = p - body.data;

    if (ngx_http_tocsin_header(r, "Content-Security-Policy",
                               ngx_http_tocsin_page_policy)
        != NGX_OK
        || ngx_http_tocsin_header(r, "Cross-Origin-Opener-Policy",
                                  "same-origin")
           != NGX_OK
        || ngx_http_tocsin_header(r, "Cache-Control", "no-store") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tocsin_send(r, NGX_HTTP_OK, (char *) file->type.data,
                                &body);
}


/*
 * Files are named relative to the page, so that it also works behind a proxy
 * that shows it elsewhere: at "/_alerts/" by their mere names, at "/_alerts"
 * through the last segment.
 */

static ngx_int_t
ngx_http_tocsin_page_base(ngx_http_request_t *r, ngx_str_t *base)
{
    u_char  *p, *start, *last;
    size_t   len;

    start = r->uri.data;
    last = r->uri.data + r->uri.len;

    for (p = last; p > start && p[-1] != '/'; p--) { /* void */ }

    len = last - p;

    base->len = 0;
    base->data = ngx_pnalloc(r->pool, 3 * len + 1);
    if (base->data == NULL) {
        return NGX_ERROR;
    }

    if (len) {
        last = (u_char *) ngx_escape_uri(base->data, p, len,
                                         NGX_ESCAPE_URI_COMPONENT);
        *last++ = '/';
        base->len = last - base->data;
    }

    return NGX_OK;
}


/* r is NULL to ask whether there is such a file */

ngx_int_t
ngx_http_tocsin_page_file(ngx_http_request_t *r, ngx_str_t *path)
{
    ngx_str_t                name;
    ngx_http_tocsin_file_t  *file;

    name.data = path->data + 1;
    name.len = path->len - 1;

    file = ngx_http_tocsin_page_find(&name);

    if (file == NULL || file == &ngx_http_tocsin_files[0]) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (r == NULL) {
        return NGX_OK;
    }

    /* may be kept, but only with our consent: it belongs to this build */

    if (ngx_http_tocsin_header(r, "Cache-Control", "no-cache") != NGX_OK
        || ngx_http_tocsin_header(r, "Content-Security-Policy",
                                  "default-src 'none'; "
                                  "frame-ancestors 'none'")
           != NGX_OK
        || ngx_http_tocsin_page_etag(r, &file->etag) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tocsin_send(r, NGX_HTTP_OK, (char *) file->type.data,
                                &file->body);
}


static ngx_http_tocsin_file_t *
ngx_http_tocsin_page_find(ngx_str_t *name)
{
    ngx_http_tocsin_file_t  *file;

    for (file = ngx_http_tocsin_files; file->name.len; file++) {

        if (file->name.len == name->len
            && ngx_strncmp(file->name.data, name->data, name->len) == 0)
        {
            return file;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_tocsin_page_etag(ngx_http_request_t *r, ngx_str_t *etag)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->value = *etag;

    r->headers_out.etag = h;

    return NGX_OK;
}
