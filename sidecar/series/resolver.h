/* From an event to the series that count it. */
#ifndef TOCSIN_RESOLVER_H
#define TOCSIN_RESOLVER_H

#include "label_sets.h"
#include "roster.h"

struct resolution {
    uint32_t slots[SERIES_SETS_MAX];
    uint32_t count;
    uint32_t refused; /* label sets whose series could not be taken in */
    uint32_t evicted; /* series that left for new ones */
};

struct resolver;

struct resolver *resolver_create(const struct label_sets *sets,
                                 struct roster *roster, struct err *err);
void resolver_destroy(struct resolver *resolver);
void resolver_clear(struct resolver *resolver);

/* The series of a request or an attempt; new ones are taken in. */
void resolver_event(struct resolver *resolver, const struct tocsin_event *ev,
                    struct resolution *resolution);

/* Those that a beat can tell of: ev has the labels of one of its items. */
void resolver_beat(struct resolver *resolver, const struct tocsin_event *ev,
                   struct resolution *resolution);

/* Series of the other kind that the exchange belongs to as far as its labels
 * tell: the route of an attempt, the clouds of a request. None is taken in. */
void resolver_related(struct resolver *resolver, const struct tocsin_event *ev,
                      struct resolution *resolution);

#endif
