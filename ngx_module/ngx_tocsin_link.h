
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_TOCSIN_LINK_H_INCLUDED_
#define _NGX_TOCSIN_LINK_H_INCLUDED_


/*
 * shared by ngx_tocsin_connect.c, ngx_tocsin_tls.c, ngx_tocsin_sentinel.c,
 * ngx_tocsin_redis.c and ngx_tocsin_reply.c
 */


#include "ngx_tocsin.h"

#include <hiredis/read.h>


#define NGX_TOCSIN_OUT      65536
#define NGX_TOCSIN_IN       16384
#define NGX_TOCSIN_TROUBLE  256


typedef enum {
    NGX_TOCSIN_LINK_STOPPED = 0,
    NGX_TOCSIN_LINK_WAITING,              /* for the next attempt */
    NGX_TOCSIN_LINK_CONNECTING,
    NGX_TOCSIN_LINK_SECURING,             /* the handshake of TLS */
    NGX_TOCSIN_LINK_GREETING,             /* AUTH, SELECT */
    NGX_TOCSIN_LINK_READY
} ngx_tocsin_link_state_e;


/* an address of a server, and what was last wrong with it */

typedef struct {
    ngx_addr_t                      *addr;
    ngx_tocsin_server_t             *server;
    char                             trouble[NGX_TOCSIN_TROUBLE];
    ngx_msec_t                       since;     /* of that */
    ngx_uint_t                       error;     /* it was logged as an error */
} ngx_tocsin_endpoint_t;


struct ngx_tocsin_link_s {
    ngx_tocsin_conf_t                *tcf;
    ngx_log_t                        *log;
    ngx_log_t                         quiet;
    ngx_log_t                         tls;        /* leads to tls_said */
    const ngx_tocsin_link_handler_t  *handler;
    void                             *data;

    ngx_tocsin_endpoint_t            *endpoints;
    ngx_uint_t                        nendpoints;
    ngx_uint_t                        endpoint;
    ngx_uint_t                        failures;   /* since it served */
    ngx_addr_t                        master;     /* as a sentinel told it */
    ngx_sockaddr_t                    master_sockaddr;
    u_char                            master_name[NGX_SOCKADDR_STRLEN];
    ngx_uint_t                        told;       /* parts of it */
    char                              role[16];   /* as the master told it */

    ngx_tocsin_link_state_e           state;
    ngx_peer_connection_t             peer;
    ngx_connection_t                 *connection;
    ngx_event_t                       timer;      /* what for: see state */
    ngx_msec_t                        patience;
    ngx_msec_t                        started;    /* this attempt */
    ngx_msec_t                        heard;      /* the last reply */
    ngx_uint_t                        greetings;  /* replies not yet come */
    ngx_uint_t                        commands;   /* the same */

    u_char                           *out;
    u_char                           *out_pos;
    u_char                           *out_last;
    u_char                           *in;
    u_char                           *in_last;
    redisReader                      *reader;

    char                              trouble[NGX_TOCSIN_TROUBLE];
    char                              tls_said[NGX_TOCSIN_TROUBLE];

    unsigned                          reading:1;  /* within the handler */
    unsigned                          failed:1;   /* to be closed after it */
    unsigned                          served:1;   /* gave a good reply */
    unsigned                          general:1;  /* the reader has a part */
    unsigned                          asking:1;   /* this is a sentinel */
    unsigned                          known:1;    /* the master is */
};


/* whom it is connected to, or is about to be */

#define ngx_tocsin_link_addr(link)                                            \
    ((link)->known ? &(link)->master                                          \
                   : (link)->endpoints[(link)->endpoint].addr)


/*
 * The link is of no use any more: it is closed, now or after the reading of
 * replies, and the next server is tried.  The reason is logged when it is not
 * the one that was logged for this server before: what Redis says against us,
 * or says wrongly, as an error; that it is away as a warning, for nothing is
 * lost yet, and as an error when that lasts.
 */
void ngx_tocsin_link_fail(ngx_tocsin_link_t *link, ngx_uint_t level,
    const char *reason, size_t len);

#define ngx_tocsin_link_failed(link, reason)                                  \
    ngx_tocsin_link_fail(link, NGX_LOG_ERR, reason, sizeof(reason) - 1)

#define ngx_tocsin_link_lost(link, reason)                                    \
    ngx_tocsin_link_fail(link, NGX_LOG_WARN, reason, sizeof(reason) - 1)

/* ngx_tocsin_connect.c */
void ngx_tocsin_link_connect(ngx_tocsin_link_t *link);
void ngx_tocsin_link_connected(ngx_tocsin_link_t *link);
void ngx_tocsin_link_greet(ngx_tocsin_link_t *link);
ngx_int_t ngx_tocsin_link_test(ngx_connection_t *c);

/* ngx_tocsin_tls.c */
void ngx_tocsin_tls_start(ngx_tocsin_link_t *link);
void ngx_tocsin_tls_close(ngx_connection_t *c);

/* ngx_tocsin_sentinel.c */
void ngx_tocsin_sentinel_ask(ngx_tocsin_link_t *link);
void ngx_tocsin_sentinel_string(ngx_tocsin_link_t *link, ngx_uint_t depth,
    u_char *p, size_t len);
void ngx_tocsin_sentinel_told(ngx_tocsin_link_t *link);
void ngx_tocsin_sentinel_role(ngx_tocsin_link_t *link, ngx_uint_t depth,
    u_char *p, size_t len);
ngx_int_t ngx_tocsin_sentinel_is_master(ngx_tocsin_link_t *link);

/* ngx_tocsin_redis.c */
void ngx_tocsin_link_read_handler(ngx_event_t *rev);
void ngx_tocsin_link_write_handler(ngx_event_t *wev);
void ngx_tocsin_link_greeted(ngx_tocsin_link_t *link);
void ngx_tocsin_link_good(ngx_tocsin_link_t *link);

/* ngx_tocsin_reply.c */
ngx_int_t ngx_tocsin_reply_init(ngx_tocsin_link_t *link);
void ngx_tocsin_reply_free(ngx_tocsin_link_t *link);
void ngx_tocsin_reply_read(ngx_tocsin_link_t *link);


#endif /* _NGX_TOCSIN_LINK_H_INCLUDED_ */
