
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_HTTP_TOCSIN_PUSH_H_INCLUDED_
#define _NGX_HTTP_TOCSIN_PUSH_H_INCLUDED_


#include "ngx_http_tocsin_feed.h"


/* server-sent events of this worker: set up, and closed when it exits */
void ngx_http_tocsin_push_init(ngx_http_tocsin_feed_t *feed);
void ngx_http_tocsin_push_close(ngx_http_tocsin_feed_t *feed);


#endif /* _NGX_HTTP_TOCSIN_PUSH_H_INCLUDED_ */
