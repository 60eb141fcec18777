/*
 * How fast one core decodes and aggregates events, and what a tick of features
 * costs: series [EVENTS [SERIES]].
 *
 * Events are what a busy deployment sends: requests of some hundred routes and
 * their attempts at sixteen upstreams of eight peers in four clouds, all five
 * default label sets, decoded field by field from the wire's form. Then a tick
 * of SERIES series (10,000) with thirty events each becomes features, with the
 * default model's seasons and three lags.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "sidecar/base/clock.h"
#include "sidecar/features/features.h"

#define KINDS 4096
#define FIELDS_MAX 32
#define TICK 1000000u
#define START 1700000000000u /* ms */

/* One event as a parser of replies delivers it. */
struct entry {
    enum tocsin_stream stream;
    unsigned count;
    struct tocsin_span names[FIELDS_MAX], values[FIELDS_MAX];
    char text[1024];
};

static struct entry *entries;
static struct features *features;
static uint64_t ticks, rows, batches;

static uint32_t next_random(void)
{
    static uint32_t state = 1;

    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

/* $<len>\r\n<bytes>\r\n */
static struct tocsin_span cut_bulk(struct tocsin_span *rest)
{
    char *end;
    size_t len = strtoul(rest->data + 1, &end, 10);
    struct tocsin_span bulk = tocsin_span_of(end + 2, len);

    rest->len -= (size_t)(end + 4 + len - rest->data);
    rest->data = end + 4 + len;
    return bulk;
}

static void encode(struct entry *entry, const struct tocsin_event *ev)
{
    struct tocsin_out out = {entry->text, sizeof(entry->text), 0};
    struct tocsin_span rest;

    tocsin_event_encode(&out, ev);
    rest = tocsin_span_of(out.data, out.need);
    entry->stream = ev->stream;
    while (rest.len != 0) {
        entry->names[entry->count] = cut_bulk(&rest);
        entry->values[entry->count++] = cut_bulk(&rest);
    }
}

static void make_entry(struct entry *entry)
{
    static const char *const clouds[] = {"aws", "gcp", "azure",
                                         "alibaba_cloud"};
    char server[32], route[32], upstream[32], peer[32], region[32];
    uint32_t pool = next_random() % 16, host = next_random() % 8;
    struct tocsin_event ev;

    tocsin_event_init(&ev, next_random() % 2 != 0 ? TOCSIN_UPSTREAM
                                                  : TOCSIN_REQUEST);
    snprintf(server, sizeof(server), "shop-%u.example.com", next_random() % 20);
    snprintf(route, sizeof(route), "/api/v1/resource-%u", next_random() % 20);
    snprintf(upstream, sizeof(upstream), "pool-%u", pool);
    snprintf(peer, sizeof(peer), "10.0.%u.%u:8080", pool, host);
    snprintf(region, sizeof(region), "region-%u", host % 2);
    ev.v = 1;
    ev.src = tocsin_span_str("edge-1/3/1");
    ev.seq = next_random();
    ev.dur = 500 + next_random() % 20000;
    ev.server = tocsin_span_str(server);
    ev.route = tocsin_span_str(route);
    ev.method = tocsin_span_str("GET");
    ev.proto = tocsin_span_str("1.1");
    ev.status = next_random() % 100 == 0 ? 502 : 200;
    ev.in = 400;
    ev.out = 2000 + next_random() % 2000;
    ev.attempts = ev.attempt = 1;
    ev.upstream = tocsin_span_str(upstream);
    ev.peer = tocsin_span_str(peer);
    ev.connect = 200;
    ev.header = ev.dur - 100;
    ev.cloud = tocsin_span_str(clouds[pool % 4]);
    ev.region = tocsin_span_str(region);
    encode(entry, &ev);
}

static void decode(const struct entry *entry, struct tocsin_event *ev)
{
    tocsin_event_init(ev, entry->stream);
    for (unsigned i = 0; i < entry->count; i++) {
        tocsin_event_field(ev, i, entry->names[i], entry->values[i]);
    }
}

static void on_tick(void *ctx, const struct series_tick *tick)
{
    (void)ctx;
    ticks++;
    rows = tick->count;
    if (features != NULL) {
        features_tick(features, tick);
    }
}

static void on_leave(void *ctx, const struct identity *identity)
{
    (void)ctx;
    (void)identity;
}

static void on_batch(void *ctx, const struct feature_batch *batch)
{
    (void)ctx;
    batches += batch->count;
}

static struct series *make_series(uint32_t max)
{
    struct series_options options = {
        .sets = {{NULL},
                 {"server", "route"},
                 {"upstream"},
                 {"upstream", "peer"},
                 {"cloud", "region"},
                 {"cloud"}},
        .set_sizes = {0, 2, 1, 2, 2, 1},
        .set_count = 6,
        .tick = TICK,
        .lateness = TICK / 2,
        .idle = 3600u * (uint64_t)TICK,
        .max = max,
    };
    struct series_sink sink = {NULL, on_tick, on_leave};

    return series_create(&options, sink, NULL);
}

/* 100,000 events a second of stream time. */
static double run_events(uint64_t events)
{
    struct series *series = make_series(10000);
    struct tocsin_event ev;
    uint64_t started = clock_thread_cpu();

    for (uint64_t i = 0; i < events; i++) {
        const struct entry *entry = &entries[i * 2654435761u % KINDS];

        decode(entry, &ev);
        ev.ts = (START + i / 100) * 1000;
        ev.seq = i;
        series_event(series, &ev, START + i / 100);
    }
    started = clock_thread_cpu() - started;
    series_destroy(series);
    return (double)started * 1000 / (double)events;
}

static double run_decoding(uint64_t events)
{
    struct tocsin_event ev;
    uint64_t started = clock_thread_cpu(), sum = 0;

    for (uint64_t i = 0; i < events; i++) {
        decode(&entries[i * 2654435761u % KINDS], &ev);
        sum += ev.dur;
    }
    started = clock_thread_cpu() - started;
    return sum != 0 ? (double)started * 1000 / (double)events : 0;
}

static void make_features(uint32_t max)
{
    const struct features_options options = {
        .columns = {FEATURE_RATE, FEATURE_LATENCY_P50, FEATURE_ERRORS,
                    FEATURE_CLIENT_ERRORS, FEATURE_LOCAL_ERRORS,
                    FEATURE_LATENCY_P95, FEATURE_INFLIGHT, FEATURE_OLDEST,
                    FEATURE_BYTES, FEATURE_CONNECT, FEATURE_HEADER,
                    FEATURE_RETRIES, FEATURE_CACHE_HITS},
        .column_count = 13,
        .season_columns = {0, 1},
        .season_column_count = 2,
        .lags = {1, 60, 240},
        .lag_count = 3,
        .seasons = {86100000000u, 86400000000u, 172800000000u, 259200000000u,
                    604500000000u, 604800000000u},
        .season_count = 6,
        .tick = TICK,
        .max = max,
        .window = 16,
    };
    struct features_sink sink = {NULL, on_batch};

    features = features_create(&options, sink, NULL);
}

/* Ticks of `max` series, all with events; only closing is timed. */
static void run_features(uint32_t max, double *close_ns, double *series_ns)
{
    enum { TICKS = 20, EVENTS = 30 };
    uint64_t with = 0, without = 0, started;

    for (unsigned pass = 0; pass < 2; pass++) {
        struct series *series = make_series(max);

        if (pass == 1) {
            make_features(max);
        }
        for (unsigned tick = 0; tick < TICKS; tick++) {
            for (uint32_t i = 0; i < max * EVENTS; i++) {
                char route[32];
                struct tocsin_event ev;

                tocsin_event_init(&ev, TOCSIN_REQUEST);
                snprintf(route, sizeof(route), "/%u", i % max);
                ev.server = tocsin_span_str("s");
                ev.route = tocsin_span_str(route);
                ev.status = 200;
                ev.seq = i;
                ev.dur = 1000 + next_random() % 4000;
                ev.ts = (START + tick * 1000) * 1000;
                series_event(series, &ev, START + tick * 1000 + 500);
            }
            started = clock_thread_cpu();
            series_time(series, START + tick * 1000 + 1500);
            *(pass == 1 ? &with : &without) += clock_thread_cpu() - started;
        }
        series_destroy(series);
    }
    features_destroy(features);
    *close_ns = (double)without * 1000 / TICKS / max;
    *series_ns = (double)(with - without) * 1000 / TICKS / max;
}

int main(int argc, char **argv)
{
    uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 10) : 5000000;
    uint32_t max = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10000;
    double decoding, all, close_ns, series_ns;
    struct rusage usage;

    entries = calloc(KINDS, sizeof(*entries));
    if (entries == NULL || events == 0 || max == 0) {
        fputs("usage: series [EVENTS [SERIES]]\n", stderr);
        return 2;
    }
    for (unsigned i = 0; i < KINDS; i++) {
        make_entry(&entries[i]);
    }
    decoding = run_decoding(events);
    all = run_events(events);
    printf("decoding an event            %8.0f ns\n", decoding);
    printf("aggregating it (6 sets)      %8.0f ns  (%llu series)\n",
           all - decoding, (unsigned long long)rows);
    printf("together                     %8.0f events/s of one core\n",
           1e9 / all);
    run_features(max, &close_ns, &series_ns);
    printf("closing a tick, a series     %8.0f ns\n", close_ns);
    printf("features of a tick, a series %8.0f ns  (%.1f ms for %u)\n",
           series_ns, series_ns * max / 1e6, max);
    getrusage(RUSAGE_SELF, &usage);
    printf("memory                       %8.0f MB\n",
           (double)usage.ru_maxrss / 1024);
    free(entries);
    return 0;
}
