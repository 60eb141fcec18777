/*
 * A deployment without nginx, Redis and model: series of made-up traffic whose
 * noise is like that of real one, fed to the detector tick by tick. A test
 * changes what a series does (struct sim_series) between ticks.
 */
#ifndef TOCSIN_TEST_SIM_H
#define TOCSIN_TEST_SIM_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/detect/detect.h"

#define SIM_MAX 64
#define SIM_TICK 1000000u /* us, unless it is another one */
#define SIM_START (1700000000ull * 1000000u)
#define SIM_EVIDENCE 6

struct sim_series {
    struct identity identity;
    struct aggregate aggregate;
    char labels[256];
    double rate;    /* events a tick */
    double errors;  /* share */
    double latency; /* median, s */
    double spread;  /* of its logarithm */
    double local_errors, oldest, inflight;
    double begins; /* logit B that the "model" gives; NaN: noise */
    bool dead;     /* no producer tells anything */
};

struct sim {
    struct detect *detect;
    struct sim_series series[SIM_MAX];
    uint32_t count;
    uint64_t tick, end, seed;
    struct verdict last[SIM_MAX];
    uint64_t alarms; /* begun */
    bool was[SIM_MAX];
    void (*hear)(void *ctx, const struct verdict_batch *batch);
    void *ctx;

    float x[SIM_MAX * FEATURE_COUNT], zero[SIM_MAX * FEATURE_COUNT];
    float evidence[SIM_MAX * SIM_EVIDENCE];
    uint32_t age[SIM_MAX];
};

static struct model_shape sim_shape = {
    .version = "sim",
    .evidence = {"logit_a", "logit_b", "z150", "novelty", "drift", "roughness"},
    .evidence_count = SIM_EVIDENCE,
    .evidence_rows = SIM_EVIDENCE,
};

static const enum feature sim_columns[FEATURE_COUNT] = {
#define X(NAME, name, unit, kind, harm, words, help) FEATURE_##NAME,
    FEATURES(X)
#undef X
};

static inline double sim_uniform(struct sim *sim)
{
    sim->seed ^= sim->seed << 13;
    sim->seed ^= sim->seed >> 7;
    sim->seed ^= sim->seed << 17;
    return ((double)(sim->seed >> 11) + 0.5) / 9007199254740992.0;
}

static inline double sim_normal(struct sim *sim)
{
    double u = sim_uniform(sim), v = sim_uniform(sim);

    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

static inline double sim_poisson(struct sim *sim, double mean)
{
    double limit = exp(-mean), product = sim_uniform(sim);
    double count = 0;

    if (mean > 50) {
        count = floor(mean + sqrt(mean) * sim_normal(sim) + 0.5);
        return count > 0 ? count : 0;
    }
    while (product > limit) {
        product *= sim_uniform(sim);
        count++;
    }
    return count;
}

static void sim_hear(void *ctx, const struct verdict_batch *batch)
{
    struct sim *sim = ctx;
    uint32_t i;

    for (i = 0; i < batch->count; i++) {
        sim->last[i] = batch->verdicts[i];
        sim->alarms += batch->verdicts[i].alarm && !sim->was[i];
        sim->was[i] = batch->verdicts[i].alarm;
    }
    if (sim->hear != NULL) {
        sim->hear(sim->ctx, batch);
    }
}

static inline struct detect_options sim_options(double budget)
{
    struct detect_options options = {
        .false_alarms_per_day = budget,
        .min_requests_per_minute = 20,
        .clear = 10,
        .tick = SIM_TICK,
        .max = SIM_MAX,
    };

    return options;
}

static inline struct detect *sim_detect_of(struct sim *sim, double budget,
                                           uint32_t max)
{
    struct detect_options options = sim_options(budget);
    struct detect_sink sink = {sim, sim_hear};
    struct detect *detect;
    struct err err;

    options.tick = sim->tick;
    options.max = max;
    detect = detect_create(&options, &sim_shape, sink, &err);
    if (detect == NULL) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    return detect;
}

static inline struct detect *sim_detect(struct sim *sim, double budget)
{
    return sim_detect_of(sim, budget, SIM_MAX);
}

/* count series that are alike: 20 requests a tick of 100 ms, no errors. */
static inline struct sim *sim_create_of(uint64_t tick, uint32_t count,
                                        double budget, uint64_t seed)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    uint32_t i;

    sim->seed = seed * 2654435761u + 1;
    sim->count = count;
    sim->tick = tick;
    sim->end = SIM_START;
    for (i = 0; i < count; i++) {
        struct sim_series *series = &sim->series[i];

        snprintf(series->labels, sizeof(series->labels), "upstream=u%u", i);
        series->identity.slot = i;
        series->identity.scope = SCOPE_UPSTREAM;
        series->identity.hash = i + 1;
        series->identity.labels = series->labels;
        series->rate = 20;
        series->latency = 0.1;
        series->spread = 0.1;
        series->oldest = 0.2;
        series->inflight = 2;
        series->begins = (double)NAN;
    }
    sim->detect = sim_detect(sim, budget);
    return sim;
}

static inline struct sim *sim_create(uint32_t count, double budget,
                                     uint64_t seed)
{
    return sim_create_of(SIM_TICK, count, budget, seed);
}

static inline void sim_free(struct sim *sim)
{
    detect_destroy(sim->detect);
    free(sim);
}

static inline double sim_share(struct sim *sim, double events, double share)
{
    double bad = share >= 1 ? events : sim_poisson(sim, events * share);

    return events > 0 ? fmin(bad, events) / events : (double)NAN;
}

static inline void sim_fill(struct sim *sim, uint32_t i)
{
    struct sim_series *s = &sim->series[i];
    float *x = sim->x + i * FEATURE_COUNT;
    double events = s->dead ? 0 : sim_poisson(sim, s->rate);
    double noise = s->spread * sim_normal(sim), errors;
    unsigned k;

    for (k = 0; k < FEATURE_COUNT; k++) {
        x[k] = NAN;
    }
    memset(&s->aggregate, 0, sizeof(s->aggregate));
    s->aggregate.alive = !s->dead;
    s->aggregate.events = (uint64_t)events;
    s->aggregate.weight = (uint64_t)events * 1000;
    if (s->dead) {
        return;
    }
    x[FEATURE_RATE] = (float)events;
    x[FEATURE_INFLIGHT] = (float)sim_poisson(sim, s->inflight);
    x[FEATURE_OLDEST] = (float)(s->oldest * exp(0.5 * sim_normal(sim)));
    if (events <= 0) {
        return;
    }
    errors = sim_share(sim, events, s->errors);
    x[FEATURE_LOCAL_ERRORS] = (float)sim_share(sim, events, s->local_errors);
    x[FEATURE_ERRORS] = fmaxf((float)errors, x[FEATURE_LOCAL_ERRORS]);
    x[FEATURE_CLIENT_ERRORS] = 0;
    x[FEATURE_LATENCY_P50] = (float)(s->latency * exp(noise));
    x[FEATURE_LATENCY_P95] =
        (float)(2 * s->latency * exp(noise + s->spread * sim_normal(sim)));
    x[FEATURE_RETRIES] = 0;
}

static inline void sim_evidence(struct sim *sim, uint32_t i)
{
    float *row = sim->evidence + i * SIM_EVIDENCE;
    double begins = sim->series[i].begins;

    row[0] = (float)(-4 + sim_normal(sim));
    row[1] = (float)(isnan(begins) ? -5 + sim_normal(sim) : begins);
    row[2] = (float)fabs(sim_normal(sim));
    row[3] = 0;
    row[4] = (float)(1.5 * sim_normal(sim));
    row[5] = (float)(0.3 * sim_normal(sim));
}

static inline void sim_tick(struct sim *sim)
{
    struct series_row rows[SIM_MAX];
    struct feature_batch batch = {
        .length = sim->tick,
        .count = sim->count,
        .column_count = FEATURE_COUNT,
        .rows = rows,
        .x = sim->x,
        .columns = sim_columns,
    };
    struct scored_batch scored = {
        .batch = &batch,
        .shape = &sim_shape,
        .evidence_count = SIM_EVIDENCE,
        .expected = sim->zero,
        .low = sim->zero,
        .high = sim->zero,
        .evidence = sim->evidence,
        .age = sim->age,
    };
    uint32_t i;

    sim->end += sim->tick;
    batch.end = sim->end;
    for (i = 0; i < sim->count; i++) {
        rows[i].identity = &sim->series[i].identity;
        rows[i].aggregate = &sim->series[i].aggregate;
        sim_fill(sim, i);
        sim_evidence(sim, i);
        sim->age[i]++;
    }
    detect_batch(sim->detect, &scored);
}

static inline void sim_run(struct sim *sim, unsigned ticks)
{
    while (ticks-- > 0) {
        sim_tick(sim);
    }
}

/* Ticks until series i is in alarm (or is not), at most `most`. */
static inline unsigned sim_until(struct sim *sim, uint32_t i, bool alarm,
                                 unsigned most)
{
    unsigned ticks = 0;

    while (ticks < most) {
        sim_tick(sim);
        ticks++;
        if (sim->last[i].alarm == alarm) {
            break;
        }
    }
    return ticks;
}

#endif
