
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_HTTP_TOCSIN_SILENCE_H_INCLUDED_
#define _NGX_HTTP_TOCSIN_SILENCE_H_INCLUDED_


#include "../shared/silence_json.h"

#include "ngx_http_tocsin_status.h"


typedef struct {
    ngx_http_tocsin_view_t      view;
    ngx_http_tocsin_filter_t   *filter;
    struct tocsin_span          id;          /* of the one, or empty */
    ngx_str_t                   text;        /* of an error; an id */
} ngx_http_tocsin_silences_t;


/* ngx_http_tocsin_silence.c */
ngx_int_t ngx_http_tocsin_silence_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_http_tocsin_write_pt handler,
    ngx_http_tocsin_silences_t *silences);
ngx_int_t ngx_http_tocsin_silence_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *text, size_t len);

/* what follows "/api/v2/silence/" */
struct tocsin_span ngx_http_tocsin_silence_id(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TOCSIN_SILENCE_H_INCLUDED_ */
