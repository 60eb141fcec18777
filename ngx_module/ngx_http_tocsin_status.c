
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tocsin_module.h"
#include "ngx_http_tocsin_status.h"


#define NGX_HTTP_TOCSIN_DOCUMENT  16384    /* first guess of its size */


typedef struct {
    ngx_str_t                  path;
    ngx_http_handler_pt        handler;
} ngx_http_tocsin_path_t;


static ngx_int_t ngx_http_tocsin_status_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_tocsin_root(ngx_http_request_t *r);
static ngx_http_handler_pt ngx_http_tocsin_find_path(ngx_str_t *path);
static ngx_int_t ngx_http_tocsin_wants_json(ngx_http_request_t *r);
static ngx_uint_t ngx_http_tocsin_quality(ngx_str_t *accept,
    const char *type);


static ngx_http_tocsin_path_t  ngx_http_tocsin_paths[] = {

    { ngx_string("/api/v2/alerts"), ngx_http_tocsin_api_alerts },
    { ngx_string("/api/v2/status"), ngx_http_tocsin_api_status },
    { ngx_string(NGX_HTTP_TOCSIN_SILENCES), ngx_http_tocsin_silences },
    { ngx_string("/api/v2/receivers"), ngx_http_tocsin_api_receivers },
    { ngx_string("/api/v1/series"), ngx_http_tocsin_api_series },
    { ngx_string("/metrics"), ngx_http_tocsin_metrics },
    { ngx_string("/stream"), ngx_http_tocsin_push },
    { ngx_string("/healthz"), ngx_http_tocsin_api_health },
    { ngx_string("/"), ngx_http_tocsin_root },
    { ngx_string(""), ngx_http_tocsin_root },

    { ngx_null_string, NULL }
};


static ngx_int_t
ngx_http_tocsin_status_handler(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_str_t             rest;
    ngx_http_handler_pt   handler;

    if (ngx_http_tocsin_header(r, "X-Content-Type-Options", "nosniff")
        != NGX_OK
        || ngx_http_tocsin_header(r, "Referrer-Policy", "no-referrer")
           != NGX_OK
        || ngx_http_tocsin_header(r, "X-Frame-Options", "DENY") != NGX_OK
        || ngx_http_tocsin_header(r, "Cross-Origin-Resource-Policy",
                                  "same-origin")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_tocsin_below(r, &rest);

    handler = ngx_http_tocsin_find_path(&rest);

    if (handler == NULL
        && (rest.len < 2
            || ngx_http_tocsin_page_file(NULL, &rest) != NGX_OK))
    {
        return NGX_HTTP_NOT_FOUND;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {

        if ((r->method == NGX_HTTP_POST
             && handler == ngx_http_tocsin_silences)
            || (r->method == NGX_HTTP_DELETE
                && handler == ngx_http_tocsin_silence))
        {
            return ngx_http_tocsin_silence_write(r);
        }

        if (ngx_http_tocsin_header(r, "Allow", "GET, HEAD") != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (handler) {
        return handler(r);
    }

    return ngx_http_tocsin_page_file(r, &rest);
}


static ngx_int_t
ngx_http_tocsin_root(ngx_http_request_t *r)
{
    if (ngx_http_tocsin_header(r, "Vary", "Accept") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_tocsin_wants_json(r)) {
        return ngx_http_tocsin_api_summary(r);
    }

    return ngx_http_tocsin_page(r);
}


static ngx_http_handler_pt
ngx_http_tocsin_find_path(ngx_str_t *path)
{
    ngx_http_tocsin_path_t  *p;

    for (p = ngx_http_tocsin_paths; p->handler; p++) {

        if (p->path.len == path->len
            && ngx_strncmp(p->path.data, path->data, path->len) == 0)
        {
            return p->handler;
        }
    }

    if (path->len > sizeof(NGX_HTTP_TOCSIN_ONE) - 1
        && ngx_strncmp(path->data, NGX_HTTP_TOCSIN_ONE,
                       sizeof(NGX_HTTP_TOCSIN_ONE) - 1)
           == 0)
    {
        return ngx_http_tocsin_silence;
    }

    return NULL;
}


/* what follows the name of the location: "" or begins with a slash */

void
ngx_http_tocsin_below(ngx_http_request_t *r, ngx_str_t *rest)
{
    size_t                     len;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    len = clcf->name.len;

    if (len && clcf->name.data[len - 1] == '/') {
        len--;
    }

    len = ngx_min(len, r->uri.len);

    rest->data = r->uri.data + len;
    rest->len = r->uri.len - len;
}


static ngx_int_t
ngx_http_tocsin_wants_json(ngx_http_request_t *r)
{
    ngx_str_t   *accept;
    ngx_uint_t   i, json, html;

    json = 0;
    html = 0;

    for (i = 0; /* void */ ; i++) {

        accept = ngx_http_tocsin_header_in(r, "accept", i);
        if (accept == NULL) {
            break;
        }

        json = ngx_max(json, ngx_http_tocsin_quality(accept,
                                                     "application/json"));
        html = ngx_max(html, ngx_http_tocsin_quality(accept, "text/html"));
    }

    return json > html;
}


/* thousandths; wildcards count for neither: a page is for whoever asks so */

static ngx_uint_t
ngx_http_tocsin_quality(ngx_str_t *accept, const char *type)
{
    u_char     *p, *last, *q;
    size_t      len;
    ngx_int_t   quality;

    len = ngx_strlen(type);
    last = accept->data + accept->len;

    p = ngx_strlcasestrn(accept->data, last, (u_char *) type, len - 1);
    if (p == NULL) {
        return 0;
    }

    p += len;

    while (p < last && *p == ' ') {
        p++;
    }

    if (p == last || *p == ',') {
        return 1000;
    }

    q = ngx_strlchr(p, last, ',');
    if (q) {
        last = q;
    }

    q = ngx_strlcasestrn(p, last, (u_char *) "q=", 2 - 1);
    if (q == NULL) {
        return 1000;
    }

    for (p = q + 2; p < last; p++) {
        if ((*p < '0' || *p > '9') && *p != '.') {
            break;
        }
    }

    quality = ngx_atofp(q + 2, p - q - 2, 3);

    return quality == NGX_ERROR ? 0 : quality;
}


ngx_str_t *
ngx_http_tocsin_header_in(ngx_http_request_t *r, const char *name,
    ngx_uint_t nth)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    len = ngx_strlen(name);

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == len
            && ngx_strncmp(header[i].lowcase_key, name, len) == 0
            && nth-- == 0)
        {
            return &header[i].value;
        }
    }
}


ngx_int_t
ngx_http_tocsin_header(ngx_http_request_t *r, const char *name,
    const char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = (u_char *) value;
    h->value.len = ngx_strlen(value);

    return NGX_OK;
}


ngx_int_t
ngx_http_tocsin_write(ngx_http_request_t *r, ngx_http_tocsin_write_pt handler,
    void *data, ngx_str_t *text)
{
    struct tocsin_out  out;

    out.cap = NGX_HTTP_TOCSIN_DOCUMENT;

    for ( ;; ) {

        out.need = 0;
        out.data = ngx_palloc(r->pool, out.cap);
        if (out.data == NULL) {
            return NGX_ERROR;
        }

        handler(&out, data);

        if (tocsin_out_fits(&out)) {
            break;
        }

        (void) ngx_pfree(r->pool, out.data);

        out.cap = out.need;
    }

    text->data = (u_char *) out.data;
    text->len = out.need;

    return NGX_OK;
}


ngx_int_t
ngx_http_tocsin_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_str_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    r->headers_out.status = status;
    r->headers_out.content_length_n = body->len;

    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->memory = (body->len != 0);
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;
    b->sync = (body->len == 0 && !b->last_buf);

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_tocsin_answer(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, ngx_http_tocsin_write_pt handler, void *data)
{
    ngx_str_t  body;

    if (ngx_http_tocsin_header(r, "Cache-Control", "no-store") != NGX_OK
        || ngx_http_tocsin_header(r, "Content-Security-Policy",
                                  "default-src 'none'; "
                                  "frame-ancestors 'none'")
           != NGX_OK
        || ngx_http_tocsin_write(r, handler, data, &body) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tocsin_send(r, status, type, &body);
}


ngx_http_tocsin_feed_t *
ngx_http_tocsin_get_feed(ngx_http_request_t *r)
{
    ngx_http_tocsin_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tocsin_module);

    return tmcf->feed;
}


char *
ngx_http_tocsin_alerts(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tocsin_loc_conf_t *tlcf = conf;

    ngx_str_t                    *value;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_tocsin_main_conf_t  *tmcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == ngx_http_tocsin_status_handler) {
        return "is duplicate";
    }

    if (clcf->named
#if (NGX_PCRE)
        || clcf->regex
#endif
        )
    {
        return "needs a location with a prefix, as \"location /_alerts\": "
               "the page and its API lie below it";
    }

    tlcf->write = 0;

    if (cf->args->nelts == 2) {
        value = cf->args->elts;

        if (ngx_strcmp(value[1].data, "write=on") == 0) {
            tlcf->write = 1;

        } else if (ngx_strcmp(value[1].data, "write=off") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of \"%V\": "
                               "it may be \"write=on\" or \"write=off\"",
                               &value[1], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tocsin_module);
    tmcf->alerts = 1;

    clcf->handler = ngx_http_tocsin_status_handler;

    return NGX_CONF_OK;
}
