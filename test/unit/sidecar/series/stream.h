/* A little stream for tests of the series room: events by a few words, and
 * the ticks that came out as text. */
#ifndef TOCSIN_TEST_STREAM_H
#define TOCSIN_TEST_STREAM_H

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "sidecar/series/series.h"

#define SECOND 1000000u
#define T0 1700000000u /* s; where the streams begin */

static struct series_options default_options(void)
{
    struct series_options options = {
        .sets = {{"server", "route"},
                 {"upstream"},
                 {"upstream", "peer"},
                 {"cloud", "region"},
                 {"cloud"}},
        .set_sizes = {2, 1, 2, 2, 1},
        .set_count = 5,
        .tick = SECOND,
        .lateness = SECOND / 2,
        .idle = 3600u * (uint64_t)SECOND,
        .max = 100,
    };

    return options;
}

/* A deep copy of the ticks, as far as tests look at them. */
struct seen_row {
    char labels[256];
    uint32_t slot;
    struct aggregate aggregate; /* without sketches */
    double p50;
    char links[256]; /* labels of linked series, each followed by ' ' */
};

struct seen_tick {
    uint64_t end;
    uint32_t count;
    struct seen_row rows[64];
};

struct recorder {
    struct series *series;
    struct seen_tick ticks[256];
    unsigned tick_count;
    unsigned left;
    bool deaf; /* only counts ticks */
};

static inline void record_links(struct recorder *recorder,
                                const struct identity *identity,
                                struct seen_row *row)
{
    struct buf links;

    buf_init(&links, sizeof(row->links) - 1);
    for (uint32_t i = 0; i < identity->link_count; i++) {
        const struct identity *other =
            series_identity(recorder->series, identity->links[i]);

        ck_assert_ptr_nonnull(other);
        buf_printf(&links, "%s ", other->labels);
    }
    snprintf(row->links, sizeof(row->links), "%s",
             links.data != NULL ? links.data : "");
    buf_release(&links);
}

static inline void record_tick(void *ctx, const struct series_tick *tick)
{
    struct recorder *recorder = ctx;
    struct seen_tick *to;

    if (recorder->deaf) {
        recorder->tick_count++;
        return;
    }
    ck_assert_uint_lt(recorder->tick_count, 256);
    to = &recorder->ticks[recorder->tick_count++];
    memset(to, 0, sizeof(*to));
    to->end = tick->end;
    for (uint32_t i = 0; i < tick->count && i < 64; i++) {
        struct seen_row *row = &to->rows[to->count++];

        ck_assert(i == 0 || tick->rows[i].identity->slot >
                                tick->rows[i - 1].identity->slot);
        snprintf(row->labels, sizeof(row->labels), "%s",
                 tick->rows[i].identity->labels);
        row->slot = tick->rows[i].identity->slot;
        row->aggregate = *tick->rows[i].aggregate;
        row->p50 = sketch_quantile(&tick->rows[i].aggregate->duration, 0.5);
        record_links(recorder, tick->rows[i].identity, row);
    }
}

static inline void record_leave(void *ctx, const struct identity *identity)
{
    struct recorder *recorder = ctx;

    (void)identity;
    recorder->left++;
}

static inline struct series *make_series(const struct series_options *options,
                                         struct recorder *recorder)
{
    struct series_sink sink = {recorder, record_tick, record_leave};
    struct err err = {0};
    struct series *series = series_create(options, sink, &err);

    ck_assert_msg(series != NULL, "%s", err.message);
    recorder->series = series;
    return series;
}

static inline struct tocsin_event request(const char *server, const char *route)
{
    static uint64_t seq;
    struct tocsin_event ev;

    tocsin_event_init(&ev, TOCSIN_REQUEST);
    ev.src = tocsin_span_str("host/1/1");
    ev.seq = ++seq;
    ev.server = tocsin_span_str(server);
    ev.route = tocsin_span_str(route);
    ev.status = 200;
    ev.dur = 10000;
    return ev;
}

static inline struct tocsin_event attempt(const char *upstream,
                                          const char *peer, const char *cloud,
                                          const char *region)
{
    struct tocsin_event ev = request("shop", "/cart");

    ev.stream = TOCSIN_UPSTREAM;
    ev.upstream = tocsin_span_str(upstream);
    ev.peer = tocsin_span_str(peer);
    ev.cloud = tocsin_span_str(cloud);
    ev.region = tocsin_span_str(region);
    ev.attempt = 1;
    return ev;
}

static inline struct tocsin_event beat(const char *src, const char *inflight)
{
    struct tocsin_event ev;

    tocsin_event_init(&ev, TOCSIN_BEAT);
    ev.src = tocsin_span_str(src);
    ev.inflight = tocsin_span_str(inflight);
    return ev;
}

/* `ms` after T0: when it ended, and 1 ms later it was in the stream. */
static inline void send(struct series *series, struct tocsin_event ev,
                        uint64_t ms)
{
    ev.ts = T0 * (uint64_t)SECOND + ms * 1000;
    series_event(series, &ev, T0 * (uint64_t)1000 + ms + 1);
}

static inline void pass_time(struct series *series, uint64_t ms)
{
    series_time(series, T0 * (uint64_t)1000 + ms);
}

static inline const struct seen_row *find_row(const struct recorder *recorder,
                                              unsigned tick, const char *labels)
{
    ck_assert_uint_lt(tick, recorder->tick_count);
    for (uint32_t i = 0; i < recorder->ticks[tick].count; i++) {
        if (strcmp(recorder->ticks[tick].rows[i].labels, labels) == 0) {
            return &recorder->ticks[tick].rows[i];
        }
    }
    return NULL;
}

static inline const struct aggregate *row(const struct recorder *recorder,
                                          unsigned tick, const char *labels)
{
    const struct seen_row *found = find_row(recorder, tick, labels);

    ck_assert_msg(found != NULL, "no row %s in tick %u", labels, tick);
    return &found->aggregate;
}

#endif
