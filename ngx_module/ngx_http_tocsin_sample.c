
/*
 * Copyright (C) Tocsin authors
 */


/*
 * tocsin_sample: a share of the requests stands for all of them, by weight.
 * What is kept because it failed or was slow stands for itself alone, so sums
 * over weights stay unbiased.
 */


#include "ngx_http_tocsin_module.h"


static ngx_int_t ngx_http_tocsin_rate(ngx_str_t *value);
static uint32_t ngx_http_tocsin_random(void);


static uint64_t  ngx_http_tocsin_state;


char *
ngx_http_tocsin_sample(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_tocsin_loc_conf_t *tlcf = conf;

    ngx_int_t    n;
    ngx_str_t   *value, rest;
    ngx_uint_t   i;

    if (tlcf->weight != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_http_tocsin_rate(&value[1]);

    if (n == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid rate \"%V\" in \"tocsin_sample\", "
                           "it may be a share from 0.001 to 1 "
                           "or from 0.1%% to 100%%", &value[1]);
        return NGX_CONF_ERROR;
    }

    tlcf->threshold = ((uint64_t) n << 32) / 1000000;
    tlcf->weight = (1000000000 + n / 2) / n;
    tlcf->keep_errors = 0;
    tlcf->slow = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "keep=errors") == 0) {
            tlcf->keep_errors = 1;
            continue;
        }

        if (ngx_http_tocsin_param(&value[i], "slow=")) {
            ngx_http_tocsin_param_value(&rest, &value[i], "slow=");

            n = ngx_parse_time(&rest, 0);

            if (n == NGX_ERROR || n == 0) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid \"%V\" in \"tocsin_sample\", "
                                   "it may be a time, such as 500ms or 2s",
                                   &value[i]);
                return NGX_CONF_ERROR;
            }

            tlcf->slow = n;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"tocsin_sample\", "
                           "it may be \"keep=errors\" or \"slow=TIME\"",
                           &value[i]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* parts per million */

static ngx_int_t
ngx_http_tocsin_rate(ngx_str_t *value)
{
    ngx_int_t  n;

    if (value->len && value->data[value->len - 1] == '%') {
        n = ngx_atofp(value->data, value->len - 1, 4);

    } else {
        n = ngx_atofp(value->data, value->len, 6);
    }

    if (n == NGX_ERROR || n < 1000 || n > 1000000) {
        return NGX_ERROR;
    }

    return n;
}


void
ngx_http_tocsin_seed(ngx_cycle_t *cycle)
{
    ngx_http_tocsin_state = ((uint64_t) ngx_pid << 32)
                            ^ ngx_http_tocsin_monotonic()
                            ^ 0x9e3779b97f4a7c15;
}


/*
 * NGX_DECLINED if it is not in the sample.  A request and its subrequests
 * share one draw, which is made when the first of them needs it.
 */

ngx_int_t
ngx_http_tocsin_weigh(ngx_http_tocsin_loc_conf_t *tlcf, ngx_uint_t failed,
    int64_t *draw, struct tocsin_event *ev)
{
    ev->weight = 1000;

    if (tlcf->weight == 1000 && tlcf->slow == 0) {
        return NGX_OK;
    }

    if (tlcf->keep_errors
        && (failed || ev->status >= NGX_HTTP_INTERNAL_SERVER_ERROR))
    {
        return NGX_OK;
    }

    if (tlcf->slow
        && ev->dur >= (uint64_t) tlcf->slow * 1000
        && !(ev->flags & TOCSIN_FLAG_LONG_LIVED))
    {
        ev->flags |= TOCSIN_FLAG_SLOW;
        return NGX_OK;
    }

    if (tlcf->weight == 1000) {
        return NGX_OK;
    }

    if (*draw == -1) {
        *draw = ngx_http_tocsin_random();
    }

    if ((uint64_t) *draw >= tlcf->threshold) {
        return NGX_DECLINED;
    }

    ev->weight = tlcf->weight;

    return NGX_OK;
}


/* xorshift64*: a few instructions, and good enough to choose by */

static uint32_t
ngx_http_tocsin_random(void)
{
    uint64_t  x;

    x = ngx_http_tocsin_state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;

    ngx_http_tocsin_state = x;

    return (uint32_t) ((x * 0x2545f4914f6cdd1d) >> 32);
}
