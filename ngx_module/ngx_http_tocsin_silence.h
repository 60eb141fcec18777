
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_HTTP_TOCSIN_SILENCE_H_INCLUDED_
#define _NGX_HTTP_TOCSIN_SILENCE_H_INCLUDED_


#include <shared/silence_json.h>

#include "ngx_http_tocsin_status.h"


/* `text` ends with a null */
ngx_int_t ngx_http_tocsin_silence_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *text);

/*
 * Is there the silence that the request names?  NGX_OK: there is;
 * NGX_DECLINED: there is none; NGX_AGAIN: nobody here can tell, for the
 * sidecar is silent or had no time yet to take in what was made lately.
 */
ngx_int_t ngx_http_tocsin_silence_known(ngx_http_request_t *r);

/* what follows "/api/v2/silence/" */
struct tocsin_span ngx_http_tocsin_silence_id(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TOCSIN_SILENCE_H_INCLUDED_ */
