
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_http_tocsin_module.h"


static ngx_int_t ngx_http_tocsin_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_tocsin_init(ngx_conf_t *cf);
static void *ngx_http_tocsin_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_tocsin_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_tocsin_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_tocsin_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_tocsin_default_route(ngx_conf_t *cf,
    ngx_http_tocsin_loc_conf_t *conf);
static ngx_int_t ngx_http_tocsin_where(ngx_conf_t *cf,
    ngx_http_tocsin_loc_conf_t *conf);
static ngx_int_t ngx_http_tocsin_init_process(ngx_cycle_t *cycle);
static void ngx_http_tocsin_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_tocsin_commands[] = {

    { ngx_string("tocsin"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tocsin_loc_conf_t, enable),
      NULL },

    { ngx_string("tocsin_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_tocsin_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tocsin_stream"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_http_tocsin_stream,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tocsin_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_tocsin_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tocsin_buffer"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_tocsin_buffer,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tocsin_route"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_tocsin_route,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tocsin_label"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_tocsin_label,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tocsin_loc_conf_t, labels),
      NULL },

    { ngx_string("tocsin_field"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_tocsin_label,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_tocsin_loc_conf_t, fields),
      NULL },

    { ngx_string("tocsin_cloud"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE23|NGX_CONF_TAKE4,
      ngx_http_tocsin_cloud,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tocsin_sample"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE123,
      ngx_http_tocsin_sample,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("tocsin_alerts"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_tocsin_alerts,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_tocsin_module_ctx = {
    ngx_http_tocsin_preconfiguration,      /* preconfiguration */
    ngx_http_tocsin_init,                  /* postconfiguration */

    ngx_http_tocsin_create_main_conf,      /* create main configuration */
    ngx_http_tocsin_init_main_conf,        /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_tocsin_create_loc_conf,       /* create location configuration */
    ngx_http_tocsin_merge_loc_conf         /* merge location configuration */
};


ngx_module_t  ngx_http_tocsin_module = {
    NGX_MODULE_V1,
    &ngx_http_tocsin_module_ctx,           /* module context */
    ngx_http_tocsin_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_tocsin_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_tocsin_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_tocsin_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_tocsin_add_variable(cf);
}


static ngx_int_t
ngx_http_tocsin_init(ngx_conf_t *cf)
{
    ngx_http_tocsin_main_conf_t  *tmcf;

    tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tocsin_module);

    if (tmcf->tocsin.servers.nelts == 0) {

        if (tmcf->used || tmcf->alerts) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"%s\" needs \"tocsin_redis URL\" "
                          "in the \"http\" block",
                          tmcf->used ? "tocsin on" : "tocsin_alerts");
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    if (!tmcf->used && !tmcf->alerts) {
        return NGX_OK;
    }

    if (ngx_tocsin_init(cf, &tmcf->tocsin, &ngx_http_tocsin_module) != NGX_OK) {
        return NGX_ERROR;
    }

    if (tmcf->alerts && ngx_http_tocsin_feed_init(cf, tmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!tmcf->used) {
        return NGX_OK;
    }

    if (ngx_http_tocsin_wrap_upstreams(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tocsin_init_request(cf);
}


static void *
ngx_http_tocsin_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_tocsin_main_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_tocsin_main_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->tocsin.user = { 0, NULL };
     *     conf->tocsin.password_file = { 0, NULL };
     *     conf->tocsin.prefix = { 0, NULL };
     *     conf->used = 0;
     *     conf->alerts = 0;
     *     conf->cloud = NULL;
     *     conf->upstreams = NULL;
     *     conf->inflight = NULL;
     *     conf->feed = NULL;
     */

    if (ngx_array_init(&conf->tocsin.servers, cf->pool, 1,
                       sizeof(ngx_tocsin_server_t))
        != NGX_OK)
    {
        return NULL;
    }

    conf->tocsin.timeout = NGX_CONF_UNSET_MSEC;
    conf->tocsin.maxlen = NGX_CONF_UNSET_UINT;
    conf->tocsin.shards = NGX_CONF_UNSET_UINT;
    conf->tocsin.zone_size = NGX_CONF_UNSET_SIZE;
    conf->tocsin.buffer_size = NGX_CONF_UNSET_SIZE;
    conf->tocsin.flush = NGX_CONF_UNSET_MSEC;

    return conf;
}


static char *
ngx_http_tocsin_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_tocsin_main_conf_t  *tmcf = conf;

    ngx_tocsin_conf_t  *tcf;

    tcf = &tmcf->tocsin;

    if (tcf->prefix.data == NULL) {
        ngx_str_set(&tcf->prefix, TOCSIN_PREFIX_DEFAULT);
    }

    ngx_conf_init_msec_value(tcf->timeout, 1000);
    ngx_conf_init_uint_value(tcf->maxlen, 1000000);
    ngx_conf_init_uint_value(tcf->shards, 1);
    ngx_conf_init_size_value(tcf->zone_size, 8 * 1024 * 1024);
    ngx_conf_init_size_value(tcf->buffer_size, 16 * 1024 * 1024);
    ngx_conf_init_msec_value(tcf->flush, 10);

    return NGX_CONF_OK;
}


static void *
ngx_http_tocsin_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_tocsin_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_tocsin_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->location = { NULL, 0 };
     *     conf->server = { NULL, 0 };
     *     conf->where = { NULL, 0 };
     *     conf->labels = { NULL };
     *     conf->fields = { NULL };
     */

    conf->enable = NGX_CONF_UNSET;
    conf->write = NGX_CONF_UNSET;
    conf->route = NGX_CONF_UNSET_PTR;
    conf->threshold = NGX_CONF_UNSET_UINT;
    conf->weight = NGX_CONF_UNSET_UINT;
    conf->keep_errors = NGX_CONF_UNSET_UINT;
    conf->slow = NGX_CONF_UNSET_MSEC;

    return conf;
}


static char *
ngx_http_tocsin_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_tocsin_loc_conf_t *prev = parent;
    ngx_http_tocsin_loc_conf_t *conf = child;

    ngx_http_core_srv_conf_t     *cscf;
    ngx_http_tocsin_main_conf_t  *tmcf;

    ngx_conf_merge_value(conf->enable, prev->enable, 0);
    ngx_conf_merge_value(conf->write, prev->write, 0);
    ngx_conf_merge_ptr_value(conf->route, prev->route, NULL);

    ngx_conf_merge_uint_value(conf->threshold, prev->threshold,
                              (ngx_uint_t) 1 << 32);
    ngx_conf_merge_uint_value(conf->weight, prev->weight, 1000);
    ngx_conf_merge_uint_value(conf->keep_errors, prev->keep_errors, 0);
    ngx_conf_merge_msec_value(conf->slow, prev->slow, 0);

    if (ngx_http_tocsin_merge_labels(cf, &prev->labels, &conf->labels)
        != NGX_CONF_OK
        || ngx_http_tocsin_merge_labels(cf, &prev->fields, &conf->fields)
           != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_tocsin_default_route(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    conf->server = tocsin_span_of((char *) cscf->server_name.data,
                                  ngx_min(cscf->server_name.len,
                                          TOCSIN_TEXT_MAX));

    if (ngx_http_tocsin_where(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->enable) {
        tmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_tocsin_module);
        tmcf->used = 1;
    }

    return NGX_CONF_OK;
}


/* a location as it is written in the configuration: "/", "= /", "~ \.php$" */

static ngx_int_t
ngx_http_tocsin_default_route(ngx_conf_t *cf, ngx_http_tocsin_loc_conf_t *conf)
{
    u_char                    *p;
    size_t                     len;
    ngx_str_t                  modifier;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    ngx_str_null(&modifier);

    if (clcf->exact_match) {
        ngx_str_set(&modifier, "= ");
    }

#if (NGX_PCRE)
    if (clcf->regex) {
        ngx_str_set(&modifier, "~ ");
    }
#endif

    len = ngx_min(modifier.len + clcf->name.len, TOCSIN_TEXT_MAX);

    p = ngx_pnalloc(cf->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    conf->location = tocsin_span_of((char *) p, len);

    ngx_snprintf(p, len, "%V%V", &modifier, &clcf->name);

    return NGX_OK;
}


/* a route out of variables is encoded with each request */

static ngx_int_t
ngx_http_tocsin_where(ngx_conf_t *cf, ngx_http_tocsin_loc_conf_t *conf)
{
    struct tocsin_event  ev;

    if (!conf->enable
        || (conf->route && (conf->route->index != -1 || conf->route->complex)))
    {
        return NGX_OK;
    }

    ev.server = conf->server;
    ev.route = conf->route ? conf->route->text : conf->location;

    return ngx_http_tocsin_make_piece(cf, &conf->where, tocsin_record_where,
                                      &ev);
}


static ngx_int_t
ngx_http_tocsin_init_process(ngx_cycle_t *cycle)
{
    ngx_http_tocsin_main_conf_t  *tmcf;

    tmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_tocsin_module);

    if (tmcf == NULL || (!tmcf->used && !tmcf->alerts)) {
        return NGX_OK;
    }

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        /* cache manager and loader serve nobody */
        return NGX_OK;
    }

    if (ngx_tocsin_init_process(cycle, &tmcf->tocsin) != NGX_OK) {
        return NGX_ERROR;
    }

    if (tmcf->alerts
        && ngx_http_tocsin_feed_init_process(cycle, tmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!tmcf->used) {
        return NGX_OK;
    }

    ngx_http_tocsin_seed(cycle);

    return ngx_http_tocsin_inflight_init_process(cycle, tmcf);
}


static void
ngx_http_tocsin_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_tocsin_main_conf_t  *tmcf;

    tmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_tocsin_module);

    if (tmcf == NULL || (!tmcf->used && !tmcf->alerts)) {
        return;
    }

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    if (tmcf->alerts) {
        ngx_http_tocsin_feed_exit_process(cycle, tmcf);
    }

    ngx_tocsin_exit_process(cycle, &tmcf->tocsin);
}
