/* The exchanges in flight that a beat tells of, peer by peer. */
#ifndef TOCSIN_BEAT_H
#define TOCSIN_BEAT_H

#include "shared/event_codec.h"
#include "shared/names.h"

struct beat_item {
    struct tocsin_event labels; /* upstream, peer, cloud, region, zone */
    uint64_t count;
    uint64_t oldest;                /* us */
    char text[TOCSIN_EVIDENCE_MAX]; /* what labels point into */
    size_t used;
};

/* Cuts the first item off `rest`. False at the end. An item that cannot be
 * read comes with a count of 0. */
bool beat_item_next(struct tocsin_span *rest, struct beat_item *item);

#endif
