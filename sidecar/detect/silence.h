/*
 * A series that is normally busy and says nothing while its producers live.
 * How much evidence that is: the number of events that should have come. How
 * long is long: three times the longest pause that the series lately made by
 * itself, and at least three ticks.
 */
#ifndef TOCSIN_SILENCE_H
#define TOCSIN_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/buf.h"

struct silence {
    float usual;   /* events a tick, slowly forgotten */
    float missed;  /* events that should have come since the pause began */
    float longest; /* pause in ticks that was normal, slowly forgotten */
    uint32_t pause, ticks;
};

struct silence_finding {
    float nats;
    bool harmful;
};

void silence_init(struct silence *silence);

/* events: seen in this tick. alive: a producer beat. */
struct silence_finding silence_look(struct silence *silence, double events,
                                    bool alive, bool frozen);

void silence_accept(struct silence *silence);

void silence_save(const struct silence *silence, struct buf *to);
void silence_restore(struct silence *silence, struct cursor *from);

#endif
