
/*
 * Copyright (C) Tocsin authors
 */


/*
 * What is kept of a request until the log phase.  Module contexts are wiped
 * by internal redirects, while r->variables of the main request never are: so
 * our state hangs on a variable that no configuration can name.  Subrequests
 * hang on their main request, as nginx logs them only if told to.
 */


#include "ngx_http_tocsin_module.h"


/*
 * Those of main requests come from an array, as exchanges do; when it is used
 * up, from the pools of their requests after all.
 */

#define NGX_HTTP_TOCSIN_REQUESTS  1024


typedef struct {
    ngx_http_tocsin_request_t   *free;
    ngx_uint_t                   used;          /* of the array, ever */
    ngx_http_tocsin_request_t    requests[NGX_HTTP_TOCSIN_REQUESTS];
} ngx_http_tocsin_requests_t;


static ngx_int_t ngx_http_tocsin_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_http_tocsin_request_t *ngx_http_tocsin_alloc_request(
    ngx_http_tocsin_main_conf_t *tmcf, ngx_pool_t *pool);
static ngx_int_t ngx_http_tocsin_post_read_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_tocsin_rewrite_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_tocsin_header_filter(ngx_http_request_t *r);
static void ngx_http_tocsin_answered(ngx_http_request_t *r,
    ngx_http_tocsin_attempt_t *at);
static ngx_int_t ngx_http_tocsin_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_tocsin_follow_body(ngx_http_request_t *r,
    ngx_chain_t *in) __attribute__((noinline));


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_int_t
ngx_http_tocsin_add_variable(ngx_conf_t *cf)
{
    ngx_str_t                     name;
    ngx_http_variable_t          *var;
    ngx_http_tocsin_main_conf_t  *tmcf;

    /* the blank keeps it out of reach of "$..." */

    ngx_str_set(&name, "tocsin request");

    var = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOHASH);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->get_handler = ngx_http_tocsin_variable;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tocsin_module);

    tmcf->index = ngx_http_get_variable_index(cf, &name);

    return (tmcf->index == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_tocsin_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    return NGX_DECLINED;
}


ngx_int_t
ngx_http_tocsin_init_request(ngx_conf_t *cf)
{
    ngx_http_handler_pt          *h;
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_tocsin_requests_t   *requests;
    ngx_http_tocsin_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tocsin_module);

    /* pages that are not used are not touched either */

    requests = ngx_palloc(cf->pool, sizeof(ngx_http_tocsin_requests_t));
    if (requests == NULL) {
        return NGX_ERROR;
    }

    requests->free = NULL;
    requests->used = 0;

    tmcf->requests = requests;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_tocsin_post_read_handler;

    /* the last one to register is the first one to run */

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_REWRITE_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_tocsin_rewrite_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_tocsin_log_handler;

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_tocsin_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_tocsin_body_filter;

    return NGX_OK;
}


/* true at the moment of the call, and never set back */

uint64_t
ngx_http_tocsin_monotonic(void)
{
    /* not on the stack, which would be guarded at each of many calls */

    static struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + (uint32_t) ts.tv_nsec / 1000;
}


ngx_http_tocsin_request_t *
ngx_http_tocsin_find_subrequest(ngx_http_tocsin_request_t *main,
    ngx_http_request_t *r)
{
    ngx_http_tocsin_request_t  *tr;

    tr = ngx_http_get_module_ctx(r, ngx_http_tocsin_module);

    if (tr) {
        return tr;
    }

    /* not seen yet, or redirected */

    for (tr = main->next; tr; tr = tr->next) {
        if (tr->request == r) {
            return tr;
        }
    }

    return NULL;
}


ngx_http_tocsin_request_t *
ngx_http_tocsin_add_request(ngx_http_request_t *r)
{
    ngx_int_t                     ms;
    ngx_time_t                   *tp;
    ngx_http_variable_value_t    *v;
    ngx_http_tocsin_request_t    *tr, *main;
    ngx_http_tocsin_main_conf_t  *tmcf;

    tmcf = ngx_http_get_module_main_conf(r, ngx_http_tocsin_module);

    v = &r->main->variables[tmcf->index];
    main = (ngx_http_tocsin_request_t *) v->data;

    if (r != r->main && main == NULL) {
        main = ngx_http_tocsin_add_request(r->main);
        if (main == NULL) {
            return NULL;
        }

        main->early = 1;
    }

    tr = (r == r->main) ? ngx_http_tocsin_alloc_request(tmcf, r->pool)
                        : ngx_palloc(r->pool,
                                     sizeof(ngx_http_tocsin_request_t));
    if (tr == NULL) {
        return NULL;
    }

    tr->next = NULL;
    tr->request = r;
    tr->conf = NULL;
    tr->start = ngx_http_tocsin_monotonic();
    tr->end = 0;
    tr->before = 0;
    tr->method = r->method;
    tr->version = r->http_version;
    tr->answer = NULL;
    tr->exchanges = NULL;
    tr->attempts = 0;
    tr->early = 0;
    tr->follow = 0;

    if (r == r->main) {

        /* nginx knows the first byte in ms; a stamp of ours is exact */

        tp = ngx_timeofday();

        ms = (ngx_int_t)
                 ((tp->sec - r->start_sec) * 1000 + (tp->msec - r->start_msec));

        tr->before = ngx_max(ms, 0) * 1000;
        v->data = (u_char *) tr;

        return tr;
    }

    tr->follow = 1;
    tr->next = main->next;
    main->next = tr;

    ngx_http_set_ctx(r, tr, ngx_http_tocsin_module);

    if (r->background && !main->follow && main->answer == NULL) {

        /*
         * A mirror or the update of a cache holds the main request back from
         * the log phase: from now on, the end is when something was last sent.
         */

        main->follow = 1;
        main->end = tr->start;
    }

    return tr;
}


static ngx_inline ngx_http_tocsin_request_t *
ngx_http_tocsin_alloc_request(ngx_http_tocsin_main_conf_t *tmcf,
    ngx_pool_t *pool)
{
    ngx_http_tocsin_request_t   *tr;
    ngx_http_tocsin_requests_t  *requests;

    requests = tmcf->requests;

    if (requests->free) {
        tr = requests->free;
        requests->free = tr->next;

    } else if (requests->used < NGX_HTTP_TOCSIN_REQUESTS) {
        tr = &requests->requests[requests->used++];

    } else {
        tr = ngx_palloc(pool, sizeof(ngx_http_tocsin_request_t));
    }

    return tr;
}


/* a main request's, when it was logged: nothing of it runs after that */

void
ngx_http_tocsin_free_request(ngx_http_tocsin_main_conf_t *tmcf,
    ngx_http_tocsin_request_t *tr)
{
    ngx_http_tocsin_requests_t  *requests;

    requests = tmcf->requests;

    if (tr >= requests->requests
        && tr < requests->requests + NGX_HTTP_TOCSIN_REQUESTS)
    {
        tr->request->variables[tmcf->index].data = NULL;

        tr->next = requests->free;
        requests->free = tr;
    }
}


/* for new requests only: internal redirects begin with a later phase */

static ngx_int_t
ngx_http_tocsin_post_read_handler(ngx_http_request_t *r)
{
    if (ngx_http_tocsin_get_request(r) == NULL) {
        (void) ngx_http_tocsin_add_request(r);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_tocsin_rewrite_handler(ngx_http_request_t *r)
{
    ngx_http_tocsin_request_t  *tr;

    tr = ngx_http_tocsin_locate(r);

    if (r->post_action && tr && tr->answer == NULL) {
        ngx_http_tocsin_keep_answer(tr);
    }

    return NGX_DECLINED;
}


ngx_http_tocsin_request_t *
ngx_http_tocsin_locate_anew(ngx_http_request_t *r,
    ngx_http_tocsin_request_t *tr)
{
    ngx_http_core_srv_conf_t  *cscf;

    if (tr == NULL) {
        tr = ngx_http_tocsin_add_request(r);

        if (tr == NULL) {
            return NULL;
        }

        /* a request that has not passed POST_READ is shown an error page */

        tr->early = (r == r->main);
    }

    if (r == r->main
        && (tr->early || r->error_page || r->err_status || r->post_action))
    {
        /* this location is an error page or so, it had none before */

        cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

        tr->early = 1;
        tr->conf = cscf->ctx->loc_conf[ngx_http_tocsin_module.ctx_index];

        return tr;
    }

    tr->conf = ngx_http_get_module_loc_conf(r, ngx_http_tocsin_module);

    return tr;
}


static ngx_int_t
ngx_http_tocsin_header_filter(ngx_http_request_t *r)
{
    ngx_http_tocsin_request_t  *tr;

    tr = ngx_http_tocsin_get_request(r);

    if (tr) {

        if (tr->exchanges && tr->exchanges->current) {
            ngx_http_tocsin_answered(r, tr->exchanges->current);
        }

        /* nginx may go on reading from the client before the log phase */

        if (!r->keepalive || r->discard_body || r->reading_body) {
            tr->follow = 1;
        }

        if (tr->follow) {
            tr->end = ngx_http_tocsin_monotonic();
        }
    }

    return ngx_http_next_header_filter(r);
}


/* nginx passes the header on as soon as it is whole */

static void
ngx_http_tocsin_answered(ngx_http_request_t *r, ngx_http_tocsin_attempt_t *at)
{
    if (at->header == TOCSIN_NONE) {
        at->header = ngx_http_tocsin_monotonic() - at->start;
    }

    ngx_http_tocsin_inflight_answered(at);
}


static ngx_int_t
ngx_http_tocsin_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_tocsin_request_t  *tr;

    tr = ngx_http_tocsin_get_main(r);

    if (tr == NULL || (r == r->main && !tr->follow)) {
        return ngx_http_next_body_filter(r, in);
    }

    return ngx_http_tocsin_follow_body(r, in);
}


/* apart and not inlined: most bodies shall not pay for its frame */

static ngx_int_t
ngx_http_tocsin_follow_body(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t                   rc;
    ngx_http_tocsin_request_t  *tr;

    tr = ngx_http_tocsin_get_request(r);

    if (tr == NULL || !tr->follow) {
        return ngx_http_next_body_filter(r, in);
    }

    rc = ngx_http_next_body_filter(r, in);

    tr->end = ngx_http_tocsin_monotonic();

    return rc;
}
