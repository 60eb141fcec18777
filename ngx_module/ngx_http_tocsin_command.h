
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_HTTP_TOCSIN_COMMAND_H_INCLUDED_
#define _NGX_HTTP_TOCSIN_COMMAND_H_INCLUDED_


/*
 * Commands of people to the sidecar: an entry of <prefix>:commands, over a
 * link that this worker opens when somebody asks and closes when nobody does.
 */


#include "ngx_http_tocsin_status.h"


#define NGX_HTTP_TOCSIN_COMMAND_WAIT  3000   /* ms */


/*
 * The end of a command: NGX_OK when Redis has it, else NGX_ERROR and a reason
 * for people.  Finalizes the request.
 */
typedef void (*ngx_http_tocsin_command_pt)(ngx_http_request_t *r, void *data,
    ngx_int_t rc, const char *reason);


ngx_int_t ngx_http_tocsin_command_init(ngx_cycle_t *cycle,
    ngx_http_tocsin_feed_t *feed);
void ngx_http_tocsin_command_exit(ngx_http_tocsin_feed_t *feed);

/* NGX_OK: the handler will be called; NGX_ERROR: it will not */
ngx_int_t ngx_http_tocsin_command_send(ngx_http_request_t *r,
    struct tocsin_command *command, ngx_http_tocsin_command_pt handler,
    void *data);


#endif /* _NGX_HTTP_TOCSIN_COMMAND_H_INCLUDED_ */
