/*
 * The series that are known: found by their text, bounded in number, left by
 * those that were not seen for longest; and how they hang together.
 */
#ifndef TOCSIN_ROSTER_H
#define TOCSIN_ROSTER_H

#include "series.h"

#define ROSTER_NONE UINT32_MAX

enum segment { SEGMENT_FREE, SEGMENT_PROBATION, SEGMENT_PROTECTED, SEGMENTS };

/* A series that lately counted the same exchanges. */
struct link {
    uint32_t slot, generation;
    uint64_t stamp; /* the tick in which that was last seen */
};

struct member {
    struct identity identity;
    struct link links[IDENTITY_LINKS_MAX];
    uint32_t link_count;
    uint32_t generation; /* of the slot: grows when a series leaves it */
    uint64_t seen;       /* the newest tick that knows of it */
    uint64_t linked;     /* the epoch of its last look at links */
    uint32_t chain, older, newer;
    uint8_t segment;
    uint8_t ticks; /* closed ticks it was counted in, up to PROMOTE_TICKS */
    bool of_beats;
};

struct roster_list {
    uint32_t oldest, newest, count;
};

struct roster {
    struct member *members; /* [max] */
    uint32_t *heads;        /* [buckets] chains of members by hash */
    uint32_t *free;         /* a stack of slots */
    uint32_t max, buckets, free_count, high; /* no slot >= high is in use */
    struct roster_list lists[SEGMENTS];
    uint64_t open; /* the oldest open tick */
    uint64_t now;  /* the tick that stream time is in */
    uint64_t link_life;
    bool links_changed;
    void *ctx;
    void (*leave)(void *ctx, const struct identity *identity);
};

struct series_name {
    struct tocsin_span labels;
    enum scope scope;
    bool of_requests, of_beats;
};

int roster_init(struct roster *roster, uint32_t max, struct err *err);
void roster_release(struct roster *roster);
void roster_clear(struct roster *roster); /* nobody is told */

uint32_t roster_find(const struct roster *roster,
                     const struct series_name *name);

/* Finds or takes in; *evicted is set when somebody had to leave for it.
 * ROSTER_NONE when nobody could or memory ran out. */
uint32_t roster_admit(struct roster *roster, const struct series_name *name,
                      bool *evicted);

/* For restoring: takes `slot`, which must be free. */
int roster_place(struct roster *roster, uint32_t slot,
                 const struct series_name *name);
void roster_append(struct roster *roster, uint32_t slot, enum segment segment);

/* The series was named by something that belongs to `tick`. */
static inline void roster_see(struct roster *roster, uint32_t slot,
                              uint64_t tick)
{
    struct member *member = &roster->members[slot];

    member->seen = member->seen > tick ? member->seen : tick;
}

/* The series was counted in `tick`, which is closing. */
void roster_touch(struct roster *roster, uint32_t slot, uint64_t tick);

/* Who was last seen before tick `since` leaves; returns how many. */
uint32_t roster_expire(struct roster *roster, uint64_t since);

static inline bool roster_used(const struct roster *roster, uint32_t slot)
{
    return slot < roster->high && roster->members[slot].segment != SEGMENT_FREE;
}

/* a and b counted the same exchange in `tick`. */
void roster_link(struct roster *roster, uint32_t a, uint32_t b, uint64_t tick);

/* Brings identity.links up to date. */
void roster_expose_links(struct roster *roster, uint64_t tick);

#endif
