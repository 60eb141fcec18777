
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tocsin_silence.h"


/* us that the sidecar may take to do a command and tell of it */
#define NGX_HTTP_TOCSIN_SILENCE_LATE  30000000


typedef struct {
    ngx_http_tocsin_view_t      view;
    ngx_http_tocsin_filter_t   *filter;
    struct tocsin_silence_row   row;         /* of the one that is asked for */
} ngx_http_tocsin_silences_t;


static ngx_int_t ngx_http_tocsin_silence_find(ngx_http_request_t *r,
    ngx_http_tocsin_silences_t *silences);
static void ngx_http_tocsin_write_silences(struct tocsin_out *out, void *data);
static void ngx_http_tocsin_write_silence(struct tocsin_out *out, void *data);
static void ngx_http_tocsin_write_text(struct tocsin_out *out, void *data);
static ngx_int_t ngx_http_tocsin_silence_shown(
    ngx_http_tocsin_filter_t *filter, struct tocsin_silence_row *row);


ngx_int_t
ngx_http_tocsin_silences(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_str_t                    error;
    ngx_http_tocsin_silences_t   silences;

    ngx_memzero(&silences, sizeof(ngx_http_tocsin_silences_t));

    rc = ngx_http_tocsin_filter(r, &silences.filter, &error);

    if (rc == NGX_DECLINED) {
        return ngx_http_tocsin_silence_error(r, NGX_HTTP_BAD_REQUEST,
                                             (char *) error.data);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_tocsin_view(ngx_http_tocsin_get_feed(r), &silences.view);

    return ngx_http_tocsin_answer(r, NGX_HTTP_OK, NGX_HTTP_TOCSIN_JSON,
                                  ngx_http_tocsin_write_silences, &silences);
}


ngx_int_t
ngx_http_tocsin_silence(ngx_http_request_t *r)
{
    ngx_http_tocsin_silences_t   silences;

    ngx_memzero(&silences, sizeof(ngx_http_tocsin_silences_t));

    if (ngx_http_tocsin_silence_find(r, &silences) != NGX_OK) {
        return ngx_http_tocsin_silence_error(r, NGX_HTTP_NOT_FOUND,
                                             "no such silence");
    }

    return ngx_http_tocsin_answer(r, NGX_HTTP_OK, NGX_HTTP_TOCSIN_JSON,
                                  ngx_http_tocsin_write_silence, &silences);
}


static ngx_int_t
ngx_http_tocsin_silence_find(ngx_http_request_t *r,
    ngx_http_tocsin_silences_t *silences)
{
    struct tocsin_span  id, rest;

    id = ngx_http_tocsin_silence_id(r);

    ngx_http_tocsin_view(ngx_http_tocsin_get_feed(r), &silences->view);

    rest = silences->view.series.silences;

    while (tocsin_silence_row_next(&rest, &silences->row) != 0) {

        if (silences->row.id.len && tocsin_span_eq(silences->row.id, id)) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_tocsin_silence_known(ngx_http_request_t *r)
{
    uint64_t                     made;
    ngx_http_tocsin_silences_t   silences;

    if (ngx_http_tocsin_silence_find(r, &silences) == NGX_OK) {
        return NGX_OK;
    }

    made = ngx_http_tocsin_board_silenced(ngx_http_tocsin_get_feed(r)->board);

    if (!silences.view.redis || !silences.view.sidecar
        || silences.view.head.received < made + NGX_HTTP_TOCSIN_SILENCE_LATE)
    {
        return NGX_AGAIN;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_tocsin_silence_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    return ngx_http_tocsin_answer(r, status, NGX_HTTP_TOCSIN_JSON,
                                  ngx_http_tocsin_write_text, (void *) text);
}


static void
ngx_http_tocsin_write_silences(struct tocsin_out *out, void *data)
{
    ngx_http_tocsin_silences_t *silences = data;

    struct tocsin_json         json = tocsin_json_begin(out);
    struct tocsin_span         rest;
    struct tocsin_silence_row  row;

    rest = silences->view.series.silences;

    tocsin_json_open(&json, '[');

    while (tocsin_silence_row_next(&rest, &row) != 0) {

        if (row.id.len
            && ngx_http_tocsin_silence_shown(silences->filter, &row))
        {
            tocsin_silence_json(&json, &row, silences->view.now);
        }
    }

    tocsin_json_close(&json, ']');
}


static void
ngx_http_tocsin_write_silence(struct tocsin_out *out, void *data)
{
    ngx_http_tocsin_silences_t *silences = data;

    struct tocsin_json  json = tocsin_json_begin(out);

    tocsin_silence_json(&json, &silences->row, silences->view.now);
}


/* a mere string: so do the clients of Alertmanager expect an error */

static void
ngx_http_tocsin_write_text(struct tocsin_out *out, void *data)
{
    struct tocsin_json  json = tocsin_json_begin(out);

    tocsin_json_text(&json, tocsin_span_str(data));
}


/*
 * As Alertmanager has it, what a silence matches by is looked at as if it
 * were the labels of an alert.
 */

static ngx_int_t
ngx_http_tocsin_silence_shown(ngx_http_tocsin_filter_t *filter,
    struct tocsin_silence_row *row)
{
    int                       rc;
    char                      list[TOCSIN_EVIDENCE_MAX];
    char                      labels[3 * TOCSIN_MATCHERS_MAX];
    char                      room[TOCSIN_MATCHERS_MAX];
    char                      special[2][TOCSIN_MATCHERS_MAX];
    struct tocsin_out         out;
    struct tocsin_span        rest, *to;
    struct tocsin_matcher     matcher;
    ngx_http_tocsin_shown_t   shown;

    ngx_memzero(&shown, sizeof(ngx_http_tocsin_shown_t));
    tocsin_alert_init(&shown.alert);

    out.data = labels;
    out.cap = sizeof(labels);
    out.need = 0;

    rest = tocsin_span_of(list, tocsin_pct_decode(list, row->matchers));

    while ((rc = tocsin_matcher_next(&rest, &matcher, room)) != 0) {

        if (rc < 0) {
            continue;
        }

        if (tocsin_span_eq(matcher.name, TOCSIN_SPAN("alertname"))
            || tocsin_span_eq(matcher.name, TOCSIN_SPAN("severity")))
        {
            rc = (matcher.name.data[0] == 'a');
            to = rc ? &shown.alert.alertname : &shown.alert.severity;

            ngx_memcpy(special[rc], matcher.value.data, matcher.value.len);
            *to = tocsin_span_of(special[rc], matcher.value.len);
            continue;
        }

        if (out.need) {
            tocsin_out_char(&out, ',');
        }

        tocsin_out_span(&out, matcher.name);
        tocsin_out_char(&out, '=');
        tocsin_pct_encode(&out, matcher.value);
    }

    shown.alert.labels = tocsin_span_of(labels, tocsin_out_fits(&out)
                                                ? out.need : 0);

    return ngx_http_tocsin_filter_alert(filter, &shown);
}


struct tocsin_span
ngx_http_tocsin_silence_id(ngx_http_request_t *r)
{
    ngx_str_t  rest;

    ngx_http_tocsin_below(r, &rest);

    return tocsin_span_of((char *) rest.data + sizeof(NGX_HTTP_TOCSIN_ONE) - 1,
                          rest.len - (sizeof(NGX_HTTP_TOCSIN_ONE) - 1));
}
