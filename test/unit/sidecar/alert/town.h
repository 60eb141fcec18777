/*
 * A deployment of clouds, regions, upstreams, peers and routes, whose series
 * are put into alarm by hand: verdicts go straight into the alert room.
 *
 *     aws    us-east-1  shop (3 peers)      routes /shop /cart
 *                       pay  (3 peers)      route  /pay
 *            eu-west-1  api  (3 peers)      route  /api
 *     gcp    us-c1      search (3 peers)    route  /search
 *
 * and the total of all requests.
 */
#ifndef TOCSIN_TEST_TOWN_H
#define TOCSIN_TEST_TOWN_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/alert/alert.h"

#define TOWN_MAX 64
#define TOWN_TICK 1000000u
#define TOWN_START (1700000000ull * 1000000u)
#define TOWN_TOLD 4096
#define TOWN_COLUMNS 3 /* rate, errors, latency_p95 */

struct town_told {
    char id[64], fingerprint[32], name[64], state[16], severity[16];
    char labels[1100], summary[600], description[2000];
    char evidence[9000], parts[9000];
    uint64_t started, updated, ended;
    double score, observed;
};

struct town_series {
    struct identity identity;
    struct aggregate aggregate;
    char labels[512];
    struct verdict verdict;
    bool in_use;
    bool mild;  /* harm within what is expected */
    bool well;  /* in alarm for what was, not for what is */
    bool quiet; /* too little traffic to be judged */
};

struct town {
    struct alerts *alerts;
    struct town_series series[TOWN_MAX];
    uint32_t count;
    uint64_t end;
    struct town_told *told; /* [TOWN_TOLD] */
    unsigned told_count;
    float x[TOWN_MAX * TOWN_COLUMNS];
};

static const enum feature town_columns[TOWN_COLUMNS] = {
    FEATURE_RATE, FEATURE_ERRORS, FEATURE_LATENCY_P95};

static struct model_shape town_shape = {.version = "town-1"};

static void town_copy(char *to, size_t size, struct tocsin_span text)
{
    size_t len = text.len < size ? text.len : size - 1;

    memcpy(to, text.data, len);
    to[len] = '\0';
}

static void town_changed(void *ctx, const struct tocsin_alert *alert)
{
    struct town *town = ctx;
    struct town_told *told = &town->told[town->told_count++ % TOWN_TOLD];

#define TAKE(member, field)                                                    \
    town_copy(told->member, sizeof(told->member), alert->field)
    TAKE(id, id);
    TAKE(fingerprint, fingerprint);
    TAKE(name, alertname);
    TAKE(state, state);
    TAKE(severity, severity);
    TAKE(labels, labels);
    TAKE(summary, summary);
    TAKE(description, description);
    TAKE(evidence, evidence);
    TAKE(parts, parts);
#undef TAKE
    told->started = alert->started;
    told->updated = alert->updated;
    told->ended = alert->ended;
    told->score = alert->score;
    told->observed = alert->observed;
}

static unsigned town_recent(void *ctx, uint32_t slot, unsigned column,
                            unsigned count, float *values)
{
    struct town *town = ctx;
    unsigned i;

    for (i = 0; i < count; i++) {
        values[i] = town->x[slot * TOWN_COLUMNS + column];
    }
    return count;
}

static inline void town_link(struct town *town, uint32_t a, uint32_t b)
{
    struct identity *one = &town->series[a].identity;
    struct identity *two = &town->series[b].identity;

    if (one->link_count < IDENTITY_LINKS_MAX) {
        one->links[one->link_count++] = b;
    }
    if (two->link_count < IDENTITY_LINKS_MAX) {
        two->links[two->link_count++] = a;
    }
}

static inline uint32_t town_add(struct town *town, enum scope scope,
                                bool of_requests, const char *labels)
{
    uint32_t slot = town->count++;
    struct town_series *series = &town->series[slot];

    snprintf(series->labels, sizeof(series->labels), "%s", labels);
    series->identity = (struct identity){
        .slot = slot,
        .scope = scope,
        .hash = 1000003u * (slot + 1),
        .labels = series->labels,
        .of_requests = of_requests,
    };
    series->aggregate.events = 20;
    series->aggregate.weight = 20000;
    series->in_use = true;
    return slot;
}

static inline uint32_t town_find(const struct town *town, const char *labels)
{
    uint32_t i;

    for (i = 0; i < town->count; i++) {
        if (strcmp(town->series[i].labels, labels) == 0) {
            return i;
        }
    }
    fprintf(stderr, "no series %s\n", labels);
    abort();
}

/* An upstream with peers in a region, linked with all above and its routes. */
static inline void town_upstream(struct town *town, uint32_t cloud,
                                 uint32_t region, const char *name,
                                 const char *const *routes)
{
    uint32_t upstream, peers[3], route;
    char labels[256];
    unsigned i;

    snprintf(labels, sizeof(labels), "upstream=%s", name);
    upstream = town_add(town, SCOPE_UPSTREAM, false, labels);
    town_link(town, upstream, region);
    town_link(town, upstream, cloud);
    for (i = 0; i < 3; i++) {
        snprintf(labels, sizeof(labels), "upstream=%s,peer=10.0.0.%u:80", name,
                 i + 1);
        peers[i] = town_add(town, SCOPE_PEER, false, labels);
        town_link(town, peers[i], upstream);
        town_link(town, peers[i], region);
        town_link(town, peers[i], cloud);
    }
    for (; *routes != NULL; routes++) {
        snprintf(labels, sizeof(labels), "server=www,route=%s", *routes);
        route = town_add(town, SCOPE_ROUTE, true, labels);
        town_link(town, route, upstream);
        town_link(town, route, region);
        town_link(town, route, cloud);
        for (i = 0; i < 3; i++) {
            town_link(town, route, peers[i]);
        }
    }
}

static inline struct alerts *town_alerts_of(struct town *town, uint32_t max)
{
    struct alert_options options = {TOWN_TICK, max};
    struct alert_history history = {town, town_recent};
    struct alert_sink sink = {town, town_changed};
    struct err err;
    struct alerts *alerts = alerts_create(&options, history, sink, &err);

    if (alerts == NULL) {
        abort();
    }
    return alerts;
}

static inline struct alerts *town_alerts(struct town *town)
{
    return town_alerts_of(town, TOWN_MAX);
}

static inline struct town *town_create(void)
{
    static const char *const shop[] = {"/shop", "/cart", NULL};
    static const char *const pay[] = {"/pay", NULL};
    static const char *const api[] = {"/api", NULL};
    static const char *const search[] = {"/search", NULL};
    struct town *town = calloc(1, sizeof(*town));
    uint32_t total, aws, gcp, east, west, central;

    town->told = calloc(TOWN_TOLD, sizeof(*town->told));
    town->end = TOWN_START;
    total = town_add(town, SCOPE_TOTAL, true, "");
    aws = town_add(town, SCOPE_CLOUD, false, "cloud_provider=aws");
    gcp = town_add(town, SCOPE_CLOUD, false, "cloud_provider=gcp");
    east = town_add(town, SCOPE_REGION, false,
                    "cloud_provider=aws,cloud_region=us-east-1");
    west = town_add(town, SCOPE_REGION, false,
                    "cloud_provider=aws,cloud_region=eu-west-1");
    central = town_add(town, SCOPE_REGION, false,
                       "cloud_provider=gcp,cloud_region=us-c1");
    town_link(town, east, aws);
    town_link(town, west, aws);
    town_link(town, central, gcp);
    town_upstream(town, aws, east, "shop", shop);
    town_upstream(town, aws, east, "pay", pay);
    town_upstream(town, aws, west, "api", api);
    town_upstream(town, gcp, central, "search", search);
    for (uint32_t i = total + 1; i < town->count; i++) {
        town_link(town, i, total);
    }
    town->alerts = town_alerts(town);
    return town;
}

static inline void town_free(struct town *town)
{
    alerts_destroy(town->alerts);
    free(town->told);
    free(town);
}

/* The series whose labels contain text go into alarm, or out of it. */
static inline unsigned town_set(struct town *town, const char *text,
                                enum feature feature, bool alarm)
{
    unsigned count = 0;
    uint32_t i;

    for (i = 0; i < town->count; i++) {
        struct verdict *verdict = &town->series[i].verdict;

        if (strstr(town->series[i].labels, text) == NULL) {
            continue;
        }
        count++;
        verdict->alarm = alarm;
        verdict->since = alarm ? town->end : 0;
        verdict->incident = alarm ? 80 : 0;
        verdict->feature = alarm ? feature : FEATURE_COUNT;
        verdict->column = feature == FEATURE_RATE     ? 0
                          : feature == FEATURE_ERRORS ? 1
                                                      : 2;
    }
    return count;
}

static inline void town_alarm(struct town *town, const char *text)
{
    if (town_set(town, text, FEATURE_LATENCY_P95, true) == 0) {
        fprintf(stderr, "no series has %s\n", text);
        abort();
    }
}

static inline void town_clear(struct town *town, const char *text)
{
    town_set(town, text, FEATURE_LATENCY_P95, false);
}

static inline void town_tick(struct town *town)
{
    struct verdict verdicts[TOWN_MAX];
    struct feature_batch batch = {
        .length = TOWN_TICK,
        .column_count = TOWN_COLUMNS,
        .x = town->x,
        .columns = town_columns,
    };
    struct scored_batch scored = {.batch = &batch, .shape = &town_shape};
    struct verdict_batch out = {
        .length = TOWN_TICK, .verdicts = verdicts, .scored = &scored};
    uint32_t i;

    town->end += TOWN_TICK;
    out.end = batch.end = town->end;
    for (i = 0; i < town->count; i++) {
        struct town_series *series = &town->series[i];
        struct verdict *verdict = &series->verdict;
        float *x = town->x + i * TOWN_COLUMNS;

        if (!series->in_use) {
            continue;
        }
        x[0] = 20;
        x[1] = 0;
        x[2] = series->mild ? 0.13F : verdict->alarm ? 0.812F : 0.1F;
        verdict->identity = &series->identity;
        verdict->aggregate = &series->aggregate;
        verdict->judged = !series->quiet;
        verdict->harmed =
            verdict->alarm && !series->well &&
            (verdict->feature == FEATURE_RATE || series->aggregate.weight > 0);
        verdict->observed = x[verdict->column];
        verdict->expected = 0.11F;
        verdict->low = 0.095F;
        verdict->high = 0.14F;
        verdicts[out.count++] = *verdict;
    }
    batch.count = out.count;
    alerts_batch(town->alerts, &out);
}

static inline void town_run(struct town *town, unsigned ticks)
{
    while (ticks-- > 0) {
        town_tick(town);
    }
}

static inline const struct town_told *town_last(const struct town *town)
{
    return &town->told[(town->told_count - 1) % TOWN_TOLD];
}

static inline unsigned town_count(const struct town *town, const char *state)
{
    unsigned i, count = 0;

    for (i = 0; i < town->told_count; i++) {
        count += strcmp(town->told[i].state, state) == 0;
    }
    return count;
}

/* The first entry of that state, or NULL. */
static inline const struct town_told *town_first(const struct town *town,
                                                 const char *state)
{
    unsigned i;

    for (i = 0; i < town->told_count; i++) {
        if (strcmp(town->told[i].state, state) == 0) {
            return &town->told[i];
        }
    }
    return NULL;
}

#endif
