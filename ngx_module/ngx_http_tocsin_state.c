
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tocsin_module.h"
#include "ngx_http_tocsin_status.h"


static void ngx_http_tocsin_state_redis(struct tocsin_json *json,
    ngx_http_tocsin_view_t *view);
static void ngx_http_tocsin_state_sidecar(struct tocsin_json *json,
    ngx_http_tocsin_view_t *view);
static void ngx_http_tocsin_state_events(struct tocsin_json *json,
    ngx_http_tocsin_view_t *view);
static void ngx_http_tocsin_state_alerts(struct tocsin_json *json,
    ngx_http_tocsin_counts_t *counts);
static void ngx_http_tocsin_state_silences(struct tocsin_json *json,
    ngx_http_request_t *r, ngx_http_tocsin_view_t *view,
    ngx_http_tocsin_counts_t *counts);
static void ngx_http_tocsin_state_time(struct tocsin_json *json,
    const char *key, uint64_t us);


const char *const  ngx_http_tocsin_reasons[NGX_TOCSIN_DROPS] = {
    [NGX_TOCSIN_DROP_FULL] = "full",
    [NGX_TOCSIN_DROP_REFUSED] = "refused",
    [NGX_TOCSIN_DROP_SHUTDOWN] = "shutdown",
    [NGX_TOCSIN_DROP_SLOT] = "slot"
};

const char *const  ngx_http_tocsin_severities[NGX_HTTP_TOCSIN_SEVERITIES] = {
    "critical", "warning", "info", "other"
};


const char *const  ngx_http_tocsin_ranks[NGX_HTTP_TOCSIN_RANKS] = {
    [NGX_HTTP_TOCSIN_FIRING] = "firing",
    [NGX_HTTP_TOCSIN_PENDING] = "pending",
    [NGX_HTTP_TOCSIN_RESOLVED] = "resolved",
    [NGX_HTTP_TOCSIN_SUPPRESSED] = "suppressed"
};


void
ngx_http_tocsin_state(struct tocsin_json *json, ngx_http_request_t *r,
    ngx_http_tocsin_view_t *view)
{
    ngx_uint_t                i;
    ngx_http_tocsin_counts_t  counts;

    ngx_http_tocsin_count(view, &counts);

    tocsin_json_open(json, '{');

    ngx_http_tocsin_state_time(json, "now", view->now);

    tocsin_json_key(json, "healthy");
    tocsin_json_bool(json, view->nreasons == 0);

    tocsin_json_key(json, "reasons");
    tocsin_json_open(json, '[');

    for (i = 0; i < view->nreasons; i++) {
        tocsin_json_text(json, tocsin_span_of((char *) view->reasons[i].data,
                                              view->reasons[i].len));
    }

    tocsin_json_close(json, ']');

    ngx_http_tocsin_state_redis(json, view);
    ngx_http_tocsin_state_sidecar(json, view);
    ngx_http_tocsin_state_events(json, view);
    ngx_http_tocsin_state_alerts(json, &counts);
    ngx_http_tocsin_state_silences(json, r, view, &counts);

    tocsin_json_close(json, '}');
}


static void
ngx_http_tocsin_state_redis(struct tocsin_json *json,
    ngx_http_tocsin_view_t *view)
{
    tocsin_json_key(json, "feed");
    tocsin_json_open(json, '{');

    tocsin_json_key(json, "worker");

    if (view->following) {
        tocsin_json_uint(json, view->worker);
    } else {
        tocsin_json_null(json);
    }

    tocsin_json_key(json, "redis");
    tocsin_json_bool(json, view->redis);

    tocsin_json_key(json, "alerts");
    tocsin_json_bool(json, view->link.whole);

    /* of the connection, or since when nothing came over it */

    ngx_http_tocsin_state_time(json, "since",
                               view->redis || !view->link.up
                                   ? view->link.since : view->link.replied);

    tocsin_json_key(json, "error");
    tocsin_json_text(json, tocsin_span_str(view->link.error));

    ngx_http_tocsin_state_time(json, "error_at", view->link.error[0]
                                                 ? view->link.error_us : 0);

    tocsin_json_key(json, "malformed");
    tocsin_json_uint(json, view->link.malformed);

    tocsin_json_key(json, "forgotten");
    tocsin_json_uint(json, view->link.forgotten);

    tocsin_json_key(json, "cut");
    tocsin_json_uint(json, view->head.cut);

    tocsin_json_close(json, '}');
}


static void
ngx_http_tocsin_state_sidecar(struct tocsin_json *json,
    ngx_http_tocsin_view_t *view)
{
    struct tocsin_board  *series;

    series = &view->series;

    tocsin_json_key(json, "sidecar");
    tocsin_json_open(json, '{');

    tocsin_json_key(json, "alive");
    tocsin_json_bool(json, view->sidecar);

    ngx_http_tocsin_state_time(json, "heartbeat", view->heartbeat);

    /* all fields of a snapshot but the long ones; times become seconds */

#define NGX_HTTP_TOCSIN_UINT(m, unit)                                         \
    tocsin_json_key(json, #m);                                                \
    if (sizeof(unit) > 1) {                                                   \
        tocsin_json_seconds(json, series->m);                                 \
    } else {                                                                  \
        tocsin_json_uint(json, series->m);                                    \
    }

#define NGX_HTTP_TOCSIN_TEXT(m, unit)                                         \
    tocsin_json_key(json, #m);                                                \
    tocsin_json_text(json, series->m);

#define NGX_HTTP_TOCSIN_BULK(m, unit)

#define X(m, kind, name, unit, help)  NGX_HTTP_TOCSIN_##kind(m, unit)

    if (view->series_known) {
        TOCSIN_BOARD_FIELDS(X)
    }

#undef X

    tocsin_json_close(json, '}');
}


static void
ngx_http_tocsin_state_events(struct tocsin_json *json,
    ngx_http_tocsin_view_t *view)
{
    ngx_uint_t            i;
    ngx_tocsin_totals_t  *totals;

    totals = &view->totals;

    tocsin_json_key(json, "events");
    tocsin_json_open(json, '{');

    tocsin_json_key(json, "emitted");
    tocsin_json_uint(json, totals->emitted);
    tocsin_json_key(json, "delivered");
    tocsin_json_uint(json, totals->delivered);
    tocsin_json_key(json, "buffered");
    tocsin_json_uint(json, totals->buffered);

    tocsin_json_key(json, "dropped");
    tocsin_json_open(json, '{');

    for (i = 0; i < NGX_TOCSIN_DROPS; i++) {
        tocsin_json_key(json, ngx_http_tocsin_reasons[i]);
        tocsin_json_uint(json, totals->dropped[i]);
    }

    tocsin_json_close(json, '}');

    tocsin_json_key(json, "workers");
    tocsin_json_uint(json, totals->workers);
    tocsin_json_key(json, "connected");
    tocsin_json_uint(json, totals->connected);
    tocsin_json_key(json, "error");
    tocsin_json_text(json, tocsin_span_str(totals->error));
    ngx_http_tocsin_state_time(json, "error_at", totals->error[0]
                                                 ? totals->error_us : 0);

    tocsin_json_close(json, '}');
}


static void
ngx_http_tocsin_state_alerts(struct tocsin_json *json,
    ngx_http_tocsin_counts_t *counts)
{
    ngx_uint_t  i;

    tocsin_json_key(json, "alerts");
    tocsin_json_open(json, '{');

    for (i = 0; i < NGX_HTTP_TOCSIN_SEVERITIES; i++) {
        tocsin_json_key(json, ngx_http_tocsin_severities[i]);
        tocsin_json_uint(json, counts->of[NGX_HTTP_TOCSIN_FIRING][i]);
    }

    for (i = 0; i < NGX_HTTP_TOCSIN_RANKS; i++) {
        tocsin_json_key(json, ngx_http_tocsin_ranks[i]);
        tocsin_json_uint(json, counts->all[i]);
    }

    tocsin_json_close(json, '}');
}


/* `version` changes with the silences and with what they silence */

static void
ngx_http_tocsin_state_silences(struct tocsin_json *json,
    ngx_http_request_t *r, ngx_http_tocsin_view_t *view,
    ngx_http_tocsin_counts_t *counts)
{
    uint32_t                     crc;
    ngx_uint_t                   i;
    ngx_http_tocsin_loc_conf_t  *tlcf;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_tocsin_module);

    tocsin_json_key(json, "silences");
    tocsin_json_open(json, '{');

    for (i = 0; i < TOCSIN_SILENCE_STATES; i++) {
        tocsin_json_key(json, tocsin_silence_states[i]);
        tocsin_json_uint(json, counts->silences[i]);
    }

    ngx_crc32_init(crc);
    ngx_crc32_update(&crc, (u_char *) view->series.silences.data,
                     view->series.silences.len);
    ngx_crc32_update(&crc, (u_char *) view->series.silenced.data,
                     view->series.silenced.len);
    ngx_crc32_final(crc);

    tocsin_json_key(json, "version");
    tocsin_json_uint(json, crc);

    tocsin_json_key(json, "write");
    tocsin_json_bool(json, tlcf->write == 1);

    if (tlcf->write == 1) {
        tocsin_json_key(json, "user");
        tocsin_json_text(json, tocsin_span_of((char *) r->headers_in.user.data,
                                              r->headers_in.user.len));
    }

    tocsin_json_close(json, '}');
}


void
ngx_http_tocsin_count(ngx_http_tocsin_view_t *view,
    ngx_http_tocsin_counts_t *counts)
{
    int                         rc;
    ngx_uint_t                  rank, severity, other;
    struct tocsin_span          rest, name;
    struct tocsin_silence_row   row;
    ngx_http_tocsin_shown_t     shown;

    ngx_memzero(counts, sizeof(ngx_http_tocsin_counts_t));

    rest = view->alerts;
    other = NGX_HTTP_TOCSIN_SEVERITIES - 1;

    while (ngx_http_tocsin_view_next(view, &rest, &shown) == NGX_OK) {

        for (severity = 0; severity < other; severity++) {
            name = tocsin_span_str(ngx_http_tocsin_severities[severity]);

            if (tocsin_span_eq(shown.alert.severity, name)) {
                break;
            }
        }

        rank = shown.silenced_by.len ? NGX_HTTP_TOCSIN_SUPPRESSED
                                     : shown.rank;

        counts->of[rank][severity]++;
        counts->all[rank]++;
    }

    rest = view->series.silences;

    while ((rc = tocsin_silence_row_next(&rest, &row)) != 0) {

        if (rc == 1) {
            counts->silences[tocsin_silence_state(&row, view->now)]++;
        }
    }
}


static void
ngx_http_tocsin_state_time(struct tocsin_json *json, const char *key,
    uint64_t us)
{
    tocsin_json_key(json, key);

    if (us) {
        tocsin_json_seconds(json, us);
    } else {
        tocsin_json_null(json);
    }
}
