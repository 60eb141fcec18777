
/*
 * Copyright (C) Tocsin authors
 */


#include "ngx_http_tocsin_module.h"


#define NGX_HTTP_TOCSIN_PREFIX_MAX     64
#define NGX_HTTP_TOCSIN_PASSWORD_MAX   4096


static char *ngx_http_tocsin_redis_param(ngx_conf_t *cf,
    ngx_tocsin_conf_t *tcf, ngx_str_t *value);
static char *ngx_http_tocsin_redis_tls(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf,
    ngx_uint_t on);
static char *ngx_http_tocsin_password_file(ngx_conf_t *cf,
    ngx_tocsin_conf_t *tcf, ngx_str_t *value);
static ngx_int_t ngx_http_tocsin_prefix_valid(ngx_str_t *prefix);


char *
ngx_http_tocsin_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tocsin_main_conf_t *tmcf = conf;

    ngx_str_t            *value;
    ngx_uint_t            i, tls;
    ngx_tocsin_conf_t    *tcf;
    ngx_tocsin_server_t  *server;

    tcf = &tmcf->tocsin;
    tls = 0;

    if (tcf->servers.nelts) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "tls=on") == 0) {
            tls = 1;
            continue;
        }

        if (ngx_strlchr(value[i].data, value[i].data + value[i].len, '=')
            && ngx_strnstr(value[i].data, "://", value[i].len) == NULL
            && ngx_strncmp(value[i].data, "unix:", 5) != 0)
        {
            if (ngx_http_tocsin_redis_param(cf, tcf, &value[i])
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        server = ngx_array_push(&tcf->servers);
        if (server == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memzero(server, sizeof(ngx_tocsin_server_t));

        if (ngx_tocsin_parse_url(cf, &value[i], server) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (tcf->servers.nelts == 0) {
        return "has no URL, such as \"redis://127.0.0.1:6379/0\"";
    }

    if (tcf->user.len && tcf->password_file.len == 0) {
        return "has \"user=\" without \"password_file=\"";
    }

    return ngx_http_tocsin_redis_tls(cf, tcf, tls);
}


/* what the parameters of TLS and the URLs make of each other */

static char *
ngx_http_tocsin_redis_tls(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf,
    ngx_uint_t on)
{
    ngx_uint_t            i, used;
    ngx_tocsin_server_t  *server;

    server = tcf->servers.elts;
    used = 0;

    for (i = 0; i < tcf->servers.nelts; i++) {

        if (on && server[i].master.len && tcf->tls_name.len == 0) {
            return "has \"tls=on\" and sentinels, which tell addresses: "
                   "\"tls_name=\" must give the name in all certificates";
        }

        if (on && server[i].master.len == 0 && server[i].name.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"tls=on\" in \"tocsin_redis\" beside \"%V\", "
                               "there is no TLS over a unix socket",
                               &server[i].url);
            return NGX_CONF_ERROR;
        }

        server[i].tls |= on;
        used |= server[i].tls;
    }

    if (!used && (tcf->ca.len || tcf->cert.len || tcf->key.len
                  || tcf->tls_name.len))
    {
        return "has \"ca=\", \"cert=\", \"key=\" or \"tls_name=\" without "
               "\"tls=on\" or a URL that begins with \"rediss://\"";
    }

    if ((tcf->cert.len == 0) != (tcf->key.len == 0)) {
        return "has one of \"cert=\" and \"key=\" without the other";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_tocsin_redis_param(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf,
    ngx_str_t *value)
{
    ngx_int_t   ms;
    ngx_str_t   rest, *text;
    ngx_uint_t  i;

    static struct {
        ngx_str_t  name;
        size_t     offset;
    } tls[] = {
        { ngx_string("ca="), offsetof(ngx_tocsin_conf_t, ca) },
        { ngx_string("cert="), offsetof(ngx_tocsin_conf_t, cert) },
        { ngx_string("key="), offsetof(ngx_tocsin_conf_t, key) },
        { ngx_string("tls_name="), offsetof(ngx_tocsin_conf_t, tls_name) },
        { ngx_null_string, 0 }
    };

    if (ngx_http_tocsin_param(value, "user=")) {
        ngx_http_tocsin_param_value(&tcf->user, value, "user=");
        return NGX_CONF_OK;
    }

    if (ngx_http_tocsin_param(value, "password_file=")) {
        ngx_http_tocsin_param_value(&rest, value, "password_file=");
        return ngx_http_tocsin_password_file(cf, tcf, &rest);
    }

    if (ngx_http_tocsin_param(value, "timeout=")) {
        ngx_http_tocsin_param_value(&rest, value, "timeout=");

        ms = ngx_parse_time(&rest, 0);

        if (ms == NGX_ERROR || ms < 10 || ms > 60000) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\" in \"tocsin_redis\", "
                               "it may be a time from 10ms to 60s", value);
            return NGX_CONF_ERROR;
        }

        tcf->timeout = ms;
        return NGX_CONF_OK;
    }

    for (i = 0; tls[i].name.len; i++) {

        if (ngx_strncmp(value->data, tls[i].name.data, tls[i].name.len) != 0) {
            continue;
        }

        text = (ngx_str_t *) ((u_char *) tcf + tls[i].offset);

        text->data = value->data + tls[i].name.len;
        text->len = value->len - tls[i].name.len;

        if (text->len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" in \"tocsin_redis\" is empty", value);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"tocsin_redis\", "
                       "it may be a URL, \"user=\", \"password_file=\", "
                       "\"tls=on\", \"ca=\", \"cert=\", \"key=\", "
                       "\"tls_name=\" or \"timeout=\"", value);

    return NGX_CONF_ERROR;
}


/* secrets come from files: a configuration is shown, copied and committed */

static char *
ngx_http_tocsin_password_file(ngx_conf_t *cf, ngx_tocsin_conf_t *tcf,
    ngx_str_t *value)
{
    ngx_file_info_t  fi;

    tcf->password_file = *value;

    if (ngx_conf_full_name(cf->cycle, &tcf->password_file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(tcf->password_file.data, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_file_info_n " \"%V\" failed",
                           &tcf->password_file);
        return NGX_CONF_ERROR;
    }

    if (!ngx_is_file(&fi)
        || ngx_file_size(&fi) == 0
        || ngx_file_size(&fi) > NGX_HTTP_TOCSIN_PASSWORD_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be a file that holds the password "
                           "in its first line, of at most %d bytes",
                           &tcf->password_file, NGX_HTTP_TOCSIN_PASSWORD_MAX);
        return NGX_CONF_ERROR;
    }

    if (ngx_file_access(&fi) & S_IRWXO) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" holds a password and is accessible "
                           "to everybody", &tcf->password_file);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_tocsin_stream(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tocsin_main_conf_t *tmcf = conf;

    ngx_int_t           n;
    ngx_str_t          *value, rest;
    ngx_uint_t          i;
    ngx_tocsin_conf_t  *tcf;

    tcf = &tmcf->tocsin;

    if (tcf->prefix.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_tocsin_prefix_valid(&value[1]) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid prefix \"%V\" in \"tocsin_stream\", it may "
                           "have 1 to %d of the characters a-z A-Z 0-9 _ . : -",
                           &value[1], NGX_HTTP_TOCSIN_PREFIX_MAX);
        return NGX_CONF_ERROR;
    }

    tcf->prefix = value[1];

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_tocsin_param(&value[i], "maxlen=")) {
            ngx_http_tocsin_param_value(&rest, &value[i], "maxlen=");

            n = ngx_atoi(rest.data, rest.len);

            if (n == NGX_ERROR || n < 1000) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid \"%V\" in \"tocsin_stream\", "
                                   "it may be a number of entries from 1000",
                                   &value[i]);
                return NGX_CONF_ERROR;
            }

            tcf->maxlen = n;
            continue;
        }

        if (ngx_http_tocsin_param(&value[i], "shards=")) {
            ngx_http_tocsin_param_value(&rest, &value[i], "shards=");

            n = ngx_atoi(rest.data, rest.len);

            if (n == NGX_ERROR || n < 1 || n > 64) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid \"%V\" in \"tocsin_stream\", "
                                   "it may be a number from 1 to 64",
                                   &value[i]);
                return NGX_CONF_ERROR;
            }

            tcf->shards = n;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"tocsin_stream\", "
                           "it may be \"maxlen=\" or \"shards=\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* no braces: they would choose the slot in a Redis Cluster */

static ngx_int_t
ngx_http_tocsin_prefix_valid(ngx_str_t *prefix)
{
    u_char      ch;
    ngx_uint_t  i;

    if (prefix->len == 0 || prefix->len > NGX_HTTP_TOCSIN_PREFIX_MAX) {
        return NGX_ERROR;
    }

    for (i = 0; i < prefix->len; i++) {
        ch = prefix->data[i];

        if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
            || (ch >= '0' && ch <= '9')
            || ch == '_' || ch == '.' || ch == ':' || ch == '-')
        {
            continue;
        }

        return NGX_ERROR;
    }

    return NGX_OK;
}


char *
ngx_http_tocsin_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tocsin_main_conf_t *tmcf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (tmcf->tocsin.zone_size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR
        || size < 1024 * 1024
        || size > 1024 * 1024 * 1024)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" in \"tocsin_zone\", "
                           "it may be from 1m to 1024m", &value[1]);
        return NGX_CONF_ERROR;
    }

    tmcf->tocsin.zone_size = size;

    return NGX_CONF_OK;
}


char *
ngx_http_tocsin_buffer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tocsin_main_conf_t *tmcf = conf;

    ssize_t     size;
    ngx_int_t   ms;
    ngx_str_t  *value, rest;

    if (tmcf->tocsin.buffer_size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[1]);

    if (size == NGX_ERROR || size < 64 * 1024 || size > 1024 * 1024 * 1024) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" in \"tocsin_buffer\", "
                           "it may be from 64k to 1024m", &value[1]);
        return NGX_CONF_ERROR;
    }

    tmcf->tocsin.buffer_size = size;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (!ngx_http_tocsin_param(&value[2], "flush=")) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"tocsin_buffer\", "
                           "it may be \"flush=\"", &value[2]);
        return NGX_CONF_ERROR;
    }

    ngx_http_tocsin_param_value(&rest, &value[2], "flush=");

    ms = ngx_parse_time(&rest, 0);

    if (ms == NGX_ERROR || ms < 1 || ms > 10000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"%V\" in \"tocsin_buffer\", "
                           "it may be a time from 1ms to 10s", &value[2]);
        return NGX_CONF_ERROR;
    }

    tmcf->tocsin.flush = ms;

    return NGX_CONF_OK;
}
