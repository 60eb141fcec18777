/*
 * Who has sent what: for every producer (src) and each of its event streams a
 * window over the last seqs. So losses show as gaps and repeats as duplicates,
 * in whatever order entries come, in bounded memory.
 */
#ifndef TOCSIN_PRODUCERS_H
#define TOCSIN_PRODUCERS_H

#include "../base/buf.h"
#include "../base/err.h"
#include "shared/event_codec.h"
#include "shared/names.h"

#define PRODUCERS_WINDOW 4096 /* seqs; what is older counts as repeated */
#define PRODUCERS_KINDS 2     /* request, upstream */

struct producers_stats {
    uint64_t gaps;       /* missing at this moment */
    uint64_t duplicates; /* said to be repeats so far */
    uint64_t evicted;    /* producers forgotten because of the cap */
};

struct producers;

/* At most max producers; the one least recently heard of leaves first. */
struct producers *producers_create(unsigned max, struct err *err);
void producers_destroy(struct producers *producers);

/* Takes the seq of an event. True if it is news, false for a repeat. */
bool producers_event(struct producers *producers, struct tocsin_span src,
                     enum tocsin_stream stream, uint64_t seq);

/* Takes the time of a beat, in us by the producer's clock. False for a repeat:
 * where one may come (`again`), a beat that is not newer than the last. */
bool producers_beat_at(struct producers *producers, struct tocsin_span src,
                       uint64_t ts, bool again);

/* A beat with nothing buffered: all up to these seqs has been sent or lost. */
void producers_beat(struct producers *producers, struct tocsin_span src,
                    const uint64_t last[PRODUCERS_KINDS]);

const struct producers_stats *
producers_stats(const struct producers *producers);

void producers_save(const struct producers *producers, struct buf *to);
int producers_restore(struct producers *producers, struct cursor *from,
                      struct err *err);

#endif
