
/*
 * Copyright (C) Tocsin authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_tocsin_status.h"


static void ngx_http_tocsin_write_metrics(struct tocsin_out *out, void *data);
static void ngx_http_tocsin_metrics_events(struct tocsin_out *out,
    ngx_http_tocsin_view_t *view);
static void ngx_http_tocsin_metrics_feed(struct tocsin_out *out,
    ngx_http_tocsin_view_t *view);
static void ngx_http_tocsin_metrics_alerts(struct tocsin_out *out,
    ngx_http_tocsin_view_t *view);
static void ngx_http_tocsin_metrics_sidecar(struct tocsin_out *out,
    ngx_http_tocsin_view_t *view);
static void ngx_http_tocsin_metrics_counters(struct tocsin_out *out,
    struct tocsin_board *series);
static void ngx_http_tocsin_metric(struct tocsin_out *out, const char *name,
    const char *type, const char *help);
static void ngx_http_tocsin_metric_line(struct tocsin_out *out,
    const char *fmt, ...);
static void ngx_http_tocsin_metric_uint(struct tocsin_out *out,
    const char *name, const char *type, const char *help, uint64_t value);
static void ngx_http_tocsin_metric_seconds(struct tocsin_out *out,
    const char *name, const char *help, uint64_t us);
static void ngx_http_tocsin_metric_label(struct tocsin_out *out,
    const char *name, struct tocsin_span value);


ngx_int_t
ngx_http_tocsin_metrics(ngx_http_request_t *r)
{
    ngx_http_tocsin_view_t  view;

    ngx_http_tocsin_view(ngx_http_tocsin_get_feed(r), &view);

    return ngx_http_tocsin_answer(r, NGX_HTTP_OK,
                                  "text/plain; version=0.0.4; charset=utf-8",
                                  ngx_http_tocsin_write_metrics, &view);
}


static void
ngx_http_tocsin_write_metrics(struct tocsin_out *out, void *data)
{
    ngx_http_tocsin_view_t *view = data;

    ngx_http_tocsin_metrics_events(out, view);
    ngx_http_tocsin_metrics_feed(out, view);
    ngx_http_tocsin_metrics_alerts(out, view);
    ngx_http_tocsin_metrics_sidecar(out, view);
}


static void
ngx_http_tocsin_metrics_events(struct tocsin_out *out,
    ngx_http_tocsin_view_t *view)
{
    ngx_uint_t            i;
    ngx_tocsin_totals_t  *totals;

    totals = &view->totals;

    ngx_http_tocsin_metric_uint(out, "tocsin_events_emitted_total", "counter",
        "Events taken by the log phase.", totals->emitted);

    ngx_http_tocsin_metric_uint(out, "tocsin_events_delivered_total",
        "counter", "Events that Redis acknowledged.", totals->delivered);

    ngx_http_tocsin_metric(out, "tocsin_events_dropped_total", "counter",
        "Events lost on the way to Redis.");

    for (i = 0; i < NGX_TOCSIN_DROPS; i++) {
        ngx_http_tocsin_metric_line(out,
                            "tocsin_events_dropped_total{reason=\"%s\"} %uL\n",
                            ngx_http_tocsin_reasons[i], totals->dropped[i]);
    }

    ngx_http_tocsin_metric_uint(out, "tocsin_events_buffered", "gauge",
        "Events waiting in the rings.", totals->buffered);

    ngx_http_tocsin_metric_uint(out, "tocsin_redis_reconnects_total",
        "counter", "Connections to Redis that had to be made again.",
        totals->reconnects);

    ngx_http_tocsin_metric_uint(out, "tocsin_workers", "gauge",
        "Workers that send events.", totals->workers);

    ngx_http_tocsin_metric_uint(out, "tocsin_workers_connected", "gauge",
        "Workers that have a connection to Redis.", totals->connected);
}


static void
ngx_http_tocsin_metrics_feed(struct tocsin_out *out,
    ngx_http_tocsin_view_t *view)
{
    ngx_http_tocsin_metric_uint(out, "tocsin_feed_up", "gauge",
        "Whether a worker follows the alerts and Redis answers it.",
        view->redis);

    ngx_http_tocsin_metric_uint(out, "tocsin_feed_malformed_total", "counter",
        "Entries of alerts and snapshots that could not be read.",
        view->link.malformed);

    ngx_http_tocsin_metric_uint(out, "tocsin_feed_forgotten_total", "counter",
        "Alerts that lasted but found no room in shared memory.",
        view->link.forgotten);
}


static void
ngx_http_tocsin_metrics_alerts(struct tocsin_out *out,
    ngx_http_tocsin_view_t *view)
{
    ngx_uint_t                rank, severity;
    ngx_http_tocsin_counts_t  counts;

    ngx_http_tocsin_count(view, &counts);

    ngx_http_tocsin_metric(out, "tocsin_alerts", "gauge",
        "Alerts by state; suppressed: nobody is told of them; those resolved "
        "are kept for a day.");

    for (rank = 0; rank < NGX_HTTP_TOCSIN_RANKS; rank++) {
        for (severity = 0; severity < NGX_HTTP_TOCSIN_SEVERITIES; severity++)
        {
            ngx_http_tocsin_metric_line(out,
                          "tocsin_alerts{state=\"%s\",severity=\"%s\"} %ui\n",
                          ngx_http_tocsin_ranks[rank],
                          ngx_http_tocsin_severities[severity],
                          counts.of[rank][severity]);
        }
    }

    ngx_http_tocsin_metric(out, "tocsin_silences", "gauge",
        "Silences by state; those expired are kept for a day.");

    for (rank = 0; rank < TOCSIN_SILENCE_STATES; rank++) {
        ngx_http_tocsin_metric_line(out,
                                    "tocsin_silences{state=\"%s\"} %ui\n",
                                    tocsin_silence_states[rank],
                                    counts.silences[rank]);
    }
}


static void
ngx_http_tocsin_metrics_sidecar(struct tocsin_out *out,
    ngx_http_tocsin_view_t *view)
{
    uint64_t              age;
    struct tocsin_board  *series;

    series = &view->series;

    ngx_http_tocsin_metric_uint(out, "tocsin_sidecar_up", "gauge",
        "Whether the sidecar has been heard of lately.", view->sidecar);

    if (view->series_known) {
        age = view->now > view->heartbeat ? view->now - view->heartbeat : 0;

        ngx_http_tocsin_metric_seconds(out,
            "tocsin_sidecar_heartbeat_age_seconds",
            "Time since the sidecar was heard of; +Inf: never.", age);

    } else {

        /* so that a rule for a high age also holds before the first one */

        ngx_http_tocsin_metric(out, "tocsin_sidecar_heartbeat_age_seconds",
            "gauge", "Time since the sidecar was heard of; +Inf: never.");
        ngx_http_tocsin_metric_line(out,
                            "tocsin_sidecar_heartbeat_age_seconds +Inf\n");
        return;
    }

    ngx_http_tocsin_metric_seconds(out, "tocsin_lag_seconds",
        "Time between the newest event and the last one processed.",
        series->lag);

    ngx_http_tocsin_metric_uint(out, "tocsin_series", "gauge",
        "Series that the sidecar follows.", series->series);

    ngx_http_tocsin_metric(out, "tocsin_sidecar_info", "gauge",
        "Versions of the sidecar and of the model that serves.");
    ngx_http_tocsin_metric_line(out, "tocsin_sidecar_info{");
    ngx_http_tocsin_metric_label(out, "version", series->version);
    tocsin_out_char(out, ',');
    ngx_http_tocsin_metric_label(out, "model", series->model);
    ngx_http_tocsin_metric_line(out, "} 1\n");

    ngx_http_tocsin_metric_seconds(out, "tocsin_model_timestamp_seconds",
        "When the model began to serve, since the epoch.", series->model_ts);

    ngx_http_tocsin_metrics_counters(out, series);
}


static void
ngx_http_tocsin_metrics_counters(struct tocsin_out *out,
    struct tocsin_board *series)
{
    ngx_http_tocsin_metric_uint(out, "tocsin_model_trained_total", "counter",
        "Challengers trained.", series->trained);

    ngx_http_tocsin_metric_uint(out, "tocsin_model_swapped_total", "counter",
        "Challengers that won and serve, or served.", series->swapped);

    ngx_http_tocsin_metric_uint(out, "tocsin_series_evicted_total", "counter",
        "Series dropped because there were too many.",
        series->series_evicted);

    ngx_http_tocsin_metric_uint(out, "tocsin_sidecar_events_total", "counter",
        "Events that the sidecar processed.", series->events);

    ngx_http_tocsin_metric_uint(out, "tocsin_sidecar_late_total", "counter",
        "Events that came after their tick had been closed.", series->late);

    ngx_http_tocsin_metric_uint(out, "tocsin_sidecar_duplicates_total",
        "counter", "Events that had been seen before.", series->duplicates);

    ngx_http_tocsin_metric_uint(out, "tocsin_sidecar_gaps_total", "counter",
        "Events missing in the streams, by their running numbers.",
        series->gaps);

    ngx_http_tocsin_metric_uint(out, "tocsin_sidecar_malformed_total",
        "counter", "Entries that the sidecar could not read.",
        series->malformed);
}


static void
ngx_http_tocsin_metric(struct tocsin_out *out, const char *name,
    const char *type, const char *help)
{
    ngx_http_tocsin_metric_line(out, "# HELP %s %s\n# TYPE %s %s\n",
                                name, help, name, type);
}


static void
ngx_http_tocsin_metric_line(struct tocsin_out *out, const char *fmt, ...)
{
    u_char   *p, line[512];
    va_list   args;

    va_start(args, fmt);
    p = ngx_vslprintf(line, line + sizeof(line), fmt, args);
    va_end(args);

    tocsin_out_put(out, (char *) line, p - line);
}


static void
ngx_http_tocsin_metric_uint(struct tocsin_out *out, const char *name,
    const char *type, const char *help, uint64_t value)
{
    ngx_http_tocsin_metric(out, name, type, help);
    ngx_http_tocsin_metric_line(out, "%s %uL\n", name, value);
}


static void
ngx_http_tocsin_metric_seconds(struct tocsin_out *out, const char *name,
    const char *help, uint64_t us)
{
    ngx_http_tocsin_metric(out, name, "gauge", help);
    ngx_http_tocsin_metric_line(out, "%s %uL.%06uL\n", name, us / 1000000,
                                us % 1000000);
}


static void
ngx_http_tocsin_metric_label(struct tocsin_out *out, const char *name,
    struct tocsin_span value)
{
    size_t  i, len;

    tocsin_out_span(out, tocsin_span_str(name));
    tocsin_out_put(out, "=\"", 2);

    for (i = 0; i < value.len; i += len) {

        len = tocsin_utf8_length(value.data + i, value.len - i);

        if (len == 0) {
            len = 1;
            tocsin_out_put(out, "\xef\xbf\xbd", 3);

        } else if (value.data[i] == '\n') {
            tocsin_out_put(out, "\\n", 2);

        } else if (value.data[i] == '"' || value.data[i] == '\\') {
            tocsin_out_char(out, '\\');
            tocsin_out_char(out, value.data[i]);

        } else {
            tocsin_out_put(out, value.data + i, len);
        }
    }

    tocsin_out_char(out, '"');
}
