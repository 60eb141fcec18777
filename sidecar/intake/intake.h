/*
 * From Redis to events. Entries of all streams are delivered in the order of
 * their ids, merged; entries of the newest millisecond wait until a newer one
 * is seen, so that replaying a stream gives the order in which it was lived.
 */
#ifndef TOCSIN_INTAKE_H
#define TOCSIN_INTAKE_H

#include <stdbool.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "../base/redis.h"
#include "shared/event_codec.h"

struct intake_options {
    struct redis_options redis;
    const char *prefix;
    unsigned shards;
    uint64_t backlog; /* us of history to read on a first start */
};

/* All calls come from within intake_poll(). */
struct intake_sink {
    void *ctx;
    /* Texts are valid during the call. `id_ms` is that of the entry. */
    void (*event)(void *ctx, const struct tocsin_event *ev, uint64_t id_ms);
    /* Stream time has reached `id_ms`: all entries below it were delivered. */
    void (*time)(void *ctx, uint64_t id_ms);
};

struct intake_stats {
    uint64_t events;     /* delivered, beats among them */
    uint64_t malformed;  /* entries that could not be read */
    uint64_t duplicates; /* seen before, by src and seq: not delivered */
    uint64_t gaps;       /* missing by src and seq; falls when they turn up */
    uint64_t reconnects; /* connections after the first */
    uint64_t trimmed;    /* times that a stream had lost unread entries */
    uint64_t resets;     /* times that a stream's ids had gone back */
    uint64_t processed_ms, newest_ms; /* lag = newest - processed */
    bool connected;
};

struct intake;

struct intake *intake_create(const struct intake_options *options,
                             struct intake_sink sink, struct err *err);
void intake_destroy(struct intake *intake);

/* Reads what there is, waiting at most timeout_ms for it. Returns the number
 * of entries delivered, or -1 (*err; it reconnects by itself at a later call,
 * with back-off). A signal ends the wait. */
int intake_poll(struct intake *intake, int timeout_ms, struct err *err);

/* All that the streams held when they were asked last has been delivered. */
bool intake_caught_up(const struct intake *intake);

const struct intake_stats *intake_stats(const struct intake *intake);

/* Time in ms between the newest entry and the last one processed. None before
 * the first: there is nothing to count from. */
uint64_t intake_lag(const struct intake_stats *stats);

/* Stream offsets, and the last seq of every producer. */
void intake_save(const struct intake *intake, struct buf *to);
int intake_restore(struct intake *intake, struct cursor *from, struct err *err);

#endif
