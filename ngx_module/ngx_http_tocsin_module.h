
/*
 * Copyright (C) Tocsin authors
 */


#ifndef _NGX_HTTP_TOCSIN_MODULE_H_INCLUDED_
#define _NGX_HTTP_TOCSIN_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_tocsin.h"
#include <shared/event_record.h>


#define NGX_HTTP_TOCSIN_LABELS     16    /* of each kind, at one location */


typedef struct ngx_http_tocsin_attempt_s   ngx_http_tocsin_attempt_t;
typedef struct ngx_http_tocsin_exchange_s  ngx_http_tocsin_exchange_t;
typedef struct ngx_http_tocsin_request_s   ngx_http_tocsin_request_t;


/* where a peer lives; spans of the configuration */

typedef struct {
    struct tocsin_span             provider;
    struct tocsin_span             region;
    struct tocsin_span             zone;
    struct tocsin_span             piece;       /* all three encoded */
} ngx_http_tocsin_place_t;


/* a text that is either known by now, one variable, or a mixture of both */

typedef struct {
    struct tocsin_span             text;
    ngx_int_t                      index;       /* of a variable, or -1 */
    ngx_http_complex_value_t      *complex;
} ngx_http_tocsin_value_t;


typedef struct {
    ngx_str_t                      name;
    ngx_str_t                      prefix;      /* ",name=" */
    ngx_http_tocsin_value_t        value;
} ngx_http_tocsin_label_t;


/* tocsin_label or tocsin_field: the constant ones are encoded already */

typedef struct {
    ngx_array_t                   *own;         /* ngx_http_tocsin_label_t */
    ngx_array_t                   *all;         /* with the inherited ones */
    ngx_array_t                   *variable;    /* those not constant */
    struct tocsin_span             constant;
} ngx_http_tocsin_labels_t;


typedef struct {
    ngx_tocsin_conf_t              tocsin;      /* the transport's */

    ngx_uint_t                     used;        /* "tocsin on" somewhere */
    ngx_uint_t                     alerts;      /* "tocsin_alerts" somewhere */
    ngx_int_t                      index;       /* of our hidden variable */

    uint64_t                       difference;  /* of wall and monotonic time */
    uint64_t                       compared;    /* when, monotonic */

    void                          *cloud;       /* ngx_http_tocsin_cloud.c */
    void                          *requests;    /* ngx_http_tocsin_request.c */
    void                          *upstreams;   /* ngx_http_tocsin_peer.c */
    void                          *inflight;    /* ngx_http_tocsin_inflight.c */
    void                          *feed;        /* ngx_http_tocsin_feed.c */
} ngx_http_tocsin_main_conf_t;


typedef struct {
    ngx_flag_t                     enable;
    ngx_flag_t                     write;       /* tocsin_alerts write=on */

    ngx_http_tocsin_value_t       *route;
    struct tocsin_span             location;    /* the default route */
    struct tocsin_span             server;
    struct tocsin_span             where;       /* encoded, if constant */

    ngx_http_tocsin_labels_t       labels;
    ngx_http_tocsin_labels_t       fields;

    ngx_uint_t                     threshold;   /* of 32 random bits */
    ngx_uint_t                     weight;      /* thousandths */
    ngx_uint_t                     keep_errors;
    ngx_msec_t                     slow;        /* 0: none */
} ngx_http_tocsin_loc_conf_t;


/* one asking of a balancer for a peer, and what came of it; us, monotonic */

struct ngx_http_tocsin_attempt_s {
    ngx_http_tocsin_attempt_t     *next;        /* of this exchange */
    uint64_t                       start;
    uint64_t                       end;         /* 0 while it lasts */
    uint64_t                       connect;
    uint64_t                       header;
    uint64_t                       in;
    uint64_t                       out;
    uint64_t                       grpc;
    ngx_str_t                      peer;
    ngx_http_tocsin_place_t       *place;
    ngx_uint_t                     status;
    ngx_uint_t                     state;       /* index in upstream_states */
    enum tocsin_error              error;
    unsigned                       long_lived:1;

    void                          *slot;        /* in flight */
    ngx_queue_t                    queue;
};


/* one use of an upstream by a request: an attempt and its retries */

struct ngx_http_tocsin_exchange_s {
    ngx_http_tocsin_exchange_t    *next;        /* of the request */
    ngx_http_tocsin_request_t     *request;
    ngx_http_upstream_t           *upstream;
    ngx_str_t                      name;
    struct tocsin_span             who;         /* the name encoded, or NULL */

    ngx_http_tocsin_attempt_t     *current;     /* the one that lasts */
    ngx_http_tocsin_attempt_t    **last;
    ngx_http_tocsin_attempt_t     *attempts;
    ngx_http_tocsin_attempt_t      first;
    ngx_http_tocsin_place_t       *place;       /* by upstream:NAME */
    ngx_int_t                      rc;          /* that it is finalized with */

    void                          *data;
    ngx_event_get_peer_pt          get;
    ngx_event_free_peer_pt         free;
    ngx_event_notify_peer_pt       notify;
#if (NGX_SSL || NGX_COMPAT)
    ngx_event_set_peer_session_pt  set_session;
    ngx_event_save_peer_session_pt save_session;
#endif
    ngx_output_chain_filter_pt     output_filter;
    void                          *filter_ctx;
    void                         (*finalize)(ngx_http_request_t *r,
                                       ngx_int_t rc);

    unsigned                       coarse:1;    /* seen in ms, afterwards */
};


/* what a post_action changes: it runs after the answer, as the same request */

typedef struct {
    ngx_uint_t                     status;
    uint64_t                       flags;
    struct tocsin_span             cache;
    ngx_uint_t                     states;      /* upstream_states by then */
} ngx_http_tocsin_answer_t;


/* what must outlive an internal redirect; a subrequest has its own */

struct ngx_http_tocsin_request_s {
    ngx_http_tocsin_request_t     *next;        /* subrequests of the main */
    ngx_http_request_t            *request;
    ngx_http_tocsin_loc_conf_t    *conf;        /* of the original location */
    uint64_t                       start;       /* us, monotonic */
    uint64_t                       end;         /* us, or 0: not before log */
    uint64_t                       before;      /* us from the first byte */
    ngx_uint_t                     method;
    ngx_uint_t                     version;
    ngx_http_tocsin_answer_t      *answer;      /* before a post_action */
    ngx_http_tocsin_exchange_t    *exchanges;   /* the newest first */
    ngx_uint_t                     attempts;    /* of all of them */

    unsigned                       early:1;
    unsigned                       follow:1;    /* `end` follows the output */
};


/* ngx_http_tocsin_request.c */
ngx_int_t ngx_http_tocsin_add_variable(ngx_conf_t *cf);
ngx_int_t ngx_http_tocsin_init_request(ngx_conf_t *cf);
ngx_http_tocsin_request_t *ngx_http_tocsin_find_subrequest(
    ngx_http_tocsin_request_t *main, ngx_http_request_t *r);
ngx_http_tocsin_request_t *ngx_http_tocsin_add_request(ngx_http_request_t *r);
void ngx_http_tocsin_free_request(ngx_http_tocsin_main_conf_t *tmcf,
    ngx_http_tocsin_request_t *tr);
ngx_http_tocsin_request_t *ngx_http_tocsin_locate_anew(ngx_http_request_t *r,
    ngx_http_tocsin_request_t *tr);
uint64_t ngx_http_tocsin_monotonic(void);

/* ngx_http_tocsin_event.c */
void ngx_http_tocsin_keep_answer(ngx_http_tocsin_request_t *tr);
ngx_int_t ngx_http_tocsin_log_handler(ngx_http_request_t *r);

/* ngx_http_tocsin_peer.c */
ngx_int_t ngx_http_tocsin_wrap_upstreams(ngx_conf_t *cf);
void ngx_http_tocsin_free_exchanges(ngx_http_tocsin_main_conf_t *tmcf,
    ngx_http_tocsin_request_t *tr);

/* ngx_http_tocsin_attempt.c */
ngx_http_tocsin_attempt_t *ngx_http_tocsin_begin_attempt(
    ngx_http_tocsin_exchange_t *ex);
void ngx_http_tocsin_end_attempt(ngx_http_tocsin_exchange_t *ex,
    enum tocsin_error error);
enum tocsin_error ngx_http_tocsin_error_of(ngx_http_tocsin_exchange_t *ex,
    ngx_peer_connection_t *pc, ngx_uint_t failed);

/* ngx_http_tocsin_coarse.c */
void ngx_http_tocsin_add_coarse(ngx_http_tocsin_request_t *tr, uint64_t now);

/* ngx_http_tocsin_inflight.c */
ngx_int_t ngx_http_tocsin_inflight_init_process(ngx_cycle_t *cycle,
    ngx_http_tocsin_main_conf_t *tmcf);
void ngx_http_tocsin_inflight_enter(ngx_http_tocsin_main_conf_t *tmcf,
    ngx_http_tocsin_exchange_t *ex, ngx_http_tocsin_attempt_t *at,
    struct sockaddr *sa);
void ngx_http_tocsin_inflight_answered(ngx_http_tocsin_attempt_t *at);
void ngx_http_tocsin_inflight_leave(ngx_http_tocsin_attempt_t *at);

/* ngx_http_tocsin_cloud.c */
char *ngx_http_tocsin_cloud(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_http_tocsin_check_clouds(ngx_conf_t *cf,
    ngx_http_tocsin_main_conf_t *tmcf);
ngx_http_tocsin_place_t *ngx_http_tocsin_place_of_peer(
    ngx_http_tocsin_main_conf_t *tmcf, struct sockaddr *sa);
ngx_http_tocsin_place_t *ngx_http_tocsin_place_of_upstream(
    ngx_http_tocsin_main_conf_t *tmcf, ngx_str_t *name);

/* ngx_http_tocsin_conf.c */
char *ngx_http_tocsin_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_tocsin_stream(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_tocsin_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_tocsin_buffer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* ngx_http_tocsin_sample.c */
char *ngx_http_tocsin_sample(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_http_tocsin_seed(ngx_cycle_t *cycle);
ngx_int_t ngx_http_tocsin_weigh(ngx_http_tocsin_loc_conf_t *tlcf,
    ngx_uint_t failed, int64_t *draw, struct tocsin_event *ev);

/* ngx_http_tocsin_label.c */
char *ngx_http_tocsin_route(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_tocsin_label(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_tocsin_merge_labels(ngx_conf_t *cf,
    ngx_http_tocsin_labels_t *prev, ngx_http_tocsin_labels_t *conf);
struct tocsin_span ngx_http_tocsin_evaluate(ngx_http_request_t *r,
    ngx_http_tocsin_value_t *value);
struct tocsin_span ngx_http_tocsin_evaluate_labels(ngx_http_request_t *r,
    ngx_http_tocsin_labels_t *labels, u_char *buf);

/*
 * ngx_http_tocsin_feed.c, ngx_http_tocsin_status.c
 *
 * The setter of "tocsin_alerts" installs the content handler, sets
 * tlcf->write, and tmcf->alerts for the feed to be started.
 */
char *ngx_http_tocsin_alerts(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_tocsin_feed_init(ngx_conf_t *cf,
    ngx_http_tocsin_main_conf_t *tmcf);
ngx_int_t ngx_http_tocsin_feed_init_process(ngx_cycle_t *cycle,
    ngx_http_tocsin_main_conf_t *tmcf);
void ngx_http_tocsin_feed_exit_process(ngx_cycle_t *cycle,
    ngx_http_tocsin_main_conf_t *tmcf);


/* ngx_http_tocsin_piece.c */
ngx_int_t ngx_http_tocsin_make_piece(ngx_conf_t *cf, struct tocsin_span *piece,
    size_t (*make)(char *to, const struct tocsin_event *ev),
    struct tocsin_event *ev);
struct tocsin_span ngx_http_tocsin_how(ngx_uint_t method, ngx_uint_t version);


extern ngx_module_t  ngx_http_tocsin_module;


/* of a parameter "name=value" */

#define ngx_http_tocsin_param(value, name)                                    \
    ((value)->len > sizeof(name) - 1                                          \
     && ngx_strncmp((value)->data, name, sizeof(name) - 1) == 0)

#define ngx_http_tocsin_param_value(rest, value, name)                        \
    (rest)->data = (value)->data + sizeof(name) - 1;                          \
    (rest)->len = (value)->len - (sizeof(name) - 1)


/* what is kept of a request; NULL if it has not got that far */

static ngx_inline ngx_http_tocsin_request_t *
ngx_http_tocsin_get_main(ngx_http_request_t *r)
{
    ngx_http_tocsin_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tocsin_module);

    return (ngx_http_tocsin_request_t *) r->main->variables[tmcf->index].data;
}


static ngx_inline ngx_http_tocsin_request_t *
ngx_http_tocsin_get_request(ngx_http_request_t *r)
{
    ngx_http_tocsin_request_t  *tr;

    tr = ngx_http_tocsin_get_main(r);

    if (r == r->main || tr == NULL) {
        return tr;
    }

    return ngx_http_tocsin_find_subrequest(tr, r);
}


/* the first location decides; NULL if there is no memory */

static ngx_inline ngx_http_tocsin_request_t *
ngx_http_tocsin_locate(ngx_http_request_t *r)
{
    ngx_http_tocsin_request_t  *tr;

    tr = ngx_http_tocsin_get_request(r);

    if (tr && tr->conf) {
        return tr;
    }

    return ngx_http_tocsin_locate_anew(r, tr);
}


#endif /* _NGX_HTTP_TOCSIN_MODULE_H_INCLUDED_ */
