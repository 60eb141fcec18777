
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tocsin_status.h"


typedef struct {
    ngx_http_request_t            *request;
    ngx_http_tocsin_view_t        *view;
    ngx_http_tocsin_filter_t      *filter;
    ngx_array_t                   *alerts;
    ngx_str_t                      error;
    ngx_uint_t                     limit;
} ngx_http_tocsin_answer_t;


static void ngx_http_tocsin_api_begin(ngx_http_request_t *r,
    ngx_http_tocsin_answer_t *answer, ngx_http_tocsin_view_t *view);
static ngx_int_t ngx_http_tocsin_api_send(ngx_http_request_t *r,
    ngx_http_tocsin_write_pt handler);
static ngx_int_t ngx_http_tocsin_api_filtered(ngx_http_request_t *r,
    ngx_http_tocsin_write_pt handler);
static ngx_int_t ngx_http_tocsin_api_error(ngx_http_tocsin_answer_t *answer);
static ngx_int_t ngx_http_tocsin_api_limit(ngx_http_tocsin_answer_t *answer);
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
    return ngx_http_tocsin_api_filtered(r, ngx_http_tocsin_write_alerts);
}


ngx_int_t
ngx_http_tocsin_api_summary(ngx_http_request_t *r)
{
    return ngx_http_tocsin_api_filtered(r, ngx_http_tocsin_write_summary);
}


ngx_int_t
ngx_http_tocsin_api_status(ngx_http_request_t *r)
{
    return ngx_http_tocsin_api_send(r, ngx_http_tocsin_write_status);
}


ngx_int_t
ngx_http_tocsin_api_receivers(ngx_http_request_t *r)
{
    return ngx_http_tocsin_api_send(r, ngx_http_tocsin_write_receivers);
}


ngx_int_t
ngx_http_tocsin_api_series(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_tocsin_view_t     view;
    ngx_http_tocsin_answer_t   answer;

    ngx_http_tocsin_api_begin(r, &answer, &view);

    rc = ngx_http_tocsin_api_limit(&answer);

    if (rc == NGX_DECLINED) {
        return ngx_http_tocsin_api_error(&answer);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tocsin_answer(r, NGX_HTTP_OK, NGX_HTTP_TOCSIN_JSON,
                                  ngx_http_tocsin_write_series, &answer);
}


ngx_int_t
ngx_http_tocsin_api_health(ngx_http_request_t *r)
{
    ngx_uint_t                 status;
    ngx_http_tocsin_view_t     view;
    ngx_http_tocsin_answer_t   answer;

    ngx_http_tocsin_api_begin(r, &answer, &view);

    status = view.nreasons ? NGX_HTTP_SERVICE_UNAVAILABLE : NGX_HTTP_OK;

    return ngx_http_tocsin_answer(r, status, NGX_HTTP_TOCSIN_JSON,
                                  ngx_http_tocsin_write_state, &answer);
}


static void
ngx_http_tocsin_api_begin(ngx_http_request_t *r,
    ngx_http_tocsin_answer_t *answer, ngx_http_tocsin_view_t *view)
{
    ngx_memzero(answer, sizeof(ngx_http_tocsin_answer_t));

    answer->request = r;
    answer->view = view;
    answer->limit = NGX_MAX_INT32_VALUE;

    ngx_http_tocsin_view(ngx_http_tocsin_get_feed(r), view);
}


static ngx_int_t
ngx_http_tocsin_api_send(ngx_http_request_t *r,
    ngx_http_tocsin_write_pt handler)
{
    ngx_http_tocsin_view_t     view;
    ngx_http_tocsin_answer_t   answer;

    ngx_http_tocsin_api_begin(r, &answer, &view);

    return ngx_http_tocsin_answer(r, NGX_HTTP_OK, NGX_HTTP_TOCSIN_JSON,
                                  handler, &answer);
}


/* of the alerts that the request asks for */

static ngx_int_t
ngx_http_tocsin_api_filtered(ngx_http_request_t *r,
    ngx_http_tocsin_write_pt handler)
{
    ngx_int_t                  rc;
    ngx_http_tocsin_view_t     view;
    ngx_http_tocsin_answer_t   answer;

    ngx_http_tocsin_api_begin(r, &answer, &view);

    rc = ngx_http_tocsin_filter(r, &answer.filter, &answer.error);

    if (rc == NGX_DECLINED) {
        return ngx_http_tocsin_api_error(&answer);
    }

    answer.alerts = ngx_http_tocsin_view_alerts(&view, r->pool);

    if (rc != NGX_OK || answer.alerts == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_tocsin_answer(r, NGX_HTTP_OK, NGX_HTTP_TOCSIN_JSON,
                                  handler, &answer);
}


static ngx_int_t
ngx_http_tocsin_api_error(ngx_http_tocsin_answer_t *answer)
{
    return ngx_http_tocsin_answer(answer->request, NGX_HTTP_BAD_REQUEST,
                                  NGX_HTTP_TOCSIN_JSON,
                                  ngx_http_tocsin_write_error, answer);
}


static ngx_int_t
ngx_http_tocsin_api_limit(ngx_http_tocsin_answer_t *answer)
{
    u_char     *pos;
    ngx_int_t   rc, limit;
    ngx_str_t   name, value;

    pos = answer->request->args.data;

    for ( ;; ) {

        rc = ngx_http_tocsin_next_arg(answer->request, &pos, &name, &value);

        if (rc != NGX_OK) {
            return rc == NGX_DONE ? NGX_OK : NGX_ERROR;
        }

        if (name.len != 5 || ngx_strncmp(name.data, "limit", 5) != 0) {
            continue;
        }

        limit = ngx_atoi(value.data, value.len);

        if (limit == NGX_ERROR) {
            ngx_str_set(&answer->error, "\"limit\" is a number of rows");
            return NGX_DECLINED;
        }

        answer->limit = limit;
    }
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

    ngx_uint_t          i;
    struct tocsin_json  json = tocsin_json_begin(out);

    static const char *const  unknown[] = {
        "revision", "branch", "buildUser", "buildDate", "goVersion"
    };

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

    for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        tocsin_json_key(&json, unknown[i]);
        tocsin_json_text(&json, TOCSIN_SPAN(""));
    }

    tocsin_json_close(&json, '}');

    tocsin_json_key(&json, "config");
    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "original");
    tocsin_json_text(&json, TOCSIN_SPAN(""));
    tocsin_json_close(&json, '}');

    tocsin_json_key(&json, "uptime");
    tocsin_json_time(&json, answer->view->link.since);

    tocsin_json_key(&json, "tocsin");
    ngx_http_tocsin_state(&json, answer->request, answer->view);

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

    ngx_http_tocsin_state(&json, answer->request, answer->view);
}


static void
ngx_http_tocsin_write_summary(struct tocsin_out *out, void *data)
{
    ngx_http_tocsin_answer_t *answer = data;

    struct tocsin_json  json = tocsin_json_begin(out);

    tocsin_json_open(&json, '{');

    tocsin_json_key(&json, "state");
    ngx_http_tocsin_state(&json, answer->request, answer->view);

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
    ngx_http_tocsin_state(&json, answer->request, view);

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
