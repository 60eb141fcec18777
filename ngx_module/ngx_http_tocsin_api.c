
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tocsin_status.h"


#define NGX_HTTP_TOCSIN_JSON  "application/json"


typedef struct {
    ngx_http_request_t            *request;
    ngx_http_tocsin_view_t        *view;
    ngx_http_tocsin_filter_t      *filter;
    ngx_array_t                   *alerts;
    ngx_str_t                      error;
    ngx_uint_t                     limit;
} ngx_http_tocsin_answer_t;


static ngx_int_t ngx_http_tocsin_api_begin(ngx_http_request_t *r,
    ngx_http_tocsin_answer_t *answer, ngx_http_tocsin_view_t *view);
static ngx_int_t ngx_http_tocsin_api_end(ngx_http_tocsin_answer_t *answer,
    ngx_uint_t status, ngx_http_tocsin_write_pt handler);
static void ngx_http_tocsin_write_alerts(struct tocsin_out *out, void *data);
static void ngx_http_tocsin_write_status(struct tocsin_out *out, void *data);
static void ngx_http_tocsin_write_receivers(struct tocsin_out *out,
    void *data);
static void ngx_http_tocsin_write_series(struct tocsin_out *out, void *data);
static void ngx_http_tocsin_write_state(struct tocsin_out *out, void *data);
static void ngx_http_tocsin_write_summary(struct tocsin_out *out, void *data);
static void ngx_http_tocsin_write_error(struct tocsin_out *out, void *data);
static void ngx_http_tocsin_json_rows(struct tocsin_json *json,
    const char *key, struct tocsin_span rows, ngx_uint_t limit);
static void ngx_http_tocsin_json_row(struct tocsin_json *json,
    struct tocsin_board_row *row);
static void ngx_http_tocsin_json_spark(struct tocsin_json *json,
    struct tocsin_span spark);


ngx_int_t
ngx_http_tocsin_api_alerts(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_tocsin_view_t     view;
    ngx_http_tocsin_answer_t   answer;

    if (ngx_http_tocsin_api_begin(r, &answer, &view) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_tocsin_filter(r, &answer.filter, &answer.error);

    if (rc == NGX_DECLINED) {
        return ngx_http_tocsin_api_end(&answer, NGX_HTTP_BAD_REQUEST,
                                       ngx_http_tocsin_write_error);
    }

    answer.alerts = ngx_http_tocsin_view_alerts(&view, r->pool);

    if (rc != NGX_OK || answer.alerts == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tocsin_api_end(&answer, NGX_HTTP_OK,
                                   ngx_http_tocsin_write_alerts);
}


ngx_int_t
ngx_http_tocsin_api_status(ngx_http_request_t *r)
{
    ngx_http_tocsin_view_t     view;
    ngx_http_tocsin_answer_t   answer;

    if (ngx_http_tocsin_api_begin(r, &answer, &view) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tocsin_api_end(&answer, NGX_HTTP_OK,
                                   ngx_http_tocsin_write_status);
}


ngx_int_t
ngx_http_tocsin_api_receivers(ngx_http_request_t *r)
{
    ngx_http_tocsin_view_t     view;
    ngx_http_tocsin_answer_t   answer;

    if (ngx_http_tocsin_api_begin(r, &answer, &view) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tocsin_api_end(&answer, NGX_HTTP_OK,
                                   ngx_http_tocsin_write_receivers);
}


ngx_int_t
ngx_http_tocsin_api_series(ngx_http_request_t *r)
{
    u_char                    *pos;
    ngx_int_t                  rc, limit;
    ngx_str_t                  name, value;
    ngx_http_tocsin_view_t     view;
    ngx_http_tocsin_answer_t   answer;

    if (ngx_http_tocsin_api_begin(r, &answer, &view) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    pos = r->args.data;

    for ( ;; ) {

        rc = ngx_http_tocsin_next_arg(r, &pos, &name, &value);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (name.len != 5 || ngx_strncmp(name.data, "limit", 5) != 0) {
            continue;
        }

        limit = ngx_atoi(value.data, value.len);

        if (limit == NGX_ERROR) {
            ngx_str_set(&answer.error, "\"limit\" is a number of rows");

            return ngx_http_tocsin_api_end(&answer, NGX_HTTP_BAD_REQUEST,
                                           ngx_http_tocsin_write_error);
        }

        answer.limit = limit;
    }

    return ngx_http_tocsin_api_end(&answer, NGX_HTTP_OK,
                                   ngx_http_tocsin_write_series);
}


ngx_int_t
ngx_http_tocsin_api_health(ngx_http_request_t *r)
{
    ngx_http_tocsin_view_t     view;
    ngx_http_tocsin_answer_t   answer;

    if (ngx_http_tocsin_api_begin(r, &answer, &view) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tocsin_api_end(&answer,
                                   view.nreasons
                                       ? NGX_HTTP_SERVICE_UNAVAILABLE
                                       : NGX_HTTP_OK,
                                   ngx_http_tocsin_write_state);
}


ngx_int_t
ngx_http_tocsin_api_summary(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_tocsin_view_t     view;
    ngx_http_tocsin_answer_t   answer;

    if (ngx_http_tocsin_api_begin(r, &answer, &view) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_tocsin_filter(r, &answer.filter, &answer.error);

    if (rc == NGX_DECLINED) {
        return ngx_http_tocsin_api_end(&answer, NGX_HTTP_BAD_REQUEST,
                                       ngx_http_tocsin_write_error);
    }

    answer.alerts = ngx_http_tocsin_view_alerts(&view, r->pool);

    if (rc != NGX_OK || answer.alerts == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tocsin_api_end(&answer, NGX_HTTP_OK,
                                   ngx_http_tocsin_write_summary);
}


static ngx_int_t
ngx_http_tocsin_api_begin(ngx_http_request_t *r,
    ngx_http_tocsin_answer_t *answer, ngx_http_tocsin_view_t *view)
{
    ngx_memzero(answer, sizeof(ngx_http_tocsin_answer_t));

    answer->request = r;
    answer->view = view;
    answer->limit = NGX_MAX_INT32_VALUE;

    ngx_http_tocsin_view(ngx_http_tocsin_get_feed(r), view);

    if (ngx_http_tocsin_header(r, "Cache-Control", "no-store") != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_tocsin_header(r, "Content-Security-Policy",
                                  "default-src 'none'; "
                                  "frame-ancestors 'none'");
}


static ngx_int_t
ngx_http_tocsin_api_end(ngx_http_tocsin_answer_t *answer, ngx_uint_t status,
    ngx_http_tocsin_write_pt handler)
{
    ngx_str_t            body;
    ngx_http_request_t  *r;

    r = answer->request;

    if (ngx_http_tocsin_write(r, handler, answer, &body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tocsin_send(r, status, NGX_HTTP_TOCSIN_JSON, &body);
}


static void
ngx_http_tocsin_write_alerts(struct tocsin_out *out, void *data)
{
    ngx_http_tocsin_answer_t *answer = data;

    ngx_uint_t                i, n;
    ngx_http_tocsin_shown_t  *shown;

    shown = answer->alerts->elts;
    n = 0;

    tocsin_out_char(out, '[');

    for (i = 0; i < answer->alerts->nelts; i++) {

        if (!ngx_http_tocsin_filter_alert(answer->filter, &shown[i])) {
            continue;
        }

        if (n++) {
            tocsin_out_char(out, ',');
        }

        tocsin_alert_json(out, &shown[i].alert, shown[i].silenced_by,
                          NGX_HTTP_TOCSIN_RESOLVE);
    }

    tocsin_out_char(out, ']');
}


static void
ngx_http_tocsin_write_status(struct tocsin_out *out, void *data)
{
    ngx_http_tocsin_answer_t *answer = data;

    struct tocsin_json  json = tocsin_json_begin(out);

    tocsin_json_open(&json, '{');

    tocsin_json_key(&json, "cluster");
    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "status");
    tocsin_json_text(&json, TOCSIN_SPAN("disabled"));
    tocsin_json_key(&json, "peers");
    tocsin_json_open(&json, '[');
    tocsin_json_close(&json, ']');
    tocsin_json_close(&json, '}');

    tocsin_json_key(&json, "versionInfo");
    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "version");
    tocsin_json_text(&json, answer->view->series.version);
    tocsin_json_key(&json, "revision");
    tocsin_json_text(&json, TOCSIN_SPAN(""));
    tocsin_json_key(&json, "branch");
    tocsin_json_text(&json, TOCSIN_SPAN(""));
    tocsin_json_key(&json, "buildUser");
    tocsin_json_text(&json, TOCSIN_SPAN(""));
    tocsin_json_key(&json, "buildDate");
    tocsin_json_text(&json, TOCSIN_SPAN(""));
    tocsin_json_key(&json, "goVersion");
    tocsin_json_text(&json, TOCSIN_SPAN(""));
    tocsin_json_close(&json, '}');

    tocsin_json_key(&json, "config");
    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "original");
    tocsin_json_text(&json, TOCSIN_SPAN(""));
    tocsin_json_close(&json, '}');

    tocsin_json_key(&json, "uptime");
    tocsin_json_time(&json, answer->view->link.since);

    tocsin_json_key(&json, "tocsin");
    ngx_http_tocsin_state(&json, answer->view);

    tocsin_json_close(&json, '}');
}


static void
ngx_http_tocsin_write_receivers(struct tocsin_out *out, void *data)
{
    static const char  text[] = "[{\"name\":\"tocsin\"}]";

    (void) data;

    tocsin_out_put(out, text, sizeof(text) - 1);
}


static void
ngx_http_tocsin_write_state(struct tocsin_out *out, void *data)
{
    ngx_http_tocsin_answer_t *answer = data;

    struct tocsin_json  json = tocsin_json_begin(out);

    ngx_http_tocsin_state(&json, answer->view);
}


static void
ngx_http_tocsin_write_summary(struct tocsin_out *out, void *data)
{
    ngx_http_tocsin_answer_t *answer = data;

    struct tocsin_json  json = tocsin_json_begin(out);

    tocsin_json_open(&json, '{');

    tocsin_json_key(&json, "state");
    ngx_http_tocsin_state(&json, answer->view);

    tocsin_json_key(&json, "alerts");
    ngx_http_tocsin_write_alerts(out, data);
    json.comma = 1;

    tocsin_json_close(&json, '}');
}


static void
ngx_http_tocsin_write_error(struct tocsin_out *out, void *data)
{
    ngx_http_tocsin_answer_t *answer = data;

    struct tocsin_json  json = tocsin_json_begin(out);

    /* a mere string: so do the clients of Alertmanager expect it */

    tocsin_json_text(&json, tocsin_span_of((char *) answer->error.data,
                                           answer->error.len));
}


static void
ngx_http_tocsin_write_series(struct tocsin_out *out, void *data)
{
    ngx_http_tocsin_answer_t *answer = data;

    ngx_http_tocsin_view_t  *view;
    struct tocsin_json       json = tocsin_json_begin(out);

    view = answer->view;

    tocsin_json_open(&json, '{');

    tocsin_json_key(&json, "state");
    ngx_http_tocsin_state(&json, view);

    ngx_http_tocsin_json_rows(&json, "rollups", view->series.rollups,
                              NGX_MAX_INT32_VALUE);
    ngx_http_tocsin_json_rows(&json, "series", view->series.rows,
                              answer->limit);

    tocsin_json_close(&json, '}');
}


static void
ngx_http_tocsin_json_rows(struct tocsin_json *json, const char *key,
    struct tocsin_span rows, ngx_uint_t limit)
{
    int                      rc;
    struct tocsin_board_row  row;

    tocsin_json_key(json, key);
    tocsin_json_open(json, '[');

    while (limit && (rc = tocsin_board_row_next(&rows, &row)) != 0) {

        if (rc == 1) {
            ngx_http_tocsin_json_row(json, &row);
            limit--;
        }
    }

    tocsin_json_close(json, ']');
}


static void
ngx_http_tocsin_json_row(struct tocsin_json *json,
    struct tocsin_board_row *row)
{
    char                feature[TOCSIN_LABELS_MAX];
    struct tocsin_span  text;

    text.data = feature;
    text.len = tocsin_pct_decode(feature, row->feature);

    tocsin_json_open(json, '{');

    tocsin_json_key(json, "labels");
    tocsin_json_open(json, '{');
    tocsin_labels_json(json, row->labels);
    tocsin_json_close(json, '}');

    tocsin_json_key(json, "feature");
    tocsin_json_text(json, text);

#define NGX_HTTP_TOCSIN_REAL(m)   tocsin_json_key(json, #m);                  \
                                  tocsin_json_real(json, row->m);
#define NGX_HTTP_TOCSIN_TEXT(m)
#define NGX_HTTP_TOCSIN_PAIRS(m)
#define X(m, kind, name, unit, help)  NGX_HTTP_TOCSIN_##kind(m)

    TOCSIN_BOARD_ROW(X)

#undef X

    tocsin_json_key(json, "spark");
    ngx_http_tocsin_json_spark(json, row->spark);

    tocsin_json_close(json, '}');
}


static void
ngx_http_tocsin_json_spark(struct tocsin_json *json, struct tocsin_span spark)
{
    tocsin_json_open(json, '[');

    while (spark.len) {
        tocsin_json_number(json, tocsin_span_cut(&spark, ','));
    }

    tocsin_json_close(json, ']');
}
