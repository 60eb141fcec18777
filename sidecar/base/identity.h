/*
 * What a series is, as every room behind series/ sees it. Owned by the series
 * room; valid until that room says that the slot has left.
 */
#ifndef TOCSIN_IDENTITY_H
#define TOCSIN_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#define IDENTITY_LINKS_MAX 16

/* From the narrowest to the widest; the order is that of blame. */
enum scope {
    SCOPE_PEER,     /* upstream + peer */
    SCOPE_ROUTE,    /* server + route, or any set with request labels */
    SCOPE_UPSTREAM, /* upstream */
    SCOPE_SERVER,   /* server */
    SCOPE_ZONE,     /* cloud + region + zone */
    SCOPE_REGION,   /* cloud + region */
    SCOPE_CLOUD,    /* cloud */
    SCOPE_TOTAL,    /* no label at all */
    SCOPE_COLUMN    /* a file under `backtest` */
};

struct identity {
    uint32_t slot; /* index into every room's tables, < series.max */
    enum scope scope;
    uint64_t hash;      /* XXH64 of labels: the same after a restart */
    const char *labels; /* PAIRS: "upstream=shop,peer=10.0.0.1:80"; the names
                           are those of alert_schema.h, values encoded */
    bool of_requests;   /* counts requests; else attempts at upstreams */

    /* Slots of other series that lately counted the same exchanges: the peers
     * of an upstream, the region of a peer, the routes behind a cloud. */
    uint32_t links[IDENTITY_LINKS_MAX];
    uint32_t link_count;
};

#endif
