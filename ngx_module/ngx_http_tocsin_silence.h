
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

/* what follows "/api/v2/silence/" */
struct tocsin_span ngx_http_tocsin_silence_id(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TOCSIN_SILENCE_H_INCLUDED_ */
