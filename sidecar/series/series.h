/*
 * From events to ticks: counts every event into the series of each label set
 * that it has the labels for, in event time, and closes ticks by stream time.
 *
 * All sums are integers and sketches merge exactly, so the order of events
 * within a tick does not change a bit of what comes out.
 *
 * Sets with server or route count requests, sets with upstream, peer or only
 * cloud labels count attempts at upstreams. A label set whose labels are all
 * empty in an event does not count it.
 */
#ifndef TOCSIN_SERIES_H
#define TOCSIN_SERIES_H

#include "../base/buf.h"
#include "../base/err.h"
#include "../base/identity.h"
#include "shared/event_codec.h"
#include "sketch.h"

#define SERIES_SETS_MAX 16
#define SERIES_SET_LABELS_MAX 8
#define SERIES_GAP_MAX 60

struct series_options {
    /* Label names of each set: server, route, method, upstream, peer, cloud,
     * region, zone, or the name of a tocsin_label. */
    const char *sets[SERIES_SETS_MAX][SERIES_SET_LABELS_MAX];
    unsigned set_sizes[SERIES_SETS_MAX];
    unsigned set_count;
    uint64_t tick;     /* us */
    uint64_t lateness; /* us */
    uint64_t idle;     /* us without an event after which a series leaves */
    uint32_t max;
};

/* What one series counted in one tick; weights are in thousandths. */
struct aggregate {
    uint64_t events;        /* seen, unweighted: how much evidence there is */
    uint64_t weight;        /* weighted count: how many it stands for */
    uint64_t errors;        /* status 5xx or an error of the peer */
    uint64_t client_errors; /* status 4xx */
    uint64_t local_errors;  /* no whole answer */
    uint64_t aborted;       /* left out of the error shares */
    uint64_t retries;       /* attempts beyond the first */
    uint64_t bytes;         /* sent */
    uint64_t cacheable, cache_hits;
    uint64_t connects, connect_sum; /* weighted count, us times weight */
    struct sketch duration, header; /* us */
    /* From beats: the last known of each producer, summed. */
    uint64_t inflight;
    uint64_t oldest;     /* us */
    bool inflight_known; /* a beat told something of this series */
    bool alive;          /* a producer beat in this tick: no event is silence */
};

struct series_row {
    const struct identity *identity;
    const struct aggregate *aggregate;
};

struct series_tick {
    uint64_t end; /* us since the epoch; a multiple of length */
    uint64_t length;
    const struct series_row *rows; /* in the order of slots */
    uint32_t count;
};

struct series_sink {
    void *ctx;
    void (*tick)(void *ctx, const struct series_tick *tick);
    /* The slot is free from now on: drop what you keep for it. */
    void (*leave)(void *ctx, const struct identity *identity);
};

struct series_stats {
    uint64_t late;    /* events whose tick was closed: not counted */
    uint64_t future;  /* events ahead of stream time: counted as of now */
    uint64_t evicted; /* series that left because of the cap */
    uint64_t idled;   /* series that left because they fell silent */
    uint64_t refused; /* events that found no place for their series */
    uint32_t series;
    uint64_t tick; /* end of the last closed tick, us */
};

struct series;

/* Labels of sets that count attempts may not include `method`; two sets may not
 * have the same labels; lateness is at most 16 ticks. */
struct series *series_create(const struct series_options *options,
                             struct series_sink sink, struct err *err);
void series_destroy(struct series *series);

void series_event(struct series *series, const struct tocsin_event *ev,
                  uint64_t id_ms);
/* Closes every tick that ended `lateness` or more before id_ms. Where the
 * stream says nothing for longer than SERIES_GAP_MAX ticks, the rest of them
 * are skipped: `end` then jumps. */
void series_time(struct series *series, uint64_t id_ms);

const struct series_stats *series_stats(const struct series *series);

/* NULL if the slot is free. */
const struct identity *series_identity(const struct series *series,
                                       uint32_t slot);

/* Byte for byte the same for the same history. Restoring replaces everything;
 * the tick's length must be that of the file. On failure the series are empty.
 * Nobody is told who left: restore the rooms behind, too. */
void series_save(const struct series *series, struct buf *to);
int series_restore(struct series *series, struct cursor *from, struct err *err);

#endif
